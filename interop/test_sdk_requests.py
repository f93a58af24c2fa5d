#!/usr/bin/env python3
"""The requests of the service's own client libraries, byte for byte as they send them (API
reference §5): python-otcextensions (OTCEXT), huaweicloud-sdk-python (PYSDK) and -java (JSDK),
golangsdk (GOSDK), huaweicloud-sdk-python-v3 (V3SDK), the demo and the Splunk input. And
openstacksdk itself, where it can carry a request of ours."""

import json
import unittest

import harness
from test_http import HttpTest
from test_rest import RestTest

try:
    from keystoneauth1 import adapter, noauth, session
except ImportError:
    session = None

JSON = "application/json"


class Library(RestTest):
    """headers are those of every request of the library."""

    headers = {}
    version = "v1.0"

    def setUp(self):
        super().setUp()
        self.rest = harness.Rest(self.broker.http_port, version=self.version)

    def send(self, status, method, path, text=None, **headers):
        answer = self.rest.raw(method, self.rest.prefix + path,
                               None if text is None else text.encode(),
                               {**self.headers, **headers})
        self.assertEqual(answer.status, status, (method, path, answer.raw))
        return answer.body

    def make(self, name="queue", **fields):
        queue = self.send(201, "POST", "/queues", json.dumps({"name": name, **fields}))["id"]
        return queue, self.send(201, "POST", f"/queues/{queue}/groups",
                                '{"groups": [{"name": "group"}]}')["groups"][0]["id"]


class Otcext(Library):
    headers = {"User-Agent": "openstacksdk/0.101.0 keystoneauth1/5.0.0 python-requests/2.28.1",
               "Accept-Encoding": "gzip, deflate", "Accept": "*/*", "Connection": "keep-alive",
               "Content-Type": JSON}

    def test_walk(self):
        """Booleans of queries are Python's: True, False; consuming goes on until []."""
        queue, group = self.make(queue_mode="NORMAL", redrive_policy="enable",
                                 max_consume_count=3, description="")
        for value in ("True", "False"):
            rows = self.send(200, "GET", f"/queues?include_deadletter={value}")["queues"]
            self.assertEqual("redrive_policy" in rows[0], value == "True")
            self.send(200, "GET", f"/queues/{queue}?include_deadletter={value}")
            self.send(200, "GET", f"/queues/{queue}/groups?include_deadletter={value}"
                                  "&page_size=10&current_page=1")
        answer = self.send(201, "POST", f"/queues/{queue}/messages", json.dumps({
            "messages": [{"body": "TEST11", "attributes": {"attribute1": "value1"}},
                         {"body": {"foo": "test02"}, "attributes": {"attribute1": "value1"}}],
            "returnId": True}))
        self.assertEqual([row["state"] for row in answer["messages"]], [0, 0])
        found = []
        while True:
            rows = self.send(200, "GET", f"/queues/{queue}/groups/{group}/messages"
                                         "?max_msgs=10&time_wait=1&ack_wait=30")
            self.assertIsInstance(rows, list)
            if not rows:
                break
            found += rows
        self.assertEqual(len(found), 2)
        acks = {"message": [{"handler": row["handler"], "status": "success"} for row in found]}
        self.assertEqual(self.send(200, "POST", f"/queues/{queue}/groups/{group}/ack",
                                   json.dumps(acks)), {"success": 2, "fail": 0})
        quota = self.send(200, "GET", "/quotas/dms")["quotas"]["resources"][0]
        self.assertLessEqual({"type", "quota", "used", "min", "max"}, set(quota))
        self.send(204, "DELETE", f"/queues/{queue}/groups/{group}")
        self.send(204, "DELETE", f"/queues/{queue}")


class Pysdk(Library):
    headers = {"Content-Type": "application/json;charset=utf8", "Accept": JSON,
               "User-Agent": "openstacksdk/0.9.13 Python/2.7.15"}

    def test_tags_are_repeated_and_a_get_has_a_content_type(self):
        queue, group = self.make()
        self.send(201, "POST", f"/queues/{queue}/messages", json.dumps({
            "messages": [{"body": "b", "tags": ["t1", "t2"]}], "returnId": False}))
        rows = self.send(200, "GET", f"/queues/{queue}/groups/{group}/messages"
                                     "?max_msgs=10&tag=t1&tag=t2&tag_type=and&time_wait=1")
        self.assertEqual([row["message"]["tags"] for row in rows], [["t1", "t2"]])
        self.send(200, "POST", f"/queues/{queue}/groups/{group}/ack", json.dumps({
            "message": [{"handler": rows[0]["handler"], "status": "success"}]}))


