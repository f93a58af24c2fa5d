#!/usr/bin/env python3
"""kafka-python 2.0.2: a client written without librdkafka, so with other habits."""

import threading
import time
import unittest

import harness

try:
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions
    from kafka.admin import NewTopic
    from kafka.errors import MessageSizeTooLargeError, TopicAlreadyExistsError
    from kafka.errors import UnknownTopicOrPartitionError
    from kafka.structs import OffsetAndMetadata
except ImportError:
    raise SystemExit(77) from None


def codecs():
    """The compressions this Python can make."""
    from kafka import codec
    found = ["gzip"]
    found += ["snappy"] if codec.has_snappy() else []
    found += ["lz4"] if codec.has_lz4() else []
    found += ["zstd"] if codec.has_zstd() else []
    return found


class KafkaPythonTest(harness.BrokerTest):
    options = {"num_partitions": 3}

    def producer(self, broker=None, **options):
        producer = KafkaProducer(bootstrap_servers=(broker or self.broker).bootstrap, **options)
        self.addCleanup(producer.close, timeout=10)
        return producer

    def consumer(self, *topics, broker=None, **options):
        settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False,
                    "consumer_timeout_ms": 20000, "metadata_max_age_ms": 1000,
                    "session_timeout_ms": 6000, "heartbeat_interval_ms": 300,
                    "retry_backoff_ms": 50}
        settings.update(options)
        consumer = KafkaConsumer(*topics, bootstrap_servers=(broker or self.broker).bootstrap,
                                 **settings)
        self.addCleanup(consumer.close, autocommit=False)
        return consumer

    def admin(self, broker=None):
        admin = KafkaAdminClient(bootstrap_servers=(broker or self.broker).bootstrap)
        self.addCleanup(admin.close)
        return admin

    @staticmethod
    def take(consumer, count):
        """The next count messages."""
        messages = []
        for message in consumer:
            messages.append(message)
            if len(messages) == count:
                return messages
        raise AssertionError(f"{len(messages)} of {count} messages came")


class Messages(KafkaPythonTest):
    def test_acks_0_1_and_all(self):
        topic = self.topic()
        for acks in (1, "all", 0):
            producer = self.producer(acks=acks)
            found = producer.send(topic, str(acks).encode(), partition=0).get(timeout=20)
            if acks != 0:
                self.assertEqual(found.offset, {1: 0, "all": 1}[acks])
            producer.flush(timeout=20)
        consumer = self.consumer(topic)
        self.assertEqual([one.value for one in self.take(consumer, 3)], [b"1", b"all", b"0"])

    def test_each_compression(self):
        for codec in codecs():
            with self.subTest(codec):
                topic = self.topic(codec)
                producer = self.producer(compression_type=codec, linger_ms=20)
                for index in range(500):
                    producer.send(topic, b"compressible %d" % (index % 5), partition=0)
                producer.flush(timeout=20)
                messages = self.take(self.consumer(topic), 500)
                self.assertEqual([one.value for one in messages],
                                 [b"compressible %d" % (index % 5) for index in range(500)])
                self.assertEqual([one.offset for one in messages], list(range(500)))

    def test_headers_keys_nulls_and_timestamps(self):
        topic = self.topic()
        producer = self.producer()
        headers = [("a", b"1"), ("a", b""), ("b", b"\x00\xff")]
        producer.send(topic, b"value", key=b"key", headers=headers, partition=0,
                      timestamp_ms=1234567890123).get(timeout=20)
        producer.send(topic, None, key=b"tombstone", partition=0).get(timeout=20)
        producer.send(topic, b"", partition=0).get(timeout=20)
        first, second, third = self.take(self.consumer(topic), 3)
        self.assertEqual((first.key, first.value, first.headers, first.timestamp),
                         (b"key", b"value", headers, 1234567890123))
        self.assertEqual((second.key, second.value), (b"tombstone", None))
        self.assertEqual((third.key, third.value), (None, b""))

    def test_message_of_almost_1_mib(self):
        topic = self.topic()
        value = bytes(range(256)) * 4090
        producer = self.producer(max_request_size=2000000)
        producer.send(topic, value, partition=0).get(timeout=20)
        self.assertEqual(self.take(self.consumer(topic), 1)[0].value, value)

    def test_message_over_the_limit_is_refused(self):
        producer = self.producer(max_request_size=4000000)
        with self.assertRaises(MessageSizeTooLargeError):
            producer.send(self.topic(), b"x" * 2000000, partition=0).get(timeout=20)

    def test_many_topics_at_once(self):
        topics = [self.topic() for _ in range(20)]
        producer = self.producer()
        for topic in topics:
            producer.send(topic, topic.encode())
        producer.flush(timeout=30)
        messages = self.take(self.consumer(*topics), 20)
        self.assertEqual({one.topic for one in messages}, set(topics))


