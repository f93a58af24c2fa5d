#!/usr/bin/env python3
"""APIs that no packaged client asks for in all its versions, with bytes by hand as Kafka's schema
has them: OffsetForLeaderEpoch, OffsetDelete, DescribeCluster, DescribeTopicPartitions. With
errors, pages, and what somebody may who may little."""

import accounts
import harness
import wire

UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC, TOPIC_DENIED = 3, 17, 29
INVALID_REQUEST, NOT_EMPTY, NO_SUCH_GROUP = 42, 68, 69
FENCED_EPOCH, UNKNOWN_EPOCH, SUBSCRIBED = 74, 75, 86
MISMATCHED_ENDPOINT, UNSUPPORTED_ENDPOINT = 114, 115
NO_TAGS = b"\0"
NOT_ASKED = -2**31  # authorized operations that nobody asked for
NODE_ID = 7
PARTITIONS = 3


def read_epochs(reader, flexible):
    """{topic: {partition: (error, epoch, end offset)}}"""
    def part(one):
        row = (one.i16(), one.i32(), one.i32(), one.i64())
        if flexible:
            one.tags()
        return row[1], (row[0], *row[2:])

    def topic(one):
        row = ((one.compact(), dict(one.compact_array(part))) if flexible
               else (one.string(), dict(one.array(part))))
        if flexible:
            one.tags()
        return row

    if flexible:
        reader.tags()  # of the header
    assert reader.i32() == 0
    rows = dict(reader.compact_array(topic) if flexible else reader.array(topic))
    if flexible:
        reader.tags()
    reader.end()
    return rows


def epochs_body(version, asked):
    """asked: {topic: [(partition, current epoch, epoch), ...]}"""
    flexible = version >= 4
    rows = []
    for name, parts in asked.items():
        items = [wire.i32(index) + wire.i32(current) + wire.i32(epoch)
                 + (NO_TAGS if flexible else b"") for index, current, epoch in parts]
        rows.append(wire.compact(name) + wire.compact_array(items) + NO_TAGS if flexible
                    else wire.string(name) + wire.array(items))
    replica = wire.i32(-1) if version >= 3 else b""
    return replica + (wire.compact_array(rows) + NO_TAGS if flexible else wire.array(rows))


def read_cluster(reader, version):
    reader.tags()  # of the header
    assert reader.i32() == 0
    answer = {"error": reader.i16(), "message": reader.compact()}
    answer["endpoint"] = reader.i8() if version >= 1 else 1
    answer["cluster"], answer["controller"] = reader.compact(), reader.i32()

    def broker(one):
        row = [one.i32(), one.compact(), one.i32(), one.compact()]
        if version >= 2:
            row.append(one.i8())
        one.tags()
        return row

    answer["brokers"] = reader.compact_array(broker)
    answer["operations"] = reader.i32()
    reader.tags()
    reader.end()
    return answer


def cluster_body(version, operations=False, endpoint=1):
    return (wire.i8(operations) + (wire.i8(endpoint) if version >= 1 else b"")
            + (wire.i8(0) if version >= 2 else b"") + NO_TAGS)


def read_partitions(reader):
    """([(error, topic, id, internal, partitions, operations), ...], cursor or None)"""
    def part(one):
        row = {"error": one.i16(), "index": one.i32(), "leader": one.i32(), "epoch": one.i32()}
        for name in ("replicas", "isr", "eligible", "last_known", "offline"):
            row[name] = one.compact_array(wire.Reader.i32)
        one.tags()
        return row

    def topic(one):
        row = (one.i16(), one.compact(), one.take(16), one.i8(), one.compact_array(part),
               one.i32())
        one.tags()
        return row

    reader.tags()  # of the header
    assert reader.i32() == 0
    topics = reader.compact_array(topic)
    cursor = None
    if reader.i8() >= 0:  # a struct that may be null: -1 is null
        cursor = (reader.compact(), reader.i32())
        reader.tags()
    reader.tags()
    reader.end()
    return topics, cursor


