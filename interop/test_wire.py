#!/usr/bin/env python3
"""The connection rules of the Kafka door, with bytes by hand: framing, ApiVersions, order of
answers, acks=0. Each test is named after the rule it holds the broker to."""

import socket
import time

import harness
import wire

REQUEST_BYTES_MAX = 104857600
PARKED_MS = 1500


class WireTest(harness.BrokerTest):
    options = {"num_partitions": 1}

    def connect(self, **options):
        connection = wire.Connection(self.broker.connect(**options))
        self.addCleanup(connection.close)
        return connection

    def make_topic(self, connection):
        """A topic with one message, made by naming it."""
        topic = self.topic()

        def exists():
            body = wire.metadata_body([topic], 4)
            rows = wire.read_metadata(connection.call(wire.METADATA, 4, body), 4)
            return rows[topic][0] == 0

        harness.wait_for("the topic is there", exists)
        return topic

    def produce(self, connection, topic, value=b"value", acks=-1):
        records = wire.batch([value], int(time.time() * 1000))
        body = wire.produce_body(topic, 0, records, acks)
        return wire.read_produce(connection.call(wire.PRODUCE, 7, body), 7)

    def assert_still_serves(self):
        connection = self.connect()
        reader = connection.call(wire.API_VERSIONS, 0, b"")
        self.assertEqual(reader.i16(), 0)


class ApiVersions(WireTest):
    def read_v0(self, reader):
        error = reader.i16()
        rows = reader.array(lambda one: (one.i16(), (one.i16(), one.i16())))
        reader.end()
        return error, dict(rows)

    def test_version_0_lists_what_is_served(self):
        error, rows = self.read_v0(self.connect().call(wire.API_VERSIONS, 0, b""))
        self.assertEqual(error, 0)
        for key in (wire.PRODUCE, wire.FETCH, wire.LIST_OFFSETS, wire.METADATA,
                    wire.OFFSET_COMMIT, wire.OFFSET_FETCH, wire.FIND_COORDINATOR,
                    wire.JOIN_GROUP, wire.HEARTBEAT, wire.LEAVE_GROUP, wire.SYNC_GROUP,
                    wire.API_VERSIONS, wire.CREATE_TOPICS, wire.DELETE_TOPICS,
                    wire.INIT_PRODUCER_ID):
            self.assertIn(key, rows)
        self.assertEqual(rows[wire.PRODUCE][0], 0, "librdkafka needs Produce from 0")
        self.assertNotIn(4, rows, "LeaderAndIsr is internal")
        self.assertLessEqual(rows[wire.INIT_PRODUCER_ID][1], 5, "version 6 is unstable")

    def test_version_3_has_response_header_0_and_compact_rows(self):
        body = wire.compact("wire-test") + wire.compact("1.0") + b"\0"
        reader = self.connect().call(wire.API_VERSIONS, 3, body, flexible=True)
        self.assertEqual(reader.i16(), 0)
        rows = {}
        for _ in range(reader.uvarint() - 1):
            key = reader.i16()
            rows[key] = (reader.i16(), reader.i16())
            reader.tags()
        reader.i32()
        reader.tags()
        reader.end()
        self.assertIn(wire.PRODUCE, rows)
        self.assertGreaterEqual(rows[wire.API_VERSIONS][1], 3)

    def test_unsupported_version_gets_a_v0_body_with_error_35(self):
        connection = self.connect()
        reader = connection.call(wire.API_VERSIONS, 99, b"\xff\xff\xff not parsed",
                                 flexible=True)
        error, rows = self.read_v0(reader)
        self.assertEqual(error, 35)
        self.assertEqual(list(rows), [wire.API_VERSIONS])
        low, high = rows[wire.API_VERSIONS]
        self.assertEqual(low, 0)
        self.assertIn(high, (3, 4, 5))
        # The connection goes on, with a version from the answer.
        self.assertEqual(connection.call(wire.API_VERSIONS, 0, b"").i16(), 0)

    def test_bad_software_name_is_error_42(self):
        for name in ("", "-leading", "white space", "trailing-"):
            with self.subTest(name=name):
                body = wire.compact(name) + wire.compact("1.0") + b"\0"
                reader = self.connect().call(wire.API_VERSIONS, 3, body, flexible=True)
                self.assertEqual(reader.i16(), 42)

    def test_null_client_id_is_accepted(self):
        reader = self.connect().call(wire.API_VERSIONS, 0, b"", client_id=None)
        self.assertEqual(reader.i16(), 0)


