#!/usr/bin/env python3
"""What is deleted is gone, for those who use it at that moment as well: queues under their
producers and waiting consumers, groups under Kafka clients."""

import concurrent.futures
import pathlib
import threading

import confluent_kafka
from confluent_kafka import admin

import harness
from test_rest import RestTest


class Queues(RestTest):
    def delete(self, queue, rest=None):
        (rest or self.rest).must(204, "DELETE", f"/queues/{queue}")

    def test_waiting_consumers_are_told(self):
        queue, group = self.queue(redrive_policy="enable")
        path = f"/queues/{queue}/groups/{group}"
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(self.rest.call, "GET", f"{path}/{what}?time_wait=30")
                       for what in ("messages", "deadletters")]
            # A consume that comes later is told the same, so nothing depends on this.
            concurrent.futures.wait(answers, timeout=1)
            self.delete(queue)
            for answer in answers:
                self.check_error(answer.result(), 404, 10240401)

    def test_consumers_of_a_deleted_group_are_told_of_the_group(self):
        queue, group = self.queue()
        path = f"/queues/{queue}/groups/{group}"
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.rest.call, "GET", f"{path}/messages?time_wait=30")
            concurrent.futures.wait([answer], timeout=1)
            self.rest.must(204, "DELETE", path)
            self.check_error(answer.result(), 404, 10240405)

    def test_producers_are_told(self):
        for mode in ("NORMAL", "KAFKA_HA"):
            queue = self.rest.create_queue(mode, queue_mode=mode)["id"]
            produced = threading.Semaphore(0)

            def produce():
                while True:
                    answer = self.rest.call("POST", f"/queues/{queue}/messages",
                                            {"messages": [{"body": "x" * 1000}] * 10})
                    rows = answer.body.get("messages", ())
                    if answer.status != 201 or any(row["state"] for row in rows):
                        return answer
                    produced.release()

            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                answers = [pool.submit(produce) for _ in range(8)]
                for _ in range(40):
                    produced.acquire()
                self.delete(queue)
            for answer in answers:
                answer = answer.result()
                if answer.status == 201:  # some were in before
                    for row in answer.body["messages"]:
                        self.assertIn(row["error_code"], (None, 10240401))
                else:
                    self.check_error(answer, 404, 10240401)

    def traces_of(self, broker, rest, queue, group, topics):
        """What can still be seen of it."""
        path = f"/queues/{queue}"
        for target in (path, path + "/messages", path + "/groups",
                       f"{path}/groups/{group}/messages",
                       f"{path}/groups/{group}/deadletters/list"):
            self.check_error(rest.call("GET", target), 404, 10240401)
        client = admin.AdminClient({"bootstrap.servers": broker.bootstrap})
        self.assertFalse(topics & set(client.list_topics(timeout=30).topics))
        self.assertNotIn(queue, rest.raw("GET", "/metrics").raw.decode())
        return [one.name for one in pathlib.Path(broker.data).iterdir()
                if one.name.startswith((queue, group[2:]))]

    def test_nothing_is_left_to_read(self):
        broker = self.own_broker()
        rest = broker.rest()
        queue, group = self.queue(rest=rest, redrive_policy="enable", max_consume_count=1)
        rest.produce(queue, "a letter")
        rest.ack(queue, group, rest.consume(queue, group), "fail")
        harness.wait_for("a letter", lambda: rest.must(
            200, "GET", f"/queues/{queue}/groups/{group}/deadletters/list")["deadletters"])
        rest.produce(queue, "a message")
        rest.must(201, "POST", f"/queues/{queue}/messages",
                  {"messages": [{"body": "later", "delay_time": 1500}]})
        topics = {f"q-{rest.project}-{queue}", f"d-{rest.project}-{group}"}
        client = admin.AdminClient({"bootstrap.servers": broker.bootstrap})
        self.assertEqual(topics & set(client.list_topics(timeout=30).topics), topics)
        self.delete(queue, rest)
        harness.wait_for("no files", lambda: not self.traces_of(broker, rest, queue, group, topics))
        broker.restart()
        self.assertEqual(self.traces_of(broker, rest, queue, group, topics), [])
        again, group = self.queue(rest=rest)  # of the same name; what was due meanwhile is not its
        self.assertEqual(rest.consume(again, group, time_wait=3), [])


class Groups(RestTest):
    def consumer(self, group, topic):
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.broker.bootstrap, "group.id": group,
            "auto.offset.reset": "earliest", "enable.auto.commit": False})
        consumer.subscribe([topic])
        return consumer

    def take(self, group, topic, count):
        """Values that a member of the group gets and commits."""
        consumer = self.consumer(group, topic)
        try:
            values = [one.value() for one in consumer.consume(count, timeout=30)]
            consumer.commit(asynchronous=False)
            return values
        finally:
            consumer.close()

    def committed(self, group, topic):
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.broker.bootstrap,
                                             "group.id": group})
        try:
            parts = [confluent_kafka.TopicPartition(topic, index) for index in range(3)]
            return [one.offset for one in consumer.committed(parts, timeout=30)]
        finally:
            consumer.close()

    def test_positions_of_kafka_clients_go_with_their_group(self):
        made = self.rest.create_queue("shared", queue_mode="KAFKA_HA")
        queue, topic = made["id"], made["kafka_topic"]
        group, other = (self.rest.create_group(queue, name) for name in ("one", "two"))
        self.rest.produce(queue, "m")
        for one in (group, other):
            self.assertEqual(self.take(one, topic, 1), [b"m"])
            self.assertIn(1, self.committed(one, topic))
        self.rest.must(204, "DELETE", f"/queues/{queue}/groups/{group}")
        self.assertNotIn(1, self.committed(group, topic))
        self.assertIn(1, self.committed(other, topic))
        client = admin.AdminClient({"bootstrap.servers": self.broker.bootstrap})
        listed = {one.id for one in client.list_groups(timeout=30)}
        self.assertEqual(listed & {group, other}, {other})

    def test_group_in_use_over_kafka_is_not_deleted(self):
        made = self.rest.create_queue("shared", queue_mode="KAFKA_HA")
        queue, topic = made["id"], made["kafka_topic"]
        group = self.rest.create_group(queue)
        self.rest.produce(queue, "m")
        consumer = self.consumer(group, topic)
        try:
            self.assertEqual(len(consumer.consume(1, timeout=30)), 1)
            answer = self.rest.call("DELETE", f"/queues/{queue}/groups/{group}")
            self.check_error(answer, 400, 10542204)
            self.assertIn("over Kafka", answer.body["message"])
        finally:
            consumer.close()
        self.rest.must(204, "DELETE", f"/queues/{queue}/groups/{group}")


class Ids(RestTest):
    def test_digits_of_ids_may_be_of_either_case(self):
        queue, group = self.queue()
        self.rest.produce(queue, "m")
        path = f"/queues/{queue.upper()}/groups/g{group[1:].upper()}"
        got = self.rest.must(200, "GET", path + "/messages")
        self.assertEqual([one["message"]["body"] for one in got], ["m"])
        self.rest.must(200, "POST", path + "/ack", {
            "message": [{"handler": got[0]["handler"], "status": "success"}]})
        self.check_error(self.rest.call(
            "GET", f"/queues/{queue}/groups/G{group[1:]}/messages"), 400, 10240016)
        self.rest.must(204, "DELETE", path)


if __name__ == "__main__":
    harness.main(threads=4)