def partitions_body(names, limit=2000, cursor=None):
    body = wire.compact_array([wire.compact(name) + NO_TAGS for name in names]) + wire.i32(limit)
    if cursor is None:
        return body + wire.i8(-1) + NO_TAGS
    return body + wire.i8(1) + wire.compact(cursor[0]) + wire.i32(cursor[1]) + NO_TAGS + NO_TAGS


def delete_body(group, asked):
    """asked: {topic: [partition, ...]}"""
    return wire.string(group) + wire.array(
        [wire.string(name) + wire.array([wire.i32(index) for index in parts])
         for name, parts in asked.items()])


def read_deleted(reader):
    """(error, {topic: {partition: error}})"""
    error = reader.i16()
    assert reader.i32() == 0
    rows = reader.array(lambda one: (one.string(), dict(
        one.array(lambda part: (part.i32(), part.i16())))))
    reader.end()
    return error, dict(rows)


class Asking:
    """The four requests, over self.connection."""

    def epochs(self, version, asked):
        return read_epochs(self.connection.call(wire.OFFSET_FOR_LEADER_EPOCH, version,
                                                epochs_body(version, asked),
                                                flexible=version >= 4), version >= 4)

    def cluster(self, version, **asked):
        return read_cluster(self.connection.call(
            wire.DESCRIBE_CLUSTER, version, cluster_body(version, **asked), flexible=True),
            version)

    def partitions(self, names, **asked):
        return read_partitions(self.connection.call(
            wire.DESCRIBE_TOPIC_PARTITIONS, 0, partitions_body(names, **asked), flexible=True))

    def delete(self, group, asked):
        return read_deleted(self.connection.call(wire.OFFSET_DELETE, 0,
                                                 delete_body(group, asked)))

    @staticmethod
    def commit_body(group, topic, offsets, retention_ms=-1):
        """As somebody who is no member."""
        rows = [wire.i32(index) + wire.i64(offset) + wire.string("")
                for index, offset in offsets.items()]
        return (wire.string(group) + wire.i32(-1) + wire.string("") + wire.i64(retention_ms)
                + wire.array([wire.string(topic) + wire.array(rows)]))

    def commit(self, group, topic, offsets, retention_ms=-1):
        reader = self.connection.call(wire.OFFSET_COMMIT, 2,
                                      self.commit_body(group, topic, offsets, retention_ms))
        errors = reader.array(lambda one: (one.string(), one.array(
            lambda part: (part.i32(), part.i16()))))
        self.assertEqual(errors, [(topic, [(index, 0) for index in offsets])])

    @staticmethod
    def committed_body(group, topic):
        return wire.string(group) + wire.array([
            wire.string(topic) + wire.array([wire.i32(index) for index in range(PARTITIONS)])])

    def committed(self, group, topic):
        """The offset of each partition; -1: none."""
        return self.read_committed(self.connection.call(wire.OFFSET_FETCH, 1,
                                                        self.committed_body(group, topic)))

    @staticmethod
    def read_committed(reader):
        rows = reader.array(lambda one: (one.string(), one.array(
            lambda part: (part.i32(), part.i64(), part.string(), part.i16()))))
        return [offset for _, offset, _, _ in rows[0][1]]


class AdminTest(Asking, harness.BrokerTest):
    options = {"num_partitions": PARTITIONS, "node_id": NODE_ID}

    def setUp(self):
        self.connection = wire.Connection(self.broker.connect())
        self.addCleanup(self.connection.close)
        self.name = self.make_topic()

    def make_topic(self, prefix="topic"):
        name = self.topic(prefix)
        self.broker.kcat("-P", "-t", name, "-p", "0", stdin=b"one\ntwo\n")
        return name


