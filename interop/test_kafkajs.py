#!/usr/bin/env python3
"""kafkajs 2.2.4 from npm: the client of Node.js programs, all in JavaScript."""

import clients
import harness


class Kafkajs(clients.Cases):
    pass


class Proven(clients.ProvenCases):
    def test_every_mechanism(self):
        for mechanism in ("plain", "scram-sha-256", "scram-sha-512"):
            with self.subTest(mechanism):
                self.proven("acks_0_1_and_all", mechanism)

    def test_a_wrong_password(self):
        self.refused("acks_0_1_and_all", "scram-sha-256")


if __name__ == "__main__":
    clients.add_cases(Kafkajs, clients.node("kafkajs"))
    Proven.command = Kafkajs.command
    harness.main(threads=4)
