#!/usr/bin/env python3
"""Consume reset over REST: where a group goes on, and what its numbers say then. Section numbers
are those of the DMS user guide."""

import concurrent.futures
import subprocess
import time

import harness


class ResetTest(harness.BrokerTest):
    def setUp(self):
        self.rest = self.broker.rest()

    def queue(self, mode="NORMAL", name="queue"):
        queue = self.rest.create_queue(name, queue_mode=mode)["id"]
        return queue, self.rest.create_group(queue)

    def call(self, queue, group, value=None, rest=None, **fields):
        return (rest or self.rest).call("POST", f"/queues/{queue}/groups/{group}/reset",
                                        fields or value)

    def reset(self, queue, group, **fields):
        answer = self.call(queue, group, **fields)
        self.assertEqual(answer.status, 200, answer.raw)
        return [row["offset"] for row in answer.body["partitions"]]

    def refuse(self, answer, code, *words):
        self.assertEqual((answer.status, answer.body["code"]), (400, code), answer.raw)
        for word in words:
            self.assertIn(word, answer.body["message"])

    def counters(self, queue, group):
        return self.rest.counters(queue, group)


class Positions(ResetTest):
    def test_earliest_consumes_everything_again(self):
        """3.5, 1: all messages of the queue, whether consumed before or not."""
        for mode in ("NORMAL", "FIFO"):
            queue, group = self.queue(mode, mode)
            for index in range(6):
                self.rest.produce(queue, index)
            self.rest.drain(queue, group, 3)
            self.assertEqual(len(self.reset(queue, group, position="earliest", force=True)),
                             3 if mode == "NORMAL" else 1)
            self.assertEqual(self.counters(queue, group), (6, 0, 6))
            self.assertEqual(sorted(self.rest.drain(queue, group, 6)), list(range(6)))
            self.assertEqual(self.counters(queue, group), (6, 6, 0))

    def test_earliest_is_the_default(self):
        """3.5, table 3-1: from the head of the queue is the default, force is off."""
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, "a")
        for value in (None, {}, {"position": None}):
            self.assertEqual(self.rest.drain(queue, group, 1), ["a"])
            self.assertEqual(self.call(queue, group, value).status, 200)
        self.rest.consume(queue, group)
        self.refuse(self.call(queue, group), 10542204, "being consumed")

    def test_latest_skips_what_there_is(self):
        """3.5, 2: only messages produced after the reset; what was skipped is consumed."""
        queue, group = self.queue()
        for index in range(5):
            self.rest.produce(queue, index)
        offsets = self.reset(queue, group, position="latest")
        self.assertEqual(sum(offsets), 5)
        self.assertEqual(self.counters(queue, group), (5, 5, 0))
        self.rest.produce(queue, "new")
        self.assertEqual(self.rest.drain(queue, group, 1), ["new"])
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])

    def test_time_is_exact_to_the_message(self):
        """3.5, 3: only messages after the time, whether consumed before or not."""
        queue, group = self.queue()
        times = []
        for index in range(8):
            times.append(int(time.time() * 1000))
            self.rest.produce(queue, index)
            produced = time.time()
            while int(time.time() * 1000) == int(produced * 1000):
                pass  # no two have the same millisecond
        for first in (3, 0, 7, 5):
            self.reset(queue, group, position="time", timestamp=times[first], force=True)
            self.assertEqual(self.counters(queue, group), (8, first, 8 - first))
            self.assertEqual(sorted(self.rest.drain(queue, group, 8 - first)),
                             list(range(first, 8)))
        self.reset(queue, group, position="time", timestamp=int(time.time() * 1000))
        self.assertEqual(self.counters(queue, group), (8, 8, 0))

    def test_other_groups_go_on_where_they_were(self):
        """3.5: the position of one group."""
        queue, group = self.queue("FIFO")
        other = self.rest.create_group(queue, "other")
        for index in range(3):
            self.rest.produce(queue, index)
        self.rest.ack(queue, other, self.rest.consume(queue, other, max_msgs=2))
        self.reset(queue, group, position="latest")
        self.assertEqual(self.counters(queue, other), (3, 2, 1))
        self.assertEqual(self.rest.drain(queue, other, 1), [2])