class OffsetForLeaderEpoch(AdminTest):
    def test_every_version(self):
        epoch = self.partitions([self.name])[0][0][4][0]["epoch"]
        for version in (2, 3, 4):
            with self.subTest(version):
                rows = self.epochs(version, {self.name: [
                    (0, -1, epoch), (1, epoch, epoch), (2, -1, epoch + 50)]})
                self.assertEqual(rows, {self.name: {
                    0: (0, epoch, 2), 1: (0, epoch, 0), 2: (0, -1, -1)}})

    def test_errors(self):
        epoch = self.partitions([self.name])[0][0][4][0]["epoch"]
        unknown = self.topic()
        for version in (2, 3, 4):
            with self.subTest(version):
                rows = self.epochs(version, {
                    unknown: [(0, -1, epoch)],
                    self.name: [(0, epoch + 1, epoch), (PARTITIONS, -1, epoch), (-1, -1, epoch)]})
                self.assertEqual(rows, {
                    unknown: {0: (UNKNOWN_TOPIC_OR_PARTITION, -1, -1)},
                    self.name: {0: (UNKNOWN_EPOCH, -1, -1),
                                PARTITIONS: (UNKNOWN_TOPIC_OR_PARTITION, -1, -1),
                                -1: (UNKNOWN_TOPIC_OR_PARTITION, -1, -1)}})

    def test_an_epoch_from_before_a_restart(self):
        """Each start of the broker is an epoch of its own; the old one is fenced, and ends where
        the log ended."""
        broker = self.own_broker(num_partitions=PARTITIONS)
        name = self.topic()
        broker.kcat("-P", "-t", name, "-p", "0", stdin=b"one\ntwo\n")
        with wire.Connection(broker.connect()) as self.connection:
            old = self.partitions([name])[0][0][4][0]["epoch"]
        broker.restart()
        broker.kcat("-P", "-t", name, "-p", "0", stdin=b"three\n")
        with wire.Connection(broker.connect()) as self.connection:
            new = self.partitions([name])[0][0][4][0]["epoch"]
            self.assertGreater(new, old)
            for version in (2, 3, 4):
                self.assertEqual(self.epochs(version, {name: [(0, new, old)]}),
                                 {name: {0: (0, old, 2)}})
                self.assertEqual(self.epochs(version, {name: [(0, new, new)]}),
                                 {name: {0: (0, new, 3)}})
                self.assertEqual(self.epochs(version, {name: [(0, old, old)]}),
                                 {name: {0: (FENCED_EPOCH, -1, -1)}})


class DescribeCluster(AdminTest):
    def test_every_version(self):
        ids = set()
        for version in (0, 1, 2):
            with self.subTest(version):
                found = self.cluster(version)
                self.assertEqual((found["error"], found["message"], found["endpoint"]),
                                 (0, None, 1))
                self.assertEqual(found["controller"], NODE_ID)
                self.assertEqual(found["brokers"], [
                    [NODE_ID, harness.HOST, self.broker.kafka_port, None]
                    + ([0] if version >= 2 else [])])
                self.assertEqual(found["operations"], NOT_ASKED)
                ids.add(found["cluster"])
        self.assertEqual(len(ids), 1)
        self.assertTrue(ids.pop())

    def test_operations_are_told_to_those_who_ask(self):
        self.assertGreater(self.cluster(2, operations=True)["operations"], 0)

    def test_other_endpoints_are_errors(self):
        for version in (1, 2):
            for endpoint, error in ((2, MISMATCHED_ENDPOINT), (0, UNSUPPORTED_ENDPOINT),
                                    (9, UNSUPPORTED_ENDPOINT)):
                with self.subTest(version=version, endpoint=endpoint):
                    found = self.cluster(version, endpoint=endpoint)
                    self.assertEqual((found["error"], found["brokers"]), (error, []))
                    self.assertTrue(found["message"])


