#!/usr/bin/env python3
"""Browsing over REST: messages of a queue seen without being consumed. Section numbers are those
of the DMS user guide."""

import base64
import time
import urllib.parse

import harness


def encoded(text):
    return base64.b64encode(text.encode()).decode()


class BrowseTest(harness.BrokerTest):
    def setUp(self):
        self.rest = self.broker.rest()

    def queue(self, mode="FIFO", name="queue"):
        queue = self.rest.create_queue(name, queue_mode=mode)["id"]
        return queue, self.rest.create_group(queue)

    def call(self, queue, **query):
        return self.rest.call("GET", f"/queues/{queue}/messages?" +
                              urllib.parse.urlencode(query, doseq=True))

    def browse(self, queue, **query):
        answer = self.call(queue, **query)
        self.assertEqual(answer.status, 200, answer.raw)
        return answer.body

    def bodies(self, queue, **query):
        return [row["message"]["body"] for row in self.browse(queue, **query)["messages"]]

    def refuse(self, answer, code, status=400):
        self.assertEqual((answer.status, answer.body["code"]), (status, code), answer.raw)


class Messages(BrowseTest):
    def test_a_message_is_shown_with_everything(self):
        """2.4: body, size, id, attributes; 2.3: tags. No group is needed."""
        queue, _ = self.queue()
        before = int(time.time() * 1000)
        answer = self.rest.must(201, "POST", f"/queues/{queue}/messages", {
            "messages": [{"body": {"a": 1}, "attributes": {"n": [1]}, "tags": ["t", "u"]}],
            "returnId": True})
        got = self.browse(queue)
        self.assertEqual({name: got[name] for name in got if name != "messages"}, {
            "partition": 0, "partitions": 1, "start_offset": 0, "end_offset": 1,
            "next_offset": 1, "has_more": False})
        row, = got["messages"]
        self.assertEqual(row["message"],
                         {"body": {"a": 1}, "attributes": {"n": [1]}, "tags": ["t", "u"]})
        self.assertEqual((row["offset"], row["id"]), (0, answer["messages"][0]["id"]))
        self.assertTrue(before <= row["timestamp"] <= int(time.time() * 1000))
        self.assertGreater(row["size"], len('{"a":1}'))

    def test_a_message_with_thousands_of_attributes_is_shown_whole(self):
        queue, _ = self.queue()
        attributes = {f"name-{index}": index for index in range(12000)}
        self.rest.must(201, "POST", f"/queues/{queue}/messages", {
            "messages": [{"body": "many", "attributes": attributes}]})
        row, = self.browse(queue)["messages"]
        self.assertEqual(row["message"], {"body": "many", "attributes": attributes, "tags": []})

    def test_groups_are_not_touched(self):
        """1.6: looking at messages must not influence how others deal with them."""
        queue, group = self.queue()
        for index in range(3):
            self.rest.produce(queue, index)
        messages = self.rest.consume(queue, group, max_msgs=1)
        counters = self.rest.counters(queue, group)
        for _ in range(3):
            self.assertEqual(self.bodies(queue), [0, 1, 2])
        self.assertEqual(self.rest.counters(queue, group), counters)
        self.assertEqual(self.rest.ack(queue, group, messages), {"success": 1, "fail": 0})
        self.assertEqual(self.rest.drain(queue, group, 2), [1, 2])
        self.assertEqual(self.bodies(queue), [0, 1, 2])  # 1.3: consumed ones stay

    def test_pages_in_both_orders(self):
        queue, _ = self.queue()
        for first in range(0, 50, 10):
            self.rest.produce(queue, *range(first, first + 10))
        for order, wanted in (("asc", list(range(50))), ("desc", list(range(49, -1, -1)))):
            seen, query = [], {}
            while True:
                got = self.browse(queue, limit=7, order=order, **query)
                seen += [row["message"]["body"] for row in got["messages"]]
                if not got["has_more"]:
                    break
                self.assertEqual(len(got["messages"]), 7)
                query["offset"] = got["next_offset"]
            self.assertEqual(seen, wanted)
        self.assertEqual(self.bodies(queue, offset=48), [48, 49])
        self.assertEqual(self.bodies(queue, offset=2, order="desc"), [1, 0])
        self.assertEqual(self.bodies(queue), list(range(10)))  # the limit by default
        self.assertEqual(len(self.bodies(queue, limit=100)), 50)

    def test_every_partition(self):
        queue, _ = self.queue("NORMAL")
        for index in range(9):
            self.rest.produce(queue, index)
        seen = []
        for partition in range(3):
            got = self.browse(queue, partition=partition)
            self.assertEqual((got["partition"], got["partitions"]), (partition, 3))
            seen += [row["message"]["body"] for row in got["messages"]]
        self.assertEqual(sorted(seen), list(range(9)))

    def test_by_time_tag_and_text(self):
        queue, _ = self.queue()
        times = []
        for index in range(6):
            while times and int(time.time() * 1000) <= times[-1]:
                pass  # no two have the same millisecond
            times.append(int(time.time() * 1000))
            self.rest.produce(queue, f"text {index} ü", tags=["even" if index % 2 == 0 else "odd"])
            times[-1] = self.browse(queue, order="desc", limit=1)["messages"][0]["timestamp"]
        texts = [f"text {index} ü" for index in range(6)]
        self.assertEqual(self.bodies(queue, timestamp=times[4]), texts[4:])
        self.assertEqual(self.bodies(queue, timestamp=times[4], order="desc"), texts[3::-1])
        self.assertEqual(self.bodies(queue, timestamp=times[5] + 1), [])
        self.assertEqual(self.bodies(queue, tag="odd"), texts[1::2])
        self.assertEqual(self.bodies(queue, tag=["odd", "even"]), texts)
        self.assertEqual(self.bodies(queue, tag=["odd", "even"], tag_type="and"), [])
        self.assertEqual(self.bodies(queue, text="t 3"), [texts[3]])
        self.assertEqual(self.bodies(queue, text="5", tag="even"), [])
        self.assertEqual(self.bodies(queue, text="5", order="desc", timestamp=times[5]), [])

    def test_kafka_queue_shows_bytes(self):
        """2.4, table 2-4: bodies of Kafka queues in base64."""
        queue = self.rest.create_queue(queue_mode="KAFKA_HA")
        self.broker.kcat("-P", "-t", queue["kafka_topic"], "-p", "1", "-K:", "-H", "h=v",
                         stdin=b"key:value\n")
        got = self.browse(queue["id"], partition=1)
        row, = got["messages"]
        self.assertEqual((row["key"], row["value"]), (encoded("key"), encoded("value")))
        self.assertEqual(row["headers"], [{"key": "h", "value": encoded("v")}])
        self.assertEqual(self.browse(queue["id"], partition=0)["messages"], [])
        self.assertEqual(len(self.browse(queue["id"], partition=1, text="alu")["messages"]), 1)
        self.assertEqual(self.browse(queue["id"], partition=1, text="key")["messages"], [])

    def test_one_answer_scans_so_much(self):
        """A search that finds nothing in a large queue goes on where it stopped."""
        queue, _ = self.queue()
        for index in range(40):
            self.rest.produce(queue, str(index) + "x" * 500000)
        for order in ("asc", "desc"):
            answers, query = 0, {}
            while True:
                got = self.browse(queue, text="nowhere", order=order, **query)
                self.assertEqual(got["messages"], [])
                answers += 1
                if not got["has_more"]:
                    break
                query["offset"] = got["next_offset"]
            self.assertGreater(answers, 1)

    def test_wrong_parameters(self):
        queue, _ = self.queue()
        for query in ({"partition": 1}, {"partition": -1}, {"partition": "a"}, {"offset": -1},
                      {"offset": 2**63}, {"limit": 0}, {"limit": 101}, {"timestamp": "now"},
                      {"order": "up"}, {"offset": 1, "timestamp": 1}, {"text": "x" * 129},
                      {"tag": ["a", "b", "c", "d"]}, {"tag_type": "x"}):
            with self.subTest(query):
                self.refuse(self.call(queue, **query), 10540014)
        self.refuse(self.call(queue, tag="a b"), 10240004)
        self.refuse(self.call("00000000-0000-0000-0000-000000000001"), 10240401, 404)
        self.assertEqual(self.bodies(queue, offset=2**62), [])


if __name__ == "__main__":
    harness.main(threads=8)
