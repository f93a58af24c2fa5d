#!/usr/bin/env python3
"""Rules of produce, idempotence, fetch and offset lookup that clients rely on, with requests
by hand. Each test is named after the rule it holds the broker to."""

import os
import select
import struct
import time

import harness
import wire


class RulesTest(harness.BrokerTest):
    options = {"num_partitions": 1}

    def setUp(self):
        self.connection = self.connect(self.broker)
        self.name = self.make_topic(self.connection)

    def connect(self, broker):
        connection = wire.Connection(broker.connect())
        self.addCleanup(connection.close)
        return connection

    def make_topic(self, connection, partitions=None, **configs):
        """configs: of the topic, with `_` for `.`."""
        name = self.topic()
        if partitions is not None:
            connection.call(wire.CREATE_TOPICS, 2, wire.array([
                wire.string(name) + wire.i32(partitions) + wire.i16(1) + wire.array([])
                + wire.array([wire.string(key.replace("_", ".")) + wire.string(value)
                              for key, value in configs.items()])])
                + wire.i32(10000) + wire.i8(0))

        def exists():
            reader = connection.call(wire.METADATA, 4, wire.metadata_body([name], 4))
            return wire.read_metadata(reader, 4)[name][0] == 0

        harness.wait_for("the topic is there", exists)
        return name

    def produce(self, records, version=7, acks=-1, partition=0):
        """(error, base offset, append time, log start)"""
        body = wire.produce_body(self.name, partition, records, acks)
        return wire.read_produce(self.connection.call(wire.PRODUCE, version, body), version)

    def batch(self, *values, **options):
        return wire.batch(list(values) or [b"value"], int(time.time() * 1000), **options)

    def fetch(self, offset, version=4, **options):
        body = wire.fetch_body(self.name, 0, offset, version, **options)
        return wire.FetchAnswer(self.connection.call(wire.FETCH, version, body), version)

    def end(self):
        return self.fetch(0, max_bytes=1).parts[0]["high_watermark"]


class Produce(RulesTest):
    def test_answer_has_base_offset_and_log_start(self):
        self.assertEqual(self.produce(self.batch(b"a", b"b")), (0, 0, -1, 0))
        self.assertEqual(self.produce(self.batch(b"c")), (0, 2, -1, 0))

    def test_rejected_batches_have_their_errors_and_write_nothing(self):
        now = int(time.time() * 1000)
        day_ms = 86400000
        for name, error, records in (
                ("two batches", 87, self.batch() + self.batch()),
                ("no batch", 87, b""),
                ("magic 1", 87, self.batch(magic=1)),
                ("base offset not 0", 87, self.batch(base_offset=5)),
                ("count differs from offsets", 87, self.batch(b"a", b"b", last_delta=5)),
                ("control batch", 87, self.batch(attributes=wire.CONTROL)),
                ("producer id without sequence", 87, self.batch(producer_id=5, epoch=0)),
                ("wrong CRC", 2, self.batch(crc=12345)),
                ("over max.message.bytes", 10, self.batch(b"x" * 1100000)),
                ("too far in the future", 32, wire.batch([b"x"], now + 2 * day_ms))):
            with self.subTest(name):
                found = self.produce(records)
                self.assertEqual(found[:2], (error, -1))
        self.assertEqual(self.end(), 0)

    def test_zstd_needs_version_7(self):
        self.assertEqual(self.produce(self.batch(attributes=wire.ZSTD), version=3)[0], 76)

    def test_unknown_partition_is_error_3(self):
        self.assertEqual(self.produce(self.batch(), partition=9)[0], 3)

    def test_internal_topics_are_closed_to_clients(self):
        self.name = "__consumer_offsets"
        self.assertIn(self.produce(self.batch())[0], (3, 17))