class DescribeTopicPartitions(AdminTest):
    def test_a_topic(self):
        [(error, name, identity, internal, rows, operations)], cursor = self.partitions([self.name])
        self.assertEqual((error, name, internal, cursor), (0, self.name, 0, None))
        self.assertNotEqual(identity, b"\0" * 16)
        self.assertGreater(operations, 0)
        self.assertEqual([row["index"] for row in rows], list(range(PARTITIONS)))
        for row in rows:
            self.assertEqual((row["error"], row["leader"], row["replicas"], row["isr"],
                              row["offline"]), (0, NODE_ID, [NODE_ID], [NODE_ID], []))
            self.assertGreaterEqual(row["epoch"], 0)

    def test_names_that_are_none(self):
        unknown = self.topic()
        topics, cursor = self.partitions([unknown, "bad name", self.name, self.name])
        self.assertEqual([(row[0], row[1], len(row[4])) for row in topics], sorted(
            [(UNKNOWN_TOPIC_OR_PARTITION, unknown, 0), (INVALID_TOPIC, "bad name", 0),
             (0, self.name, PARTITIONS)], key=lambda row: row[1]))
        self.assertIsNone(cursor)
        self.assertEqual(self.partitions([unknown])[0][0][0], UNKNOWN_TOPIC_OR_PARTITION)

    def pages(self, names, limit):
        """All pages: what each has of each topic, and (topic, partition) in order."""
        cursor, counts, rows = None, [], []
        while True:
            topics, cursor = self.partitions(names, limit=limit, cursor=cursor)
            counts.append([len(topic[4]) for topic in topics])
            rows += [(topic[1], part["index"]) for topic in topics for part in topic[4]]
            if cursor is None:
                return counts, rows
            self.assertLess(len(counts), 100)

    def test_pages_have_every_partition_once(self):
        names = sorted([self.name, self.make_topic("a"), self.make_topic("z")])
        wanted = [(name, index) for name in names for index in range(PARTITIONS)]
        for limit, pages in ((1, [1] * 9), (2, [2, 2, 2, 2, 1]), (3, [3] * 3), (4, [4, 4, 1]),
                             (9, [9]), (10, [9]), (0, [1] * 9), (-5, [1] * 9)):
            with self.subTest(limit=limit):
                found, rows = self.pages(names[::-1], limit)
                self.assertEqual(rows, wanted)
                self.assertEqual([sum(page) for page in found], pages)

    def test_pages_of_all_topics(self):
        names = {self.name, self.make_topic(), self.make_topic()}
        _, rows = self.pages([], 2)
        self.assertEqual(len(set(rows)), len(rows))
        self.assertEqual([row for row in rows if row[0] in names],
                         sorted((name, index) for name in names for index in range(PARTITIONS)))

    def test_a_cursor_behind_the_last_partition(self):
        topics, cursor = self.partitions([self.name], cursor=(self.name, PARTITIONS))
        self.assertEqual((topics[0][0], topics[0][4], cursor), (0, [], None))

    def test_a_cursor_that_contradicts(self):
        for cursor in ((self.name, -1), ("another", 0)):
            topics, again = self.partitions([self.name], cursor=cursor)
            self.assertEqual([row[:2] for row in topics], [(INVALID_REQUEST, self.name)])
            self.assertIsNone(again)


class Pipelined(AdminTest):
    """Requests that do not wait for the answer to the one in front of them."""

    asked = 0  # so that no two requests of the connection have one number

    def ask(self, *requests):
        """All in one piece; the answers."""
        numbers = range(self.asked, self.asked + len(requests))
        self.asked += len(requests)
        frames = [wire.request(key, version, number, body)
                  for number, (key, version, body) in zip(numbers, requests)]
        self.connection.sock.sendall(b"".join(frames))
        answers = [self.connection.receive() for _ in requests]
        self.assertEqual([answer[0] for answer in answers], list(numbers))
        return [answer[1] for answer in answers]

    def test_a_commit_is_seen_behind_it(self):
        group, rest = self.topic("group"), [-1] * (PARTITIONS - 1)
        look = (wire.OFFSET_FETCH, 1, self.committed_body(group, self.name))
        for offset in range(1, 11):
            commit = (wire.OFFSET_COMMIT, 2,
                      self.commit_body(group, self.name, {0: offset}))
            for reader in self.ask(commit, look, look)[1:]:
                self.assertEqual(self.read_committed(reader), [offset] + rest)
        reader = self.ask((wire.OFFSET_DELETE, 0, delete_body(group, {self.name: [0]})), look)[1]
        self.assertEqual(self.read_committed(reader), [-1] + rest)

    def test_a_connection_that_closes_meanwhile_harms_nobody(self):
        group = self.topic("group")
        for offset in range(1, 11):
            with wire.Connection(self.broker.connect()) as gone:
                gone.send(wire.OFFSET_COMMIT, 2,
                          self.commit_body(group, self.name, {0: offset}))
                gone.send(wire.OFFSET_FETCH, 1, self.committed_body(group, self.name))
        other = self.topic("group")
        self.commit(other, self.name, {0: 99})
        self.assertEqual(self.committed(other, self.name)[0], 99)


