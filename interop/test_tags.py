#!/usr/bin/env python3
"""Message tags over REST: produced with a message, given back with it, and chosen by. Section
numbers are those of the DMS user guide; API those of the API reference."""

import harness


class TagsTest(harness.BrokerTest):
    def setUp(self):
        self.rest = self.broker.rest()

    def queue(self, mode="NORMAL", name="queue"):
        queue = self.rest.create_queue(name, queue_mode=mode)["id"]
        return queue, self.rest.create_group(queue)

    def produce(self, queue, body, tags):
        return self.rest.call("POST", f"/queues/{queue}/messages",
                              {"messages": [{"body": body, "tags": tags}]})

    def refuse(self, answer, code, *words):
        self.assertEqual((answer.status, answer.body["code"]), (400, code), answer.raw)
        for word in words:
            self.assertIn(word, answer.body["message"])


class Produce(TagsTest):
    def test_tags_come_back_with_their_message(self):
        """2.3, table 2-2: up to 3 tags a message; API 1.8: the answer carries them."""
        for mode in ("NORMAL", "FIFO"):
            queue, group = self.queue(mode, mode)
            for tags in ([], ["a"], ["b-_Z9", "a", "x" * 64]):
                self.assertEqual(self.produce(queue, len(tags), tags).status, 201)
                messages = self.rest.consume(queue, group)
                self.assertEqual([one["message"] for one in messages],
                                 [{"body": len(tags), "attributes": {}, "tags": tags}])
                self.rest.ack(queue, group, messages)

    def test_tags_and_attributes_do_not_mix(self):
        """2.3: a message has a tag and attributes; an attribute may be called like our header."""
        queue, group = self.queue()
        self.rest.produce(queue, 1, tags=["t"], attributes={"dms.tag": "x", "tag": "y"})
        message = self.rest.consume(queue, group)[0]["message"]
        self.assertEqual(message["tags"], ["t"])
        self.assertEqual(message["attributes"], {"dms.tag": "x", "tag": "y"})

    def test_bad_tags_are_10240004(self):
        """2.3: only a-z, A-Z, 0-9, -, _ and 1 to 64 of them; API 1.12."""
        queue, group = self.queue()
        for tag in ("", "a b", "a.b", "é", "x" * 65, "a\u0000"):
            self.refuse(self.produce(queue, 1, ["good", tag]), 10240004)
        self.assertEqual(self.rest.counters(queue, group), (0, 0, 0))

    def test_wrong_shapes_are_refused(self):
        """2.3: at most 3 tags; API 1.7: an array of strings."""
        queue, group = self.queue()
        for tags in ("a", {"a": 1}, 5, [1], [None], [["a"]], ["a", "b", "c", "d"]):
            self.refuse(self.produce(queue, 1, tags), 10540001)
        for tags in (None, [], ["a", "a", "a", "a"]):
            self.assertEqual(self.produce(queue, 1, tags).status, 201)
        self.assertEqual(self.rest.counters(queue, group), (3, 0, 3))

    def test_kafka_queues_have_no_tags(self):
        """2.3, table 2-2."""
        queue, _ = self.queue("KAFKA_HA")
        self.refuse(self.produce(queue, 1, ["a"]), 10540010, "could not have tags")


if __name__ == "__main__":
    harness.main(threads=8)
