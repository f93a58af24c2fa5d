#!/usr/bin/env python3
"""confluent-kafka (librdkafka) from Python: idempotence across crashes, admin client."""

import collections
import time
import unittest

import harness

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic
except ImportError:
    raise SystemExit(77) from None

FAST = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200}


class ConfluentTest(harness.BrokerTest):
    options = {"num_partitions": 3}

    def producer(self, broker=None, **options):
        conf = {"bootstrap.servers": (broker or self.broker).bootstrap, **FAST}
        conf.update({key.replace("_", "."): value for key, value in options.items()})
        return Producer(conf)

    def read_all(self, topic, partitions, broker=None):
        """Every message of the topic, in order in each partition."""
        consumer = Consumer({"bootstrap.servers": (broker or self.broker).bootstrap,
                             "group.id": "reader", "enable.auto.commit": False, **FAST})
        ends = {}
        for partition in range(partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), 20)
            if high > low:
                ends[partition] = high
        consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
        messages = collections.defaultdict(list)
        deadline = time.monotonic() + 60
        while ends:
            self.assertLess(time.monotonic(), deadline, f"still to come: {ends}")
            for message in consumer.consume(1000, 1):
                self.assertIsNone(message.error())
                messages[message.partition()].append(message)
                if message.offset() + 1 >= ends.get(message.partition(), 1 << 62):
                    del ends[message.partition()]
        consumer.close()
        return messages


class Idempotence(ConfluentTest):
    def run_with_faults(self, fault, **options):
        """Produces through faults; nothing acknowledged may be lost, doubled or reordered."""
        broker = self.own_broker(num_partitions=3)
        options = {"linger_ms": 1, "message_timeout_ms": 120000,
                   "queue_buffering_max_messages": 1000000, "batch_num_messages": 50, **options}
        producer = self.producer(broker, enable_idempotence=True, **options)
        failed, acknowledged = [], set()

        def delivered(error, message):
            if error is None:
                acknowledged.add(int(message.value()))
            else:
                failed.append(str(error))

        faults, per_fault = (20, 20000) if harness.SOAK else (3, 4000)
        value = 0
        for _ in range(faults):
            for _ in range(per_fault):
                producer.produce("exact", b"%d" % value, partition=value % 3,
                                 on_delivery=delivered)
                value += 1
                if value % 100 == 0:
                    producer.poll(0)
            # In the middle: some are acknowledged, most are on their way.
            harness.wait_for("the first are acknowledged", lambda: (
                producer.poll(0.01), len(acknowledged) > value - per_fault)[1], 60)
            fault(broker)
        self.assertEqual(producer.flush(120), 0)
        self.assertEqual(failed, [])
        self.assertEqual(len(acknowledged), value)
        read = self.read_all("exact", 3, broker)
        for partition in range(3):
            values = [int(message.value()) for message in read[partition]]
            self.assertEqual(values, list(range(partition, value, 3)),
                             f"partition {partition}: lost, doubled or out of order")

    def test_nothing_lost_or_doubled_across_kill_9(self):
        def fault(broker):
            broker.kill()
            broker.start()

        self.run_with_faults(fault)

    def test_nothing_lost_or_doubled_across_a_clean_restart(self):
        self.run_with_faults(lambda broker: broker.restart(), compression_type="lz4")

    def test_producers_of_many_ids_do_not_meet(self):
        topic = self.topic()
        producers = [self.producer(enable_idempotence=True) for _ in range(5)]
        for index in range(50):
            for number, producer in enumerate(producers):
                producer.produce(topic, b"%d %d" % (number, index), partition=0)
        for producer in producers:
            self.assertEqual(producer.flush(30), 0)
        seen = collections.defaultdict(list)
        for message in self.read_all(topic, 1)[0]:
            number, index = message.value().split()
            seen[number].append(int(index))
        self.assertEqual(len(seen), 5)
        for values in seen.values():
            self.assertEqual(values, list(range(50)))


