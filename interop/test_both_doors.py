#!/usr/bin/env python3
"""One Kafka queue, both doors, at the same time: curl's side and kcat's side."""

import base64
import concurrent.futures
import json
import subprocess
import time

import harness


class BothDoors(harness.BrokerTest):
    def setUp(self):
        self.rest = self.broker.rest()

    def queue(self, mode="KAFKA_HA", name="queue"):
        made = self.rest.create_queue(name, queue_mode=mode)
        return made["id"], made.get("kafka_topic"), self.rest.create_group(made["id"])

    def kcat_all(self, topic):
        """Every message as kcat shows it."""
        output = self.broker.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J")
        return [json.loads(line) for line in output.splitlines()]

    def test_rest_message_is_consumed_by_kcat(self):
        for mode in ("KAFKA_HA", "KAFKA_HT"):
            with self.subTest(mode):
                queue, topic, _ = self.queue(mode, mode)
                self.rest.produce(queue, "text", {"a": [1, None]}, 42)

                def readable():
                    values = [row["payload"] for row in self.kcat_all(topic)]
                    return values if len(values) == 3 else None

                values = harness.wait_for("kcat sees the messages", readable)
                self.assertIn("text", values)  # a string is its bytes, without quotes
                decoded = [json.loads(value) for value in values if value != "text"]
                self.assertEqual(sorted(map(str, decoded)), ["42", str({"a": [1, None]})])

    def test_kcat_message_is_consumed_by_rest_as_base64(self):
        queue, topic, group = self.queue()
        values = [b"plain", b"\x00\xff binary", "üñí".encode(), b'{"json":1}']
        for value in values:
            self.broker.kcat("-P", "-t", topic, "-D", "\x7f", stdin=value)
        bodies = self.rest.drain(queue, group, len(values))
        self.assertEqual(sorted(base64.b64decode(body) for body in bodies), sorted(values))
        self.assertEqual(self.rest.counters(queue, group), (4, 4, 0))

    def test_each_compression_of_kcat_is_read_by_rest(self):
        for codec in ("gzip", "snappy", "lz4", "zstd"):
            with self.subTest(codec):
                queue, topic, group = self.queue(name=codec)
                lines = [b"%s %d" % (codec.encode(), index % 3) for index in range(50)]
                self.broker.kcat("-P", "-t", topic, "-p", "0", "-z", codec,
                                 stdin=b"\n".join(lines) + b"\n")
                bodies = self.rest.drain(queue, group, 50)
                self.assertEqual([base64.b64decode(body) for body in bodies], lines)
                self.rest.must(204, "DELETE", f"/queues/{queue}")

    def test_both_produce_and_both_consume_at_once(self):
        queue, topic, group = self.queue()
        count = 100
        from_rest = {f"rest {index}".encode() for index in range(count)}
        from_kcat = {f"kcat {index}".encode() for index in range(count)}
        reader = subprocess.Popen(
            ["kcat", "-b", self.broker.bootstrap, "-C", "-t", topic, "-o", "beginning", "-q", "-u",
             "-c", str(2 * count)], stdout=subprocess.PIPE)
        self.addCleanup(reader.stdout.close)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)

        def produce_rest():
            for value in sorted(from_rest):
                self.rest.produce(queue, value.decode())

        def produce_kcat():
            for value in sorted(from_kcat):
                writer.stdin.write(value + b"\n")
                writer.stdin.flush()
            writer.stdin.close()
            return writer.wait(60)

        writer = subprocess.Popen(
            ["kcat", "-b", self.broker.bootstrap, "-P", "-t", topic, "-X", "linger.ms=1"],
            stdin=subprocess.PIPE)
        self.addCleanup(writer.wait)
        self.addCleanup(writer.kill)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(produce_rest), pool.submit(produce_kcat)]
            over_rest = pool.submit(self.rest.drain, queue, group, 2 * count)
            over_kafka = pool.submit(reader.communicate, timeout=90)
            for job in jobs:
                self.assertFalse(job.result())
            by_rest = [base64.b64decode(body) for body in over_rest.result()]
            by_kcat = over_kafka.result()[0].split(b"\n")[:-1]
        self.assertEqual(len(by_rest), 2 * count)
        self.assertEqual(set(by_rest), from_rest | from_kcat)
        self.assertEqual(sorted(by_kcat), sorted(by_rest))
        self.assertEqual(self.rest.counters(queue, group), (2 * count, 2 * count, 0))

    def test_kafka_consumer_under_the_group_id_moves_the_counters(self):
        queue, topic, group = self.queue()
        self.rest.produce(queue, *range(6))
        output = subprocess.run(
            ["kcat", "-b", self.broker.bootstrap, "-G", group, "-q", "-c", "6",
             "-X", "auto.offset.reset=earliest", topic],
            capture_output=True, timeout=60, check=True).stdout
        self.assertEqual(sorted(output.split()), [b"%d" % index for index in range(6)])
        harness.wait_for("its commits are the group's position", lambda: self.rest.counters(
            queue, group) == (6, 6, 0))

    def test_queue_of_many_partitions_is_listed_for_kafka(self):
        _, topic, _ = self.queue()
        listed = json.loads(self.broker.kcat("-L", "-J", "-t", topic))
        self.assertEqual([len(row["partitions"]) for row in listed["topics"]], [3])

    def test_normal_and_fifo_queues_are_not_produced_to_over_kafka(self):
        for mode in ("NORMAL", "FIFO"):
            with self.subTest(mode):
                queue, _, group = self.queue(mode, mode)
                topic = f"q-{self.rest.project}-{queue}"
                self.rest.produce(queue, "by rest")
                with self.assertRaises(AssertionError):
                    self.broker.kcat("-P", "-t", topic, "-X", "message.timeout.ms=3000",
                                     stdin=b"not so\n")
                self.assertEqual(self.rest.drain(queue, group, 1), ["by rest"])
                self.assertEqual(self.rest.counters(queue, group), (1, 1, 0))

    def test_deleted_queue_is_gone_for_kafka(self):
        queue, topic, _ = self.queue()
        self.rest.must(204, "DELETE", f"/queues/{queue}")
        listed = json.loads(self.broker.kcat("-L", "-J"))
        self.assertNotIn(topic, [row["topic"] for row in listed["topics"]])

    def test_waiting_rest_consumer_is_woken_by_kcat(self):
        queue, topic, group = self.queue()
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.rest.consume, queue, group, time_wait=40)
            self.broker.kcat("-P", "-t", topic, stdin=b"wake up\n")
            self.assertEqual(len(waiting.result()), 1)
        self.assertLess(time.monotonic() - started, 15)


if __name__ == "__main__":
    harness.main(threads=3)
