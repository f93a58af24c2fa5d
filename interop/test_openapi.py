#!/usr/bin/env python3
"""/openapi.json against the running broker: what is asked and answered in a walk through the
API validates against the document's schemas. That routes and document name the same is held by
the unit test test_openapi."""

import json
import re
import time
import urllib.parse

import jsonschema

import harness

# Codes that every operation may answer: broken HTTP, no such URL, flow control, storage.
COMMON_CODES = {10540010, 10240406, 10240407, 10250002, 10250003, 10250004, 10250005, 10250006}
METHODS = ("get", "put", "post", "delete")


class Checked(harness.Rest):
    """Holds each request that succeeds, and each answer, against the document."""

    def __init__(self, port, document, seen):
        super().__init__(port)
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

    def raw(self, method, target, body=None, headers=None, timeout=90):
        answer = super().raw(method, target, body, headers, timeout)
        operation = self.operation(method, target)
        what = f"{operation['operationId']} {answer.status}"
        responses = operation["responses"]
        response = responses.get(str(answer.status), responses.get("default"))
        assert response is not None, f"{what}: a status that is not described"
        if "$ref" in response:
            response = self.resolver.resolve(response["$ref"])[1]
        content = response.get("content")
        assert (content is None) == (answer.raw == b""), f"{what}: {answer.raw[:200]}"
        if content and "application/json" in content:
            self.validate(answer.body, content["application/json"]["schema"], what)
        if answer.status >= 400 and "code" in answer.body:
            codes = set(operation.get("x-error-codes", ())) | COMMON_CODES
            assert answer.body["code"] in codes, f"{what}: {answer.body} is not described"
        elif answer.status < 400:
            self.seen.add(operation["operationId"])
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                self.validate(json.loads(body), schema, what + " request")
        return answer


class OpenApi(harness.BrokerTest):
    options = {"dms.metrics.interval.ms": 200}

    def setUp(self):
        answer = self.broker.rest().raw("GET", "/openapi.json")
        self.assertEqual((answer.status, answer.headers["Content-Type"]),
                         (200, "application/json"))
        self.document = answer.body
        self.seen = set()

    def rest(self):
        return Checked(self.broker.http_port, self.document, self.seen)

    def operations(self):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]

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
        described = {operation["operationId"] for _, _, operation in self.operations()
                     if operation["tags"] != ["identity"]}
        self.assertEqual(described - self.seen, set())

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


if __name__ == "__main__":
    harness.main()
