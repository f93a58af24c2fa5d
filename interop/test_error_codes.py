#!/usr/bin/env python3
"""Every code of the API reference §1.12: a request that gets it, with its HTTP status and its
text, or the reason why none can. Each test has a project of its own."""

import json
import re
import resource
import uuid

import accounts
import harness
import identity
from test_rest import NO_SUCH, RestTest

# The codes of §1.12 and their statuses, from the reference.
REFERENCE = {400: """
    10240002 10240004 10240005 10240007 10240009 10240010 10240011 10240012 10240013 10240014
    10240015 10240016 10240017 10240018 10240019 10240020 10240021 10240022 10240027 10240028
    10240032 10240035 10240036 10240038 10240039 10240040 10240041 10240042 10240043 10240044
    10240045 10540001 10540003 10540004 10540010 10540011 10540012 10540014 10540202 10542204
    10542205 10542206 10542209 10542214""", 401: "10240101 10240102 10240103 10240104",
             403: "10240304 10240306 10240308 10240309 10240310 10240311 10240312",
             404: "10240401 10240405 10240406 10240407 10240426 10540401",
             500: "10250002 10250003 10250004 10250005 10250006"}
STATUS = {int(code): status for status, codes in REFERENCE.items() for code in codes.split()}

# Codes that nothing here can lead to, and why.
UNREACHABLE = {
    10240032: "a queue is there for everybody once its creation is answered",
    10240306: "there are no accounts to freeze: a domain or user that is disabled has no token",
    10240312: "there are no accounts to restrict, and no balance (guide 4.11)",
    10250002: "what the program itself must not do",
    10250004: "memory runs out: seen in unit tests, where allocations fail in turn",
    10250006: "a request that comes while the service stops finds the door closed",
    10540202: "10540010 says the same of the same requests",
    10540401: "no request names a queue by its name",
    10542214: "10540014, 10240014, 10240021 and 10542206 say what is wrong with a consume",
}


