#!/usr/bin/env python3
"""The audit trail (guide §1.7, Cloud Trace Service; API §1.14): what both doors change leaves a
trace that says who, what, when, from where and with what result; refusals too; searched over
REST, newest first, in pages; there after restart and kill -9."""

import json
import time
import uuid

from kafka.admin import KafkaAdminClient, NewPartitions, NewTopic
from kafka.errors import KafkaError

import accounts
import harness

DEFAULT_PROJECT = "0" * 32


class AuditTest(harness.BrokerTest):
    def setUp(self):
        self.rest = self.broker.rest()

    def traces(self, query="", rest=None, version="v3"):
        rest = rest or self.rest
        path = "traces" if version == "v3" else "system/trace"
        answer = rest.raw("GET", f"/{version}/{rest.project}/{path}{query}")
        self.assertEqual(answer.status, 200, answer.raw)
        self.assertEqual(answer.body["meta_data"]["count"], len(answer.body["traces"]))
        return answer.body["traces"]

    def one(self, query, **arguments):
        found = self.traces(query, **arguments)
        self.assertEqual(len(found), 1, found)
        return found[0]


class Operations(AuditTest):
    """Guide §1.7: 当前 CTS 记录 DMS 的操作有：创建队列、删除队列、创建消费组、删除消费组."""

    def test_a_queue_made_and_deleted(self):
        before = int(time.time() * 1000)
        made = self.rest.call("POST", "/queues", {"name": "audited"})
        queue = made.body["id"]
        trace = self.one("?trace_name=createQueue")
        self.assertEqual((trace["resource_type"], trace["resource_id"], trace["resource_name"]),
                         ("queue", queue, "audited"))
        self.assertEqual((trace["code"], trace["trace_rating"], trace["message"]),
                         ("201", "normal", ""))
        self.assertEqual((trace["service_type"], trace["trace_type"]), ("DMS", "ApiCall"))
        self.assertEqual(trace["source_ip"], harness.HOST)
        self.assertEqual(trace["project_id"], self.rest.project)
        self.assertEqual(trace["user"]["name"], "anonymous")
        self.assertEqual(set(trace["user"]), {"id", "name", "domain"})
        self.assertEqual(trace["request_id"], made.headers["X-Request-Id"])
        self.assertLessEqual(before, trace["time"])
        self.assertLessEqual(trace["time"], int(time.time() * 1000))
        uuid.UUID(trace["trace_id"])
        self.rest.must(204, "DELETE", f"/queues/{queue}")
        trace = self.one("?trace_name=deleteQueue")
        self.assertEqual((trace["resource_id"], trace["resource_name"], trace["code"]),
                         (queue, "audited", "204"))

    def test_groups_made_together_leave_a_trace_each(self):
        queue = self.rest.create_queue()["id"]
        made = self.rest.must(201, "POST", f"/queues/{queue}/groups",
                              {"groups": [{"name": "one"}, {"name": "two"}]})["groups"]
        traces = self.traces("?resource_type=group")
        self.assertEqual({(one["trace_name"], one["resource_id"], one["resource_name"])
                          for one in traces},
                         {("createGroup", one["id"], one["name"]) for one in made})
        self.rest.must(204, "DELETE", f"/queues/{queue}/groups/{made[0]['id']}")
        trace = self.one("?trace_name=deleteGroup")
        self.assertEqual((trace["resource_id"], trace["resource_name"]), (made[0]["id"], "one"))

    def test_however_many_groups_are_made_together(self):
        broker = self.own_broker(dms_groups_per_queue=20)
        rest = broker.rest()
        queue = rest.create_queue()["id"]
        names = [f"g{index}" for index in range(20)]
        rest.must(201, "POST", f"/queues/{queue}/groups",
                  {"groups": [{"name": name} for name in names]})
        traces = self.traces("?trace_name=createGroup&limit=100", rest)
        self.assertEqual(sorted(one["resource_name"] for one in traces), sorted(names))
        for one in traces:
            self.assertTrue(one["resource_id"].startswith("g-"), one)

    def test_refused_together_they_leave_sixteen_at_most(self):
        queue = self.rest.create_queue()["id"]
        answer = self.rest.call("POST", f"/queues/{queue}/groups",
                                {"groups": [{"name": f"g{index}"} for index in range(3000)]})
        self.assertEqual(answer.body["code"], 10240019)
        self.assertEqual(len(self.traces("?trace_name=createGroup&limit=200")), 16)

    def test_tags(self):
        queue = self.rest.create_queue("tagged")["id"]
        path = f"/queue/{queue}/tags"
        self.rest.must(204, "POST", path, {"tag": {"key": "a", "value": "1"}})
        self.rest.must(204, "POST", path + "/action",
                       {"action": "create", "tags": [{"key": "b", "value": "2"}]})
        self.rest.must(204, "POST", path + "/action",
                       {"action": "delete", "tags": [{"key": "b"}]})
        self.rest.must(204, "DELETE", path + "/a")
        traces = self.traces(f"?resource_type=tag&resource_id={queue}")
        self.assertEqual([one["trace_name"] for one in traces],
                         ["deleteQueueTag", "deleteQueueTag", "createQueueTag", "createQueueTag"])
        self.assertEqual({one["resource_name"] for one in traces}, {"tagged"})

    def test_reset_policies_and_quota(self):
        """Beyond the guide's four; the policies as API §1.14 names them."""
        queue = self.rest.create_queue("watched")["id"]
        group = self.rest.create_group(queue)
        self.rest.must(200, "POST", f"/queues/{queue}/groups/{group}/reset",
                       {"position": "latest"})
        policies = f"/queues/{queue}/policies"
        made = self.rest.must(201, "POST", policies, {"users": ["*"], "actions": ["GetQueue"]})
        self.rest.must(200, "PUT", f"{policies}/{made['id']}",
                       {"users": ["*"], "actions": ["GetGroups"]})
        self.rest.must(204, "DELETE", f"{policies}/{made['id']}")
        self.rest.call("PUT", "/quotas/dms",
                       {"quotas": {"resources": [{"type": "queue", "quota": 20}]}})
        got = [(one["trace_name"], one["resource_type"], one["resource_id"])
               for one in self.traces("?trace_rating=normal")]
        self.assertEqual(got, [
            ("setQuotas", "quota", ""),
            ("delete resource access policy", "queue", queue),
            ("update resource access policy", "queue", queue),
            ("create resource access policy", "queue", queue),
            ("resetGroup", "group", group),
            ("createGroup", "group", group),
            ("createQueue", "queue", queue)])

    def test_refusals_are_traced(self):
        queue = self.rest.create_queue("once")["id"]
        self.rest.call("POST", "/queues", {"name": "once"})
        trace = self.one("?trace_name=createQueue&trace_rating=warning")
        self.assertEqual((trace["code"], trace["resource_name"], trace["resource_id"]),
                         ("400", "once", ""))
        self.assertIn("10240017", trace["message"])
        self.rest.call("POST", "/queues", {"name": "bad name"})
        self.rest.call("DELETE", f"/queues/{uuid.UUID(int=7)}")
        codes = [(one["trace_name"], one["code"])
                 for one in self.traces("?trace_rating=warning")]
        self.assertEqual(codes, [("deleteQueue", "404"), ("createQueue", "400"),
                                 ("createQueue", "400")])
        self.assertEqual(self.one(f"?resource_id={queue}")["trace_rating"], "normal")

    def test_a_refusal_says_what_the_client_was_told(self):
        answer = self.rest.call("POST", "/queues", {"name": "one", "queue_mode": "LIFO"})
        trace = self.one("?trace_name=createQueue&trace_rating=warning")
        self.assertEqual(trace["message"], f"{answer.body['code']} {answer.body['message']}")
        self.assertNotIn("{}", trace["message"])
        self.assertIn("queue_mode", trace["message"])

    def test_what_is_not_an_operation_leaves_no_trace(self):
        """API §1.14: produce, consume and ack are not audited."""
        queue = self.rest.create_queue()["id"]
        group = self.rest.create_group(queue)
        count = len(self.traces())
        self.rest.produce(queue, "a message that is nobody's business")
        self.rest.drain(queue, group, 1)
        self.rest.must(200, "GET", "/queues")
        self.assertEqual(len(self.traces()), count)

    def test_no_trace_holds_a_body_or_a_header(self):
        self.rest.raw("POST", f"/v1.0/{self.rest.project}/queues",
                      json.dumps({"name": "secretive", "description": "hush-in-body"}),
                      {"Content-Type": "application/json", "X-Auth-Token": "hush-in-token"})
        self.assertNotIn("hush", json.dumps(self.traces()))


