#!/usr/bin/env python3
"""kcat 1.7.1 as people use it: produce, consume, list, groups."""

import json
import subprocess
import threading
import time

import harness

CODECS = ("gzip", "snappy", "lz4", "zstd")


class KcatTest(harness.BrokerTest):
    options = {"num_partitions": 4}

    def produce(self, topic, *arguments, stdin):
        return self.broker.kcat("-P", "-t", topic, *arguments, stdin=stdin)

    def consume(self, topic, *arguments):
        """Everything from the beginning (or as the arguments say), then the end."""
        if "-o" not in arguments:
            arguments = ("-o", "beginning", *arguments)
        return self.broker.kcat("-C", "-t", topic, "-e", "-q", *arguments)

    def consume_json(self, topic, *arguments):
        output = self.consume(topic, "-J", *arguments)
        return [json.loads(line) for line in output.splitlines()]


class Messages(KcatTest):
    def test_what_is_produced_is_consumed_in_order(self):
        topic = self.topic()
        lines = b"".join(b"line %d\n" % index for index in range(5000))
        self.produce(topic, "-p", "0", stdin=lines)
        self.assertEqual(self.consume(topic, "-p", "0"), lines)

    def test_each_compression(self):
        for codec in CODECS:
            with self.subTest(codec):
                topic = self.topic(codec)
                lines = b"".join(b"compressible line %d\n" % (index % 7) for index in range(2000))
                self.produce(topic, "-p", "1", "-z", codec, stdin=lines)
                self.assertEqual(self.consume(topic, "-p", "1"), lines)

    def test_compressions_mixed_in_one_partition(self):
        topic = self.topic()
        expected = b""
        for codec in ("none", *CODECS, "none"):
            lines = b"".join(b"%s %d\n" % (codec.encode(), index) for index in range(100))
            self.produce(topic, "-p", "0", "-z", codec, stdin=lines)
            expected += lines
        self.assertEqual(self.consume(topic, "-p", "0"), expected)

    def test_keys_and_headers(self):
        topic = self.topic()
        self.produce(topic, "-p", "0", "-K", ":", "-H", "color=blue", "-H", "empty=",
                     "-H", "color=green", stdin=b"k1:v1\nk2:v2\n")
        rows = self.consume_json(topic)
        self.assertEqual([(row["key"], row["payload"]) for row in rows],
                         [("k1", "v1"), ("k2", "v2")])
        for row in rows:
            self.assertEqual(row["headers"],
                             ["color", "blue", "empty", "", "color", "green"])

    def test_null_value_and_null_key_stay_null(self):
        topic = self.topic()
        self.produce(topic, "-p", "0", "-Z", "-K", ":", stdin=b"tombstone:\n:keyless\n")
        rows = self.consume_json(topic)
        self.assertEqual([(row["key"], row["payload"]) for row in rows],
                         [("tombstone", None), (None, "keyless")])

    def test_message_of_almost_1_mib(self):
        topic = self.topic()
        value = b"x" * ((1 << 20) - 200)
        self.produce(topic, "-p", "0", "-X", "message.max.bytes=2000000", "-D", "\x01",
                     stdin=value)
        self.assertEqual(self.consume(topic, "-D", ""), value)

    def test_message_of_more_than_the_limit_is_refused(self):
        topic = self.topic()
        with self.assertRaises(AssertionError) as caught:
            self.produce(topic, "-p", "0", "-X", "message.max.bytes=4000000", "-D", "\x01",
                         stdin=b"x" * 3000000)
        self.assertIn("too large", str(caught.exception).lower())

    def test_acks_0_and_1(self):
        topic = self.topic()
        self.produce(topic, "-p", "0", "-X", "acks=1", stdin=b"one\n")
        self.produce(topic, "-p", "0", "-X", "acks=0", stdin=b"zero\n")
        harness.wait_for("both can be read",
                         lambda: self.consume(topic, "-p", "0") == b"one\nzero\n")

    def test_keys_spread_and_stay_on_their_partition(self):
        topic = self.topic()
        lines = b"".join(b"key%d:%d\n" % (index % 40, index) for index in range(400))
        self.produce(topic, "-K", ":", stdin=lines)
        rows = self.consume_json(topic)
        self.assertEqual(len(rows), 400)
        partitions = {}
        for row in rows:
            self.assertEqual(partitions.setdefault(row["key"], row["partition"]),
                             row["partition"])
        self.assertGreater(len(set(partitions.values())), 1)


