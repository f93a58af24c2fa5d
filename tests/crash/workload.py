"""The load of a crash test: the topic and the queues, who works on them (workers.py,
workers_catalog.py), and how all is settled and read in the end."""

import concurrent.futures
import json
import threading
import time

import confluent_kafka

import checker
import harness
import history
import workers
import workers_catalog


class Queue:
    """A queue of the workload and its group."""

    def __init__(self, rest, name, mode, pause=0.01, **fields):
        self.name = name
        self.pause = pause  # seconds, of its producers
        self.mode = mode
        self.id = rest.create_queue(name, queue_mode=mode, **fields)["id"]
        self.group = rest.create_group(self.id, workers.GROUP)
        self.topic = f"q-{rest.project}-{self.id}"


class Load:
    """The whole of it, for one broker that is there already."""

    def __init__(self, broker, seed):
        self.broker = broker
        self.seed = seed
        self.history = history.History()
        self.stopping = threading.Event()
        self.rest = broker.rest()
        self.normal = Queue(self.rest, "normal", "NORMAL", redrive_policy="enable",
                            max_consume_count=workers.FAILURES_MAX)
        self.fifo = Queue(self.rest, checker.FIFO_PREFIX, "FIFO")
        self.redrive = Queue(self.rest, checker.REDRIVE_PREFIX, "NORMAL", pause=0.1,
                             redrive_policy="enable", max_consume_count=1)
        self.catalog = workers_catalog.Catalog(self, "catalog")
        self.make_topic()
        self.clients = []

    def make_topic(self):
        admin = confluent_kafka.Consumer({"bootstrap.servers": self.broker.bootstrap,
                                          "group.id": "maker", "log_level": 0,
                                          "allow.auto.create.topics": True})
        harness.wait_for("the topic is there", lambda: len(admin.list_topics(
            "events", timeout=10).topics["events"].partitions) == workers.PARTITIONS)
        admin.close()

    def start(self):
        self.clients = [
            workers.IdempotentProducer(self, "idem0"), workers.IdempotentProducer(self, "idem1"),
            workers.RawProducer(self, "raw0"), workers.RawProducer(self, "raw1"),
            workers.GroupReader(self, "reader"), self.catalog,
            *(workers.RestProducer(self, f"rest{index}", queue)
              for index, queue in enumerate((self.normal, self.fifo, self.redrive))),
            workers_catalog.Redriver(self, "redriver", self.redrive),
            *(workers.RestConsumer(self, f"consumer{index}", queue)
              for index, queue in enumerate((self.normal, self.normal, self.fifo, self.fifo)))]
        for client in self.clients:
            client.start()

    def end_clients(self):
        """With a broker that runs: producers hear what became of their last messages."""
        self.stopping.set()
        for client in self.clients:
            client.join(workers.CALM_SECONDS + 10)
            if client.is_alive():
                self.history.note("broken", cause=f"{client.name}: does not end")
        self.stopping.clear()

    def settle(self):
        """What is left is consumed, and everything is read."""
        work = (lambda: self.drain(self.normal), lambda: self.drain(self.fifo),
                workers_catalog.Redriver(self, "drain redrive", self.redrive).settle,
                self.catalog.settle)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda one: one(), work))  # which also raises what one of them raised
        self.read_letters()
        for topic, name in self.topics():
            self.read_log(topic, name)
        self.read_committed()

    def topics(self):
        """(Kafka topic, name in the history)"""
        return (("events", "events"), (self.normal.topic, self.normal.name),
                (self.fifo.topic, self.fifo.name), (self.redrive.topic, self.redrive.name))

    def drain(self, queue):
        consumer = workers.RestConsumer(self, f"drain {queue.name}", queue)
        consumer.is_calm = True
        deadline = time.monotonic() + workers.CALM_SECONDS
        while time.monotonic() < deadline:
            if consumer.step() == 0 and self.available(queue) == 0:
                break
        consumer.disconnect()
        self.note_drained(queue)

    def note_drained(self, queue):
        self.history.note("drained", topic=queue.name, group=workers.GROUP)
        produced, consumed, available = self.rest.counters(queue.id, queue.group)
        self.history.note("counters", topic=queue.name, group=workers.GROUP, produced=produced,
                          consumed=consumed, available=available)

    def available(self, queue):
        """Messages that are there or will be."""
        row = self.rest.must(200, "GET", f"/queues/{queue.id}")
        return self.rest.counters(queue.id, queue.group)[2] + row.get("delayed_messages", 0)

    def read_letters(self):
        path = f"/queues/{self.normal.id}/groups/{self.normal.group}/deadletters"
        while True:
            letters = self.rest.must(200, "GET", f"{path}?time_wait=1&max_msgs=10")
            if not letters:
                return
            self.history.note("letters", topic=self.normal.name, group=workers.GROUP,
                              values=[one["message"]["body"] for one in letters])
            self.rest.must(200, "POST", f"{path}/ack", {
                "message": [{"handler": one["handler"], "status": "success"}
                            for one in letters]})

    def read_log(self, topic, name):
        """Everything, over Kafka."""
        reader = confluent_kafka.Consumer({
            "bootstrap.servers": self.broker.bootstrap, "group.id": "judge",
            "enable.partition.eof": True, "enable.auto.commit": False, "check.crcs": True,
            "auto.offset.reset": "error", "log_level": 0})
        partitions = sorted(reader.list_topics(topic, timeout=10).topics[topic].partitions)
        reader.assign([confluent_kafka.TopicPartition(topic, index, 0) for index in partitions])
        records = {index: [] for index in partitions}
        open_ones = set(partitions)
        while open_ones:
            message = reader.poll(30)
            if message is None:
                raise AssertionError(f"{topic} cannot be read to its end")
            if message.error() is None:
                value = message.value().decode()
                if name != "events":
                    value = json.loads(value)
                records[message.partition()].append((message.offset(), value))
            elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                open_ones.discard(message.partition())
            else:
                raise AssertionError(f"{topic}: {message.error()}")
        reader.close()
        for index, found in records.items():
            self.history.note("log", topic=name, partition=index, records=found)

    def read_committed(self):
        reader = confluent_kafka.Consumer({"bootstrap.servers": self.broker.bootstrap,
                                           "group.id": workers.GROUP, "log_level": 0})
        for one in reader.committed([confluent_kafka.TopicPartition("events", index)
                                     for index in range(workers.PARTITIONS)], timeout=10):
            self.history.note("committed", topic="events", group=workers.GROUP,
                              partition=one.partition, offset=max(one.offset, -1))
        reader.close()

    def check(self):
        return checker.check(self.history.ops)
