#!/usr/bin/env python3
"""segmentio/kafka-go 0.2.1 from Debian's Go packages. It asks for no ApiVersions and knows only
Produce v2 and Fetch v2, the message sets from before record batches, which Kafka gave up with
version 4.0 (KIP-896) and dmsd does not serve (it lists Produce from 0 on only for librdkafka's
sake, KAFKA-18659). So it neither produces nor consumes here: what it offers of the other APIs
works, and these two end at once with an error."""

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