class Idempotence(RulesTest):
    def producer_id(self):
        body = wire.string(None) + wire.i32(60000)
        reader = self.connection.call(wire.INIT_PRODUCER_ID, 0, body)
        reader.i32()
        error, producer_id, epoch = reader.i16(), reader.i64(), reader.i16()
        self.assertEqual((error, epoch), (0, 0))
        return producer_id

    def send(self, producer_id, sequence, count=1, epoch=0):
        values = [b"%d" % (sequence + index) for index in range(count)]
        return self.produce(self.batch(*values, producer_id=producer_id, epoch=epoch,
                                       sequence=sequence))[:2]

    def test_each_producer_gets_an_id_of_its_own(self):
        ids = [self.producer_id() for _ in range(20)]
        self.assertEqual(len(set(ids)), 20)

    def test_empty_transactional_id_is_error_42(self):
        body = wire.string("") + wire.i32(60000)
        reader = self.connection.call(wire.INIT_PRODUCER_ID, 0, body)
        reader.i32()
        self.assertEqual(reader.i16(), 42)

    def test_duplicate_gets_the_offset_it_had_and_writes_nothing(self):
        one = self.producer_id()
        self.assertEqual(self.send(one, 0, 3), (0, 0))
        self.assertEqual(self.send(one, 3), (0, 3))
        self.assertEqual(self.send(one, 0, 3), (0, 0))
        self.assertEqual(self.send(one, 3), (0, 3))
        self.assertEqual(self.end(), 4)

    def test_duplicate_gets_the_append_time_it_had(self):
        self.name = self.make_topic(self.connection, 1, message_timestamp_type="LogAppendTime")
        records = self.batch(b"value", producer_id=self.producer_id(), epoch=0, sequence=0)
        error, _, append_time, _ = self.produce(records)
        self.assertEqual(error, 0)
        self.assertAlmostEqual(append_time, time.time() * 1000, delta=10000)
        time.sleep(0.05)
        self.assertEqual(self.produce(records), (0, 0, append_time, 0))

    def test_five_batches_are_remembered_and_no_more(self):
        one = self.producer_id()
        for sequence in range(6):
            self.assertEqual(self.send(one, sequence), (0, sequence))
        for sequence in range(1, 6):
            self.assertEqual(self.send(one, sequence), (0, sequence))
        self.assertEqual(self.send(one, 0)[0], 45)
        self.assertEqual(self.end(), 6)

    def test_gap_is_error_45_and_does_not_advance(self):
        one = self.producer_id()
        self.assertEqual(self.send(one, 0), (0, 0))
        self.assertEqual(self.send(one, 2)[0], 45)
        self.assertEqual(self.send(one, 1), (0, 1))

    def test_sequence_wraps_to_0(self):
        one = self.producer_id()
        self.assertEqual(self.send(one, 2147483647), (0, 0))  # no state: any is taken
        self.assertEqual(self.send(one, 0), (0, 1))
        self.assertEqual(self.send(one, 1), (0, 2))

    def test_epochs(self):
        one = self.producer_id()
        self.assertEqual(self.send(one, 0, epoch=1), (0, 0))
        self.assertEqual(self.send(one, 1, epoch=0)[0], 47)  # older
        self.assertEqual(self.send(one, 1, epoch=2)[0], 45)  # newer starts at 0
        self.assertEqual(self.send(one, 0, epoch=2), (0, 1))

    def test_state_survives_restart_and_kill_9_and_ids_are_not_given_again(self):
        broker = self.own_broker(num_partitions=1)
        self.connection = self.connect(broker)
        self.name = self.make_topic(self.connection)
        one = self.producer_id()
        for sequence in range(5):
            self.assertEqual(self.send(one, sequence), (0, sequence))
        for fault in (broker.restart, lambda: (broker.kill(), broker.start())):
            fault()
            self.connection = self.connect(broker)
            for sequence in range(5):
                self.assertEqual(self.send(one, sequence), (0, sequence))
            self.assertEqual(self.send(one, 7)[0], 45)
            self.assertNotEqual(self.producer_id(), one)
        self.assertEqual(self.end(), 5)