class Jsdk(Library):
    headers = {"Content-Type": JSON, "Accept": JSON, "X-Language": "zh-cn",
               "User-Agent": "huaweicloud-sdk-java/v1.0"}

    def test_walk(self):
        """A queue is a name and a description; members that are null; attributes 1 and false."""
        queue = self.send(201, "POST", "/queues",
                          '{"name":"sdk-unittest","description":null}')["id"]
        made = self.send(201, "POST", f"/queues/{queue}/groups",
                         '{"groups":[{"name":"group-1"},{"name":"group-2"},{"name":"group-3"}]}')
        group = made["groups"][0]["id"]
        self.send(201, "POST", f"/queues/{queue}/messages", json.dumps({"messages": [
            {"body": "message-1", "attributes": {"name": "value", "number": 1, "flag": False}},
            {"body": "message-2", "attributes": None}]}))
        rows = []
        while len(rows) < 2:
            rows += self.send(200, "GET", f"/queues/{queue}/groups/{group}/messages?"
                                          "max_msgs=10&time_wait=3&ack_wait=")
        self.assertIn({"name": "value", "number": 1, "flag": False},
                      [row["message"]["attributes"] for row in rows])
        acks = {"message": [{"status": "success", "handler": row["handler"]} for row in rows]}
        self.assertEqual(self.send(200, "POST", f"/queues/{queue}/groups/{group}/ack",
                                   json.dumps(acks)), {"success": 2, "fail": 0})


class Gosdk(Library):
    headers = {"Content-Type": JSON, "Accept": JSON, "User-Agent": "golangsdk/2.0.0",
               "Accept-Encoding": "gzip"}

    def test_walk(self):
        """include_deadletter is always sent, empty when it was not chosen; 201 and 204 only."""
        queue, group = self.make("rancher-queue", queue_mode="FIFO", redrive_policy="disable")
        for value in ("true", "false", ""):
            got = self.send(200, "GET", f"/queues/{queue}?include_deadletter={value}")
            self.assertIsInstance(got["created"], int)
            self.send(200, "GET", f"/queues/{queue}/groups?include_deadletter={value}")
        self.send(200, "GET", "/queues?include_deadletter=")
        self.send(204, "DELETE", f"/queues/{queue}/groups/{group}")
        self.send(204, "DELETE", f"/queues/{queue}")
        self.send(404, "DELETE", f"/queues/{queue}")


class V3sdk(Library):
    """/v2/, return_id, one tag, dead letters, quotas without /dms."""

    headers = {"Content-Type": "application/json;charset=UTF-8", "Connection": "keep-alive",
               "User-Agent": "huaweicloud-usdk-python/3.0"}
    version = "v2"

    def test_walk(self):
        queue, group = self.make(redrive_policy="enable", max_consume_count=1)
        self.headers = {**self.headers, "X-Project-Id": self.rest.project}
        sent = self.send(201, "POST", f"/queues/{queue}/messages", json.dumps({
            "messages": [{"body": "b", "attributes": {"a": "1"}, "tags": ["red"],
                          "delay_time": 6.9}], "return_id": True}))
        self.assertTrue(sent["messages"][0]["id"])
        path = f"/queues/{queue}/groups/{group}"
        rows = self.send(200, "GET", path + "/messages?max_msgs=10&time_wait=10&ack_wait=30"
                                            "&tag=red&tag_type=or")
        self.send(200, "POST", path + "/ack", json.dumps({
            "message": [{"handler": rows[0]["handler"], "status": "fail"}]}))
        dead = self.send(200, "GET", path + "/deadletters?max_msgs=10&time_wait=10&ack_wait=30")
        self.assertEqual([row["message"]["body"] for row in dead], ["b"])
        self.assertEqual(self.send(200, "POST", path + "/deadletters/ack", json.dumps({
            "message": [{"handler": dead[0]["handler"], "status": "success"}]})),
            {"success": 1, "fail": 0})
        groups = self.send(200, "GET", f"/queues/{queue}/groups?include_deadletter=true"
                                       "&page_size=1&current_page=1&include_messages_num=false")
        self.assertEqual(groups["redrive_policy"], "enable")
        self.send(204, "POST", f"/queue/{queue}/tags/action",
                  '{"action": "create", "tags": [{"key": "k", "value": "v"}]}')
        self.assertEqual(self.send(200, "GET", f"/queue/{queue}/tags"),
                         {"tags": [{"key": "k", "value": "v"}]})
        self.assertEqual(self.send(200, "GET", "/queue/tags"),
                         {"tags": [{"key": "k", "values": ["v"]}]})
        self.send(200, "GET", "/quotas")

    def test_errors_are_found_where_the_sdk_looks(self):
        """code and message at the top; neither error_code nor errorCode, which it reads first."""
        error = self.send(404, "GET", f"/queues/{'0' * 8}-0000-0000-0000-{'0' * 12}")
        self.assertEqual(set(error), {"code", "message"})


