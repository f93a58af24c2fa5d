#!/usr/bin/env python3
"""Dead letters where there is authentication: they belong to a queue, and whoever may consume from
it may consume them, at either door; their topic is no queue, and nobody writes to it."""

import confluent_kafka
from confluent_kafka import admin

import accounts
import harness
import wire
from test_sharing import SharingTest

DENIED = confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED


class LettersTest(SharingTest):
    def make_letters(self, count=2, mode="NORMAL"):
        """(queue, group) with so many dead letters."""
        queue = self.at_owner.create_queue(self.topic("queue"), queue_mode=mode,
                                           redrive_policy="enable", max_consume_count=1)["id"]
        self.addCleanup(self.at_owner.call, "DELETE", f"/queues/{queue}")
        group = self.at_owner.create_group(queue)
        self.at_owner.produce(queue, *range(count))
        for _ in range(count):
            got = self.at_owner.consume(queue, group, max_msgs=1)
            self.assertEqual(self.at_owner.ack(queue, group, got, "fail")["fail"], 1)
        harness.wait_for("dead letters", lambda: self.available(queue, group) == count)
        return queue, group

    def available(self, queue, group):
        groups = self.at_owner.must(200, "GET", f"/queues/{queue}/groups?include_deadletter=true")
        return next(one["available_deadletters"] for one in groups["groups"]
                    if one["id"] == group)

    @staticmethod
    def path(queue, group, end=""):
        return f"/queues/{queue}/groups/{group}/deadletters{end}"

    def letters_topic(self, group):
        return f"d-{self.owner.project}-{group}"


class Rest(LettersTest):
    def test_their_topic_is_no_queue_for_anybody(self):
        queue, group = self.make_letters()
        topic_id = group[2:]  # the id of the topic of its letters
        own = f"d{group[1:]}"  # and of the one group on it
        path = f"/queues/{topic_id}"
        policy = {"users": ["*"], "actions": ["ConsumeMessages"]}
        calls = (
            ("GET", path, None), ("DELETE", path, None),
            ("POST", path + "/messages", {"messages": [{"body": 1}]}),
            ("GET", path + "/messages", None),
            ("GET", path + "/groups", None),
            ("POST", path + "/groups", {"groups": [{"name": "mine"}]}),
            ("DELETE", f"{path}/groups/{own}", None),
            ("GET", f"{path}/groups/{own}/messages?time_wait=1", None),
            ("POST", f"{path}/groups/{own}/ack",
             {"message": [{"handler": "x", "status": "success"}]}),
            ("POST", f"{path}/groups/{own}/reset", {"position": "latest"}),
            ("GET", path + "/policies", None), ("POST", path + "/policies", policy),
            ("PUT", path + "/policies", {"policies": []}), ("DELETE", path + "/policies", None),
            ("GET", f"/queue/{topic_id}/tags", None),
            ("POST", f"/queue/{topic_id}/tags", {"tag": {"key": "k", "value": "v"}}),
        )
        user = self.accounts.make_user("dms_user", self.owner.project).rest()
        root = self.accounts.make_user("admin", self.owner.project).rest()
        for rest in (self.at_owner, user, root, self.at_guest):
            for method, target, body in calls:
                with self.subTest(f"{method} {target}"):
                    self.check_error(rest.call(method, target, body), 404, 10240401)
        listed = self.at_owner.must(200, "GET", self.path(queue, group, "/list"))["deadletters"]
        self.assertEqual(sorted(one["message"]["body"] for one in listed), [0, 1])
        self.assertEqual(len(self.at_owner.must(200, "GET", self.path(queue, group))), 2)

    def use(self, queue, group, rest):
        """What of it rest may do."""
        calls = {"list": ("GET", "/list", None), "export": ("GET", "/export", None),
                 "consume": ("GET", "?time_wait=1&max_msgs=1", None),
                 "status": ("GET", "/redrive", None),
                 "redrive": ("POST", "/redrive", {"messages_per_second": 1}),
                 "cancel": ("DELETE", "/redrive", None)}
        answers = {name: rest.call(method, self.path(queue, group, end), body)
                   for name, (method, end, body) in calls.items()}
        got = answers["consume"].body if answers["consume"].status == 200 else []
        handlers = [one["handler"] for one in got] or ["unknown"]
        answers["ack"] = rest.call("POST", self.path(queue, group, "/ack"), {
            "message": [{"handler": handler, "status": "success"} for handler in handlers]})
        refused = {answer.body["code"] for answer in answers.values() if answer.status >= 300}
        return {name for name, answer in answers.items() if answer.status < 300}, refused

    def test_who_may_consume_may_consume_them(self):
        everything = {"list", "export", "consume", "status", "redrive", "cancel", "ack"}
        guest = everything - {"redrive", "cancel"}  # these bring messages into the queue
        queue, group = self.make_letters(6)
        make = self.accounts.make_user
        user = make("dms_user", self.owner.project).rest()
        reader = make("dms_reader", self.owner.project).rest()
        self.assertEqual(self.use(queue, group, self.at_owner), (everything, set()))
        self.assertEqual(self.use(queue, group, user), (everything, set()))
        self.assertEqual(self.use(queue, group, reader), (set(), {10240310}))
        self.assertEqual(self.use(queue, group, self.at_guest), (set(), {10240401}))
        self.allow(queue, "ConsumeMessages")
        self.assertEqual(self.use(queue, group, self.at_guest), (guest, {10240309}))
        self.allow(queue, "ProduceMessages")
        self.assertEqual(self.use(queue, group, self.at_guest), (everything, set()))
        self.allow(queue, "ConsumeMessages", users=["*"], effect="deny")
        for rest in (self.at_owner, user, self.at_guest):
            self.assertEqual(self.use(queue, group, rest), (set(), {10240309}))


