#!/usr/bin/env python3
"""Who may do what (guide 3.6 and 4.6): roles in one's own project, and policies that open a queue
to others or close it, with the same result at both doors and at once."""

import concurrent.futures
import time

import confluent_kafka

import accounts
import harness
import wire
from test_rest import RestTest

ACTIONS = ("GetQueue", "CreateGroup", "GetGroups", "DeleteGroup", "ProduceMessages",
           "ConsumeMessages")
TOPIC_AUTHORIZATION_FAILED = 29
GROUP_AUTHORIZATION_FAILED = 30


class SharingTest(accounts.AccountsTest):
    """owner has a queue; guest is somebody else's user."""

    options = {**accounts.AccountsTest.options, "group_initial_rebalance_delay_ms": 0}
    check_error = RestTest.check_error

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.domain = cls.accounts.make_domain("Guest Tenant")
        cls.owner = cls.accounts.make_user()
        cls.guest = cls.accounts.make_user(domain=cls.domain)
        cls.at_owner, cls.at_guest = cls.owner.rest(), cls.guest.rest()
        cls.accounts.call(204, "PUT", f"/v1.0/{cls.owner.project}/quotas/dms", {
            "quotas": {"resources": [{"type": "queue", "quota": 20},
                                     {"type": "group", "quota": 20}]}})

    def make_queue(self, mode="NORMAL"):
        """(id, id of its group)"""
        queue = self.at_owner.create_queue(self.topic("queue"), queue_mode=mode)["id"]
        self.addCleanup(self.at_owner.call, "DELETE", f"/queues/{queue}")
        return queue, self.at_owner.create_group(queue)

    def allow(self, queue, *actions, users=None, **fields):
        policy = {"users": [self.domain["id"]] if users is None else users,
                  "actions": list(actions), **fields}
        return self.at_owner.must(201, "POST", f"/queues/{queue}/policies", policy)["id"]

    def calls(self, queue, group, rest):
        """What each action is for: the status of a call to it."""
        path = f"/queues/{queue}"
        made = rest.call("POST", path + "/groups", {"groups": [{"name": self.topic("g")}]})
        doomed = self.at_owner.create_group(queue, self.topic("d"))
        statuses = {
            "GetQueue": rest.call("GET", path).status,
            "CreateGroup": made.status,
            "GetGroups": rest.call("GET", path + "/groups").status,
            "DeleteGroup": rest.call("DELETE", f"{path}/groups/{doomed}").status,
            "ProduceMessages": rest.call("POST", path + "/messages",
                                         {"messages": [{"body": 1}]}).status,
            "ConsumeMessages": rest.call(
                "GET", f"{path}/groups/{group}/messages?time_wait=1").status,
        }
        for one in self.at_owner.must(200, "GET", path + "/groups")["groups"]:
            if one["id"] != group:
                self.at_owner.call("DELETE", f"{path}/groups/{one['id']}")
        return {action for action, status in statuses.items() if status < 300}


