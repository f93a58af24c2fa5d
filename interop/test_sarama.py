#!/usr/bin/env python3
"""sarama 1.22 from Debian's Go packages: it asks for no ApiVersions, it takes what it is told."""

import clients
import harness


class Sarama(clients.Cases):
    pass


if __name__ == "__main__":
    clients.add_cases(Sarama, clients.go("sarama"))
    harness.main(threads=4)