class Kafka(LettersTest):
    def read(self, user, topic):
        """Values, or None when it may not."""
        try:
            return user.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q").split()
        except AssertionError as error:
            self.assertIn("authorization failed", str(error).lower())
            return None

    def topics(self, user):
        client = admin.AdminClient({"bootstrap.servers": self.broker.bootstrap, **user.kafka()})
        return set(client.list_topics(timeout=30).topics)

    def test_policies_of_the_queue_are_theirs(self):
        queue, group = self.make_letters(2, "FIFO")
        topic = self.letters_topic(group)
        user = self.accounts.make_user("dms_user", self.owner.project)
        self.assertEqual(self.read(user, topic), [b"0", b"1"])
        self.assertIsNone(self.read(self.guest, topic))
        self.assertNotIn(topic, self.topics(self.guest))
        self.allow(queue, "ConsumeMessages")
        self.assertEqual(self.read(self.guest, topic), [b"0", b"1"])
        self.assertIn(topic, self.topics(self.guest))
        self.allow(queue, "ConsumeMessages", users=["*"], effect="deny")
        for one in (self.owner, user, self.guest):
            self.assertIsNone(self.read(one, topic))

    def test_nobody_writes_to_them_or_changes_them(self):
        queue, group = self.make_letters()
        topic = self.letters_topic(group)
        self.allow(queue, "ProduceMessages", "ConsumeMessages")
        root = self.accounts.make_user("admin", self.owner.project)
        for user in (self.owner, root, self.guest):
            settings = {"bootstrap.servers": self.broker.bootstrap, **user.kafka()}
            errors = []
            producer = confluent_kafka.Producer(settings)
            producer.produce(topic, b"x", on_delivery=lambda error, _: errors.append(error))
            producer.flush(30)
            self.assertEqual(errors[0].code(), DENIED)
            client = admin.AdminClient(settings)
            for future in (client.delete_topics([topic])[topic],
                           client.create_partitions([admin.NewPartitions(topic, 3)])[topic]):
                with self.assertRaises(confluent_kafka.KafkaException) as caught:
                    future.result(30)
                self.assertEqual(caught.exception.args[0].code(), DENIED)
        # What else changes a topic is not offered: DeleteRecords, AlterConfigs and the like.
        reader = wire.Connection(self.broker.connect()).call(18, 0, b"")
        self.assertEqual(reader.i16(), 0)
        offered = {key for key, _, _ in reader.array(
            lambda one: (one.i16(), one.i16(), one.i16()))}
        self.assertFalse(offered & {21, 33, 44})
        self.assertEqual(self.available(queue, group), 2)


if __name__ == "__main__":
    harness.main(threads=4)