class Seeking(KafkaPythonTest):
    def setUp(self):
        self.name = self.topic()
        self.part = TopicPartition(self.name, 0)
        producer = self.producer()
        for index in range(20):
            producer.send(self.name, b"%d" % index, partition=0,
                          timestamp_ms=1000000 + 1000 * index)
        producer.flush(timeout=20)
        self.reader = self.consumer()
        self.reader.assign([self.part])

    def test_seek_to_an_offset_the_beginning_and_the_end(self):
        self.reader.seek(self.part, 17)
        self.assertEqual([one.offset for one in self.take(self.reader, 3)], [17, 18, 19])
        self.reader.seek_to_beginning(self.part)
        self.assertEqual(self.take(self.reader, 1)[0].offset, 0)
        self.reader.seek_to_end(self.part)
        self.assertEqual(self.reader.position(self.part), 20)

    def test_offsets_for_times(self):
        for time_ms, offset in ((1, 0), (1000000, 0), (1000001, 1), (1019000, 19)):
            found = self.reader.offsets_for_times({self.part: time_ms})[self.part]
            self.assertEqual((found.offset, found.timestamp),
                             (offset, 1000000 + 1000 * offset), time_ms)
        self.assertIsNone(self.reader.offsets_for_times({self.part: 1019001})[self.part])

    def test_beginning_and_end_offsets(self):
        self.assertEqual(self.reader.beginning_offsets([self.part]), {self.part: 0})
        self.assertEqual(self.reader.end_offsets([self.part]), {self.part: 20})

    def test_pause_and_resume(self):
        """What is paused is not given out, nor lost; other partitions go on."""
        other = TopicPartition(self.part.topic, 1)
        producer = self.producer()
        producer.send(other.topic, b"other", partition=1).get(timeout=20)
        self.reader.assign([self.part, other])
        self.reader.pause(self.part)
        self.assertEqual(self.reader.paused(), {self.part})
        message = self.take(self.reader, 1)[0]
        self.assertEqual((message.partition, message.value), (1, b"other"))
        self.assertEqual(self.reader.poll(timeout_ms=300), {})
        self.reader.resume(self.part)
        self.assertEqual([one.offset for one in self.take(self.reader, 20)], list(range(20)))

    def test_offset_out_of_range_is_reset(self):
        self.reader.seek(self.part, 1000)
        self.assertEqual(self.take(self.reader, 1)[0].offset, 0)


class Worker:
    """A member of a group in a thread of its own, until it is told to leave."""

    def __init__(self, test, group, topic):
        self.consumer = test.consumer(topic, group_id=group, enable_auto_commit=True,
                                      auto_commit_interval_ms=200, max_poll_records=50)
        self.values = []
        self.partitions = set()
        self.leaving = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        test.addCleanup(self.leave)

    def run(self):
        try:
            while not self.leaving.is_set():
                for messages in self.consumer.poll(timeout_ms=100).values():
                    self.values += [one.value for one in messages]
                self.partitions = {one.partition for one in self.consumer.assignment()}
            self.consumer.close()
        except Exception as error:  # shown by the test that waits
            self.error = error
        self.partitions = set()

    def leave(self):
        self.leaving.set()
        self.thread.join(30)


class Groups(KafkaPythonTest):
    def wait_shared(self, workers):
        def shared():
            for worker in workers:
                if worker.error:
                    raise worker.error
            owned = [worker.partitions for worker in workers]
            return sum(map(len, owned)) == 3 and set.union(*owned) == {0, 1, 2} and all(owned)

        harness.wait_for(f"{len(workers)} members share 3 partitions", shared, 60)

    def test_members_come_and_go_and_nothing_is_lost(self):
        topic, group = self.topic(), self.topic("group")
        producer = self.producer(linger_ms=5)
        sent = []

        def feed(count=60):
            for _ in range(count):
                value = b"%d" % len(sent)
                producer.send(topic, value, partition=len(sent) % 3)
                sent.append(value)
            producer.flush(timeout=20)

        feed()
        workers = [Worker(self, group, topic)]
        self.wait_shared(workers)
        for _ in range(2):  # join
            workers.append(Worker(self, group, topic))
            feed()
            self.wait_shared(workers)
        everyone = list(workers)
        for _ in range(2):  # leave, first come first
            workers.pop(0).leave()
            feed()
            self.wait_shared(workers)

        def complete():
            # At least once: what was not committed at a rebalance comes again.
            return {value for worker in everyone for value in worker.values} == set(sent)

        harness.wait_for("every message is consumed", complete, 30)

    def test_a_pattern_takes_in_topics_as_they_are_made(self):
        name = self.topic("pattern")
        producer = self.producer()
        producer.send(f"{name}-1", b"1").get(timeout=20)
        consumer = self.consumer(group_id=self.topic("group"))
        consumer.subscribe(pattern=f"^{name}-[0-9]$")
        self.assertEqual(self.take(consumer, 1)[0].topic, f"{name}-1")
        consumer.commit()
        producer.send(f"{name}-2", b"2").get(timeout=20)
        producer.send(f"{name}-x", b"x").get(timeout=20)
        self.assertEqual(self.take(consumer, 1)[0].topic, f"{name}-2")
        self.assertEqual(consumer.subscription(), {f"{name}-1", f"{name}-2"})

    def test_groups_of_different_names_each_get_everything(self):
        topic = self.topic()
        producer = self.producer()
        for index in range(9):
            producer.send(topic, b"%d" % index, partition=index % 3)
        producer.flush(timeout=20)
        for _ in range(2):
            consumer = self.consumer(topic, group_id=self.topic("group"))
            self.assertEqual(len(self.take(consumer, 9)), 9)

    def test_committed_offsets_stay_across_restart(self):
        broker = self.own_broker(num_partitions=1)
        producer = self.producer(broker)
        for index in range(10):
            producer.send("kept", b"%d" % index)
        producer.flush(timeout=20)
        consumer = self.consumer("kept", broker=broker, group_id="group")
        self.take(consumer, 4)
        part = TopicPartition("kept", 0)
        consumer.commit({part: OffsetAndMetadata(4, "a note")})
        consumer.close(autocommit=False)
        broker.restart()
        consumer = self.consumer("kept", broker=broker, group_id="group")
        self.assertEqual(consumer.committed(part, metadata=True), OffsetAndMetadata(4, "a note"))
        self.assertEqual([one.value for one in self.take(consumer, 6)],
                         [b"%d" % index for index in range(4, 10)])

    def test_uncommitted_partition_has_no_offset(self):
        topic = self.topic()
        self.producer().send(topic, b"x").get(timeout=20)
        consumer = self.consumer(group_id=self.topic("group"))
        self.assertIsNone(consumer.committed(TopicPartition(topic, 0)))


