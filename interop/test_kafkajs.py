#!/usr/bin/env python3
"""kafkajs 2.2.4 from npm: the client of Node.js programs, all in JavaScript."""

import clients
import harness


class Kafkajs(clients.Cases):
    pass


if __name__ == "__main__":
    clients.add_cases(Kafkajs, clients.node("kafkajs"))
    harness.main(threads=4)