class Rest(SharingTest):
    def test_what_nobody_shared_does_not_exist_for_others(self):
        queue, group = self.make_queue()
        self.assertEqual(self.calls(queue, group, self.at_guest), set())
        for path in ("", "/groups", "/policies", f"/groups/{group}/messages"):
            self.check_error(self.at_guest.call("GET", f"/queues/{queue}{path}"), 404, 10240401)
        self.assertEqual(self.at_guest.must(200, "GET", "/queues")["total"], 0)

    def test_each_action_opens_what_it_says_and_nothing_else(self):
        # Guide 3.6, 被授权动作.
        queue, group = self.make_queue()
        for action in ACTIONS:
            with self.subTest(action):
                policy = self.allow(queue, action)
                self.assertEqual(self.calls(queue, group, self.at_guest), {action})
                path = f"/queues/{queue}"
                refused = self.at_guest.call("DELETE", path)  # never shared
                self.check_error(refused, 403, 10240309)
                self.check_error(self.at_guest.call("GET", path + "/policies"), 403, 10240309)
                self.check_error(self.at_guest.call("POST", f"/queue/{queue}/tags", {
                    "tag": {"key": "k", "value": ""}}), 403, 10240309)
                self.at_owner.must(204, "DELETE", f"{path}/policies/{policy}")
        self.assertEqual(self.calls(queue, group, self.at_guest), set())

    def test_guest_uses_the_queue_under_its_own_project(self):
        queue, group = self.make_queue()
        self.allow(queue, "ProduceMessages", "ConsumeMessages")
        self.at_guest.produce(queue, "from the guest")
        self.assertEqual(self.at_guest.drain(queue, group, 1), ["from the guest"])
        foreign = accounts.Rest(self.broker.http_port, self.owner.project)
        foreign.token = self.at_guest.token
        self.check_error(foreign.call("GET", f"/queues/{queue}"), 401, 10240104)

    def test_what_a_guest_deletes_is_traced_for_both(self):
        """Guide §1.7: the owner sees what became of its group, the guest what it did."""
        queue, group = self.make_queue()
        self.allow(queue, "DeleteGroup")
        self.at_guest.must(204, "DELETE", f"/queues/{queue}/groups/{group}")
        for rest in (self.at_owner, self.at_guest):
            traces = rest.raw("GET", f"/v3/{rest.project}/traces?resource_id={group}"
                              "&trace_name=deleteGroup").body["traces"]
            self.assertEqual(len(traces), 1, traces)
            self.assertEqual((traces[0]["user"]["id"], traces[0]["code"]), (self.guest.id, "204"))
        # What nobody shared is not told: who asks for it fills nobody's trail but its own.
        other, group = self.make_queue()
        self.assertEqual(self.at_guest.call("DELETE", f"/queues/{other}").status, 404)
        traces = self.at_owner.raw("GET", f"/v3/{self.owner.project}/traces?resource_id={other}"
                                   "&trace_rating=warning").body["traces"]
        self.assertEqual(traces, [])

    def test_users_are_named_by_everyone_id_name_and_urn(self):
        # Guide 3.6, 被授权用户.
        queue, _ = self.make_queue()
        for user, is_guest in (("*", True), (self.domain["id"], True),
                               (self.domain["name"], True),
                               (f"urn:csp:iam::{self.domain['id']}:root", True),
                               (f"urn:csp:iam::{self.domain['id']}:user:{self.guest.id}", True),
                               (f"urn:csp:iam::{self.domain['id']}:user:{self.owner.id}", False),
                               ("Other Tenant", False), ("f" * 32, False)):
            with self.subTest(user):
                policy = self.allow(queue, "GetQueue", users=[user])
                status = self.at_guest.call("GET", f"/queues/{queue}").status
                self.assertEqual(status, 200 if is_guest else 404)
                self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{policy}")

    def test_denying_wins_over_allowing_and_over_the_owner(self):
        queue, group = self.make_queue()
        self.allow(queue, *ACTIONS, users=["*"])
        denial = self.allow(queue, "ProduceMessages", users=["*"], effect="deny")
        for rest in (self.at_guest, self.at_owner):
            answer = rest.call("POST", f"/queues/{queue}/messages", {"messages": [{"body": 1}]})
            self.check_error(answer, 403, 10240309)
        self.assertEqual(self.calls(queue, group, self.at_guest),
                         set(ACTIONS) - {"ProduceMessages"})
        self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{denial}")
        self.at_guest.produce(queue, "again")

    def test_services_are_no_users(self):
        # Guide 3.6, 被授权服务.
        queue, _ = self.make_queue()
        services = {name: self.accounts.make_user(domain=self.domain, service=name).rest()
                    for name in ("SMN", "FunctionStage")}
        self.allow(queue, "ProduceMessages", users=[], type="service", services=["SMN"])
        body = {"messages": [{"body": "x"}]}
        path = f"/queues/{queue}/messages"
        services["SMN"].must(201, "POST", path, body)
        self.check_error(services["FunctionStage"].call("POST", path, body), 404, 10240401)
        self.check_error(self.at_guest.call("POST", path, body), 404, 10240401)
        self.allow(queue, "ProduceMessages", users=["*"])
        self.at_guest.must(201, "POST", path, body)
        self.check_error(services["FunctionStage"].call("POST", path, body), 404, 10240401)

    def test_policy_that_goes_ends_a_long_poll_without_messages(self):
        queue, group = self.make_queue()
        policy = self.allow(queue, "ConsumeMessages")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.at_guest.call, "GET",
                                  f"/queues/{queue}/groups/{group}/messages?time_wait=20")
            time.sleep(0.5)  # so that it waits; if it does not yet, it is refused at once
            self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{policy}")
            self.at_owner.produce(queue, "secret")
            self.check_error(waiting.result(), 404, 10240401)
        self.assertEqual(self.at_owner.drain(queue, group, 1), ["secret"])

    def test_policy_that_goes_ends_all_long_polls_of_a_connection(self):
        queue, group = self.make_queue()
        policy = self.allow(queue, "ConsumeMessages", "GetQueue")
        path = f"{self.at_guest.prefix}/queues/{queue}"
        consume = f"{path}/groups/{group}/messages?time_wait=20&max_msgs=1"
        answers = self.at_guest.pipeline([path] + [consume] * 4)
        self.assertEqual(next(answers).status, 200)
        self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{policy}")
        self.at_owner.produce(queue, "a", "b", "c", "d")
        for _ in range(4):
            self.check_error(next(answers), 404, 10240401)
        self.assertEqual(sorted(self.at_owner.drain(queue, group, 4)), ["a", "b", "c", "d"])