class Kafka(AuditTest):
    def setUp(self):
        super().setUp()
        self.default = self.broker.rest(DEFAULT_PROJECT)

    def test_topics_made_grown_and_deleted(self):
        topic = self.topic()
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        self.addCleanup(admin.close)
        admin.create_topics([NewTopic(topic, 1, 1)])
        with self.assertRaises(KafkaError):
            admin.create_topics([NewTopic(topic, 1, 1)])
        admin.create_partitions({topic: NewPartitions(2)})
        admin.delete_topics([topic])
        traces = self.traces(f"?resource_name={topic}", self.default)
        self.assertEqual(
            [(one["trace_name"], one["code"], one["trace_rating"]) for one in traces],
            [("deleteTopic", "0", "normal"), ("createPartitions", "0", "normal"),
             ("createTopic", "36", "warning"), ("createTopic", "0", "normal")])
        for one in traces:
            self.assertEqual((one["resource_type"], one["api_version"], one["source_ip"]),
                             ("topic", "kafka", harness.HOST))
        uuid.UUID(traces[-1]["resource_id"])

    def test_a_group_of_a_queue_loses_only_its_offsets(self):
        """It is made and deleted over REST; a Kafka client's DeleteGroups ends what Kafka knows
        of it."""
        queue = self.default.create_queue(queue_mode="KAFKA_HA")
        try:
            group = self.default.create_group(queue["id"], "both")
            self.broker.kcat("-P", "-t", queue["kafka_topic"], stdin=b"x")
            self.broker.kcat("-G", group, "-e", queue["kafka_topic"])
            admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
            self.addCleanup(admin.close)
            harness.wait_for("the members to be gone", lambda: not admin.delete_consumer_groups(
                [group])[0][1].errno)
            trace = self.traces("?trace_name=deleteGroupOffsets&trace_rating=normal",
                                self.default)[0]
            self.assertEqual((trace["resource_id"], trace["resource_name"], trace["code"]),
                             (group, "both", "0"))
            self.assertEqual(self.traces(f"?trace_name=deleteGroup&resource_id={group}",
                                         self.default), [])
            groups = self.default.must(200, "GET", f"/queues/{queue['id']}/groups")["groups"]
            self.assertEqual([one["id"] for one in groups], [group])
        finally:
            self.default.must(204, "DELETE", f"/queues/{queue['id']}")

    def test_a_topic_made_by_asking_for_it(self):
        topic = self.topic()
        self.broker.kcat("-P", "-t", topic, stdin=b"x")
        trace = self.one(f"?resource_name={topic}", rest=self.default)
        self.assertEqual((trace["trace_name"], trace["code"]), ("createTopic", "0"))