class Offsets(KcatTest):
    def setUp(self):
        self.name = self.topic()
        self.produce(self.name, "-p", "0", stdin=b"".join(b"%d\n" % i for i in range(100)))

    def test_from_the_beginning_from_an_offset_and_from_the_tail(self):
        def read(offset):
            return self.consume(self.name, "-p", "0", "-o", offset).split()

        self.assertEqual(len(read("beginning")), 100)
        self.assertEqual(read("97"), [b"97", b"98", b"99"])
        self.assertEqual(read("-2"), [b"98", b"99"])
        self.assertEqual(read("end"), [])

    def test_count_stops_early(self):
        output = self.consume(self.name, "-p", "0", "-o", "10", "-c", "3")
        self.assertEqual(output.split(), [b"10", b"11", b"12"])

    def test_from_a_timestamp(self):
        middle = int(time.time() * 1000) + 1
        harness.wait_for("the clock moves on", lambda: time.time() * 1000 > middle + 1)
        self.produce(self.name, "-p", "0", stdin=b"later\n")
        output = self.consume(self.name, "-p", "0", "-o", f"s@{middle}")
        self.assertEqual(output, b"later\n")

    def test_between_timestamps(self):
        middle = int(time.time() * 1000) + 1
        harness.wait_for("the clock moves on", lambda: time.time() * 1000 > middle + 1)
        self.produce(self.name, "-p", "0", stdin=b"later\n")
        output = self.consume(self.name, "-p", "0", "-o", "s@1", "-o", f"e@{middle}")
        self.assertEqual(len(output.split()), 100)

    def test_query_mode_answers_offsets_for_times(self):
        output = self.broker.kcat("-Q", "-t", f"{self.name}:0:1")
        self.assertIn(b"offset 0", output)
        output = self.broker.kcat("-Q", "-t", f"{self.name}:0:-1")
        self.assertIn(b"offset 100", output)
        output = self.broker.kcat("-Q", "-t", f"{self.name}:0:-2")
        self.assertIn(b"offset 0", output)

    def test_end_then_live(self):
        """A consumer at the end gets what is produced afterwards."""
        consumer = subprocess.Popen(
            ["kcat", "-b", self.broker.bootstrap, "-C", "-t", self.name, "-p", "0", "-o", "-1",
             "-c", "2", "-q", "-u"], stdout=subprocess.PIPE)
        self.addCleanup(consumer.stdout.close)
        self.addCleanup(consumer.wait)
        self.addCleanup(consumer.kill)
        self.assertEqual(consumer.stdout.readline(), b"99\n")  # it is at the end now
        self.produce(self.name, "-p", "0", stdin=b"live\n")
        self.assertEqual(consumer.stdout.readline(), b"live\n")


class Metadata(KcatTest):
    def test_list_names_broker_topics_and_partitions(self):
        topic = self.topic()
        self.produce(topic, stdin=b"x\n")
        listed = json.loads(self.broker.kcat("-L", "-J"))
        self.assertEqual([broker["name"] for broker in listed["brokers"]],
                         [self.broker.bootstrap])
        rows = {row["topic"]: row for row in listed["topics"]}
        self.assertEqual(len(rows[topic]["partitions"]), 4)
        for row in rows[topic]["partitions"]:
            self.assertEqual(row["leader"], listed["brokers"][0]["id"])
            self.assertEqual(len(row["isrs"]), 1)

    def test_consuming_a_topic_that_is_not_there_is_an_error(self):
        broker = self.own_broker(auto_create_topics_enable="false")
        with self.assertRaises(AssertionError) as caught:
            broker.kcat("-P", "-t", "nowhere", "-X", "message.timeout.ms=3000", stdin=b"x\n")
        self.assertRegex(str(caught.exception), "(?i)unknown topic|timed out")


class Member:
    """A kcat that is a member of a group; its messages as they come."""

    def __init__(self, test, group, topic):
        self.values = []
        self.process = subprocess.Popen(
            ["kcat", "-b", test.broker.bootstrap, "-G", group, "-q", "-u",
             "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000",
             "-X", "heartbeat.interval.ms=300", "-X", "auto.commit.interval.ms=200",
             "-f", "%p %s\n", topic],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        test.addCleanup(self.leave)

    def read(self):
        for line in self.process.stdout:
            partition, value = line.decode().split()
            self.values.append((int(partition), value))

    def partitions_since(self, count):
        return {partition for partition, _ in self.values[count:]}

    def leave(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(30)
        self.reader.join(10)
        self.process.stdout.close()


class Groups(KcatTest):
    def feed(self, topic, tag):
        """One message in each partition."""
        for partition in range(4):
            self.produce(topic, "-p", str(partition), stdin=f"{tag}\n".encode())

    def test_two_members_share_and_hand_over(self):
        topic, group = self.topic(), self.topic("group")
        self.feed(topic, "first")
        one = Member(self, group, topic)
        harness.wait_for("one member has all", lambda: len(one.values) == 4, 40)
        two = Member(self, group, topic)
        rounds = []

        def shared():
            tag = f"round{len(rounds)}"
            rounds.append(tag)
            before = len(one.values), len(two.values)
            self.feed(topic, tag)
            harness.wait_for("the round is consumed", lambda: {
                partition for member in (one, two) for partition, value in member.values
                if value == tag} == {0, 1, 2, 3}, 40)
            return one.partitions_since(before[0]) and two.partitions_since(before[1])

        harness.wait_for("two members share", shared, 60)
        one.leave()
        before = len(two.values)
        self.feed(topic, "alone")
        harness.wait_for("the one that is left has all", lambda: [
            value for _, value in two.values[before:]].count("alone") == 4, 60)

    def test_committed_offsets_are_where_the_next_member_starts(self):
        topic, group = self.topic(), self.topic("group")
        self.feed(topic, "first")
        one = Member(self, group, topic)
        harness.wait_for("all is consumed", lambda: len(one.values) == 4, 40)
        one.leave()  # commits
        self.feed(topic, "second")
        two = Member(self, group, topic)
        harness.wait_for("the rest is consumed", lambda: len(two.values) == 4, 40)
        self.assertEqual({value for _, value in two.values}, {"second"})


class Restart(KcatTest):
    def test_messages_and_offsets_stay(self):
        broker = self.own_broker(num_partitions=1)
        broker.kcat("-P", "-t", "kept", "-z", "zstd", stdin=b"a\nb\n")
        broker.restart()
        broker.kcat("-P", "-t", "kept", stdin=b"c\n")
        output = broker.kcat("-C", "-t", "kept", "-o", "beginning", "-e", "-q", "-f", "%o %s\n")
        self.assertEqual(output, b"0 a\n1 b\n2 c\n")


if __name__ == "__main__":
    harness.main(threads=3)