class Fetch(RulesTest):
    def test_out_of_range_is_error_1_with_offsets_of_minus_1(self):
        self.produce(self.batch(b"a", b"b"))
        for offset in (3, 1000, -5):
            part = self.fetch(offset, 5).parts[0]
            self.assertEqual((part["error"], part["high_watermark"], part["last_stable"],
                              part["log_start"]), (1, -1, -1, -1))

    def test_at_the_end_records_are_empty_and_not_null(self):
        self.produce(self.batch())
        for version in (4, 5, 7, 11):
            part = self.fetch(1, version).parts[0]
            self.assertEqual((part["error"], part["records"], part["high_watermark"]),
                             (0, b"", 1))

    def test_offset_inside_a_batch_returns_the_whole_batch(self):
        self.produce(self.batch(b"a", b"b", b"c"))
        self.produce(self.batch(b"d"))
        rows = wire.batches(self.fetch(1).parts[0]["records"])
        self.assertEqual([row[:3] for row in rows], [(0, 2, 3), (3, 3, 1)])

    def test_first_batch_comes_even_if_larger_than_the_limits(self):
        self.produce(self.batch(b"x" * 5000))
        self.produce(self.batch(b"y" * 5000))
        part = self.fetch(0, max_bytes=100, partition_max_bytes=100).parts[0]
        self.assertEqual([row[:2] for row in wire.batches(part["records"])], [(0, 0)])

    def test_aborted_list_is_null_for_uncommitted_and_empty_for_committed(self):
        self.produce(self.batch())
        self.assertIsNone(self.fetch(0, isolation=0).parts[0]["aborted"])
        self.assertEqual(self.fetch(0, isolation=1).parts[0]["aborted"], [])

    def test_min_bytes_is_waited_for_until_max_wait(self):
        self.produce(self.batch())
        started = time.monotonic()
        part = self.fetch(0, min_bytes=100000, max_wait_ms=700).parts[0]
        self.assertGreaterEqual(time.monotonic() - started, 0.6)
        self.assertEqual(len(wire.batches(part["records"])), 1)

    def test_backlog_is_answered_at_once_where_more_is_left_than_was_read(self):
        self.produce(self.batch(b"x" * 5000))
        self.produce(self.batch(b"y" * 5000))
        started = time.monotonic()
        part = self.fetch(0, min_bytes=100000, max_wait_ms=15000,
                          partition_max_bytes=6000).parts[0]
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual([row[:2] for row in wire.batches(part["records"])], [(0, 0)])

    def test_backlog_of_several_segments_is_answered_at_once(self):
        reader = self.connection.call(wire.CREATE_TOPICS, 2, wire.array([
            wire.string(self.topic("small")) + wire.i32(1) + wire.i16(1) + wire.array([])
            + wire.array([wire.string("segment.bytes") + wire.string("1048576")])])
            + wire.i32(10000) + wire.i8(0))
        reader.i32()
        [(self.name, error, _)] = reader.array(lambda one: (one.string(), one.i16(), one.string()))
        self.assertEqual(error, 0)
        for _ in range(3):
            self.assertEqual(self.produce(self.batch(b"x" * 600000))[0], 0)
        started = time.monotonic()
        part = self.fetch(0, min_bytes=10 << 20, max_bytes=10 << 20, partition_max_bytes=10 << 20,
                          max_wait_ms=15000).parts[0]
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual([row[:2] for row in wire.batches(part["records"])], [(0, 0)])

    def test_error_is_answered_at_once(self):
        started = time.monotonic()
        self.assertEqual(self.fetch(99, max_wait_ms=15000).parts[0]["error"], 1)
        self.assertLess(time.monotonic() - started, 5)

    def test_zstd_below_version_10_is_served_while_the_producer_chose_the_codec(self):
        # Kafka answers 76 only where compression.type says zstd; ours is always "producer",
        # and clients such as kafka-python read zstd with version 4.
        records = self.batch(attributes=wire.ZSTD, records=bytes.fromhex("28b52ffd0000"))
        if self.produce(records)[0] != 0:
            return  # a broker that looks inside may refuse these bytes
        for version in (4, 9, 10):
            self.assertEqual(self.fetch(0, version).parts[0]["error"], 0)

    def test_leader_epoch_of_the_request_is_checked(self):
        self.assertEqual(self.fetch(0, 9, current_epoch=1000).parts[0]["error"], 75)
        self.assertEqual(self.fetch(0, 9, current_epoch=-1).parts[0]["error"], 0)