class Admin(ConfluentTest):
    def setUp(self):
        self.admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})

    def done(self, futures):
        """Results of an admin call, by name."""
        return {key: future.result(30) for key, future in futures.items()}

    def assert_fails(self, futures, error_name):
        for future in futures.values():
            with self.assertRaises(KafkaException) as caught:
                future.result(30)
            self.assertEqual(caught.exception.args[0].name(), error_name)

    def create(self, partitions=2, **options):
        topic = self.topic()
        self.done(self.admin.create_topics([NewTopic(topic, partitions, 1, **options)]))
        return topic

    def test_create_list_grow_delete(self):
        topic = self.create(2)
        self.assertEqual(len(self.admin.list_topics(topic, 20).topics[topic].partitions), 2)
        self.done(self.admin.create_partitions([NewPartitions(topic, 5)]))
        self.assertEqual(len(self.admin.list_topics(topic, 20).topics[topic].partitions), 5)
        self.assert_fails(self.admin.create_partitions([NewPartitions(topic, 3)]),
                          "INVALID_PARTITIONS")
        self.done(self.admin.delete_topics([topic]))
        self.assertNotIn(topic, self.admin.list_topics(timeout=20).topics)

    def test_refusals_have_the_right_errors(self):
        topic = self.create()
        for new, error in (
                (NewTopic(topic, 1, 1), "TOPIC_ALREADY_EXISTS"),
                (NewTopic(self.topic(), 1, 7), "INVALID_REPLICATION_FACTOR"),
                (NewTopic("bad name!", 1, 1), "TOPIC_EXCEPTION"),
                (NewTopic(self.topic(), 1, 1, config={"no.such.config": "1"}), "INVALID_CONFIG")):
            with self.subTest(error):
                self.assert_fails(self.admin.create_topics([new]), error)
        self.assert_fails(self.admin.delete_topics([self.topic()]), "UNKNOWN_TOPIC_OR_PART")

    def test_validate_only_makes_nothing(self):
        topic = self.topic()
        self.done(self.admin.create_topics([NewTopic(topic, 1, 1)], validate_only=True))
        self.assertNotIn(topic, self.admin.list_topics(timeout=20).topics)

    def test_configs_given_at_creation_are_described(self):
        topic = self.create(config={"retention.ms": "3600000", "cleanup.policy": "delete"})
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        configs = self.done(self.admin.describe_configs([resource]))[resource]
        self.assertEqual(configs["retention.ms"].value, "3600000")
        self.assertFalse(configs["retention.ms"].is_default)
        self.assertEqual(configs["cleanup.policy"].value, "delete")
        self.assertEqual(configs["max.message.bytes"].value, "1048588")
        self.assertTrue(configs["max.message.bytes"].is_default)

    def test_broker_configs_are_described(self):
        metadata = self.admin.list_topics(timeout=20)
        node = str(list(metadata.brokers)[0])
        resource = ConfigResource(ConfigResource.Type.BROKER, node)
        configs = self.done(self.admin.describe_configs([resource]))[resource]
        self.assertEqual(configs["num.partitions"].value, "3")
        self.assertIn("auto.create.topics.enable", configs)

    def test_cluster_id_and_controller(self):
        metadata = self.admin.list_topics(timeout=20)
        self.assertTrue(metadata.cluster_id)
        self.assertIn(metadata.controller_id, metadata.brokers)

    def test_groups_are_listed(self):
        topic, group = self.create(1), self.topic("group")
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": group,
                             "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        harness.wait_for("the member has its partition",
                         lambda: (consumer.poll(0.1), consumer.assignment())[1], 30)
        found = [one for one in self.admin.list_groups(timeout=20) if one.id == group]
        self.assertEqual([(one.state, one.protocol_type, len(one.members)) for one in found],
                         [("Stable", "consumer", 1)])
        consumer.close()
        found = [one for one in self.admin.list_groups(timeout=20) if one.id == group]
        self.assertTrue(all(one.state == "Empty" for one in found), found)

    def test_recreated_topic_is_empty(self):
        topic = self.create(1)
        producer = self.producer()
        producer.produce(topic, b"old")
        self.assertEqual(producer.flush(20), 0)
        self.done(self.admin.delete_topics([topic]))
        self.done(self.admin.create_topics([NewTopic(topic, 1, 1)]))
        self.assertEqual(self.read_all(topic, 1), {})


class Offsets(ConfluentTest):
    def test_commits_and_watermarks_stay_across_restarts(self):
        broker = self.own_broker(num_partitions=1)
        producer = self.producer(broker)
        for index in range(10):
            producer.produce("kept", b"%d" % index)
        self.assertEqual(producer.flush(20), 0)
        conf = {"bootstrap.servers": broker.bootstrap, "group.id": "group", **FAST}
        consumer = Consumer(conf)
        consumer.commit(offsets=[TopicPartition("kept", 0, 7)], asynchronous=False)
        consumer.close()
        for fault in (broker.restart, lambda: (broker.kill(), broker.start())):
            fault()
            consumer = Consumer(conf)
            found = consumer.committed([TopicPartition("kept", 0)], 20)[0]
            self.assertEqual(found.offset, 7)
            self.assertEqual(consumer.get_watermark_offsets(TopicPartition("kept", 0), 20),
                             (0, 10))
            consumer.close()

    def test_offsets_for_times(self):
        topic = self.topic()
        producer = self.producer()
        for index in range(10):
            producer.produce(topic, b"x", partition=0, timestamp=1000000 + index * 1000)
        self.assertEqual(producer.flush(20), 0)
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": "times"})
        for time_ms, offset in ((0, 0), (1000000, 0), (1000001, 1), (1008999, 9), (1009000, 9)):
            found = consumer.offsets_for_times([TopicPartition(topic, 0, time_ms)], 20)
            self.assertEqual(found[0].offset, offset, time_ms)
        found = consumer.offsets_for_times([TopicPartition(topic, 0, 1009001)], 20)
        self.assertLess(found[0].offset, 0)  # none so late: the end
        consumer.close()


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 500
    harness.main()