class Rules(ResetTest):
    def test_time_must_lie_within_72_hours(self):
        """3.5, table 3-1: only times within 72 hours can be chosen."""
        queue, group = self.queue()
        now = int(time.time() * 1000)
        hours = 3600 * 1000
        for timestamp in (now - 72 * hours - 60000, 0, now + hours):
            self.refuse(self.call(queue, group, position="time", timestamp=timestamp), 10540010,
                        "time")
        self.reset(queue, group, position="time", timestamp=now - 71 * hours)

    def test_retention_of_a_kafka_queue_is_the_limit(self):
        """3.5, table 3-1 with 2.1: within the time that the queue keeps messages."""
        queue = self.rest.create_queue(queue_mode="KAFKA_HA", retention_hours=2)["id"]
        group = self.rest.create_group(queue)
        now = int(time.time() * 1000)
        self.refuse(self.call(queue, group, position="time", timestamp=now - 3 * 3600 * 1000),
                    10540010)
        self.reset(queue, group, position="time", timestamp=now - 3600 * 1000)

    def test_without_force_it_fails_while_messages_are_consumed(self):
        """3.5, table 3-1: off: fails while the group consumes."""
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, "a")
        messages = self.rest.consume(queue, group)
        for force in (False, None):
            self.refuse(self.call(queue, group, position="latest", force=force), 10542204,
                        "Failed to reset")
        self.assertEqual(self.rest.ack(queue, group, messages), {"success": 1, "fail": 0})
        self.reset(queue, group, position="earliest", force=False)

    def test_force_ends_what_is_consumed(self):
        """3.5, table 3-1: on: resets, and those who consume may fail."""
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, "a")
        messages = self.rest.consume(queue, group)
        self.reset(queue, group, position="earliest", force=True)
        path = f"/queues/{queue}/groups/{group}/ack"
        answer = self.rest.call("POST", path, {"message": [
            {"handler": messages[0]["handler"], "status": "success"}]})
        self.refuse(answer, 10542209)
        self.assertEqual(self.rest.drain(queue, group, 1), ["a"])

    def test_waiting_consume_is_answered(self):
        """3.5: a consume that waits gets nothing, and the next one what the reset says."""
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, "a")
        self.rest.drain(queue, group, 1)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            poll = pool.submit(self.rest.consume, queue, group, time_wait=20)
            harness.wait_for("poll", lambda: (self.reset(queue, group, position="latest"),
                                              poll.done())[1])
            self.assertEqual(poll.result(), [])

    def test_tag_rule_is_forgotten(self):
        """2.4, last note: one rule for each group, unless the position is reset."""
        queue, group = self.queue("FIFO")
        path = f"/queues/{queue}/groups/{group}/messages?time_wait=1"
        self.rest.produce(queue, "a", tags=["a"])
        self.rest.produce(queue, "b", tags=["b"])
        messages = self.rest.must(200, "GET", path + "&tag=a")
        self.assertEqual([one["message"]["body"] for one in messages], ["a"])
        self.rest.ack(queue, group, messages, "fail")
        self.refuse(self.rest.call("GET", path + "&tag=b"), 10542204)
        self.reset(queue, group, position="earliest")
        messages = self.rest.must(200, "GET", path + "&tag=b")
        self.assertEqual([one["message"]["body"] for one in messages], ["b"])
        self.assertEqual(self.counters(queue, group), (2, 1, 1))

    def test_wrong_bodies(self):
        """3.5, table 3-1: the fields and what they may be."""
        queue, group = self.queue()
        for value in ({"position": "first"}, {"position": 5}, {"position": "time"},
                      {"position": "time", "timestamp": "now"}, {"timestamp": 5},
                      {"position": "latest", "timestamp": 5}, {"force": "yes"},
                      {"position": "time", "timestamp": -1},
                      {"position": "time", "timestamp": 1.5}):
            with self.subTest(value):
                self.refuse(self.call(queue, group, value), 10540010)
        path = f"{self.rest.prefix}/queues/{queue}/groups/{group}/reset"
        self.assertEqual(self.rest.raw("POST", path, b"{").status, 400)
        self.assertEqual(self.call(queue, "g-" + queue).status, 404)
        self.assertEqual(self.call(queue, "group").status, 400)

    def test_reset_survives_kill(self):
        """3.5: what was answered is durable; table 1-2: and so are the numbers."""
        broker = self.own_broker()
        rest = self.rest = broker.rest()
        queue = rest.create_queue("queue")["id"]
        group = rest.create_group(queue)
        for index in range(7):
            rest.produce(queue, index)
        rest.drain(queue, group, 7)
        self.reset(queue, group, position="earliest")
        broker.kill()
        broker.start()
        self.assertEqual(rest.counters(queue, group), (7, 0, 7))
        self.reset(queue, group, position="latest")
        broker.kill()
        broker.start()
        self.assertEqual(rest.counters(queue, group), (7, 7, 0))