class FetchSessions(RulesTest):
    def test_unknown_session_is_error_70(self):
        self.assertEqual(self.fetch(0, 7, session=12345, session_epoch=1).error, 70)

    def test_incremental_answer_leaves_out_what_did_not_change(self):
        self.produce(self.batch())
        full = self.fetch(1, 7, session=0, session_epoch=0)
        if full.session == 0:
            return  # legal: no sessions
        found = self.fetch(0, 7, session=full.session, session_epoch=1, partitions=[])
        self.assertEqual((found.error, found.session, found.parts), (0, full.session, []))
        self.produce(self.batch(b"new"))
        found = self.fetch(0, 7, session=full.session, session_epoch=2, partitions=[])
        self.assertEqual([row["high_watermark"] for row in found.parts], [2])
        wrong = self.fetch(0, 7, session=full.session, session_epoch=9, partitions=[])
        self.assertEqual(wrong.error, 71)


    def test_partitions_take_turns_where_one_fills_the_answer(self):
        self.name = self.make_topic(self.connection, partitions=2)
        for partition in (0, 1):
            for _ in range(2):
                self.produce(self.batch(b"x" * 5000), partition=partition)
        answer = self.fetch(0, 7, session=0, session_epoch=0, max_bytes=6000,
                            partitions=[(0, 0), (1, 0)])
        offsets, served = {0: 0, 1: 0}, []
        for epoch in range(1, 5):
            rows = {row["partition"]: wire.batches(row["records"]) for row in answer.parts}
            [(partition, found)] = [one for one in rows.items() if one[1]]
            served.append((partition, found[0][0]))
            offsets[partition] += len(found)
            answer = self.fetch(0, 7, session=answer.session, session_epoch=epoch, max_bytes=6000,
                                partitions=[(partition, offsets[partition])])
        self.assertEqual(served, [(0, 0), (1, 0), (0, 1), (1, 1)])

    def test_session_of_many_partitions_goes_on(self):
        count = 7000
        full = self.fetch(0, 7, session=0, session_epoch=0,
                          partitions=[(index, 0) for index in range(count)])
        self.assertEqual((full.error, len(full.parts)), (0, count))
        # Those that do not exist are told again each time.
        found = self.fetch(0, 7, session=full.session, session_epoch=1, partitions=[])
        self.assertEqual((found.error, len(found.parts)), (0, count - 1))


class FetchSessionOwners(RulesTest):
    """On one loop, where all sessions are."""

    options = {**RulesTest.options, "num_network_threads": 1}

    def full(self, connection, count, session=0):
        """(error, session)"""
        body = wire.fetch_body(self.name, 0, 0, 7, session=session, session_epoch=0,
                               partitions=[(index, 0) for index in range(count)])
        reader = connection.call(wire.FETCH, 7, body)
        reader.i32()  # throttle
        return reader.i16(), reader.i32()

    def test_session_of_another_connection_is_unknown_and_left_alone(self):
        session = self.full(self.connection, 1)[1]
        self.assertNotEqual(session, 0)
        other = self.connect(self.broker)
        body = wire.fetch_body(self.name, 0, 0, 7, session=session, session_epoch=1, partitions=[])
        self.assertEqual(wire.FetchAnswer(other.call(wire.FETCH, 7, body), 7).error, 70)
        self.assertEqual(self.full(other, 1, session)[0], 0)
        found = self.fetch(0, 7, session=session, session_epoch=1, partitions=[])
        self.assertEqual((found.error, found.session), (0, session))

    def test_sessions_have_a_limit_together_and_end_with_their_connection(self):
        connections = [self.connect(self.broker) for _ in range(3)]
        sessions = [self.full(connection, 90000)[1] for connection in connections]
        self.assertEqual([session > 0 for session in sessions], [True, True, False])
        connections[0].close()
        harness.wait_for("there is room again", lambda: self.full(connections[2], 90000)[1] > 0)


class ListOffsets(RulesTest):
    def lookup(self, timestamp, version=2):
        """(error, timestamp, offset)"""
        body = wire.i32(-1) + (wire.i8(0) if version >= 2 else b"")
        body += wire.array([wire.string(self.name) + wire.array([
            wire.i32(0) + wire.i64(timestamp)])])
        reader = self.connection.call(wire.LIST_OFFSETS, version, body)
        if version >= 2:
            reader.i32()
        rows = reader.array(lambda one: (one.string(), one.array(
            lambda part: (part.i32(), part.i16(), part.i64(), part.i64()))))
        reader.end()
        return rows[0][1][0][1:]

    def test_latest_is_the_high_watermark_and_earliest_the_log_start(self):
        self.produce(self.batch(b"a", b"b"))
        for version in (1, 2):
            self.assertEqual(self.lookup(-1, version), (0, -1, 2))
            self.assertEqual(self.lookup(-2, version), (0, -1, 0))

    def test_time_finds_the_record_inside_the_batch(self):
        base = int(time.time() * 1000) - 100000
        records = b"".join(wire.record(delta, b"x", timestamp_delta=delta * 1000)
                           for delta in range(5))
        self.produce(wire.batch([b"x"] * 5, base, records=records, max_timestamp=base + 4000))
        for timestamp, wanted in ((0, (0, base, 0)), (base + 1, (0, base + 1000, 1)),
                                  (base + 4000, (0, base + 4000, 4)), (base + 4001, (0, -1, -1))):
            self.assertEqual(self.lookup(timestamp), wanted)

    def test_other_negative_timestamps_are_error_35(self):
        self.assertEqual(self.lookup(-77)[0], 35)

    def test_long_names_are_not_compared_once_a_partition(self):
        partitions = wire.array([wire.i32(0) + wire.i64(-1)] * 12000)
        body = wire.i32(-1) + wire.array([wire.string("n" * 32767) + partitions] * 10)
        before = self.broker.cpu_seconds()
        reader = self.connection.call(wire.LIST_OFFSETS, 1, body)
        used = self.broker.cpu_seconds() - before
        if not os.environ.get("DMSD_SANITIZE"):
            self.assertLess(used, 0.4)
        self.assertEqual((reader.i32(), len(reader.string()), reader.i32()), (10, 32767, 12000))
        self.assertEqual((reader.i32(), reader.i16()), (0, 42))