class Search(AuditTest):
    def test_pages(self):
        for number in range(5):
            self.rest.call("POST", "/queues", {"name": f"page {number}"})  # refused: a space
        names = []
        query = "?limit=2"
        while True:
            answer = self.rest.raw("GET", f"/v3/{self.rest.project}/traces{query}").body
            if not answer["traces"]:
                break
            self.assertLessEqual(len(answer["traces"]), 2)
            names += [one["request_id"] for one in answer["traces"]]
            query = f"?limit=2&next={answer['meta_data']['marker']}"
        self.assertEqual(len(names), 5)
        self.assertEqual(len(set(names)), 5)
        self.assertNotIn("marker", answer["meta_data"])

    def test_times(self):
        self.rest.create_queue("early")
        early = self.one("?resource_name=early")["time"]
        harness.wait_for("the next millisecond", lambda: int(time.time() * 1000) > early)
        self.rest.create_queue("late")
        late = self.one("?resource_name=late")["time"]
        self.assertLess(early, late)
        names = [one["resource_name"] for one in self.traces(f"?from={early}&to={late}")]
        self.assertEqual(names, ["early"])
        names = [one["resource_name"] for one in self.traces(f"?from={late}&to={late + 1}")]
        self.assertEqual(names, ["late"])

    def test_a_trace_by_its_id(self):
        self.rest.create_queue("sought")
        self.rest.create_queue("other")
        trace = self.one("?resource_name=sought")
        self.assertEqual(self.one(f"?trace_id={trace['trace_id']}"), trace)

    def test_projects_do_not_see_each_other(self):
        self.rest.create_queue("mine")
        self.assertEqual(self.traces(rest=self.broker.rest()), [])

    def test_version_1_has_the_user_as_text(self):
        self.rest.create_queue("mine")
        trace = self.one("?user=anonymous", version="v1.0")
        self.assertEqual(json.loads(trace["user"])["name"], "anonymous")
        self.assertEqual(self.traces("?user=nobody"), [])

    def test_bad_parameters(self):
        for query in ("limit=0", "limit=201", "limit=x", "from=1", "to=1", "from=2&to=2",
                      "from=-1&to=5", "next=abc", "trace_rating=fine", "trace_type=data",
                      "service_type=ECS"):
            answer = self.rest.raw("GET", f"/v3/{self.rest.project}/traces?{query}")
            self.assertEqual((answer.status, answer.body["code"]), (400, 10540014), query)
        answer = self.rest.raw("GET", "/v3/short/traces")
        self.assertEqual(answer.body["code"], 10240005)


