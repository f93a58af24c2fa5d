"""A small fixed scenario at both doors, for faults at every call in turn. Any step may be refused
in clear words; what was acknowledged must be there ever after."""

import copy
import http.client
import json
import struct
import time

import harness
import wire

ANSWER_SECONDS_MAX = 10  # whoever waits longer for an answer hangs


class Hang(AssertionError):
    """A call without an answer."""


class Scenario:
    """Steps, what was acknowledged, and the test of it after a restart without faults."""

    def __init__(self, broker, project, prefix=""):
        self.broker = broker
        self.project = project
        self.prefix = prefix
        self.topic = f"{prefix}topic"
        self.kafka = None
        self.records = {}  # offset: value, acknowledged over Kafka
        self.attempts = set()
        self.committed = None
        self.queue = self.group = None
        self.bodies = set()  # acknowledged over REST
        self.sent = set()
        self.consumed = set()  # messages whose ack was acknowledged
        self.maybe_consumed = set()
        self.maybe_leased = False  # a call got no answer
        self.refusals = []  # what was said
        self.mark = 0

    def moved_to(self, broker):
        """The same, for a broker on a copy of the data."""
        moved = copy.deepcopy({key: one for key, one in self.__dict__.items()
                               if key not in ("broker", "kafka")})
        twin = type(self)(broker, self.project, self.prefix)
        twin.__dict__.update(moved)
        return twin

    # Calls. None when refused.

    def headers(self):
        """What says who asks."""
        return {}

    def prove(self, kafka):
        """Says who asks on a new connection to the Kafka door."""

    def request(self, method, path, body=None, seconds=ANSWER_SECONDS_MAX):
        """The answer, a harness.Answer."""
        rest = harness.Rest(self.broker.http_port, self.project)
        try:
            answer = rest.raw(method, path, None if body is None else json.dumps(body).encode(),
                              self.headers(), timeout=seconds)
        except TimeoutError:
            raise Hang(f"{method} {path}: no answer in {seconds} s") from None
        except (OSError, http.client.HTTPException) as error:
            self.refused(f"{method} {path}", repr(error))
            self.maybe_leased = True
            return None
        if answer.status >= 400:
            said = answer.body if isinstance(answer.body, dict) else {}
            if set(said.get("error", said)) < {"code", "message"}:
                raise AssertionError(f"{method} {path}: {answer.status} says {answer.raw}")
            self.refused(f"{method} {path}", f"{answer.status} {answer.body}")
            return None
        return answer

    def rest(self, method, path, body=None):
        answer = self.request(method, f"/v1.0/{self.project}{path}", body)
        if answer is None:
            return None
        return answer.body if answer.body is not None else {}

    def call(self, key, version, body, **options):
        """The reader of the answer; None when the connection ended."""
        try:
            if self.kafka is None:
                self.kafka = wire.Connection(self.broker.connect(timeout=ANSWER_SECONDS_MAX))
                self.prove(self.kafka)
            sent = self.kafka.send(key, version, body, **options)
            answer = self.kafka.receive()
        except TimeoutError:
            raise Hang(f"API {key}: no answer in {ANSWER_SECONDS_MAX} s") from None
        except (OSError, AssertionError) as error:
            answer = None
            self.refused(f"API {key}", repr(error))
        if answer is None:
            self.disconnect()
            return None
        assert answer[0] == sent
        return answer[1]

    def disconnect(self):
        kafka, self.kafka = self.kafka, None
        if kafka is not None:
            kafka.close()

    def refused(self, what, how):
        self.refusals.append(f"{what}: {how}")

    # Steps.

    def run(self):
        self.mark += 1
        self.run_kafka()
        self.run_rest()

    def run_kafka(self):
        if not self.make_topic():
            return
        for index, size in enumerate((10, 10, 30000, 30000, 30000, 10)):
            self.produce(f"{self.prefix}{self.mark}-{index}-" + "x" * size)
        self.commit()
        self.fetch_all()

    def make_topic(self):
        for _ in range(20):
            reader = self.call(wire.METADATA, 4, wire.metadata_body([self.topic], 4))
            if reader is None:
                return False
            error, partitions = wire.read_metadata(reader, 4)[self.topic]
            if error == 0 and partitions > 0:
                return True
            self.refused("metadata", f"error {error}")
            time.sleep(0.02)
        return False

    def produce(self, text):
        data = text.encode()
        self.attempts.add(data)
        batch = wire.batch([data], int(time.time() * 1000))
        reader = self.call(wire.PRODUCE, 7, wire.produce_body(self.topic, 0, batch))
        if reader is not None:
            error, base, _, _ = wire.read_produce(reader, 7)
            if error == 0:
                assert base not in self.records, f"offset {base} was given twice"
                self.records[base] = data
            else:
                self.refused("produce", f"error {error}")

    def fetch(self, offset):
        """(error, [(offset, value)])"""
        reader = self.call(wire.FETCH, 4, wire.fetch_body(
            self.topic, 0, offset, max_bytes=1 << 20, partition_max_bytes=1 << 20))
        if reader is None:
            return -1, []
        part = wire.FetchAnswer(reader).parts[0]
        found, data = [], part["records"] or b""
        while len(data) > 61:
            base, size = struct.unpack_from(">qi", data)
            if 12 + size > len(data):
                break
            if wire.crc32c(data[21:12 + size]) != struct.unpack_from(">I", data, 17)[0]:
                raise AssertionError(f"bad CRC in the batch at {base}")
            found.append((base, single(data[61:12 + size])))
            data = data[12 + size:]
        return part["error"], found

    def fetch_all(self):
        """All there is; None if it cannot be read now."""
        found, offset = {}, 0
        while True:
            error, part = self.fetch(offset)
            if error != 0:
                self.refused("fetch", f"error {error}")
                return None
            if not part:
                return found
            found.update(part)
            offset = part[-1][0] + 1

    def commit(self):
        offset = len(self.records) + self.mark
        body = (wire.string("group") + wire.i32(-1) + wire.string("") + wire.i64(-1)
                + wire.array([wire.string(self.topic) + wire.array(
                    [wire.i32(0) + wire.i64(offset) + wire.string("")])]))
        reader = self.call(wire.OFFSET_COMMIT, 2, body)
        if reader is not None:
            rows = reader.array(lambda one: (one.string(), one.array(
                lambda row: (row.i32(), row.i16()))))
            error = rows[0][1][0][1]
            if error == 0:
                self.committed = offset
            else:
                self.refused("commit", f"error {error}")

    def read_committed(self):
        """The committed offset; None if it cannot be read."""
        body = wire.string("group") + wire.array(
            [wire.string(self.topic) + wire.array([wire.i32(0)])])
        reader = self.call(wire.OFFSET_FETCH, 2, body)
        if reader is None:
            return None
        rows = reader.array(lambda one: (one.string(), one.array(
            lambda row: (row.i32(), row.i64(), row.string(), row.i16()))))
        return rows[0][1][0][1] if rows[0][1][0][3] == 0 and reader.i16() == 0 else None

    def run_rest(self):
        if self.queue is None:
            made = self.rest("POST", "/queues", {
                "name": f"{self.prefix}queue", "redrive_policy": "enable",
                "max_consume_count": 1})
            if made is None:
                return
            self.queue = made["id"]
        if self.group is None:
            made = self.rest("POST", f"/queues/{self.queue}/groups",
                             {"groups": [{"name": "group"}]})
            if made is None:
                return
            self.group = made["groups"][0]["id"]
        for index, delay in enumerate((0, 20, 0)):
            body = f"{self.mark}-{index}"
            self.sent.add(body)
            if self.rest("POST", f"/queues/{self.queue}/messages", {"messages": [
                    {"body": body, **({"delay_time": delay} if delay else {})}]}) is not None:
                self.bodies.add(body)
        self.consume("success")
        self.consume("fail")
        self.delete_another()

    def path(self):
        return f"/queues/{self.queue}/groups/{self.group}"

    def lease(self, wait=1):
        got = self.rest("GET", f"{self.path()}/messages?max_msgs=1&time_wait={wait}")
        if got:
            assert got[0]["message"]["body"] in self.sent, got
            assert got[0]["message"]["body"] not in self.consumed, f"delivered again: {got}"
        return got

    def consume(self, status):
        got = self.lease()
        if not got:
            return
        body = got[0]["message"]["body"]
        self.maybe_consumed.add(body)
        answer = self.rest("POST", f"{self.path()}/ack", {"message": [
            {"handler": got[0]["handler"], "status": status}]})
        if answer is not None and status == "success" and answer["success"] == 1:
            self.consumed.add(body)

    def delete_another(self):
        made = self.rest("POST", "/queues", {"name": f"{self.prefix}short{self.mark}"})
        if made is not None:
            self.rest("POST", f"/queues/{made['id']}/messages", {"messages": [{"body": 1}]})
            self.rest("DELETE", f"/queues/{made['id']}")

    def dead(self):
        """Bodies of messages that failed: also what was leased with an answer that never came."""
        got = self.rest("GET", f"{self.path()}/deadletters?max_msgs=10&time_wait=1")
        return {one["message"]["body"] for one in got or []}

    # After a restart without faults.

    def verify(self):
        """Everything works, and all that was acknowledged is there, once."""
        self.refusals = []
        self.verify_kafka()
        self.verify_rest()
        assert not self.refusals, f"refused without a fault: {self.refusals}"

    def verify_kafka(self):
        if self.attempts or self.records:
            assert self.make_topic()
            found = self.fetch_all()
            assert found is not None, f"unreadable: {self.refusals}"
            for offset, data in self.records.items():
                assert found.get(offset) == data, f"lost: {offset} {data[:40]!r}"
            values = list(found.values())
            assert set(values) <= self.attempts, "invented a value"
            assert len(set(values)) == len(values), "doubled a value"
        if self.committed is not None:
            committed = self.read_committed()
            assert committed is not None and committed >= self.committed, \
                f"commit lost: {committed}, was {self.committed}"

    def verify_rest(self):
        if self.queue is None or self.group is None:
            return
        left = self.bodies - self.maybe_consumed
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while left:
            if self.maybe_leased:
                left -= self.dead()
            assert time.monotonic() < deadline, f"lost: {left}"
            got = self.lease()
            if got:
                body = got[0]["message"]["body"]
                left.discard(body)
                self.maybe_consumed.add(body)
                answer = self.rest("POST", f"{self.path()}/ack", {"message": [
                    {"handler": got[0]["handler"], "status": "success"}]})
                assert answer == {"success": 1, "fail": 0}, answer
                self.consumed.add(body)


def single(records):
    """The value of the only record of a batch."""
    reader = wire.Reader(records)
    reader.varint()
    reader.take(1)
    reader.varint()
    reader.varint()
    key = reader.varint()
    reader.take(max(key, 0))
    return reader.take(reader.varint())
