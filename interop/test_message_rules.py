"""What a message may be, to the byte: guide §1.2, §2.3, §4.4; API reference §1.7.

Decided where these are silent: what is wrong with a message is wrong with its request, which is
then refused whole, nothing stored (the reference has only codes of requests for it). What befalls
a message on its way to the disk is said in its row of the answer, and the others are stored; when
none is, the request fails.
"""

import json
import pathlib
import unittest

from harness import BrokerTest, main

SIZE_MAX = 524288


class MessageTest(BrokerTest):
    options = {"dms_queues_per_project": 100}

    def setUp(self):
        self.rest = self.broker.rest()

    def queue(self, mode="FIFO", name="queue"):
        queue = self.rest.create_queue(name, queue_mode=mode)["id"]
        return queue, self.rest.create_group(queue)

    def send(self, queue, messages, **fields):
        return self.rest.call("POST", f"/queues/{queue}/messages", {"messages": messages, **fields})

    def must(self, queue, messages, **fields):
        answer = self.send(queue, messages, **fields)
        self.assertEqual(answer.status, 201, answer.raw[:200])
        return answer.body["messages"]

    def refused(self, queue, messages, code):
        answer = self.send(queue, messages)
        self.assertEqual((answer.status, answer.body["code"]), (400, code), answer.raw[:200])
        return answer.body["message"]


