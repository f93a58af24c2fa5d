#!/usr/bin/env python3
"""Requests that are wrong, made by the thousand from /openapi.json: every field of every body with
values of every type, every parameter of every query, every method on every path, JSON and URLs
that are none. Each has to be answered on a connection that stays open, with a code that the
document names for the operation, never with a 500; and none may cost memory."""

import copy
import concurrent.futures
import http.client
import json
import os
import re
import uuid

import jsonschema

import accounts
import harness
from test_openapi import COMMON_CODES, METHODS

NO_SUCH = str(uuid.UUID(int=12345))
RSS_MIB_MAX = 64  # more than before

NESTED = json.loads("[" * 40 + "]" * 40)
HOSTILE = ["' OR 1=1 --", "<script>alert(1)</script>", "../../../etc/passwd", "%s%n%x", "a\u0000b",
           "${jndi:ldap://x}", "\u202e\ufeff", "\ud83d\ude00" * 300]
VALUES = [None, True, False, 0, -1, 1.5, 2 ** 31, 2 ** 63 - 1, -2 ** 63, 2 ** 63, 10 ** 30, 1e308,
          "", "x", "x" * 70000, [], [None], [[]], {}, {"": 0}, NESTED, *HOSTILE]
# What makes or changes accounts: their names in lists and bodies.
ACCOUNTS = {verb + singular.capitalize(): (singular + "s", singular)
            for verb in ("create", "update") for singular in ("user", "project", "domain")}
# Each password costs what a hash costs.
HASHING = {"createUser", "updateUser"}
VALUES_FEW = [None, True, 2 ** 63 - 1, "", "x" * 70000, [], {}, "a\u0000b"]
QUERY_VALUES = ["", "-1", "0", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
                "9" * 40, "1e3", "0x10", "%201", "+1", "1.5", "True", "NaN", "null", "%00", "a%00b",
                "%c3%a4", "'--", "%5B%5D", "x" * 5000, "..%2f..%2f", "1;2", "=", "%26a=b"]


def good_bodies():
    """A request for each operation that has a body: what is made wrong, field by field."""
    policy = {"effect": "allow", "type": "user", "users": ["*"], "services": [],
              "actions": ["GetQueue"]}
    tag = {"key": "k", "value": "v"}
    quotas = {"quotas": {"resources": [{"type": "queue", "quota": 20}]}}
    tags = [{"key": "k", "values": ["v"]}]
    login = {"auth": {"identity": {
        "methods": ["token"], "token": {"id": "t", "duration-seconds": "900"},
        "password": {"user": {"name": "nobody", "password": "not a password", "id": "i",
                              "domain": {"name": "Default", "id": "default"}}}},
        "scope": {"project": {"id": "0" * 32}}}}
    account = {"name": "made", "description": "d", "enabled": True}
    user = {**account, "domain_id": "default", "default_project_id": "0" * 32,
            "password": "too bad"}
    return {
        "createQueue": {"name": "made", "queue_mode": "KAFKA_HA", "description": "d",
                        "redrive_policy": "disable", "max_consume_count": 3,
                        "retention_hours": 5},
        "createGroup": {"groups": [{"name": "made"}]},
        "produceMessages": {"messages": [{"body": "b", "attributes": {"a": 1}, "tags": ["t"],
                                          "delay_time": 0}], "returnId": True,
                            "return_id": False},
        "ackMessages": {"message": [{"handler": "h", "status": "success"}]},
        "ackDeadLetters": {"message": [{"handler": "h", "status": "fail"}]},
        "resetGroup": {"position": "earliest", "force": True},
        "startDeadLetterRedrive": {"messages_per_second": 10, "offsets": [0]},
        "createQueueTag": {"tag": tag},
        "changeQueueTags": {"action": "create", "tags": [tag]},
        "searchQueues": {"action": "filter", "tags": tags, "tags_any": tags, "not_tags": tags,
                         "not_tags_any": tags, "limit": "10", "offset": "0",
                         "matches": [{"key": "resource_name", "value": "q"}]},
        "createQueuePolicy": policy,
        "replaceQueuePolicies": {"policies": [policy]},
        "replaceQueuePolicy": policy,
        "setQuotas": quotas,
        "setQuotasV2": quotas,
        "createToken": login,
        "createTemporaryAccessKey": login,
        "createAccessKey": {"credential": {"user_id": "u", "description": "d"}},
        "updateAccessKey": {"credential": {"status": "active", "description": "d"}},
        "createUser": {"user": user},
        "updateUser": {"user": user},
        "createProject": {"project": {**account, "domain_id": "default"}},
        "updateProject": {"project": {**account, "domain_id": "default"}},
        "createDomain": {"domain": account},
        "updateDomain": {"domain": account},
        "changePassword": {"user": {"password": "another password",
                                    "original_password": "not a password"}},
    }