class Admin(KafkaPythonTest):
    def test_create_describe_grow_and_delete_topics(self):
        admin, topic = self.admin(), self.topic()
        admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "60000"})])
        described = admin.describe_topics([topic])[0]
        self.assertEqual((described["error_code"], len(described["partitions"])), (0, 2))
        self.assertIn(topic, admin.list_topics())
        admin.create_partitions({topic: NewPartitions(4)})
        self.assertEqual(len(admin.describe_topics([topic])[0]["partitions"]), 4)
        with self.assertRaises(TopicAlreadyExistsError):
            admin.create_topics([NewTopic(topic, 1, 1)])
        admin.delete_topics([topic])
        self.assertNotIn(topic, admin.list_topics())
        with self.assertRaises(UnknownTopicOrPartitionError):
            admin.delete_topics([topic])

    def test_describe_configs(self):
        admin, topic = self.admin(), self.topic()
        admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"retention.ms": "60000"})])
        answers = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        rows = {row[0]: row[1] for answer in answers for resource in answer.resources
                for row in resource[4]}
        self.assertEqual(rows["retention.ms"], "60000")
        self.assertEqual(rows["cleanup.policy"], "delete")

    def test_describe_cluster(self):
        cluster = self.admin().describe_cluster()
        self.assertTrue(cluster["cluster_id"])
        self.assertEqual([(one["host"], one["port"]) for one in cluster["brokers"]],
                         [(harness.HOST, self.broker.kafka_port)])
        self.assertEqual(cluster["controller_id"], cluster["brokers"][0]["node_id"])

    def test_list_describe_and_delete_groups(self):
        admin, topic, group = self.admin(), self.topic(), self.topic("group")
        self.producer().send(topic, b"x", partition=0).get(timeout=20)
        worker = Worker(self, group, topic)
        harness.wait_for("the member has all", lambda: len(worker.partitions) == 3, 60)
        self.assertIn((group, "consumer"), admin.list_consumer_groups())
        described = admin.describe_consumer_groups([group])[0]
        self.assertEqual((described.group, described.state, len(described.members)),
                         (group, "Stable", 1))
        worker.leave()
        offsets = admin.list_consumer_group_offsets(group)
        self.assertEqual(offsets[TopicPartition(topic, 0)].offset, 1)
        self.assertEqual(admin.describe_consumer_groups([group])[0].state, "Empty")
        admin.delete_consumer_groups([group])
        self.assertNotIn((group, "consumer"), admin.list_consumer_groups())


class Blocking(KafkaPythonTest):
    def test_long_poll_returns_when_a_message_arrives(self):
        topic = self.topic()
        producer = self.producer()
        producer.send(topic, b"first", partition=0).get(timeout=20)
        consumer = self.consumer(topic, fetch_max_wait_ms=20000, request_timeout_ms=40000,
                                 connections_max_idle_ms=60000)
        self.take(consumer, 1)
        started = time.monotonic()
        producer.send(topic, b"second", partition=0).get(timeout=20)
        self.assertEqual(self.take(consumer, 1)[0].value, b"second")
        self.assertLess(time.monotonic() - started, 10)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 500
    harness.main()