class Framing(WireTest):
    def assert_closes(self, *pieces):
        connection = self.connect()
        for piece in pieces:
            connection.sock.sendall(piece)
        self.assertTrue(connection.is_closed_by_peer())
        self.assert_still_serves()

    def test_unknown_api_key_closes(self):
        self.assert_closes(wire.request(999, 0, 1, b""))

    def test_negative_api_key_closes(self):
        self.assert_closes(wire.request(-1, 0, 1, b""))

    def test_internal_api_key_closes(self):
        self.assert_closes(wire.request(4, 0, 1, b"\0" * 32))

    def test_unsupported_version_closes(self):
        self.assert_closes(wire.request(wire.METADATA, 99, 1, wire.i32(0)))

    def test_unsupported_old_version_closes(self):
        self.assert_closes(wire.request(wire.FETCH, 0, 1, b"\0" * 32))

    def test_negative_size_closes(self):
        self.assert_closes(wire.i32(-1))

    def test_size_over_the_limit_closes_before_the_body(self):
        self.assert_closes(wire.i32(REQUEST_BYTES_MAX + 1))

    def test_frame_too_short_for_a_header_closes(self):
        self.assert_closes(wire.i32(3) + b"\0\0\0")

    def test_empty_frame_closes(self):
        self.assert_closes(wire.i32(0))

    def test_body_that_ends_early_closes(self):
        body = wire.i32(5) + wire.string("only-one")
        self.assert_closes(wire.request(wire.METADATA, 1, 1, body))

    def test_array_count_larger_than_the_frame_closes(self):
        self.assert_closes(wire.request(wire.METADATA, 1, 1, wire.i32(0x7FFFFFFF)))

    def test_string_length_larger_than_the_frame_closes(self):
        body = wire.i32(1) + wire.i16(0x7FFF) + b"short"
        self.assert_closes(wire.request(wire.METADATA, 1, 1, body))

    def test_client_id_longer_than_the_frame_closes(self):
        frame = wire.i16(wire.API_VERSIONS) + wire.i16(0) + wire.i32(1) + wire.i16(500)
        self.assert_closes(wire.i32(len(frame)) + frame)

    def test_bytes_of_another_protocol_close(self):
        self.assert_closes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def test_good_request_before_a_bad_one_is_answered(self):
        connection = self.connect()
        sent = connection.send(wire.API_VERSIONS, 0, b"")
        connection.sock.sendall(wire.i32(-5))
        answer = connection.receive()
        self.assertIsNotNone(answer)
        self.assertEqual(answer[0], sent)
        self.assertTrue(connection.is_closed_by_peer())