class Durability(AuditTest):
    def test_traces_survive_restart_and_kill(self):
        broker = self.own_broker()
        rest = broker.rest()
        rest.create_queue("one")
        broker.restart()
        rest.create_queue("two")
        broker.kill()
        broker.start()
        rest.create_queue("three")
        self.assertEqual([one["resource_name"] for one in self.traces(rest=rest)],
                         ["three", "two", "one"])


class Strangers(accounts.AccountsTest):
    def traces(self, rest, query):
        return rest.raw("GET", f"/v3/{rest.project}/traces?limit=200{query}").body["traces"]

    def test_they_cannot_fill_the_trail(self):
        user = self.accounts.make_user()
        rest, nobody = user.rest(), accounts.Rest(self.accounts.port, user.project)
        rest.create_queue("kept")
        for _ in range(300):
            self.assertEqual(nobody.call("DELETE", f"/queues/{uuid.uuid4()}").status, 401)
        refused = self.traces(rest, "&trace_name=deleteQueue")
        self.assertLessEqual(len(refused), 40)  # 20 a minute; there may be two of these
        self.assertGreaterEqual(len(refused), 1)
        self.assertEqual(refused[0]["message"], "10240103 The request carries no token.")
        self.assertEqual(len(self.traces(rest, "&resource_name=kept")), 1)

    def test_refusals_of_the_identity_service_have_a_message(self):
        user = self.accounts.make_user().rest()
        self.assertEqual(user.raw("POST", "/v3/users", b"{}").status, 403)
        trace = self.traces(user, "&trace_name=createUser")[0]
        self.assertEqual((trace["code"], trace["message"]), (
            "403", "You are not authorized to perform the requested action."))


if __name__ == "__main__":
    harness.main()
