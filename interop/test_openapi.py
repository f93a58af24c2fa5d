#!/usr/bin/env python3
"""/openapi.json against the running broker: what is asked and answered in a walk through the
API validates against the document: statuses, headers, bodies. That routes and document name the
same is held by the unit test test_openapi."""

import json
import re
import time
import urllib.parse

import jsonschema

import harness
import identity

# Codes that every operation may answer: broken HTTP, no such URL, flow control, storage.
COMMON_CODES = {10540010, 10240406, 10240407, 10250002, 10250003, 10250004, 10250005, 10250006}
METHODS = ("get", "put", "post", "delete", "patch", "head")
COMMON_HEADERS = {"X-Request-Id"}  # of all that is traced


class Checked(harness.Rest):
    """Holds each request that succeeds, and each answer, against the document."""

    def __init__(self, port, document, seen, token=None, project=None):
        super().__init__(port, project)
        self.token = token
        self.document = document
        self.seen = seen  # operationIds with a success
        self.resolver = jsonschema.RefResolver("", document)
        self.patterns = [(re.compile(re.sub(r"\{[^}]*\}", "[^/]+", re.escape(path)
                                            .replace(r"\{", "{").replace(r"\}", "}")) + "$"), path)
                         for path in document["paths"]]

    def operation(self, method, target):
        path = urllib.parse.urlsplit(target).path
        # Literal segments win over parameters, as /queue/tags over /queue/{queue_id}.
        found = sorted((pattern.count("{"), pattern) for expression, pattern in self.patterns
                       if expression.match(path)
                       and method.lower() in self.document["paths"][pattern])
        assert found, f"{method} {path} is not in the document"
        return self.document["paths"][found[0][1]][method.lower()]

    def validate(self, value, schema, what):
        validator = jsonschema.Draft202012Validator(
            schema, resolver=self.resolver,
            format_checker=jsonschema.FormatChecker(["uuid"]))
        errors = [f"{list(one.absolute_path)}: {one.message}"
                  for one in validator.iter_errors(value)]
        assert not errors, f"{what}: {errors}\n{json.dumps(value)[:2000]}"

    def resolve(self, value):
        return self.resolver.resolve(value["$ref"])[1] if "$ref" in value else value

    def validate_headers(self, headers, described, what):
        described = {name: self.resolve(header) for name, header in described.items()}
        for name, header in described.items():
            assert name in headers or not header.get("required"), f"{what}: {name} is missing"
            if name in headers:
                is_number = header["schema"]["type"] == "integer"
                value = int(headers[name]) if is_number else headers[name]
                self.validate(value, header["schema"], f"{what} {name}")
        told = {name for name in headers
                if name.startswith("X-") or name in ("WWW-Authenticate", "Retry-After")}
        assert told <= set(described) | COMMON_HEADERS, f"{what}: {told} are not described"

    def raw(self, method, target, body=None, headers=None, timeout=90):
        headers = dict(headers or {})
        if self.token is not None:
            headers.setdefault("X-Auth-Token", self.token)
        answer = super().raw(method, target, body, headers, timeout)
        operation = self.operation(method, target)
        what = f"{operation['operationId']} {answer.status}"
        responses = operation["responses"]
        response = responses.get(str(answer.status), responses.get("default"))
        assert response is not None, f"{what}: a status that is not described"
        response = self.resolve(response)
        self.validate_headers(answer.headers, response.get("headers", {}), what)
        content = None if method == "HEAD" else response.get("content")
        assert content or answer.raw == b"", f"{what}: {answer.raw[:200]}"
        if content:
            kind = answer.headers["Content-Type"].partition(";")[0]
            assert kind in content, f"{what}: {kind}"
        if content and "application/json" in content:
            self.validate(answer.body, content["application/json"]["schema"], what)
        if answer.status == 401:
            assert "WWW-Authenticate" in answer.headers, what
        if answer.status >= 400 and content and "error" in answer.body:
            assert answer.body["error"]["code"] == answer.status, f"{what}: {answer.body}"
        elif answer.status >= 400 and content and "code" in answer.body:
            codes = set(operation.get("x-error-codes", ())) | COMMON_CODES
            assert answer.body["code"] in codes, f"{what}: {answer.body} is not described"
        elif answer.status < 400:
            self.seen.add(operation["operationId"])
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                self.validate(json.loads(body), schema, what + " request")
        return answer