class Retention(AdminTest):
    options = {**AdminTest.options, "offsets_retention_check_interval_ms": 100}

    def test_a_client_may_say_how_long(self):
        group = self.topic("group")
        self.commit(group, self.name, {0: 1})
        self.commit(group, self.name, {1: 1}, retention_ms=1)
        self.commit(group, self.name, {2: 1}, retention_ms=1 << 62)
        harness.wait_for("it has expired",
                         lambda: self.committed(group, self.name) == [1, -1, 1])


class OffsetDelete(AdminTest):
    def test_some_offsets_of_an_empty_group(self):
        group, unknown = self.topic("group"), self.topic()
        self.commit(group, self.name, {0: 2, 1: 7, 2: 9})
        answer = self.delete(group, {self.name: [0, 2, PARTITIONS], unknown: [0]})
        self.assertEqual(answer, (0, {
            self.name: {0: 0, 2: 0, PARTITIONS: UNKNOWN_TOPIC_OR_PARTITION},
            unknown: {0: UNKNOWN_TOPIC_OR_PARTITION}}))
        self.assertEqual(self.committed(group, self.name), [-1, 7, -1])

    def test_what_is_deleted_stays_so_over_a_restart(self):
        broker = self.own_broker(num_partitions=PARTITIONS)
        name, group = self.topic(), self.topic("group")
        broker.kcat("-P", "-t", name, "-p", "0", stdin=b"one\n")
        with wire.Connection(broker.connect()) as self.connection:
            self.commit(group, name, {0: 1, 1: 1})
            self.assertEqual(self.delete(group, {name: [0]}), (0, {name: {0: 0}}))
        broker.restart()
        with wire.Connection(broker.connect()) as self.connection:
            self.assertEqual(self.committed(group, name), [-1, 1, -1])

    def test_an_offset_that_is_not_there(self):
        group = self.topic("group")
        self.commit(group, self.name, {0: 2})
        self.assertEqual(self.delete(group, {self.name: [1]}), (0, {self.name: {1: 0}}))
        self.assertEqual(self.committed(group, self.name), [2, -1, -1])

    def test_a_group_that_is_not_there(self):
        self.assertEqual(self.delete(self.topic("group"), {self.name: [0]}), (NO_SUCH_GROUP, {}))

    def test_topics_of_members(self):
        """A consumer's topics keep their offsets while it lives; others' go."""
        group, other = self.topic("group"), self.make_topic()
        self.commit(group, self.name, {0: 1})
        self.commit(group, other, {0: 1})
        self.join(group, "consumer")
        answer = self.delete(group, {self.name: [0], other: [0]})
        self.assertEqual(answer, (0, {self.name: {0: SUBSCRIBED}, other: {0: 0}}))
        self.assertEqual(self.committed(group, self.name), [1, -1, -1])
        self.assertEqual(self.committed(group, other), [-1, -1, -1])

    def test_members_that_are_no_consumers(self):
        group = self.topic("group")
        self.commit(group, self.name, {0: 1})
        self.join(group, "connect")
        self.assertEqual(self.delete(group, {self.name: [0]}), (NOT_EMPTY, {}))

    def join(self, group, protocol_type):
        """A member of the generation that has begun, subscribed to self.name."""
        member = wire.Connection(self.broker.connect())
        self.addCleanup(member.close)
        metadata = wire.i16(0) + wire.array([wire.string(self.name)]) + wire.data(b"")
        reader = member.call(wire.JOIN_GROUP, 0, wire.string(group) + wire.i32(30000)
                             + wire.string("") + wire.string(protocol_type)
                             + wire.array([wire.string("range") + wire.data(metadata)]))
        self.assertEqual(reader.i16(), 0)
        generation = reader.i32()
        reader.string(), reader.string()
        name = reader.string()
        reader = member.call(wire.SYNC_GROUP, 0, wire.string(group) + wire.i32(generation)
                             + wire.string(name) + wire.array([wire.string(name)
                                                               + wire.data(b"")]))
        self.assertEqual(reader.i16(), 0)