def places(value, path=()):
    """Paths of everything in value, the whole last."""
    items = value.items() if isinstance(value, dict) else (
        enumerate(value) if isinstance(value, list) else ())
    for key, item in items:
        yield from places(item, path + (key,))
    yield path


def changed(value, path, new):
    """value with new at path; without what is there when new is places."""
    if not path:
        return new
    value = copy.deepcopy(value)
    at = value
    for key in path[:-1]:
        at = at[key]
    if new is places:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return value


def has_null(value):
    return value is None or any(map(has_null, value.values() if isinstance(value, dict)
                                    else value if isinstance(value, list) else ()))


class Client:
    """A connection that has to stay open."""

    def __init__(self, port, token=None):
        self.http = http.client.HTTPConnection(harness.HOST, port, timeout=90)
        self.http.connect()
        self.http.auto_open = False  # a connection that was closed is an error
        self.token = token

    def call(self, method, target, body=None, **headers):
        if self.token:
            headers["X-Auth-Token"] = headers["X-Subject-Token"] = self.token
        if isinstance(body, (dict, list, str, int, float)) or body is None and headers.pop(
                "json", None):
            body = json.dumps(body).encode()
        self.http.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            self.http.putheader(name, value)
        if body is not None:
            self.http.putheader("Content-Length", str(len(body)))
        self.http.endheaders(body)
        response = self.http.getresponse()
        raw = response.read()
        return harness.Answer(response.status, json.loads(raw) if raw[:1] == b"{" else None,
                              {name.lower(): text for name, text in response.getheaders()}, raw)

    def close(self):
        self.http.close()


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


