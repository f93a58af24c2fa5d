#!/usr/bin/env python3
"""Message tags over REST: produced with a message, given back with it, and chosen by. Section
numbers are those of the DMS user guide; API those of the API reference."""

import concurrent.futures
import time
import urllib.parse

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


class Filter(TagsTest):
    def consume(self, queue, group, *tags, tag_type=None, rest=None, **options):
        query = {"time_wait": 1, **options}
        if tag_type is not None:
            query["tag_type"] = tag_type
        pairs = list(query.items()) + [("tag", tag) for tag in tags]
        return (rest or self.rest).call(
            "GET", f"/queues/{queue}/groups/{group}/messages?{urllib.parse.urlencode(pairs)}")

    def bodies(self, *arguments, **options):
        answer = self.consume(*arguments, **options)
        self.assertEqual(answer.status, 200, answer.raw)
        return [one["message"]["body"] for one in answer.body]

    def fill(self, queue, rest=None):
        for body, tags in (("none", []), ("a", ["a"]), ("ab", ["a", "b"]), ("b", ["b"]),
                           ("abc", ["c", "b", "a"]), ("A", ["A"])):
            (rest or self.rest).produce(queue, body, tags=tags)

    def test_any_or_all_of_the_tags(self):
        """2.4, table 2-3: one match is enough unless all must match; API 1.8: default or."""
        for tags, tag_type, wanted in (
                (["a"], None, ["a", "ab", "abc"]),
                (["a", "b"], None, ["a", "ab", "b", "abc"]),
                (["a", "b"], "or", ["a", "ab", "b", "abc"]),
                (["b", "a"], "and", ["ab", "abc"]),
                (["a", "b", "c"], "and", ["abc"]),
                (["d"], None, []),
                ([], "and", ["none", "a", "ab", "b", "abc", "A"])):
            with self.subTest(tags=tags, tag_type=tag_type):
                self.rest = self.broker.rest()
                queue, group = self.queue("FIFO")
                self.fill(queue)
                self.assertEqual(self.bodies(queue, group, *tags, tag_type=tag_type), wanted)

    def test_no_tags_consume_everything(self):
        """1.2: without a tag to filter by, messages of all kinds are consumed."""
        queue, group = self.queue("FIFO")
        self.fill(queue)
        self.assertEqual(self.bodies(queue, group), ["none", "a", "ab", "b", "abc", "A"])

    def test_what_does_not_match_counts_as_consumed(self):
        """1.7, table 1-2: the numbers of a group that filters; another group has its own."""
        queue, group = self.queue("FIFO")
        other = self.rest.create_group(queue, "other")
        self.fill(queue)
        messages = self.consume(queue, group, "a").body
        self.assertEqual(self.rest.counters(queue, group), (6, 3, 3))
        self.assertEqual(self.rest.counters(queue, other), (6, 0, 6))
        self.rest.ack(queue, group, messages)
        self.assertEqual(self.rest.counters(queue, group), (6, 6, 0))
        self.assertEqual(self.bodies(queue, other, "none", "c"), ["abc"])

    def test_one_rule_for_each_group(self):
        """2.4, last note: consuming with another rule fails; API 1.8."""
        queue, group = self.queue()
        self.assertEqual(self.bodies(queue, group, "a", "b"), [])
        for tags, tag_type in (((), None), (("a",), None), (("a", "b"), "and"),
                               (("a", "c"), None), (("a", "b", "c"), None), (("A", "b"), None)):
            answer = self.consume(queue, group, *tags, tag_type=tag_type)
            self.refuse(answer, 10542204, "another tag rule", "reset")
        for tags in (("b", "a"), ("a", "b", "a"), ("a", "b")):
            self.assertEqual(self.bodies(queue, group, *tags, tag_type="or"), [])
        other = self.rest.create_group(queue, "other")
        self.assertEqual(self.bodies(queue, other), [])
        self.refuse(self.consume(queue, other, "a"), 10542204)

    def test_failed_message_stays_with_its_rule(self):
        """2.4, last note: what failed cannot be consumed by another rule, unless reset."""
        queue, group = self.queue("FIFO")
        self.fill(queue)
        messages = self.consume(queue, group, "b").body
        self.assertEqual(self.rest.ack(queue, group, messages[:1], "fail"),
                         {"success": 0, "fail": 1})
        self.refuse(self.consume(queue, group, "a"), 10542204)
        self.refuse(self.consume(queue, group), 10542204)
        self.assertEqual(self.bodies(queue, group, "b"), ["ab", "b", "abc"])

    def test_wrong_parameters(self):
        """2.4, table 2-3: at most 3 tags; API 1.8: each at most 64 characters, and or or."""
        queue, group = self.queue()
        self.refuse(self.consume(queue, group, "a", "b", "c", "d"), 10540014)
        for tag in ("a b", "é", "x" * 65, "a,b"):
            self.refuse(self.consume(queue, group, tag), 10240004)
        for tag_type in ("xor", "AND", "or "):
            self.refuse(self.consume(queue, group, "a", tag_type=tag_type), 10540014)
        self.assertEqual(self.bodies(queue, group, "x" * 64), [])  # none of those fixed a rule
        self.assertEqual(self.bodies(queue, group, "x" * 64, "", tag_type=""), [])

    def test_kafka_queues_are_not_filtered(self):
        """2.4, table 2-3: Kafka queues have no tags."""
        queue, group = self.queue("KAFKA_HA")
        self.refuse(self.consume(queue, group, "a"), 10540010, "no tags")

    def test_long_poll_wakes_for_what_matches(self):
        """API 1.8: answers at once when a message comes; not for others."""
        queue, group = self.queue()
        self.assertEqual(self.bodies(queue, group, "a"), [])
        with concurrent.futures.ThreadPoolExecutor() as pool:
            started = time.monotonic()
            poll = pool.submit(self.consume, queue, group, "a", time_wait=30)
            for index in range(20):
                self.rest.produce(queue, index, tags=["b"])
            self.assertFalse(poll.done())
            self.rest.produce(queue, "wanted", tags=["b", "a"])
            answer = poll.result()
        self.assertEqual([one["message"]["body"] for one in answer.body], ["wanted"])
        self.assertLess(time.monotonic() - started, 15)
        self.assertEqual(self.rest.counters(queue, group), (21, 20, 1))

    def test_rule_and_numbers_survive_kill(self):
        """2.4, last note, and table 1-2, over a crash."""
        broker = self.own_broker()
        rest = broker.rest()
        queue = rest.create_queue("queue", queue_mode="FIFO")["id"]
        group = rest.create_group(queue)
        self.fill(queue, rest)
        first = self.consume(queue, group, "b", max_msgs=1, rest=rest).body
        self.assertEqual([one["message"]["body"] for one in first], ["ab"])
        rest.ack(queue, group, first)
        counters = rest.counters(queue, group)
        self.assertEqual(counters, (6, 3, 3))
        broker.kill()
        broker.start()
        self.assertEqual(rest.counters(queue, group), counters)
        self.refuse(self.consume(queue, group, "a", rest=rest), 10542204)
        again = self.consume(queue, group, "b", rest=rest).body
        self.assertEqual([one["message"]["body"] for one in again], ["b", "abc"])
        rest.ack(queue, group, again)
        self.assertEqual(self.bodies(queue, group, "b", rest=rest), [])
        self.assertEqual(rest.counters(queue, group), (6, 6, 0))


if __name__ == "__main__":
    harness.main(threads=8)