class Size(MessageTest):
    """§2.3: at most 512 KB, body and attributes; the body counts with the JSON around what was
    entered, so with its quotes and escapes. §1.7: the sum over the request."""

    def check(self, queue, group, message, size):
        """message, with x in its body for the rest of size, passes; one byte more does not."""
        def sized(total):
            return {**message, "body": "x" * (total - size)}

        self.must(queue, [sized(SIZE_MAX)])
        self.assertEqual(self.rest.drain(queue, group, 1), [sized(SIZE_MAX)["body"]])
        text = self.refused(queue, [sized(SIZE_MAX + 1)], 10540011)
        self.assertEqual(text, f"The message size is {SIZE_MAX + 1}, "
                               f"larger than the size limit {SIZE_MAX}")

    def test_body_alone(self):
        for mode in ("FIFO", "NORMAL"):
            queue, group = self.queue(mode, mode)
            self.check(queue, group, {}, len('""'))

    def test_body_with_attributes(self):
        queue, group = self.queue()
        attributes = {"name": "value", "n": [1, None]}
        self.check(queue, group, {"attributes": attributes},
                   len('""') + len(json.dumps(attributes)))

    def test_delayed_message(self):
        queue, group = self.queue()
        self.check(queue, group, {"delay_time": 1}, len('""'))

    def test_sum_of_the_request(self):
        queue, group = self.queue()
        half = SIZE_MAX // 2 - len('""')
        self.must(queue, [{"body": "a" * half}, {"body": "b" * half}])
        self.refused(queue, [{"body": "a" * half}, {"body": "b" * (half + 1)}], 10540011)
        self.assertEqual(len(self.rest.drain(queue, group, 2)), 2)

    def test_escapes_count_as_written(self):
        """What is entered is turned into a JSON string: a quote takes two bytes."""
        queue, group = self.queue()
        body = '"' * (SIZE_MAX // 2 - 1)
        self.must(queue, [{"body": body}])
        self.refused(queue, [{"body": body + "x"}], 10540011)
        self.assertEqual(self.rest.drain(queue, group, 1), [body])

    def test_any_number_of_attributes(self):
        """§2.3: the number of attributes has no limit but the size."""
        queue, group = self.queue()
        attributes = {f"name {i}": i for i in range(10000)}
        self.must(queue, [{"body": 1, "attributes": attributes}])
        messages = self.rest.consume(queue, group)
        self.assertEqual(messages[0]["message"]["attributes"], attributes)

    def test_kafka_queue(self):
        queue, _ = self.queue("KAFKA_HA")
        self.must(queue, [{"body": "x" * (SIZE_MAX - 2)}])
        self.refused(queue, [{"body": "x" * (SIZE_MAX - 1)}], 10540011)


class Fields(MessageTest):
    def test_one_to_ten_messages(self):
        """§1.7: 1-10 per request."""
        queue, group = self.queue()
        for count in (1, 10):
            self.assertEqual(len(self.must(queue, [{"body": i} for i in range(count)])), count)
        self.refused(queue, [], 10540010)
        self.refused(queue, [{"body": i} for i in range(11)], 10540010)
        self.assertEqual(self.rest.counters(queue, group), (11, 0, 11))

    def test_attribute_of_every_type_comes_back(self):
        """§1.7: values are not only strings."""
        queue, group = self.queue()
        attributes = {"s": "", "n": -1.5, "b": False, "z": None, "a": [1, [2]], "o": {"p": {}},
                      "ünï": "\u0000", "a.b": 1, " ": 2}
        self.must(queue, [{"body": 1, "attributes": attributes}])
        found = self.rest.consume(queue, group)[0]["message"]["attributes"]
        self.assertEqual(found, attributes)
        self.assertEqual([type(one) for one in found.values()],
                         [type(one) for one in attributes.values()])

    def test_repeated_attribute_overwrites(self):
        """§1.7: names are unique, a repeated one overwrites; however it is escaped."""
        queue, group = self.queue()
        body = b'{"messages":[{"body":1,"attributes":{"a":1,"b":2,"\\u0061":3}}]}'
        answer = self.rest.raw("POST", f"{self.rest.prefix}/queues/{queue}/messages", body)
        self.assertEqual(answer.status, 201, answer.raw)
        self.assertEqual(self.rest.consume(queue, group)[0]["message"]["attributes"],
                         {"b": 2, "a": 3})

    def test_empty_attribute_name_is_refused(self):
        """§2.3: the name must not be empty."""
        queue, group = self.queue()
        self.refused(queue, [{"body": 1}, {"body": 2, "attributes": {"": 1}}], 10540001)
        self.assertEqual(self.rest.counters(queue, group), (0, 0, 0))

    def test_attributes_are_an_object(self):
        queue, _ = self.queue()
        for attributes in ([], "a", 1, True):
            self.refused(queue, [{"body": 1, "attributes": attributes}], 10540001)

    def test_kafka_queue_has_no_attributes(self):
        """§2.3: Kafka queues have none."""
        queue, _ = self.queue("KAFKA_HT")
        self.refused(queue, [{"body": 1, "attributes": {"a": 1}}], 10540010)

    def test_return_id(self):
        """§1.7: false by default; both spellings; ids are unique."""
        queue, _ = self.queue()
        self.assertNotIn("id", self.must(queue, [{"body": 1}])[0])
        self.assertNotIn("id", self.must(queue, [{"body": 1}], returnId=False)[0])
        ids = [row["id"] for spelling in ("returnId", "return_id")
               for row in self.must(queue, [{"body": 1}] * 10, **{spelling: True})]
        self.assertEqual(len(set(ids)), 20)


class PartialFailure(MessageTest):
    """A broker with room for one delayed message in each of two queues."""

    options = {"dms_delayed_messages_max": 2, "dms_delayed_messages_per_queue_max": 1}

    def setUp(self):
        super().setUp()
        self.addCleanup(self.drop_queues, self.rest)  # and what is delayed there

    @staticmethod
    def drop_queues(rest):
        for row in rest.must(200, "GET", "/queues")["queues"]:
            rest.must(204, "DELETE", f"/queues/{row['id']}")

    def test_each_message_has_its_outcome(self):
        """§1.7: state 1 with error and error_code; the others are stored."""
        queue, group = self.queue()
        self.must(queue, [{"body": "waits", "delay_time": 60000}])
        rows = self.must(queue, [{"body": "a"}, {"body": "b", "delay_time": 60000}, {"body": "c"}],
                         returnId=True)
        self.assertEqual([row["state"] for row in rows], [0, 1, 0])
        self.assertEqual([row["error_code"] for row in rows], [None, 10240407, None])
        self.assertIsInstance(rows[1]["error"], str)
        self.assertEqual([("id" in row) for row in rows], [True, False, True])
        self.assertEqual(self.rest.drain(queue, group, 2), ["a", "c"])
        answer = self.send(queue, [{"body": "b", "delay_time": 60000}])
        self.assertEqual((answer.status, answer.body["code"]), (404, 10240407))

    def test_what_there_is_room_for_is_stored(self):
        """§1.7: one row for each message, in their order; a failure is that of its message only."""
        queue, group = self.queue()
        rows = self.must(queue, [{"body": i, "delay_time": 1} for i in range(3)])
        self.assertEqual([(row["state"], row["error_code"]) for row in rows],
                         [(0, None), (1, 10240407), (1, 10240407)])
        self.assertEqual(self.rest.drain(queue, group, 1), [0])
        self.assertEqual(self.rest.counters(queue, group), (1, 1, 0))

    def test_storage_that_fails_fails_only_what_goes_there(self):
        """The log of the queue is damaged, that of what is delayed is not; of several partitions
        one that works is taken."""
        broker = self.own_broker(dms_queue_partitions=2)
        self.rest = broker.rest()
        fifo, _ = self.queue()
        normal, group = self.queue("NORMAL", "other")
        for queue in (fifo, normal):
            for body in range(8):
                self.must(queue, [{"body": body}])
        broker.kill()
        for queue in (fifo, normal):
            log = max(pathlib.Path(broker.data).glob(f"{queue}-*/*.log"),
                      key=lambda path: len(path.read_bytes().rstrip(b"\0")))
            content = bytearray(log.read_bytes())
            content[65] ^= 1  # in the first batch: what follows it is no torn end
            log.write_bytes(content)
        broker.start()
        rows = self.must(fifo, [{"body": "now"}, {"body": "later", "delay_time": 60000}],
                         returnId=True)
        self.assertEqual([(row["state"], row["error_code"], "id" in row) for row in rows],
                         [(1, 10250003, False), (0, None, True)])
        self.assertIsInstance(rows[0]["error"], str)
        answer = self.send(fifo, [{"body": "now"}])
        self.assertEqual((answer.status, answer.body["code"]), (500, 10250003))
        for _ in range(4):
            self.must(normal, [{"body": "a"}, {"body": "b"}])
        found = self.rest.consume(normal, group)
        self.assertIn("a", [one["message"]["body"] for one in found])

    def test_what_failed_has_not_been_produced(self):
        """Guide table 1-2: message_size is of the messages produced in a minute; counters of
        groups (§1.6) know nothing of the others."""
        queue, group = self.queue()
        self.must(queue, [{"body": "waits", "delay_time": 60000}])
        self.must(queue, [{"body": "a"}, {"body": "long" * 100, "delay_time": 60000}])
        self.assertEqual(self.rest.counters(queue, group), (1, 0, 1))
        text = self.rest.raw("GET", "/metrics").raw.decode()
        (line,) = [one for one in text.splitlines()
                   if one.startswith("dmsd_message_size_total{") and queue in one]
        self.assertEqual(int(line.rsplit(" ", 1)[1]), len('"waits"') + len('"a"'))


if __name__ == "__main__":
    main()