class Demo(Library):
    """DMSHttpClient, and the Splunk input: a Content-type on GET; bodies that are texts."""

    headers = {"Content-type": JSON, "Accept": "*/*"}

    def test_walk(self):
        self.send(200, "GET", "/queues")
        self.send(200, "GET", "/quotas/dms")
        queue, group = self.make("k_queue_1")
        attributes = {"name": "n", "type": "string", "value": "v"}
        self.send(201, "POST", f"/queues/{queue}/messages", json.dumps({
            "messages": [{"body": json.dumps({"i": i}), "attributes": attributes}
                         for i in range(10)]}))
        path = f"/queues/{queue}/groups/{group}"
        found = 0
        while found < 10:
            rows = self.send(200, "GET", path + "/messages?max_msgs=10&ack_wait=30")
            self.assertTrue(all(isinstance(json.loads(row["message"]["body"]), dict)
                                for row in rows))
            answer = self.send(200, "POST", path + "/ack", json.dumps({"message": [
                {"handler": row["handler"], "status": "success"} for row in rows]}))
            found += answer["success"]
        self.send(200, "GET", f"/queues/{queue}/groups")
        self.send(204, "DELETE", path)
        self.send(204, "DELETE", f"/queues/{queue}")


class Wire(HttpTest):
    """What their HTTP libraries do under them."""

    def read_json(self, status):
        got, body = self.read_answer()
        self.assertEqual(got, status, body)
        return json.loads(body)

    def test_java_waits_for_100_continue_and_keeps_the_connection(self):
        """Apache HttpClient."""
        for name in ("first", "second"):
            body = json.dumps({"name": name}).encode()
            self.send(self.request("POST", "/queues", b"", f"Content-Length: {len(body)}",
                                   "Content-Type: application/json; charset=UTF-8",
                                   "Connection: Keep-Alive", "Expect: 100-Continue",
                                   "User-Agent: Apache-HttpClient/4.5.3 (Java/1.8.0)"))
            self.assertEqual(self.read_head()[0], 100)
            self.send(body)
            self.assertEqual(self.read_json(201)["name"], name)

    def test_go_sends_bodies_in_chunks_without_a_length(self):
        """net/http, when a body's size is not known."""
        self.send(self.request("POST", "/queues", b"", "Transfer-Encoding: chunked",
                               "Accept-Encoding: gzip", "Content-Type: application/json"))
        self.send(b'e\r\n{"name":"gone"\r\n1\r\n}\r\n0\r\n\r\n')
        self.assertEqual(self.read_json(201)["name"], "gone")

    def test_python_sends_a_post_without_a_body_and_a_delete_with_a_length(self):
        """requests: Content-Length: 0; and bodies that end with a line feed."""
        queue = self.rest.create_queue()["id"]
        self.send(self.request("DELETE", f"/queues/{queue}", b"", "Content-Length: 0"))
        self.assertEqual(self.read_answer(), (204, b""))
        body = b'\r\n {"name": "spaces"}\r\n\n'
        self.send(self.request("POST", "/queues", body, f"Content-Length: {len(body)}"))
        self.assertEqual(self.read_json(201)["name"], "spaces")
        self.send(self.request("GET", "/queues", b"{}", "Content-Length: 2"))
        self.assertEqual(self.read_json(200)["total"], 1)

    def test_http_1_0_and_header_names_in_any_case(self):
        self.send(f"GET {self.rest.prefix}/queues HTTP/1.0\r\n\r\n")
        self.assertEqual(self.read_json(200)["total"], 0)
        self.assertEqual(self.read_answer()[0], None)

    def test_url_with_host(self):
        """A proxy's form of the target."""
        self.send(f"GET http://dms.example.com{self.rest.prefix}/queues HTTP/1.1\r\n"
                  "hOST: dms.example.com\r\n\r\n")
        self.assertEqual(self.read_json(200)["total"], 0)


@unittest.skipIf(session is None, "no python3-keystoneauth1")
class OpenStackSdk(RestTest):
    def test_its_session_carries_the_requests(self):
        """keystoneauth's adapter, which openstacksdk and otcextensions are made on."""
        client = adapter.Adapter(
            session.Session(auth=noauth.NoAuth()),
            endpoint_override=f"http://{harness.HOST}:{self.broker.http_port}{self.rest.prefix}")
        self.addCleanup(client.session.session.close)
        queue = client.post("/queues", json={"name": "sdk"}).json()["id"]
        group = client.post(f"/queues/{queue}/groups",
                            json={"groups": [{"name": "g"}]}).json()["groups"][0]["id"]
        made = client.post(f"/queues/{queue}/messages",
                           json={"messages": [{"body": "b"}], "returnId": True})
        self.assertEqual(made.status_code, 201)
        rows = client.get(f"/queues/{queue}/groups/{group}/messages",
                          params={"max_msgs": 10, "time_wait": 1}).json()
        done = client.post(f"/queues/{queue}/groups/{group}/ack", json={
            "message": [{"handler": row["handler"], "status": "success"} for row in rows]}).json()
        self.assertEqual(done, {"success": 1, "fail": 0})
        listed = client.get("/queues", params={"include_deadletter": True}).json()
        self.assertEqual(listed["queues"][0]["redrive_policy"], "disable")
        self.assertEqual(client.delete(f"/queues/{queue}").status_code, 204)


if __name__ == "__main__":
    harness.main(threads=8)