class DocumentTest(harness.BrokerTest):
    def setUp(self):
        answer = self.broker.rest().raw("GET", "/openapi.json")
        self.assertEqual((answer.status, answer.headers["Content-Type"]),
                         (200, "application/json"))
        self.document = answer.body
        self.seen = set()

    def rest(self, token=None, project=None):
        return Checked(self.broker.http_port, self.document, self.seen, token, project)

    def operations(self):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]

    def described(self, of_identity):
        return {operation["operationId"] for _, _, operation in self.operations()
                if (operation["tags"] == ["identity"]) == of_identity}


class OpenApi(DocumentTest):
    options = {"dms.metrics.interval.ms": 200}

    def test_the_document_is_openapi_3_1(self):
        self.assertTrue(self.document["openapi"].startswith("3.1."))
        for name in ("title", "version"):
            self.assertTrue(self.document["info"][name])
        tags = {tag["name"] for tag in self.document["tags"]}
        for path, method, operation in self.operations():
            self.assertLessEqual(set(operation["tags"]), tags, path)
            for parameter in operation.get("parameters", []):
                if "$ref" not in parameter:
                    self.assertEqual(parameter["in"], "query", path)
                    self.assertTrue(parameter["description"], path)
            for status, response in operation["responses"].items():
                self.assertTrue(status == "default" or 100 <= int(status) < 600)
                self.assertTrue("$ref" in response or response["description"])
            self.assertEqual("requestBody" in operation and method == "get", False)

    def test_every_schema_is_one(self):
        for schema in self.document["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)
        for _, _, operation in self.operations():
            for parameter in operation.get("parameters", []):
                jsonschema.Draft202012Validator.check_schema(parameter.get("schema", {}))

    def test_what_is_there_is_described(self):
        rest = self.rest()
        self.queues_and_groups(rest)
        self.messages(rest)
        self.tags(rest)
        self.policies(rest)
        self.project(rest)
        self.telemetry(rest)
        self.health(rest)
        self.assertEqual(self.described(False) - self.seen, set())

    def queues_and_groups(self, rest):
        for mode in ("NORMAL", "FIFO", "KAFKA_HA", "KAFKA_HT"):
            queue = rest.create_queue(mode, queue_mode=mode, description="words")["id"]
            group = rest.create_group(queue)
            for value in ("true", "false"):
                rest.must(200, "GET", f"/queues/{queue}?include_deadletter={value}")
                rest.must(200, "GET", f"/queues/{queue}/groups?include_deadletter={value}")
                rest.must(200, "GET", f"/queues?include_messages_num={value}"
                                      f"&include_deadletter={value}")
            rest.must(200, "POST", f"/queues/{queue}/groups/{group}/reset",
                      {"position": "earliest", "force": True})
            rest.produce(queue, "browsed")
            rest.must(200, "GET", f"/queues/{queue}/messages?partition=0&text=browsed")
            rest.must(204, "DELETE", f"/queues/{queue}/groups/{group}")
            rest.must(204, "DELETE", f"/queues/{queue}")
        for value in ({}, {"name": "bad name"}, {"name": "x" * 65}, {"name": "x", "queue_mode": 1},
                      {"name": "x", "retention_hours": 3},
                      {"name": "x", "queue_mode": "KAFKA_HA", "retention_hours": 73}):
            self.assertEqual(rest.call("POST", "/queues", value).status, 400)
        self.assertEqual(rest.call("GET", "/queues/nonsense").status, 400)
        self.assertEqual(rest.call("GET", f"/queues/{'0' * 8}-0000-4000-8000-{'0' * 12}").status,
                         404)

    def messages(self, rest):
        queue = rest.create_queue("messages", redrive_policy="enable", max_consume_count=1)["id"]
        group = rest.create_group(queue)
        rest.must(201, "POST", f"/queues/{queue}/messages", {
            "messages": [{"body": {"any": ["json", 1, None]}, "tags": ["a", "b"],
                          "attributes": {"by": "me", "count": 1}}], "returnId": True})
        rest.must(200, "GET", f"/queues/{queue}/messages?order=desc&limit=2")
        leased = rest.consume(queue, group)
        rest.ack(queue, group, leased, "fail")
        letters = f"/queues/{queue}/groups/{group}/deadletters"
        dead = rest.must(200, "GET", letters)
        self.assertEqual(len(dead), 1)
        self.assertEqual(len(rest.must(200, "GET", letters + "/list")["deadletters"]), 1)
        line = rest.call("GET", letters + "/export").raw
        rest.validate(json.loads(line), {"$ref": "#/components/schemas/DeadLetter"}, "a line")
        rest.must(202, "POST", letters + "/redrive",
                  {"offsets": [0, 5], "messages_per_second": 1})
        rest.must(200, "GET", letters + "/redrive")
        rest.must(200, "DELETE", letters + "/redrive")
        self.assertEqual(rest.call("POST", letters + "/redrive", {"offsets": []}).status, 400)
        self.assertEqual(rest.call("GET", letters + "/list?limit=101").status, 400)
        rest.must(200, "POST", f"/queues/{queue}/groups/{group}/deadletters/ack",
                  {"message": [{"handler": dead[0]["handler"], "status": "success"}]})
        self.assertEqual(rest.call("POST", f"/queues/{queue}/groups/{group}/ack",
                                   {"message": [{"handler": "x", "status": "success"}]}).status,
                         400)
        self.assertEqual(rest.call("GET", f"/queues/{queue}/groups/{group}/messages"
                                          "?max_msgs=11").status, 400)
        kafka = rest.create_queue("kafka", queue_mode="KAFKA_HA")["id"]
        group = rest.create_group(kafka)
        rest.produce(kafka, "text", {"any": "json"})
        self.assertEqual(len(rest.drain(kafka, group, 2)), 2)

    def tags(self, rest):
        queue = rest.create_queue("tags")["id"]
        rest.must(204, "POST", f"/queue/{queue}/tags", {"tag": {"key": "a", "value": "1"}})
        rest.must(204, "POST", f"/queue/{queue}/tags/action",
                  {"action": "create", "tags": [{"key": "b", "value": ""}]})
        rest.must(200, "GET", f"/queue/{queue}/tags")
        rest.must(200, "GET", "/queue/tags")
        for action in ("filter", "count"):
            rest.must(200, "POST", "/queue/resource_instances/action",
                      {"action": action, "tags": [{"key": "a", "values": ["1"]}]})
        rest.must(204, "DELETE", f"/queue/{queue}/tags/a")
        self.assertEqual(rest.call("DELETE", f"/queue/{queue}/tags/a").status, 404)

    def policies(self, rest):
        queue = rest.create_queue("policies")["id"]
        path = f"/queues/{queue}/policies"
        policy = rest.must(201, "POST", path, {"users": ["*"], "actions": ["GetQueue"]})
        rest.must(200, "GET", path)
        rest.must(200, "GET", f"{path}/{policy['id']}")
        rest.must(200, "PUT", f"{path}/{policy['id']}",
                  {"effect": "deny", "users": ["a domain"], "actions": ["ProduceMessages"]})
        rest.must(204, "DELETE", f"{path}/{policy['id']}")
        rest.must(200, "PUT", path, {"policies": [
            {"type": "service", "services": ["SMN"], "actions": ["DMS:ProduceMessages"]}]})
        rest.must(204, "DELETE", path)
        self.assertEqual(rest.call("POST", path, {"users": ["*"]}).status, 400)

    def project(self, rest):
        for path in (f"/v1.0/{rest.project}/quotas/dms", f"/v2/{rest.project}/quotas"):
            self.assertEqual(rest.raw("GET", path).status, 200)
            body = json.dumps({"quotas": {"resources": [{"type": "queue", "quota": 20}]}})
            answer = rest.raw("PUT", path, body, {"Content-Type": "application/json"})
            self.assertIn(answer.status, (200, 204), answer.raw)

    def telemetry(self, rest):
        queue = rest.must(200, "GET", "/queues")["queues"][0]["id"]
        self.assertTrue(rest.raw("GET", f"/V1.0/{rest.project}/metrics").body["metrics"])

        def points(name):
            return rest.raw("GET", f"/V1.0/{rest.project}/metric-data?namespace=SYS.DMS"
                                   f"&metric_name={name}&dim.0=queue_instance_id,{queue}"
                                   f"&from={int(time.time() * 1000) - 60000}"
                                   f"&to={int(time.time() * 1000) + 60000}"
                                   "&period=1&filter=max").body["datapoints"]
        for name in ("queued_messages", "message_size"):
            harness.wait_for("a sample", lambda: points(name))
        self.assertEqual(rest.raw("GET", f"/V1.0/{rest.project}/metric-data").status, 400)
        for path in (f"/v3/{rest.project}/traces", f"/v1.0/{rest.project}/system/trace"):
            self.assertTrue(rest.raw("GET", path + "?limit=200").body["traces"])
            self.assertEqual(rest.raw("GET", path + "?limit=0").status, 400)

    def health(self, rest):
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json"):
            self.assertEqual(rest.raw("GET", path).status, 200)


class Identity(DocumentTest):
    """API reference 2, and the routes of Keystone that are not in it."""

    options = {"dms.authentication": "builtin"}

    def setUp(self):
        super().setUp()
        self.password = identity.read_admin(self.broker)["OS_PASSWORD"]
        self.nobody = self.rest()
        self.root = self.rest(self.login("admin", self.password), identity.DEFAULT_PROJECT)

    def iam(self, rest, status, method, path, value=None, **headers):
        body = None if value is None else json.dumps(value)
        answer = rest.raw(method, path, body,
                          {name.replace("_", "-"): text for name, text in headers.items()})
        self.assertEqual(answer.status, status, answer.raw)
        return answer

    def login(self, name, password, status=201, scope=None):
        answer = self.iam(self.nobody, status, "POST", "/v3/auth/tokens",
                          identity.password_body(name, password, scope=scope))
        return answer.headers.get("X-Subject-Token")

    def test_what_is_there_is_described(self):
        for path in ("/v3", "/v3/"):
            self.iam(self.nobody, 200, "GET", path)
        self.tokens()
        user = self.objects()
        self.assignments(user)
        self.keys(user)
        self.own(user)
        self.assertEqual(self.described(True) - self.seen, set())

    def tokens(self):
        """2.1, 2.2."""
        path = "/v3/auth/tokens"
        for scope in ({"project": {"name": "default"}}, {"domain": {"id": "default"}}, "unscoped"):
            token = self.login("admin", self.password, scope=scope)
        self.login("admin", "a wrong password", status=401)
        self.login("admin", self.password, status=401, scope={"project": {"name": "none"}})
        self.login("admin", self.password, status=400, scope=5)
        self.iam(self.nobody, 400, "POST", path, {"auth": []})
        self.iam(self.nobody, 401, "POST", path, {"auth": {"identity": {"methods": ["saml2"]}}})
        by_token = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}
        self.iam(self.nobody, 201, "POST", path, by_token)
        for method in ("GET", "HEAD"):
            self.iam(self.root, 200, method, path, X_Subject_Token=token)
            self.iam(self.root, 404, method, path, X_Subject_Token="unknown")
            self.iam(self.root, 400, method, path)
            self.iam(self.nobody, 401, method, path, X_Subject_Token=token)
        self.iam(self.root, 204, "DELETE", path, X_Subject_Token=token)
        self.iam(self.root, 404, "DELETE", path, X_Subject_Token=token)

    def objects(self):
        """Makes, changes and deletes one of each, and leaves a user; its id."""
        for kind, more in (("domain", {}), ("project", {}), ("user", {"password": "a password"})):
            name = f"{kind}-one"
            fields = {"name": name, "description": "words", **more}
            made = self.iam(self.root, 201, "POST", f"/v3/{kind}s", {kind: fields}).body[kind]
            path = f"/v3/{kind}s/{made['id']}"
            self.iam(self.root, 409, "POST", f"/v3/{kind}s", {kind: fields})
            self.iam(self.root, 400, "POST", f"/v3/{kind}s", {kind: {"name": 5}})
            self.iam(self.root, 200, "GET", f"/v3/{kind}s?name={name}")
            self.iam(self.root, 200, "GET", path)
            changed = self.iam(self.root, 200, "PATCH", path, {kind: {"description": "others"}})
            self.assertEqual(changed.body[kind]["description"], "others")
            self.iam(self.root, 400, "PATCH", path, {kind: {"enabled": 5}})
            self.iam(self.root, 200, "PATCH", path, {kind: {"enabled": False}})
            self.iam(self.root, 204, "DELETE", path)
            for method, value in (("GET", None), ("PATCH", {kind: {}}), ("DELETE", None)):
                self.iam(self.root, 404, method, path, value)
        return self.iam(self.root, 201, "POST", "/v3/users", {"user": {
            "name": "ann", "password": "ann's password", "service": "SMN",
            "default_project_id": identity.DEFAULT_PROJECT}}).body["user"]["id"]

    def assignments(self, user):
        roles = self.iam(self.root, 200, "GET", "/v3/roles").body["roles"]
        role = next(one["id"] for one in roles if one["name"] == "dms_user")
        self.iam(self.root, 200, "GET", f"/v3/roles/{role}")
        self.iam(self.root, 404, "GET", "/v3/roles/unknown")
        for where in ("domains/default", f"projects/{identity.DEFAULT_PROJECT}"):
            path = f"/v3/{where}/users/{user}/roles"
            self.iam(self.root, 204, "PUT", f"{path}/{role}")
            self.iam(self.root, 204, "HEAD", f"{path}/{role}")
            self.assertEqual(len(self.iam(self.root, 200, "GET", path).body["roles"]), 1)
            self.iam(self.root, 204, "DELETE", f"{path}/{role}")
            for method in ("HEAD", "DELETE"):
                self.iam(self.root, 404, method, f"{path}/{role}")
            self.iam(self.root, 404, "PUT", f"{path}/unknown")
            self.iam(self.root, 204, "PUT", f"{path}/{role}")

    def keys(self, user):
        path = "/v3.0/OS-CREDENTIAL/credentials"
        made = self.iam(self.root, 201, "POST", path, {"credential": {
            "user_id": user, "description": "words"}}).body["credential"]
        self.assertIn("secret", made)
        self.iam(self.root, 404, "POST", path, {"credential": {"user_id": "unknown"}})
        for query in ("", f"?user_id={user}"):
            self.iam(self.root, 200, "GET", path + query)
        one = f"{path}/{made['access']}"
        self.assertNotIn("secret", self.iam(self.root, 200, "GET", one).body["credential"])
        self.iam(self.root, 200, "PUT", one, {"credential": {"status": "inactive"}})
        self.iam(self.root, 400, "PUT", one, {"credential": {"status": "asleep"}})
        self.iam(self.root, 204, "DELETE", one)
        for method, value in (("GET", None), ("PUT", {"credential": {}}), ("DELETE", None)):
            self.iam(self.root, 404, method, one, value)

    def own(self, user):
        """What who is no administrator may do, and what not."""
        token = self.login("ann", "ann's password")
        ann = self.rest(token, identity.DEFAULT_PROJECT)
        self.iam(self.nobody, 201, "POST", "/v3.0/OS-CREDENTIAL/securitytokens", {"auth": {
            "identity": {"methods": ["token"],
                         "token": {"id": token, "duration-seconds": "900"}}}})
        self.iam(ann, 403, "PATCH", f"/v3/users/{user}", {"user": {"description": "me"}})
        self.iam(ann, 403, "GET", "/metrics")
        self.iam(ann, 403, "HEAD", f"/v3/projects/{ann.project}/users/{user}/roles/x")
        path = f"/v3/users/{user}/password"
        self.iam(ann, 400, "POST", path, {"user": {"password": "new"}})
        self.iam(ann, 204, "POST", path, {"user": {
            "password": "ann's new password", "original_password": "ann's password"}})
        self.iam(ann, 401, "HEAD", "/v3/auth/tokens", X_Subject_Token=token)

    def each(self, rest, **parameters):
        """Asks for each operation, with an empty body; operation and answer."""
        for path, method, operation in self.operations():
            for name in re.findall(r"\{([^}]*)\}", path):
                path = path.replace("{" + name + "}", parameters.get(name, "x"))
            with self.subTest(operation["operationId"]):
                yield operation, rest.raw(method.upper(), path, "{}")

    def test_what_needs_credentials_says_so(self):
        for operation, answer in self.each(self.nobody, project_id=self.root.project):
            self.assertEqual(answer.status == 401, operation.get("security") != [])

    def test_what_a_role_does_not_cover_says_so(self):
        queue = self.root.create_queue(redrive_policy="enable")["id"]
        group = self.root.create_group(queue)
        for name, refused in (("dms_reader", {"produceMessages", "browseMessages"}),
                              ("dms_user", {"deleteQueue", "createQueueTag", "setQuotas"})):
            user = self.iam(self.root, 201, "POST", "/v3/users", {"user": {
                "name": name, "password": "a password"}}).body["user"]["id"]
            (role,) = self.iam(self.root, 200, "GET", f"/v3/roles?name={name}").body["roles"]
            path = f"/v3/projects/{self.root.project}/users/{user}/roles/{role['id']}"
            self.iam(self.root, 204, "PUT", path)
            token = self.login(name, "a password", scope={"project": {"id": self.root.project}})
            rest = self.rest(token, self.root.project)
            found = {operation["operationId"] for operation, answer in self.each(
                rest, project_id=rest.project, queue_id=queue, group_id=group, id=user,
                user_id=user, role_id=role["id"]) if answer.status == 403}
            refused |= {"createQueue", "updateUser", "metrics", "checkUserRoleInProject"}
            self.assertLessEqual(refused, found)


if __name__ == "__main__":
    harness.main()
