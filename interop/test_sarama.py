#!/usr/bin/env python3
"""sarama 1.22 from Debian's Go packages: it asks for no ApiVersions, it takes what it is told."""

import unittest.mock

import clients
import harness


class Sarama(clients.Cases):
    pass


class Proven(clients.ProvenCases):
    """PLAIN after the first handshake: its token comes without a frame of Kafka's. This sarama has
    no SCRAM of its own."""

    @classmethod
    def setUpClass(cls):
        # Which no dissector can make anything of.
        with unittest.mock.patch.object(harness, "CAPTURE", ""):
            super().setUpClass()

    def test_plain(self):
        self.proven("acks_and_offsets", "PLAIN")
        self.proven("group_resumes_at_what_it_marks", "PLAIN")

    def test_a_wrong_password(self):
        self.refused("acks_and_offsets", "PLAIN")


if __name__ == "__main__":
    clients.add_cases(Sarama, clients.go("sarama"))
    Proven.command = Sarama.command
    harness.main(threads=4)
