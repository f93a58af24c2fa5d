#!/usr/bin/env python3
"""Quotas (guide 2.1, 2.2, 4.7, 4.8; API reference 1.10 and its codes 10240002, 10240019, 10240304
and 10240308): five queues a project and three groups a queue, and what an administrator made of
that. Each test has a project of its own."""

import confluent_kafka
from confluent_kafka import admin

import harness
from test_rest import RestTest


class Quotas(RestTest):
    path = "/quotas/dms"

    def rows(self, rest=None):
        got = (rest or self.rest).must(200, "GET", self.path)
        self.assertEqual(set(got), {"quotas"})
        return {row["type"]: (row["quota"], row["used"]) for row in got["quotas"]["resources"]}

    @staticmethod
    def body(**quotas):
        return {"quotas": {"resources": [
            {"type": kind, "quota": quota} for kind, quota in quotas.items()]}}

    def set(self, **quotas):
        answer = self.rest.call("PUT", self.path, self.body(**quotas))
        self.assertEqual((answer.status, answer.raw), (204, b""))

    def fill(self, queues):
        return [self.rest.create_queue(f"queue{index}")["id"] for index in range(queues)]

    def test_defaults_are_five_queues_and_three_groups(self):
        # Guide 4.7, 4.8.
        self.assertEqual(self.rows(), {"queue": (5, 0), "group": (3, 0)})
        queue = self.fill(5)[0]
        for name in "abc":
            self.rest.create_group(queue, name)
        self.assertEqual(self.rows(), {"queue": (5, 5), "group": (3, 3)})
        self.assert_error(400, 10240002, "POST", "/queues", {"name": "sixth"})
        self.assert_error(400, 10240019, "POST", f"/queues/{queue}/groups",
                          {"groups": [{"name": "fourth"}]})

    def test_quota_counts_from_the_next_request_on_for_its_project_only(self):
        # Guide 2.1: who wants more queues asks for a larger quota.
        queue = self.fill(5)[0]
        self.set(queue=7, group=4)
        self.assertEqual(self.rows(), {"queue": (7, 5), "group": (4, 0)})
        self.rest.create_queue("sixth")
        self.rest.create_queue("seventh")
        self.assert_error(400, 10240002, "POST", "/queues", {"name": "eighth"})
        self.rest.must(201, "POST", f"/queues/{queue}/groups",
                       {"groups": [{"name": name} for name in "abcd"]})
        self.assert_error(400, 10240019, "POST", f"/queues/{queue}/groups",
                          {"groups": [{"name": "e"}]})
        self.assertEqual(self.rows(self.broker.rest())["queue"], (5, 0))
        self.set(group=20)  # what is not named stays
        self.assertEqual(self.rows(), {"queue": (7, 7), "group": (20, 4)})

    def test_quota_below_what_is_used_is_10240304(self):
        queue = self.fill(2)[0]
        self.rest.create_group(queue, "a")
        self.rest.create_group(queue, "b")
        self.assert_error(403, 10240304, "PUT", self.path, self.body(queue=1))
        self.assert_error(403, 10240304, "PUT", self.path, self.body(group=1))
        self.set(queue=2, group=2)
        self.assert_error(400, 10240002, "POST", "/queues", {"name": "third"})

    def test_quota_out_of_range_is_10240308(self):
        for value in (0, -1, 21, 2 ** 40, "7", 1.5, None):
            with self.subTest(value):
                self.assert_error(403, 10240308, "PUT", self.path, self.body(queue=value))
                self.assert_error(403, 10240308, "PUT", self.path, self.body(group=value))
        self.assertEqual(self.rows(), {"queue": (5, 0), "group": (3, 0)})

    def test_bad_shapes_are_refused(self):
        for body in ({}, {"quotas": []}, {"quotas": {}}, {"quotas": {"resources": []}},
                     {"quotas": {"resources": [{"quota": 5}]}}, self.body(partition=5)):
            with self.subTest(body):
                self.assert_error(400, 10540010, "PUT", self.path, body)

    def test_v2_has_its_own_path(self):
        newer = harness.Rest(self.broker.http_port, self.rest.project, "v2")
        newer.must(204, "PUT", "/quotas", self.body(queue=9))
        self.assertEqual(newer.must(200, "GET", "/quotas"), self.rest.must(200, "GET", self.path))
        self.assertEqual(self.rows()["queue"], (9, 0))

    def test_partitions_of_the_broker_bound_queues_and_groups(self):
        broker = self.own_broker(max_partitions=40, offsets_topic_num_partitions=1)
        rest = broker.rest()
        queue, group = self.queue("FIFO", rest=rest, redrive_policy="enable")
        client = admin.AdminClient({"bootstrap.servers": broker.bootstrap})
        for number in range(40):
            topic = f"filler{number}"
            try:
                client.create_topics([admin.NewTopic(topic, 1)])[topic].result(30)
            except confluent_kafka.KafkaException as error:
                self.assertIn("max.partitions", error.args[0].str())
                break
        for path, body in ((f"/queues/{queue}/groups", {"groups": [{"name": "more"}]}),
                           ("/queues", {"name": "more"})):
            answer = rest.call("POST", path, body)
            self.check_error(answer, 400, 10240020)
            self.assertIn("max.partitions", answer.body["message"])
        rest.must(204, "DELETE", f"/queues/{queue}/groups/{group}")
        rest.create_group(queue, "more")  # in its place

    def test_broker_says_when_it_has_no_room_for_its_own_topics(self):
        for most in (39, 55):  # less than __consumer_offsets, and less than what comes after it
            with self.assertRaises(harness.BrokerError) as caught:
                self.own_broker(max_partitions=most)
            self.assertIn("max.partitions is too small", str(caught.exception))

    def test_what_is_not_named_is_neither_judged_nor_kept(self):
        own = self.own_broker()
        self.rest = own.rest()
        queue = self.fill(3)[0]
        for name in "ab":
            self.rest.create_group(queue, name)
        for queues, groups in ((2, 1), (4, 2)):  # less than there is, and more again
            own.stop()
            own.options.update({"dms.queues.per.project": str(queues),
                                "dms.groups.per.queue": str(groups)})
            own.start()
            self.set(group=2)
            self.assertEqual(self.rows(), {"queue": (queues, 3), "group": (2, 2)})
        self.set(queue=3)
        self.assertEqual(self.rows(), {"queue": (3, 3), "group": (2, 2)})
        self.assert_error(403, 10240304, "PUT", self.path, self.body(group=1, queue=5))

    def test_quota_survives_kill_9(self):
        own = self.own_broker()
        self.rest = own.rest()
        self.set(queue=6)
        own.kill()
        own.start()
        self.assertEqual(self.rows(), {"queue": (6, 0), "group": (3, 0)})


if __name__ == "__main__":
    harness.main(threads=8)
