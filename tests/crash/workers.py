"""Clients of both doors that go on through crashes, and write down what they did and saw.

  events   a Kafka topic: producers of librdkafka with idempotence, producers with frames of
           their own (one in flight, nothing repeated), a consumer group that commits
  normal   a NORMAL queue: messages with and without delay, some of them poison, which become
           dead letters; two consumers of one group
  fifo     a FIFO queue, two consumers of one group

A value is sent once: whoever does not know what became of one goes on with the next.
"""

import http.client
import json
import random
import threading
import time

import confluent_kafka

import checker
import harness
import history
import wire

PARTITIONS = 3
IN_FLIGHT_MAX = 50
LEASE_SECONDS = 15  # the least there is
DELAYS_MS = (0, 0, 0, 0, 300, 1500)
FAILURES_MAX = 2  # of a message, before it is a dead letter
CALM_SECONDS = 60  # to settle everything in the end
GROUP = "group"

# Errors of a produce that say that nothing was written: everything else is not known.
REFUSALS = {3, 17, 22, 45, 47, 87}


class Stopped(Exception):
    """The workload ends."""


class Unanswered(Exception):
    """A question without an answer."""


class Client(threading.Thread):
    """One thread that works until told to stop. What it cannot bear is noted."""

    def __init__(self, load, name):
        super().__init__(name=name, daemon=True)
        self.load = load
        self.history = load.history
        self.random = random.Random(f"{load.seed} {name}")
        self.connection = None

    def run(self):
        try:
            while not self.load.stopping.is_set():
                self.step()
            self.finish()
        except Stopped:
            pass
        except Exception as error:  # noqa: whatever it is, the history is wrong without it
            self.history.note("broken", cause=f"{self.name}: {error!r}")

    def step(self):
        raise NotImplementedError

    def finish(self):
        """After the last step, with a broker that runs."""
        self.disconnect()

    def disconnect(self):
        """Closes its connection, if it has one of its own."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def pause(self, seconds):
        self.load.stopping.wait(seconds * self.random.uniform(0.5, 1.5))


class IdempotentProducer(Client):
    """librdkafka repeats until it knows: nothing is lost, nothing doubled."""

    def __init__(self, load, name):
        super().__init__(load, name)
        self.numbers = [0] * PARTITIONS
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": load.broker.bootstrap, "enable.idempotence": True,
            "message.timeout.ms": 0, "linger.ms": 1, "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 50, "retry.backoff.ms": 10, "log_level": 0,
            "error_cb": self.on_error})

    def on_error(self, error):
        if error.fatal():
            self.history.note("broken", cause=f"{self.name}: {error}")

    def step(self):
        if len(self.producer) < IN_FLIGHT_MAX:
            partition = self.random.randrange(PARTITIONS)
            number = self.numbers[partition]
            self.numbers[partition] += 1
            value = f"{self.name}-{partition}-{number}"
            op = self.history.begin("send", topic="events", value=value, producer=self.name,
                                    number=number, partition=partition)
            self.producer.produce("events", value.encode(), partition=partition,
                                  on_delivery=lambda error, message: self.done(op, error,
                                                                               message))
        self.producer.poll(self.random.choice((0, 0.002, 0.01)))

    def done(self, op, error, message):
        if error is None:
            self.history.end(op, history.OK, offset=message.offset())
        else:
            self.history.note("broken", cause=f"{self.name}: {op.value}: {error}")

    def finish(self):
        left = self.producer.flush(CALM_SECONDS)
        if left:
            self.history.note("broken", cause=f"{self.name}: {left} messages are never answered")


class RawProducer(Client):
    """acks=-1 by hand, sometimes many records in a batch, sometimes large ones."""

    def __init__(self, load, name):
        super().__init__(load, name)
        self.numbers = [0] * PARTITIONS

    def step(self):
        partition = self.random.randrange(PARTITIONS)
        count = self.random.choice((1, 1, 1, 5))
        ops = []
        for _ in range(count):
            number = self.numbers[partition]
            self.numbers[partition] += 1
            padding = "x" * self.random.choice((0, 0, 100, 3000))
            ops.append(self.history.begin(
                "send", topic="events", producer=self.name, number=number, partition=partition,
                value=f"{self.name}-{partition}-{number}-{padding}"))
        try:
            self.exchange(ops, partition)
        except (OSError, AssertionError):
            self.disconnect()
            self.pause(0.02)

    def exchange(self, ops, partition):
        if self.connection is None:
            self.connection = wire.Connection(self.load.broker.connect(timeout=30))
        batch = wire.batch([op.value.encode() for op in ops], int(time.time() * 1000))
        body = wire.produce_body("events", partition, batch)
        reader = self.connection.call(wire.PRODUCE, 7, body)
        error, base, _, _ = wire.read_produce(reader, 7)
        for delta, op in enumerate(ops):
            if error == 0:
                self.history.end(op, history.OK, offset=base + delta)
            elif error in REFUSALS:
                self.history.end(op, history.FAIL, error=error)
        if error != 0:
            self.pause(0.02)


class GroupReader(Client):
    """A member of a consumer group that commits what it has read and waits for the answer."""

    def __init__(self, load, name):
        super().__init__(load, name)
        self.session = 0
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": load.broker.bootstrap, "group.id": GROUP,
            "auto.offset.reset": "earliest", "enable.auto.commit": False, "check.crcs": True,
            "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 50,
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 300, "log_level": 0})
        self.consumer.subscribe(["events"], on_assign=self.on_assign)

    def on_assign(self, consumer, partitions):
        self.session += 1
        op = self.history.begin("position")
        try:
            found = consumer.committed(partitions, timeout=10)
        except confluent_kafka.KafkaException:
            return
        for one in found:
            if one.error is None:
                read = self.history.begin("committed", topic="events", group=GROUP,
                                          partition=one.partition, offset=max(one.offset, -1))
                read.start = op.start
                self.history.end(read, history.OK)

    def step(self):
        messages = self.consumer.consume(100, timeout=0.1)
        records = [(one.partition(), one.offset(), one.value().decode())
                   for one in messages if one.error() is None]
        if not records:
            return
        self.history.note("read", topic="events", group=GROUP, records=records,
                          session=f"{self.name} {self.session}")
        following = {partition: offset + 1 for partition, offset, _ in records}
        ops = [self.history.begin("commit", topic="events", group=GROUP, partition=partition,
                                  offset=offset) for partition, offset in following.items()]
        try:
            self.consumer.commit(asynchronous=False, offsets=[
                confluent_kafka.TopicPartition("events", op.partition, op.offset)
                for op in ops])
        except confluent_kafka.KafkaException:
            return
        for op in ops:
            self.history.end(op, history.OK)

    def finish(self):
        self.consumer.close()


class RestClient(Client):
    """Keeps one connection to the REST door of one queue."""

    def __init__(self, load, name, queue):
        super().__init__(load, name)
        self.queue = queue
        self.rest = load.rest

    def call(self, method, path, value=None):
        """(status, body), or None when nothing is known of what became of it."""
        body = None if value is None else json.dumps(value)
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    harness.HOST, self.load.broker.http_port, timeout=30)
            self.connection.request(method, self.rest.prefix + path, body)
            response = self.connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError):
            self.disconnect()
            return None


class RestProducer(RestClient):
    """One message or three at a time."""

    def __init__(self, load, name, queue):
        super().__init__(load, name, queue)
        self.number = 0

    def step(self):
        fields = [self.fields() for _ in range(self.random.choice((1, 1, 3)))]
        ops, messages = [], []
        for prefix, delay in fields:
            value = f"{prefix}{self.name}-{self.number}"
            ops.append(self.history.begin("send", topic=self.queue.name, value=value,
                                          producer=value, number=self.number, delay_ms=delay))
            messages.append({"body": value, **({"delay_time": delay} if delay else {})})
            self.number += 1
        answer = self.call("POST", f"/queues/{self.queue.id}/messages", {"messages": messages})
        if answer is None or answer[0] >= 500:
            self.pause(0.02)
            return
        for op in ops:
            self.history.end(op, history.OK if answer[0] == 201 else history.FAIL)
        if answer[0] != 201:
            self.history.note("broken", cause=f"{self.name}: {answer}")
            raise Stopped
        self.pause(self.queue.pause)

    def fields(self):
        if self.queue.mode == "FIFO" or checker.is_redriven(self.queue.name):
            return "", 0
        prefix = checker.POISON_PREFIX if self.random.random() < 0.03 else ""
        return prefix, self.random.choice(DELAYS_MS)


class RestConsumer(RestClient):
    """Acknowledges most, refuses some, and leaves a few to their fate."""

    def __init__(self, load, name, queue):
        super().__init__(load, name, queue)
        self.path = f"/queues/{queue.id}/groups/{queue.group}"
        self.is_calm = False

    def lease(self):
        """[(value, handler)]"""
        op = self.history.begin("lease", topic=self.queue.name, group=GROUP, values=[],
                                wait=LEASE_SECONDS)
        answer = self.call("GET", f"{self.path}/messages?max_msgs=10&time_wait=1"
                                  f"&ack_wait={LEASE_SECONDS}")
        if answer is None or answer[0] != 200:
            self.pause(0.02)
            return []
        got = [(one["message"]["body"], one["handler"]) for one in answer[1]]
        self.history.end(op, history.OK, values=[value for value, _ in got])
        return got

    def statuses(self, values):
        """What to answer: nothing behind a refusal counts."""
        chosen = []
        for value in values:
            refuse = value.startswith(checker.POISON_PREFIX) or (
                not self.is_calm and self.queue.mode == "FIFO" and self.random.random() < 0.03)
            chosen.append("fail" if refuse else "success")
        return chosen

    def step(self):
        got = self.lease()
        if not got or (not self.is_calm and self.random.random() < 0.02):
            return len(got)
        values = [value for value, _ in got]
        statuses = self.statuses(values)
        first = statuses.index("fail") if "fail" in statuses else len(statuses)
        op = self.history.begin("ack", topic=self.queue.name, group=GROUP, values=values,
                                status="success" if first > 0 else "fail")
        answer = self.call("POST", f"{self.path}/ack", {"message": [
            {"handler": handler, "status": status}
            for (_, handler), status in zip(got, statuses)]})
        if answer is None or answer[0] >= 500:
            self.pause(0.02)
            return len(got)
        done = answer[1].get("success", 0) if answer[0] == 200 else 0
        if done > first:
            self.history.note("broken", cause=f"{self.name}: {done} of {statuses} succeeded")
        self.history.end(op, history.OK, done=done)
        return len(got)