class Codes(RestTest):
    """Those that need no authentication."""

    options = {"dms_delayed_messages_max": 1}
    seen = {}

    def setUp(self):
        super().setUp()
        self.queue_id, self.group_id = self.queue("FIFO", redrive_policy="enable",
                                                  max_consume_count=2)
        self.path = f"/queues/{self.queue_id}"
        self.group = f"{self.path}/groups/{self.group_id}"
        self.tags = f"/queue/{self.queue_id}/tags"

    def refused(self, code, method, path, value=None, text=None, rest=None, raw=None):
        rest = rest or self.rest
        if raw is not None:
            answer = rest.raw(method, rest.prefix + path, raw)
        else:
            answer = rest.call(method, path, value)
        self.check_error(answer, STATUS[code], code)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        # No text waits for something to be filled in, or ends where it was to be.
        self.assertNotIn("{}", answer.body["message"])
        self.assertNotRegex(answer.body["message"], r"(:|because|is|by)\s*$")
        if text is not None:
            self.assertEqual(answer.body["message"], text)
        Codes.seen[code] = answer.body["message"]
        return answer

    def test_project_queue_and_group(self):
        other = harness.Rest(self.broker.http_port, "x" * 32)
        self.refused(10240005, "GET", "/queues", rest=other)
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/groups"), ("POST", "/groups"),
                             ("POST", "/messages"), ("GET", "/messages"), ("GET", "/policies")):
            value = {} if method == "POST" else None
            self.refused(10240015, method, "/queues/no-queue-id" + path, value)
            self.refused(10240401, method, f"/queues/{NO_SUCH}" + path, value)
        for method, path in (("DELETE", ""), ("GET", "/messages"), ("POST", "/ack"),
                             ("GET", "/deadletters"), ("POST", "/deadletters/ack"),
                             ("POST", "/reset")):
            value = {} if method == "POST" else None
            self.refused(10240016, method, f"{self.path}/groups/{NO_SUCH}{path}", value)
            self.refused(10240405, method, f"{self.path}/groups/g-{NO_SUCH}{path}", value)
        self.refused(10240406, "GET", "/nothing")

    def test_fields_of_a_queue(self):
        for code, fields in (
                (10240011, {"name": ""}), (10240011, {"name": "n" * 65}),
                (10240007, {"name": "a.b"}), (10240013, {"description": "d" * 161}),
                (10240010, {"description": "a>b"}),
                (10240022, {"redrive_policy": "enable", "max_consume_count": 101}),
                (10240027, {"queue_mode": "KAFKA_HT", "retention_hours": 73}),
                (10240028, {"retention_hours": 72}), (10240017, {"name": "queue"}),
                (10540010, {"queue_mode": "LIFO"})):
            self.refused(code, "POST", "/queues", {"name": "new", **fields})
        self.refused(10240009, "POST", "/queues", raw=b"{")
        for name in "abcd":
            self.rest.create_queue(name)
        self.refused(10240002, "POST", "/queues", {"name": "sixth"})

    def test_fields_of_a_group(self):
        for code, names in ((10240012, ["g" * 33]), (10240007, ["ä"]), (10240018, ["group"]),
                            (10240019, ["a", "b", "c"])):
            self.refused(code, "POST", f"{self.path}/groups",
                         {"groups": [{"name": name} for name in names]})

    def test_quotas_and_policies(self):
        for code, quota in ((10240304, 0), (10240308, 21)):
            self.rest.create_queue(uuid.uuid4().hex)
            quota = quota or 1
            self.refused(code, "PUT", "/quotas/dms", {"quotas": {"resources": [
                {"type": "queue", "quota": quota}]}})
        policy = {"users": ["*"], "actions": ["GetQueue"]}
        self.refused(10240020, "PUT", f"{self.path}/policies", {"policies": [policy] * 21})

    def test_quota_of_partitions_of_the_whole_broker(self):
        own = self.own_broker(max_partitions=80, dms_queues_per_project=20)
        for _ in range(2):
            rest = own.rest()
            for index in range(20):
                answer = rest.call("POST", "/queues", {"name": f"q{index}"})
                if answer.status != 201:
                    self.refused(10240020, "POST", "/queues", {"name": f"q{index}"}, rest=rest)
                    return
        self.fail("120 partitions where there are to be 80")

    def test_resource_tags(self):
        def tag(key="k", value="v"):
            return {"key": key, "value": value}
        for code, bad in ((10240035, tag("k" * 37)), (10240036, tag("a=b")),
                          (10240038, tag(value="v" * 44)), (10240039, tag(value="a<b"))):
            self.refused(code, "POST", self.tags, {"tag": bad})
        action = self.tags + "/action"
        self.refused(10240040, "POST", action, {"action": "make", "tags": [tag()]})
        self.refused(10240044, "POST", action, {
            "action": "create", "tags": [tag(str(index)) for index in range(11)]})
        self.refused(10240045, "POST", action, {"action": "create", "tags": [tag(), tag()]})
        self.refused(10240426, "DELETE", self.tags + "/absent")
        search = "/queue/resource_instances/action"
        self.refused(10240041, "POST", search, {"action": "find"})
        self.refused(10240042, "POST", search, {"action": "filter", "limit": "1001"})
        self.refused(10240043, "POST", search, {"action": "filter", "offset": str(2 ** 63)})

    def test_produce(self):
        path = f"{self.path}/messages"
        for code, message in ((10240004, {"tags": ["a b"]}), (10540001, {"attributes": []}),
                              (10540010, {"delay_time": -1})):
            self.refused(code, "POST", path, {"messages": [{"body": 1, **message}]})
        self.refused(10540012, "POST", path, raw=b'{"messages":[{"body":')
        self.refused(10540011, "POST", path, {"messages": [{"body": "x" * 524287}]},
                     "The message size is 524289, larger than the size limit 524288")
        kafka = self.rest.create_queue("kafka", queue_mode="KAFKA_HA")["id"]
        self.refused(10540010, "POST", f"/queues/{kafka}/messages",
                     {"messages": [{"body": 1, "delay_time": 1}]},
                     "Invalid request format: kafka queue message could not have delayTime.")
        delayed = {"messages": [{"body": 1, "delay_time": 600000}]}
        self.rest.must(201, "POST", path, delayed)
        self.refused(10240407, "POST", path, delayed)

    def test_consume(self):
        for code, query in ((10240014, "max_msgs=11"), (10240021, "time_wait=61"),
                            (10542206, "ack_wait=14"), (10240004, "tag=a.b"),
                            (10540014, "tag=a&tag_type=xor")):
            self.refused(code, "GET", f"{self.group}/messages?{query}")
        self.refused(10540014, "GET", f"{self.path}?include_deadletter=maybe")
        self.refused(10540014, "GET", f"{self.path}?a=%zz")
        self.rest.must(200, "GET", f"{self.group}/messages?time_wait=1&tag=a")
        self.refused(10542204, "GET", f"{self.group}/messages?time_wait=1&tag=b")

    def test_acknowledge(self):
        self.rest.produce(self.queue_id, 1)
        handler = self.rest.consume(self.queue_id, self.group_id)[0]["handler"]
        other = self.rest.create_group(self.queue_id, "other")

        def rows(handler, status="success"):
            return {"message": [{"handler": handler, "status": status}]}
        self.refused(10540003, "POST", f"{self.group}/ack", rows(handler, "maybe"),
                     "Message ack status must be either 'success' or 'fail'. "
                     "It should not be 'maybe'.")
        self.refused(10540004, "POST", f"{self.path}/groups/{other}/ack", rows(handler))
        self.refused(10542205, "POST", f"{self.group}/deadletters/ack", rows(handler))
        self.refused(10542209, "POST", f"{self.group}/ack", rows(handler[:-4]))
        self.refused(10540010, "POST", f"{self.group}/ack", {"message": [{"handler": handler}]})
        self.assertEqual(self.rest.must(200, "POST", f"{self.group}/ack", rows(handler)),
                         {"success": 1, "fail": 0})
        self.refused(10542209, "POST", f"{self.group}/ack", rows(handler))

    def test_internal_errors_of_a_full_disk(self):
        own = self.own_broker()
        rest = own.rest()
        queue = rest.create_queue()["id"]
        resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        answer = rest.call("POST", f"/queues/{queue}/messages",
                           {"messages": [{"body": "x" * 100000}]})
        self.check_error(answer, 500, 10250003)
        Codes.seen[10250003] = answer.body["message"]
        resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Authenticated(accounts.AccountsTest):
    """Those that are about who asks."""

    refused, check_error = Codes.refused, RestTest.check_error

    def test_tokens(self):
        nobody = accounts.Rest(self.accounts.port, accounts.DEFAULT_PROJECT)
        self.refused(10240103, "GET", "/queues", rest=nobody)
        nobody.token = "f" * 64
        self.refused(10240101, "GET", "/queues", rest=nobody)
        user = self.accounts.make_user()
        rest = user.rest()
        rest.prefix = "/v1.0/" + self.accounts.make_project()
        self.refused(10240104, "GET", "/queues", rest=rest)

    def test_expired_signature(self):
        access, secret = self.accounts.access_key(self.accounts.admin)
        target = f"/v1.0/{accounts.DEFAULT_PROJECT}/queues"
        nobody = accounts.Rest(self.accounts.port, accounts.DEFAULT_PROJECT)
        headers = identity.sign(access, secret, "GET", target,
                                {"Host": f"{harness.HOST}:{self.accounts.port}"}, at=1500000000)
        answer = nobody.raw("GET", target, headers=headers)
        self.check_error(answer, 401, 10240102)
        Codes.seen[10240102] = answer.body["message"]

    def test_roles_and_policies(self):
        owner = self.accounts.make_user()
        rest = owner.rest()
        queue = rest.create_queue()["id"]
        for role, code in (("dms_reader", 10240310), ("dms_user", 10240311)):
            user = self.accounts.make_user(role, owner.project).rest()
            self.refused(code, "DELETE", f"/queues/{queue}", rest=user)
        rest.must(201, "POST", f"/queues/{queue}/policies",
                  {"effect": "deny", "users": ["*"], "actions": ["ProduceMessages"]})
        self.refused(10240309, "POST", f"/queues/{queue}/messages", {"messages": [{"body": 1}]},
                     rest=rest)

    def test_keystone_that_does_not_answer(self):
        """10250005: who asks is known to another service, and that one is not there."""
        broker = harness.Broker(start=False, dms_authentication="keystone",
                                dms_keystone_url=f"http://{harness.HOST}:{harness.free_port()}/v3")
        self.addCleanup(broker.close)
        with open(f"{broker.directory}/password", "w", encoding="ascii") as file:
            file.write("none\n")
        harness.os.chmod(file.name, 0o600)
        broker.options["dms.keystone.password.file"] = file.name
        broker.start()
        rest = accounts.Rest(broker.http_port)
        rest.token = "f" * 64
        self.refused(10250005, "GET", "/queues", rest=rest)


class Complete(RestTest):
    """Last, by its name's place in the file: what was not seen has a reason."""

    def test_all_of_them(self):
        document = self.rest.raw("GET", "/openapi.json").body
        declared = document["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
        never = {code for code in UNREACHABLE if STATUS[code] < 500}
        self.assertEqual(set(declared), set(STATUS) - never)
        if len(harness.sys.argv) == 1:  # not when one test alone is run
            missing = set(STATUS) - set(Codes.seen) - set(UNREACHABLE)
            self.assertFalse(missing)
            self.assertFalse(set(Codes.seen) & set(UNREACHABLE))
        for message in Codes.seen.values():
            self.assertRegex(message, re.compile(r"\S.*\S", re.DOTALL))
            self.assertNotIn("{}", message)
            json.dumps(message)

    def test_operations_name_no_code_that_cannot_come(self):
        document = self.rest.raw("GET", "/openapi.json").body
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if isinstance(operation, dict):
                    named = set(operation.get("x-error-codes", ()))
                    self.assertFalse(named & set(UNREACHABLE), (method, path))


if __name__ == "__main__":
    harness.main(threads=8)