class BadRequests(accounts.AccountsTest):
    options = {"dms_authentication": "builtin", "log_level": "warn"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = cls.accounts.root
        cls.document = root.raw("GET", "/openapi.json").body
        cls.resolver = jsonschema.RefResolver("", cls.document)
        cls.names = {"project_id": root.project, "policy_id": NO_SUCH, "key": "k"}
        cls.names["queue_id"] = cls.queue = root.create_queue(
            "target", redrive_policy="enable", max_consume_count=1)["id"]
        cls.names["group_id"] = cls.group = root.create_group(cls.queue)
        user = cls.accounts.make_user()
        cls.names.update(id=user.id, user_id=user.id, role_id=cls.accounts.role_id("dms_user"),
                         access_key=cls.accounts.access_key(user)[0])

        cls.known = {plural: cls.accounts_of(cls, plural) for plural, _ in ACCOUNTS.values()}

    def setUp(self):
        self.client = Client(self.broker.http_port, self.accounts.root.token)
        self.addCleanup(self.client.close)
        self.rss = rss_mib(self.broker.process.pid)

    def tearDown(self):
        self.assertTrue(self.broker.ready())
        grown = rss_mib(self.broker.process.pid) - self.rss
        if not os.environ.get("DMSD_SANITIZE"):
            self.assertLess(grown, RSS_MIB_MAX)

    def operations(self):
        """(method, target, operation)"""
        for path, item in self.document["paths"].items():
            for method in METHODS + ("patch",):
                if method in item:
                    target = re.sub(r"\{([^}]*)\}", lambda match: self.names[match[1]], path)
                    yield method.upper(), target, item[method]

    def check(self, answer, operation, what):
        """A right answer, or an error in the form and with a code that the document has."""
        what = f"{what}: {answer.status} {answer.raw[:300]}"
        self.assertLess(answer.status, 500, what)
        if answer.status < 400:
            return
        self.assertIsInstance(answer.body, dict, what)
        if "error" in answer.body:  # Keystone's form
            self.assertEqual(answer.body["error"]["code"], answer.status, what)
            return
        self.assertEqual(set(answer.body), {"code", "message"}, what)
        codes = set(operation.get("x-error-codes", ())) | COMMON_CODES
        if "query is malformed" in answer.body["message"]:
            codes.add(10540014)
        self.assertIn(answer.body["code"], codes, what)
        self.assertTrue(answer.body["message"], what)

    def undo(self, operation):
        """Makes room for the next, that it be refused for its own faults."""
        root = self.accounts.root
        if operation == "createQueue":
            for row in root.must(200, "GET", "/queues")["queues"]:
                if row["id"] != self.queue:
                    root.must(204, "DELETE", f"/queues/{row['id']}")
        elif operation == "createGroup":
            for row in root.must(200, "GET", f"/queues/{self.queue}/groups")["groups"]:
                if row["id"] != self.group:
                    root.must(204, "DELETE", f"/queues/{self.queue}/groups/{row['id']}")
        elif operation in ACCOUNTS:
            self.undo_account(*ACCOUNTS[operation])
        elif "Polic" in operation:
            root.must(204, "DELETE", f"/queues/{self.queue}/policies")
        elif "Tag" in operation:
            root.must(204, "POST", f"/queue/{self.queue}/tags/action",
                      {"action": "delete", "tags": [{"key": "k"}]})

    def accounts_of(self, plural):
        return {row["id"] for row in self.accounts.root.raw("GET", f"/v3/{plural}").body[plural]}

    def undo_account(self, plural, singular):
        """Only those of setUpClass are left, under a name that nobody takes."""
        root = self.accounts.root
        for one in self.accounts_of(plural) - self.known[plural]:
            answer = root.raw("PATCH", f"/v3/{plural}/{one}",
                              json.dumps({singular: {"enabled": False}}).encode())
            self.assertEqual(answer.status, 200, answer.raw)
            self.assertEqual(root.raw("DELETE", f"/v3/{plural}/{one}").status, 204)
        target = f"/v3/{plural}/{self.names['id']}"
        if root.raw("GET", target).status == 200:
            name = {singular: {"name": uuid.uuid4().hex[:12], "enabled": True}}
            self.assertEqual(root.raw("PATCH", target, json.dumps(name).encode()).status, 200)

    def send_body(self, method, target, operation, body, is_wrong):
        name = operation["operationId"]
        answer = self.client.call(method, target, json.dumps(body).encode())
        what = f"{name} {json.dumps(body)[:300]}"
        self.check(answer, operation, what)
        if is_wrong:
            self.assertGreaterEqual(answer.status, 400, f"{what}: {answer.raw[:200]}")
        if answer.status < 400:
            self.undo(name)

    def test_every_field_of_every_body_with_values_of_every_type(self):
        """What the schema forbids is refused; absent and null are the same."""
        good = good_bodies()
        operations = [row for row in self.operations() if "requestBody" in row[2]]
        self.assertEqual({row[2]["operationId"] for row in operations}, set(good))
        count = 0
        for method, target, operation in operations:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver)
            body = good[operation["operationId"]]
            for path in places(body):
                values = VALUES_FEW if operation["operationId"] in HASHING else VALUES
                for value in values + ([places] if path else []):
                    sent = changed(body, path, value)
                    is_wrong = not validator.is_valid(sent) and not has_null(sent)
                    self.send_body(method, target, operation, sent, is_wrong)
                    count += 1
        self.assertGreater(count, 4000)

    def test_members_that_nobody_knows_change_nothing(self):
        for method, target, operation in self.operations():
            if "requestBody" in operation:
                body = good_bodies()[operation["operationId"]]
                self.send_body(method, target, operation, {**body, "unknown": NESTED}, False)

    def try_parameter(self, method, target, operation, name):
        client = Client(self.broker.http_port, self.accounts.root.token)
        is_consume = operation["operationId"].startswith("consume")
        # A consume finds nothing, and waits no longer than it must.
        more = "&time_wait=1" if is_consume and name != "time_wait" else ""
        for value in QUERY_VALUES:
            query = f"?{name}={value}{more}"
            self.check(client.call(method, target + query), operation,
                       f"{operation['operationId']} {query[:100]}")
        client.close()

    def test_every_parameter_of_every_query(self):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            tasks = []
            for method, target, operation in self.operations():
                for one in operation.get("parameters", []):
                    name = one.get("name") or one["$ref"].rpartition("/")[2]
                    tasks.append(pool.submit(self.try_parameter, method, target, operation, name))
            for task in tasks:
                task.result()
        self.assertGreater(len(tasks), 60)

    def test_every_method_on_every_path(self):
        """405 with Allow for a method that a path has not; a HEAD without a body."""
        for path, item in self.document["paths"].items():
            target = re.sub(r"\{([^}]*)\}", lambda match: self.names[match[1]], path)
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE",
                           "PROPFIND", "get"):
                if method.lower() in item and method != "get" or (
                        path.endswith("/tags/action") and method == "DELETE"):
                    continue  # the latter is a tag with the key "action"
                answer = self.client.call(method, target)
                what = f"{method} {path}: {answer.status} {answer.raw[:100]}"
                if method == "HEAD":
                    self.assertIn((answer.status, answer.raw), ((200, b""), (405, b"")), what)
                else:
                    self.assertEqual((answer.status, answer.body["code"]), (405, 10240406), what)
                if answer.status == 405:
                    allowed = {text.strip() for text in answer.headers["allow"].split(",")}
                    wanted = {name.upper() for name in item if name != "parameters"}
                    self.assertLessEqual(wanted, allowed, what)

    def test_urls_that_are_none_of_ours(self):
        """Not found, or malformed; a path is taken as it is, with nothing made of its dots."""
        queues = f"/v1.0/{self.names['project_id']}/queues"
        queue = f"{queues}/{self.queue}"
        for target in (
                "/..", "/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//", "/v1.0//queues",
                f"{queues}/", f"{queues}//", f"{queues}/.", f"{queue}/", f"{queue}/..",
                f"{queue}/../../queues", f"{queue}/%2e%2e", f"{queue}%2f", f"{queue}%2Fgroups",
                f"{queue};a=b", f"{queue}%00", f"{queue}%20", f"{queue}/groups%00",
                f"{queues}/{self.queue[:-1]}", f"{queues}/{self.queue}0", f"{queues}/%",
                f"{queues}/%4", f"{queues}/%zz", f"{queues}/%ff", f"{queues}/%c0%ae%c0%ae",
                f"{queues}/%ed%a0%80", f"{queues}\\..", f"/v1%2E0x/{'0' * 32}/queues",
                f"/V1.0/{'0' * 32}/queues", f"/v3.0/{'0' * 32}/queues", "/v1.0/%00/queues",
                f"/v1.0/{'0' * 31}%00/queues", "/metrics/", "/livez/x", "/" + "a/" * 3000,
                f"{queues}/{'x' * 7000}", "/v1.0/' OR '1'='1/queues".replace(" ", "%20")):
            answer = self.client.call("GET", target)
            what = f"{target[:80]}: {answer.status} {answer.raw[:100]}"
            self.assertIn(answer.status, (400, 404), what)
            self.assertEqual(set(answer.body), {"code", "message"}, what)
            self.assertIn(answer.body["code"],
                          (10240406, 10540010, 10240015, 10240005), what)

    def test_percent_encoding_is_undone_once(self):
        queues = f"/v1.0/{self.names['project_id']}/queues"
        for target in ("".join(f"%{ord(char):02x}" for char in self.queue),
                       self.queue.upper(), self.queue.replace("-", "%2D")):
            answer = self.client.call("GET", f"{queues}/{target}")
            self.assertEqual((answer.status, answer.body["id"]), (200, self.queue), target)
        answer = self.client.call("GET", f"{queues}/{self.queue.replace('-', '%252D')}")
        self.assertEqual((answer.status, answer.body["code"]), (400, 10240015))

    def test_bodies_that_are_no_json(self):
        """10240009, and 10540012 where messages are: told before anything else is."""
        nested = [b"[" * depth + b"]" * depth for depth in (65, 5000, 250000)]
        texts = [b"", b" ", b"{", b"}", b"{}{}", b"{} x", b"{'a':1}", b'{"a":1,}', b'{"a"}',
                 b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":1.}', b'{"a":1e}', b'{"a":NaN}',
                 b'{"a":-Infinity}', b'{"a":0x10}', b'{"a":tru}', b'{"a":"\n"}', b'{"a":"\x00"}',
                 b'{"a":"\\x41"}', b'{"a":"\\u12"}', b'{"a":"\\ud800"}', b'{"a":"\\udc00\\ud800"}',
                 b'{"a":"\xff"}', b'{"a":"\xc0\xae"}', b'{"a":"\xed\xa0\x80"}', b'{"\xff":1}',
                 b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\xe2\x82"}', b"\xef\xbb\xbf{}", b"\x00",
                 b"{/*c*/}", b'{"a":"b', b'{"a":[1,2}', "{}".encode("utf-16"),
                 *(b'{"a":' + one + b"}" for one in nested)]
        group = f"/queues/{self.queue}/groups/{self.group}"
        for path, code in (("/queues", 10240009), (f"/queues/{self.queue}/groups", 10240009),
                           (f"/queues/{self.queue}/messages", 10540012),
                           (f"{group}/ack", 10540012), (f"{group}/deadletters/ack", 10540012),
                           (f"/queue/{self.queue}/tags", 10240009)):
            for text in texts:
                answer = self.client.call("POST", self.accounts.root.prefix + path, text)
                self.assertEqual((answer.status, answer.body["code"]), (400, code),
                                 (path, text[:40], answer.raw))
        for text in texts:  # Keystone's form of it
            answer = self.client.call("POST", "/v3/auth/tokens", text)
            self.assertEqual((answer.status, answer.body["error"]["title"]),
                             (400, "Bad Request"), text[:40])

    def test_every_prefix_of_a_message_is_no_json(self):
        target = f"{self.accounts.root.prefix}/queues/{self.queue}/messages"
        text = json.dumps(good_bodies()["produceMessages"]).encode()
        for length in range(len(text)):
            answer = self.client.call("POST", target, text[:length])
            self.assertEqual((answer.status, answer.body["code"]), (400, 10540012), length)
        self.assertEqual(self.client.call("POST", target, text).status, 201)

    def test_of_repeated_members_the_last_one_counts(self):
        root = self.accounts.root
        queues = f"{root.prefix}/queues"
        for names, wanted in ((b'"name":"a","name":"b"', "b"), (b'"name":7,"n\\u0061me":"c"', "c")):
            answer = self.client.call("POST", queues, b"{" + names + b"}")
            self.assertEqual((answer.status, answer.body["name"]), (201, wanted))
        self.undo("createQueue")
        queue, group = self.fresh()
        body = (b'{"messages":[{"body":"no"}],"messages":[{"body":1,"body":{"a":1,"a":2},'
                b'"b\\u006fdy":"last"}]}')
        self.assertEqual(self.client.call("POST", f"{queues}/{queue}/messages", body).status, 201)
        self.assertEqual(root.drain(queue, group, 1), ["last"])

    def fresh(self):
        """A queue and a group for one test."""
        root = self.accounts.root
        queue = root.create_queue("fresh")["id"]
        self.addCleanup(root.must, 204, "DELETE", f"/queues/{queue}")
        return queue, root.create_group(queue)

    def test_what_json_can_say_comes_back_as_it_was(self):
        """Escapes, NUL, numbers no machine holds, scripts: a body is stored as it was written."""
        root = self.accounts.root
        queue, group = self.fresh()
        nested = "[" * 28 + "]" * 28
        for text in ('"\\u0000"', "1e400", "9" * 400, "-0.0", '"<script>"', '"\\ud83d\\ude00"',
                     nested, '{"":{"a":1,"a":2}}', "null", "false", '" "', '"/\\/\\u002f"', "[]"):
            answer = self.client.call("POST", f"{root.prefix}/queues/{queue}/messages",
                                      f'{{"messages":[{{"body":{text}}}]}}'.encode())
            self.assertEqual(answer.status, 201, (text[:40], answer.raw))
            messages = root.call("GET", f"/queues/{queue}/groups/{group}/messages")
            self.assertIn(f'"body":{text},"attributes"'.encode(), messages.raw)
            root.ack(queue, group, messages.body)


if __name__ == "__main__":
    harness.main()