class Delivery(WireTest):
    def test_one_byte_at_a_time(self):
        connection = self.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wire.request(wire.API_VERSIONS, 0, 7, b""):
            connection.sock.sendall(bytes([byte]))
        correlation, reader = connection.receive()
        self.assertEqual(correlation, 7)
        self.assertEqual(reader.i16(), 0)

    def test_produce_one_byte_at_a_time_keeps_its_bytes(self):
        connection = self.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        topic = self.make_topic(connection)
        records = wire.batch([b"slow"], int(time.time() * 1000))
        frame = wire.request(wire.PRODUCE, 7, 9, wire.produce_body(topic, 0, records))
        for byte in frame:
            connection.sock.sendall(bytes([byte]))
        correlation, reader = connection.receive()
        self.assertEqual(correlation, 9)
        self.assertEqual(wire.read_produce(reader, 7)[:2], (0, 0))
        reader = connection.call(wire.FETCH, 4, wire.fetch_body(topic, 0, 0))
        self.assertIn(b"slow", wire.FetchAnswer(reader).parts[0]["records"])

    def test_pipelined_requests_are_answered_in_order(self):
        connection = self.connect()
        count = 200
        connection.sock.sendall(b"".join(wire.request(wire.API_VERSIONS, 0, index, b"")
                                         for index in range(count)))
        self.assertEqual([connection.receive()[0] for _ in range(count)], list(range(count)))

    def test_pipelined_produces_get_offsets_in_order(self):
        connection = self.connect()
        topic = self.make_topic(connection)
        now = int(time.time() * 1000)
        count = 50
        connection.sock.sendall(b"".join(
            wire.request(wire.PRODUCE, 7, index, wire.produce_body(
                topic, 0, wire.batch([b"%d" % index], now)))
            for index in range(count)))
        offsets = []
        for index in range(count):
            correlation, reader = connection.receive()
            self.assertEqual(correlation, index)
            error, offset = wire.read_produce(reader, 7)[:2]
            self.assertEqual(error, 0)
            offsets.append(offset)
        self.assertEqual(offsets, list(range(count)))

    def test_requests_behind_a_parked_fetch_wait_for_it(self):
        connection = self.connect()
        topic = self.make_topic(connection)
        started = time.monotonic()
        body = wire.fetch_body(topic, 0, 0, max_wait_ms=PARKED_MS)
        fetch = connection.send(wire.FETCH, 4, body)
        others = [connection.send(wire.API_VERSIONS, 0, b"") for _ in range(3)]
        order = [connection.receive()[0] for _ in range(4)]
        self.assertEqual(order, [fetch, *others])
        self.assertGreaterEqual(time.monotonic() - started, PARKED_MS / 1000 * 0.9)

    def test_parked_fetch_does_not_hold_up_other_connections(self):
        parked, other = self.connect(), self.connect()
        topic = self.make_topic(other)
        fetch = parked.send(wire.FETCH, 4, wire.fetch_body(topic, 0, 0, max_wait_ms=20000))
        started = time.monotonic()
        self.assertEqual(self.produce(other, topic)[:2], (0, 0))
        correlation, reader = parked.receive()
        self.assertEqual(correlation, fetch)
        self.assertIn(b"value", wire.FetchAnswer(reader).parts[0]["records"])
        self.assertLess(time.monotonic() - started, 10)

    def test_client_that_leaves_a_parked_fetch_harms_nobody(self):
        topic = self.make_topic(self.connect())
        for _ in range(20):
            connection = self.connect()
            connection.send(wire.FETCH, 4, wire.fetch_body(topic, 0, 0, max_wait_ms=30000))
            connection.close()
        connection = self.connect()
        self.assertEqual(self.produce(connection, topic)[0], 0)
        self.assert_still_serves()

    def test_half_closed_connection_is_closed_in_the_end(self):
        connection = self.connect()
        connection.send(wire.API_VERSIONS, 0, b"")
        connection.sock.shutdown(socket.SHUT_WR)
        answer = connection.receive()  # answered or not: then the end
        if answer is not None:
            self.assertTrue(connection.is_closed_by_peer())
        self.assert_still_serves()

    def test_frame_cut_by_a_half_close_is_closed(self):
        connection = self.connect()
        connection.sock.sendall(wire.request(wire.API_VERSIONS, 0, 1, b"")[:-2])
        connection.sock.shutdown(socket.SHUT_WR)
        self.assertTrue(connection.is_closed_by_peer())

    def test_client_that_does_not_read_harms_nobody(self):
        topic = self.make_topic(self.connect())
        self.assertEqual(self.produce(self.connect(), topic, b"x" * 900000)[0], 0)
        deaf = self.connect()
        deaf.sock.setblocking(False)
        frame = wire.request(wire.FETCH, 4, 1, wire.fetch_body(topic, 0, 0))
        for _ in range(300):
            try:
                deaf.sock.send(frame)
            except BlockingIOError:
                break
        self.assert_still_serves()
        self.assertEqual(self.produce(self.connect(), topic)[0], 0)


class AcksZero(WireTest):
    def test_acks_0_gets_no_answer(self):
        connection = self.connect()
        topic = self.make_topic(connection)
        records = wire.batch([b"silent"], int(time.time() * 1000))
        connection.send(wire.PRODUCE, 7, wire.produce_body(topic, 0, records, acks=0))
        connection.call(wire.API_VERSIONS, 0, b"")  # the next answer is this one's

        def written():
            reader = connection.call(wire.FETCH, 4, wire.fetch_body(topic, 0, 0))
            return b"silent" in wire.FetchAnswer(reader).parts[0]["records"]

        harness.wait_for("the record can be read", written)

    def test_error_with_acks_0_closes(self):
        for name, topic, spoil in (("bad CRC", True, 1), ("unknown topic", False, 0)):
            with self.subTest(name):
                connection = self.connect()
                name = self.make_topic(connection) if topic else "no such topic!"
                records = bytearray(wire.batch([b"x"], int(time.time() * 1000)))
                records[-1] ^= spoil
                connection.send(wire.PRODUCE, 7,
                                wire.produce_body(name, 0, bytes(records), acks=0))
                self.assertTrue(connection.is_closed_by_peer())

    def test_acks_2_is_error_21(self):
        connection = self.connect()
        topic = self.make_topic(connection)
        self.assertEqual(self.produce(connection, topic, acks=2)[0], 21)

    def test_order_holds_with_acks_0_between_answered_requests(self):
        connection = self.connect()
        topic = self.make_topic(connection)
        now = int(time.time() * 1000)
        offsets = []
        for index in range(20):
            body = wire.produce_body(topic, 0, wire.batch([b"%d" % index], now), acks=0)
            connection.send(wire.PRODUCE, 7, body)
            offsets.append(self.produce(connection, topic)[1])
        self.assertEqual(offsets, list(range(1, 40, 2)))


if __name__ == "__main__":
    harness.main()