class Roles(SharingTest):
    def test_reader_looks_and_does_nothing(self):
        queue, group = self.make_queue()
        reader = self.accounts.make_user("dms_reader", self.owner.project).rest()
        self.assertEqual(self.calls(queue, group, reader), {"GetQueue", "GetGroups"})
        self.check_error(reader.call("POST", "/queues", {"name": "x"}), 403, 10240310)
        reader.must(200, "GET", f"/queues/{queue}/policies")

    def test_user_produces_and_consumes(self):
        queue, group = self.make_queue()
        user = self.accounts.make_user("dms_user", self.owner.project).rest()
        self.assertEqual(self.calls(queue, group, user),
                         {"GetQueue", "GetGroups", "ProduceMessages", "ConsumeMessages"})
        self.check_error(user.call("POST", "/queues", {"name": "x"}), 403, 10240311)
        self.check_error(user.call("DELETE", f"/queues/{queue}"), 403, 10240311)

    def test_quotas_are_set_by_administrators_only(self):
        body = {"quotas": {"resources": [{"type": "queue", "quota": 20}]}}
        self.check_error(self.at_owner.call("PUT", "/quotas/dms", body), 403, 10240311)
        self.at_owner.must(200, "GET", "/quotas/dms")


class Kafka(SharingTest):
    def connect(self, user):
        connection = wire.Connection(self.broker.connect())
        self.addCleanup(connection.close)
        connection.call(17, 1, wire.string("PLAIN"))
        token = f"\0{user.login}\0{user.password}".encode()
        self.assertEqual(connection.call(36, 0, wire.data(token)).i16(), 0)
        return connection

    def connected(self, user):
        """One connection for all of a test: proving who one is costs the most."""
        known = self.__dict__.setdefault("connections", {})
        if user not in known:
            known[user] = self.connect(user)
        return known[user]

    def topics(self, user):
        settings = {"bootstrap.servers": self.broker.bootstrap, **user.kafka()}
        admin = confluent_kafka.Producer(settings)
        return set(admin.list_topics(timeout=30).topics)

    def consume(self, user, topic, group, count):
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.broker.bootstrap, "group.id": group,
            "auto.offset.reset": "earliest", **user.kafka()})
        consumer.subscribe([topic])
        try:
            messages = consumer.consume(count, timeout=30)
            for message in messages:
                if message.error():
                    raise AssertionError(message.error())
            return [message.value() for message in messages]
        finally:
            consumer.close()

    def produce(self, user, topic, value):
        errors = []
        producer = confluent_kafka.Producer({"bootstrap.servers": self.broker.bootstrap,
                                             **user.kafka()})
        producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
        producer.flush(30)
        return errors[0] and errors[0].code()

    def test_metadata_lists_ones_own_project_and_what_is_shared(self):
        queue, _ = self.make_queue("KAFKA_HA")
        topic = f"k-{self.owner.project}-{queue}"
        own = self.topic()
        self.guest.kcat("-P", "-t", own, stdin=b"x")
        self.assertEqual(self.topics(self.guest) & {topic, own}, {own})
        self.assertEqual(self.topics(self.owner) & {topic, own}, {topic})
        self.assertFalse([name for name in self.topics(self.owner) if name.startswith("__")])
        for action in ("GetQueue", "ProduceMessages", "ConsumeMessages"):
            policy = self.allow(queue, action)
            self.assertIn(topic, self.topics(self.guest))
            self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{policy}")
        self.allow(queue, "GetGroups", "CreateGroup", "DeleteGroup")
        self.assertNotIn(topic, self.topics(self.guest))

    def test_shared_queue_is_produced_to_and_consumed_as_allowed(self):
        queue, group = self.make_queue("KAFKA_HA")
        topic = f"k-{self.owner.project}-{queue}"
        denied = confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED
        self.assertEqual(self.produce(self.guest, topic, b"no"), denied)
        self.allow(queue, "ConsumeMessages")
        self.assertEqual(self.produce(self.guest, topic, b"no"), denied)
        self.assertIsNone(self.produce(self.owner, topic, b"from the owner"))
        self.assertEqual(self.consume(self.guest, topic, group, 1), [b"from the owner"])
        self.allow(queue, "ProduceMessages")
        self.assertIsNone(self.produce(self.guest, topic, b"from the guest"))
        # The same queue over REST, for the same guest.
        second = self.at_owner.create_group(queue, "second")
        self.assertEqual(len(self.at_guest.drain(queue, second, 2)), 2)

    def test_topic_of_a_normal_queue_is_read_as_allowed(self):
        queue, _ = self.make_queue("FIFO")
        topic = f"q-{self.owner.project}-{queue}"
        self.at_owner.produce(queue, "hello")
        with self.assertRaises(AssertionError):
            self.guest.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q")
        self.allow(queue, "ConsumeMessages")
        got = self.guest.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q")
        self.assertEqual(got, b'"hello"\n')

    def test_groups_of_a_queue_share_its_fate(self):
        queue, group = self.make_queue("KAFKA_HA")
        connection = self.connect(self.guest)
        body = wire.string(group) + wire.i32(10000) + wire.string("") + wire.string("consumer") \
            + wire.array([wire.string("range") + wire.data(b"")])
        self.assertEqual(connection.call(wire.JOIN_GROUP, 0, body).i16(), 30)  # GROUP_AUTHORIZATION
        self.allow(queue, "ConsumeMessages")
        self.assertEqual(connection.call(wire.JOIN_GROUP, 0, body).i16(), 0)

    def test_policy_that_goes_ends_a_fetch_that_waits(self):
        queue, _ = self.make_queue("KAFKA_HA")
        topic = f"k-{self.owner.project}-{queue}"
        policy = self.allow(queue, "ConsumeMessages")
        connection = self.connect(self.guest)
        connection.send(wire.FETCH, 4, wire.fetch_body(topic, 0, 0, max_wait_ms=20000))
        time.sleep(0.5)  # as above
        self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{policy}")
        owner = self.connect(self.owner)
        body = wire.produce_body(topic, 0, wire.batch([b"secret"], int(time.time() * 1000)))
        owner.call(wire.PRODUCE, 3, body)
        answer = wire.FetchAnswer(connection.receive()[1])
        self.assertEqual(answer.parts[0]["error"], TOPIC_AUTHORIZATION_FAILED)
        self.assertFalse(answer.parts[0]["records"])

    def groups(self, user):
        reader = self.connected(user).call(wire.LIST_GROUPS, 0, b"")
        self.assertEqual(reader.i16(), 0)
        return {name for name, _ in reader.array(lambda one: (one.string(), one.string()))}

    def test_groups_of_the_same_name_in_two_projects_are_apart(self):
        name = self.topic("group")
        for user in (self.owner, self.guest, self.accounts.admin):
            topic = self.topic()
            user.kcat("-P", "-t", topic, stdin=b"x")
            self.assertEqual(self.consume(user, topic, name, 1), [b"x"])
            self.assertEqual(self.groups(user) & {name}, {name})
            self.assertFalse([one for one in self.groups(user) if "/" in one])
        sneaky = f"{self.owner.project}/{name}"  # what the owner's is kept under

        def delete(user, group):
            reader = self.connected(user).call(wire.DELETE_GROUPS, 0,
                                             wire.array([wire.string(group)]))
            reader.i32()
            return reader.array(lambda one: (one.string(), one.i16()))

        for user in (self.guest, self.accounts.admin):
            self.assertEqual(delete(user, sneaky), [(sneaky, 69)])  # GROUP_ID_NOT_FOUND
        self.assertEqual(delete(self.guest, name), [(name, 0)])
        self.assertNotIn(name, self.groups(self.guest))
        self.assertIn(name, self.groups(self.owner))

    def deny(self, queue, *actions):
        return self.allow(queue, *actions, users=["*"], effect="deny")

    def test_denying_wins_here_too(self):
        queue, group = self.make_queue("KAFKA_HA")
        topic = f"k-{self.owner.project}-{queue}"
        denied = confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED
        self.allow(queue, *ACTIONS, users=["*"])
        for user in (self.owner, self.guest):
            self.assertIsNone(self.produce(user, topic, b"x"))
        denial = self.deny(queue, "ProduceMessages")
        for user in (self.owner, self.guest):
            self.assertEqual(self.produce(user, topic, b"no"), denied)
        self.assertEqual(self.consume(self.guest, topic, group, 2), [b"x"] * 2)
        self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{denial}")
        denial = self.deny(queue, "ConsumeMessages")
        for user in (self.owner, self.guest):
            with self.assertRaises(AssertionError):
                user.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q")
            self.assertIsNone(self.produce(user, topic, b"x"))
            self.assertEqual(self.join(user, group), GROUP_AUTHORIZATION_FAILED)

    def join(self, user, group):
        body = wire.string(group) + wire.i32(10000) + wire.string("") + wire.string("consumer") \
            + wire.array([wire.string("range") + wire.data(b"")])
        return self.connected(user).call(wire.JOIN_GROUP, 0, body).i16()

    def test_denied_look_hides_the_topic_from_who_may_not_use_it(self):
        # Whoever may produce or consume finds the topic, as in Kafka: it could do neither without.
        queue, _ = self.make_queue("KAFKA_HA")
        topic = f"k-{self.owner.project}-{queue}"
        reader = self.accounts.make_user("dms_reader", self.owner.project)
        everybody = (self.owner, self.guest, reader)

        def seen():
            return [user for user in everybody if topic in self.topics(user)]

        self.allow(queue, "GetQueue", "ProduceMessages")
        self.assertEqual(seen(), list(everybody))
        self.deny(queue, "GetQueue")
        self.assertEqual(seen(), [self.owner, self.guest])
        self.check_error(reader.rest().call("GET", f"/queues/{queue}"), 403, 10240309)
        self.deny(queue, "ProduceMessages")
        self.assertEqual(seen(), [self.owner])
        self.deny(queue, "ConsumeMessages")
        self.assertEqual(seen(), [])
        with self.assertRaises(AssertionError):
            self.owner.kcat("-L", "-t", topic, "-C", "-e")

    def test_services_are_no_users_here_either(self):
        queue, group = self.make_queue("KAFKA_HA")
        topic = f"k-{self.owner.project}-{queue}"
        denied = confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED
        smn, stage = (self.accounts.make_user(domain=self.domain, service=name)
                      for name in ("SMN", "FunctionStage"))
        self.allow(queue, "ProduceMessages", "ConsumeMessages", users=["*"])
        for user in (smn, stage):
            self.assertEqual(self.produce(user, topic, b"no"), denied)
        self.allow(queue, "ProduceMessages", users=[], type="service", services=["SMN"])
        self.allow(queue, "ConsumeMessages", users=[], type="service",
                   services=["FunctionStage"])
        self.assertIsNone(self.produce(smn, topic, b"notice"))
        self.assertEqual(self.produce(stage, topic, b"no"), denied)
        self.assertEqual(self.consume(stage, topic, group, 1), [b"notice"])
        self.assertEqual(self.join(smn, group), GROUP_AUTHORIZATION_FAILED)

    def describe(self, user, group):
        reader = self.connected(user).call(wire.DESCRIBE_GROUPS, 0,
                                         wire.array([wire.string(group)]))
        self.assertEqual(reader.i32(), 1)
        return reader.i16()

    def delete_group(self, user, group):
        reader = self.connected(user).call(wire.DELETE_GROUPS, 0, wire.array([wire.string(group)]))
        reader.i32()
        return reader.array(lambda one: (one.string(), one.i16()))[0][1]

    def test_groups_are_listed_described_and_deleted_as_allowed(self):
        queue, group = self.make_queue("KAFKA_HA")
        topic = f"k-{self.owner.project}-{queue}"
        user = self.accounts.make_user("dms_user", self.owner.project)

        def looks(one):
            errors = (self.describe(one, group), group in self.groups(one))
            self.assertIn(errors, ((0, True), (GROUP_AUTHORIZATION_FAILED, False)))
            return errors[1]

        self.assertIsNone(self.produce(self.owner, topic, b"x"))
        self.assertEqual(self.consume(user, topic, group, 1), [b"x"])
        self.assertEqual([looks(one) for one in (self.owner, user, self.guest)],
                         [True, True, False])
        self.assertEqual(self.delete_group(user, group), GROUP_AUTHORIZATION_FAILED)
        policy = self.allow(queue, "GetGroups")
        self.assertTrue(looks(self.guest))
        self.assertEqual(self.delete_group(self.guest, group), GROUP_AUTHORIZATION_FAILED)
        self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{policy}")
        self.allow(queue, "ConsumeMessages", "DeleteGroup")
        self.assertTrue(looks(self.guest))  # it may know of whom it consumes with
        denial = self.deny(queue, "GetGroups")
        self.check_error(self.at_owner.call("GET", f"/queues/{queue}/groups"), 403, 10240309)
        self.assertEqual([looks(one) for one in (self.owner, user, self.guest)], [False] * 3)
        self.assertIsNone(self.produce(self.owner, topic, b"y"))
        self.assertEqual(self.consume(user, topic, group, 1), [b"y"])  # from where it was
        self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{denial}")
        denial = self.deny(queue, "DeleteGroup")
        for one in (self.owner, self.guest):
            self.assertEqual(self.delete_group(one, group), GROUP_AUTHORIZATION_FAILED)
        self.at_owner.must(204, "DELETE", f"/queues/{queue}/policies/{denial}")
        self.assertEqual(self.delete_group(self.guest, group), 0)

    def test_internal_topics_are_for_administrators(self):
        for name in ("__consumer_offsets",):
            with self.assertRaises(AssertionError):
                self.owner.kcat("-C", "-t", name, "-o", "beginning", "-e", "-q")


if __name__ == "__main__":
    harness.main(threads=4)