class Metadata(RulesTest):
    PARTITIONS_COUNT = 1000  # take longer to open than it takes to list them

    def topics(self, names, version):
        body = wire.metadata_body(names, version, auto_create=False)
        return wire.read_metadata(self.connection.call(wire.METADATA, version, body), version)

    def test_empty_list_is_all_in_version_0_and_none_later(self):
        self.assertIn(self.name, self.topics([], 0))
        self.assertEqual(self.topics([], 1), {})
        self.assertIn(self.name, self.topics(None, 1))

    def test_unknown_topic_is_error_3_and_bad_name_17(self):
        unknown = self.topic()
        self.assertEqual(self.topics([unknown], 4), {unknown: (3, 0)})
        for name in ("bad name", "..", "x" * 250, "sl/ash"):
            self.assertEqual(self.topics([name], 4)[name][0], 17)
        self.assertNotIn(unknown, self.topics(None, 4))  # asking did not make it

    def make_slowly(self, name):
        """Asks for a topic that takes a while; the connection that will be answered."""
        maker = self.connect(self.broker)
        maker.send(wire.CREATE_TOPICS, 2, wire.array([
            wire.string(name) + wire.i32(self.PARTITIONS_COUNT) + wire.i16(1) + wire.array([])
            + wire.array([])]) + wire.i32(30000) + wire.i8(0))
        return maker

    def test_list_of_all_has_no_errors_while_somebody_makes_a_topic(self):
        name = self.topic()
        maker = self.make_slowly(name)
        seen = 0
        while not select.select([maker.sock], [], [], 0)[0]:
            rows = self.topics(None, 4)
            self.assertEqual({row: error for row, (error, _) in rows.items() if error}, {})
            seen += name in rows
        self.assertEqual(Changes.topic_error(maker.receive()[1]), 0)
        self.assertTrue(seen, "made faster than anybody could look")

    def test_topic_can_grow_while_it_is_made(self):
        name = self.topic()
        maker = self.make_slowly(name)
        harness.wait_for("the topic is listed", lambda: name in self.topics(None, 4))
        count = self.PARTITIONS_COUNT + 1
        reader = self.connection.call(wire.CREATE_PARTITIONS, 0, wire.array([
            wire.string(name) + wire.i32(count) + wire.array(None)]) + wire.i32(30000) + wire.i8(0))
        reader.i32()
        self.assertEqual(reader.array(lambda one: (one.string(), one.i16(), one.string())),
                         [(name, 0, None)])
        self.assertEqual(Changes.topic_error(maker.receive()[1]), 0)
        self.assertEqual(self.topics([name], 4), {name: (0, count)})