class Authorized(Asking, accounts.AccountsTest):
    """A project's user sees nothing of another's; a reader may not change what is there."""

    options = {"dms_authentication": "builtin", "num_partitions": PARTITIONS}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        project = cls.accounts.make_project()
        cls.owner = cls.accounts.make_user(project=project)
        cls.reader = cls.accounts.make_user("dms_reader", project=project)
        cls.stranger = cls.accounts.make_user()
        cls.name = cls.topic()
        cls.owner.kcat("-P", "-t", cls.name, "-p", "0", stdin=b"one\ntwo\n")

    def become(self, user):
        self.connection = wire.Connection(self.broker.connect())
        self.addCleanup(self.connection.close)
        reader = self.connection.call(17, 1, wire.string("PLAIN"))
        self.assertEqual(reader.i16(), 0)
        token = f"\0{user.login}\0{user.password}".encode()
        self.assertEqual(self.connection.call(36, 1, wire.data(token)).i16(), 0)

    def test_a_stranger(self):
        self.become(self.owner)
        group = self.topic("group")
        self.commit(group, self.name, {0: 1})
        self.become(self.stranger)
        self.assertEqual(self.epochs(4, {self.name: [(0, -1, 0)]}), {
            self.name: {0: (TOPIC_DENIED, -1, -1)}})
        self.assertEqual([row[:2] for row in self.partitions([self.name])[0]],
                         [(TOPIC_DENIED, self.name)])
        mine, _ = self.partitions([])
        self.assertNotIn(self.name, [row[1] for row in mine])
        # Where no topic is left that it may name, Kafka does not look for the group.
        self.assertEqual(self.delete(group, {self.name: [0]}), (0, {self.name: {0: TOPIC_DENIED}}))
        own = self.topic()
        harness.wait_for("a topic of its own", lambda: wire.read_metadata(self.connection.call(
            wire.METADATA, 4, wire.metadata_body([own], 4)), 4)[own][0] == 0)
        self.assertEqual(self.delete(group, {own: [0]}), (NO_SUCH_GROUP, {}))
        self.become(self.owner)
        self.assertEqual(self.committed(group, self.name), [1, -1, -1])

    def test_a_reader(self):
        self.become(self.reader)
        topics, _ = self.partitions([self.name])
        self.assertEqual((topics[0][0], len(topics[0][4])), (0, PARTITIONS))
        many = self.operations(self.owner)
        few = self.operations(self.reader)
        self.assertEqual(few & ~many, 0)
        self.assertLess(bin(few).count("1"), bin(many).count("1"))

    def operations(self, user):
        self.become(user)
        return self.partitions([self.name])[0][0][5]

    def test_operations_on_the_cluster(self):
        self.become(self.reader)
        found = self.cluster(2, operations=True)
        self.assertEqual(found["error"], 0)
        few = found["operations"]
        self.become(self.accounts.admin)
        self.assertGreater(bin(self.cluster(2, operations=True)["operations"]).count("1"),
                           bin(few).count("1"))

    def test_before_it_has_proven_itself(self):
        for key, version, body in (
                (wire.DESCRIBE_CLUSTER, 2, cluster_body(2)),
                (wire.DESCRIBE_TOPIC_PARTITIONS, 0, partitions_body([self.name]))):
            with wire.Connection(self.broker.connect()) as connection:
                connection.send(key, version, body, flexible=True)
                self.assertTrue(connection.is_closed_by_peer())
        with wire.Connection(self.broker.connect()) as connection:
            connection.send(wire.OFFSET_DELETE, 0, delete_body("g", {self.name: [0]}))
            self.assertTrue(connection.is_closed_by_peer())


if __name__ == "__main__":
    harness.main()
