#!/usr/bin/env python3
"""segmentio/kafka-go 0.2.1 from Debian's Go packages. It asks for no ApiVersions and knows only
Produce v2 and Fetch v2, which Kafka gave up with version 4.0 (KIP-896): what it offers of the
other APIs works, and these end at once with an error."""

import clients
import harness


class KafkaGo(clients.Cases):
    def prepare(self, topic):
        """Ten messages in partition 0."""
        harness.kcat(self.broker.bootstrap, "-P", "-t", topic, "-p", "0",
                     stdin=b"".join(b"%d\n" % index for index in range(10)))


if __name__ == "__main__":
    clients.add_cases(KafkaGo, clients.go("kafka-go"))
    harness.main(threads=4)