class Changes(RulesTest):
    """Clients on both loops change the same at once. Whoever has an answer, be it that somebody
    else was first, finds what it says wherever they ask next."""

    ROUNDS = 50
    options = {**RulesTest.options, "num_network_threads": 2}

    def setUp(self):
        # Connections are given to the loops in turn.
        self.doors = [self.connect(self.broker) for _ in range(2)]
        self.watchers = [self.connect(self.broker) for _ in range(2)]

    def answers(self, key, version, body):
        """The same request from both, sent before either is answered; answers as they come."""
        waiting = {door.sock: door for door in self.doors}
        for door in self.doors:
            door.send(key, version, body)
        while waiting:
            for sock in select.select(list(waiting), [], [], 30)[0]:
                yield waiting.pop(sock).receive()[1]

    def seen(self, name):
        """What a client on each loop is told of the topic."""
        body = wire.metadata_body([name], 4, auto_create=False)
        return [wire.read_metadata(watcher.call(wire.METADATA, 4, body), 4)[name]
                for watcher in self.watchers]

    @staticmethod
    def topic_error(reader):
        """Of CreateTopics 2 and DeleteTopics 1, for one topic."""
        reader.i32(), reader.i32(), reader.string()
        return reader.i16()

    def create(self, name):
        topic = wire.string(name) + wire.i32(1) + wire.i16(1) + wire.array([]) + wire.array([])
        return self.answers(wire.CREATE_TOPICS, 2,
                            wire.array([topic]) + wire.i32(10000) + wire.i8(0))

    def delete(self, name):
        return self.answers(wire.DELETE_TOPICS, 1,
                            wire.array([wire.string(name)]) + wire.i32(10000))

    def test_topic_that_is_deleted_while_others_are_made_is_unknown(self):
        seen = set()
        for _ in range(self.ROUNDS):
            name = self.make_topic(self.doors[0])
            others = [self.topic() for _ in range(20)]
            self.doors[0].send(wire.METADATA, 4, wire.metadata_body([name, *others], 4))
            self.doors[1].call(wire.DELETE_TOPICS, 1,
                               wire.array([wire.string(name)]) + wire.i32(10000))
            seen.add(wire.read_metadata(self.doors[0].receive()[1], 4)[name])
            if (3, 0) in seen:
                break
        self.assertIn((3, 0), seen)
        self.assertLessEqual(seen, {(0, 1), (3, 0)})

    def test_topic_that_two_make_by_asking_is_there_for_both(self):
        for _ in range(self.ROUNDS):
            name = self.topic()
            for reader in self.answers(wire.METADATA, 4, wire.metadata_body([name], 4)):
                self.assertEqual(wire.read_metadata(reader, 4), {name: (0, 1)})
                self.assertEqual(self.seen(name), [(0, 1)] * 2)

    def test_what_the_answer_to_a_change_says_is_seen_on_each_loop(self):
        for _ in range(self.ROUNDS):
            name = self.topic()
            for change, errors, row in ((self.create, {0, 36}, (0, 1)),
                                        (self.delete, {0, 3}, (3, 0))):
                told = set()
                for reader in change(name):
                    told.add(self.topic_error(reader))
                    self.assertEqual(self.seen(name), [row] * 2)
                self.assertEqual(told, errors)

    def test_queue_made_over_rest_is_seen_on_each_loop(self):
        for _ in range(self.ROUNDS):
            rest = self.broker.rest(harness.new_project())
            queue = rest.create_queue(queue_mode="KAFKA_HA")
            self.assertEqual(self.seen(queue["kafka_topic"]), [(0, 3)] * 2)
            rest.must(204, "DELETE", f"/queues/{queue['id']}")
            self.assertEqual(self.seen(queue["kafka_topic"]), [(3, 0)] * 2)



class Epochs(RulesTest):
    def test_end_offset_of_the_current_epoch_is_the_log_end(self):
        self.produce(self.batch(b"a", b"b"))
        rows = wire.batches(self.fetch(0).parts[0]["records"])
        epoch = rows[0][3]
        self.assertGreaterEqual(epoch, 0)
        for asked, wanted in ((epoch, (0, epoch, 2)), (epoch + 100, (0, -1, -1))):
            body = wire.array([wire.string(self.name) + wire.array([
                wire.i32(0) + wire.i32(-1) + wire.i32(asked)])])
            reader = self.connection.call(wire.OFFSET_FOR_LEADER_EPOCH, 2, body)
            reader.i32()
            rows = reader.array(lambda one: (one.string(), one.array(lambda part: (
                part.i16(), part.i32(), part.i32(), part.i64()))))
            reader.end()
            error, _, found, end = rows[0][1][0]
            self.assertEqual((error, found, end), wanted)


class BatchBytes(RulesTest):
    def test_leader_epoch_and_offset_are_patched_and_the_rest_is_untouched(self):
        self.produce(self.batch())
        sent = self.batch(b"kept", b"bytes")
        self.produce(sent)
        found = self.fetch(1).parts[0]["records"]
        self.assertEqual(struct.unpack_from(">q", found)[0], 1)
        self.assertEqual(found[8:12], sent[8:12])
        self.assertEqual(found[16:], sent[16:])


if __name__ == "__main__":
    harness.main()