class KafkaQueues(ResetTest):
    def made(self):
        queue = self.rest.create_queue(queue_mode="KAFKA_HA")
        return queue["id"], queue["kafka_topic"], self.rest.create_group(queue["id"])

    def start(self, topic, group):
        return subprocess.Popen(
            ["kcat", "-b", f"127.0.0.1:{self.broker.kafka_port}", "-q", "-u", "-G", group,
             "-X", "auto.offset.reset=earliest", "-X", "enable.auto.commit=true",
             "-X", "auto.commit.interval.ms=100", "-f", "%s\n", topic],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def stop(self, process):
        process.terminate()
        process.wait()
        process.stdout.close()

    def read(self, topic, group, count):
        process = self.start(topic, group)
        try:
            return sorted(process.stdout.readline().decode().strip() for _ in range(count))
        finally:
            self.stop(process)

    def test_committed_offsets_are_set_when_the_group_is_empty(self):
        """3.5 for Kafka queues: refused while members are active, then the position of the
        Kafka clients as well."""
        queue, topic, group = self.made()
        for index in range(4):
            self.rest.produce(queue, str(index))
        process = self.start(topic, group)
        lines = sorted(process.stdout.readline().decode().strip() for _ in range(4))
        self.assertEqual(lines, ["0", "1", "2", "3"])
        self.refuse(self.call(queue, group, position="earliest", force=True), 10542204, "Kafka")
        self.stop(process)
        harness.wait_for("commit", lambda: self.counters(queue, group)[2] == 0)
        self.reset(queue, group, position="earliest")
        self.assertEqual(self.counters(queue, group)[2], 4)
        self.assertEqual(self.read(topic, group, 4), ["0", "1", "2", "3"])
        harness.wait_for("commit", lambda: self.counters(queue, group)[2] == 0)
        self.reset(queue, group, position="earliest")
        self.reset(queue, group, position="latest")
        self.assertEqual(self.counters(queue, group)[2], 0)
        self.rest.produce(queue, "new")
        self.assertEqual(self.read(topic, group, 1), ["new"])

    def test_rest_goes_on_there_too(self):
        """3.5 for Kafka queues consumed over REST."""
        queue, _, group = self.made()
        for index in range(4):
            self.rest.produce(queue, str(index))
        self.assertEqual(len(self.rest.drain(queue, group, 4)), 4)
        self.reset(queue, group, position="earliest")
        self.assertEqual(self.counters(queue, group)[2], 4)
        self.assertEqual(len(self.rest.drain(queue, group, 4)), 4)
        self.reset(queue, group, position="latest")
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])


if __name__ == "__main__":
    harness.main(threads=8)
