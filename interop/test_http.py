#!/usr/bin/env python3
"""HTTP/1.1 itself at the REST door, with bytes by hand: framing, pipelining, limits, what is
refused. The tests run side by side."""

import json
import socket

import harness
from test_rest import NO_SUCH, RestTest


class HttpTest(RestTest):
    """A connection, and bytes by hand."""

    def setUp(self):
        super().setUp()
        self.sock = socket.create_connection((harness.HOST, self.broker.http_port), timeout=20)
        self.addCleanup(self.sock.close)
        self.stream = self.sock.makefile("rb")
        self.addCleanup(self.stream.close)

    def read_head(self):
        try:
            status = self.stream.readline()
        except ConnectionResetError:  # closed with bytes of ours unread
            status = b""
        if not status:
            return None, {}
        headers = {}
        while True:
            line = self.stream.readline().rstrip(b"\r\n")
            if not line:
                return int(status.split()[1]), headers
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()

    def read_answer(self):
        """(status, body) of the next response; (None, b"") at the end of the stream."""
        status, headers = self.read_head()
        if status is None:
            return None, b""
        return status, self.stream.read(int(headers.get(b"content-length", b"0")))

    def send(self, text):
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def request(self, method, path, body=b"", *headers):
        head = [f"{method} {self.rest.prefix}{path} HTTP/1.1", "Host: localhost", *headers]
        return ("\r\n".join(head) + "\r\n\r\n").encode() + body

    def assert_refused(self, raw, statuses=(400,)):
        """Refused with our error body, and the connection ends: nothing behind is read."""
        try:
            self.send(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was all sent
        status, body = self.read_answer()
        self.assertIn(status, statuses)
        self.assertEqual(set(json.loads(body)), {"code", "message"})
        self.assertEqual(self.read_answer()[0], None)


class Http(HttpTest):
    def test_connection_is_kept_and_pipelined_requests_are_answered_in_order(self):
        queue = self.rest.create_queue("kept")["id"]
        first = self.request("GET", f"/queues/{queue}")
        second = self.request("GET", "/queues")
        third = self.request("GET", f"/queues/{NO_SUCH}")
        self.send((first + second + third) * 10)
        for _ in range(10):
            self.assertEqual(json.loads(self.read_answer()[1])["id"], queue)
            self.assertEqual(json.loads(self.read_answer()[1])["total"], 1)
            self.assertEqual(self.read_answer()[0], 404)

    def test_request_behind_a_waiting_consume_waits_for_it(self):
        queue, group = self.queue()
        self.send(self.request("GET", f"/queues/{queue}/groups/{group}/messages?time_wait=1")
                  + self.request("GET", f"/queues/{queue}"))
        self.assertEqual(self.read_answer(), (200, b"[]"))
        self.assertEqual(json.loads(self.read_answer()[1])["id"], queue)

    def test_chunked_body(self):
        head = self.request("POST", "/queues", b"", "Transfer-Encoding: chunked")
        self.send(head + b'8\r\n{"name":\r\n9;x=y\r\n"chunked"\r\n1\r\n}\r\n0\r\n\r\n')
        status, body = self.read_answer()
        self.assertEqual((status, json.loads(body)["name"]), (201, "chunked"))

    def test_one_byte_at_a_time(self):
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = b'{"name":"slow"}'
        for byte in self.request("POST", "/queues", body, f"Content-Length: {len(body)}"):
            self.send(bytes([byte]))
        self.assertEqual(self.read_answer()[0], 201)

    def test_expect_100_continue(self):
        body = b'{"name":"expected"}'
        self.send(self.request("POST", "/queues", b"", f"Content-Length: {len(body)}",
                               "Expect: 100-continue"))
        self.assertEqual(self.read_head()[0], 100)
        self.send(body)
        self.assertEqual(self.read_answer()[0], 201)

    def test_connection_close_is_honoured(self):
        self.send(self.request("GET", "/queues", b"", "Connection: close"))
        self.assertEqual(self.read_answer()[0], 200)
        self.assertEqual(self.read_answer()[0], None)

    def test_both_lengths_are_refused(self):
        self.assert_refused(self.request("POST", "/queues", b"0\r\n\r\n", "Content-Length: 5",
                                         "Transfer-Encoding: chunked"))

    def test_two_content_lengths_are_refused(self):
        self.assert_refused(self.request("POST", "/queues", b"{}", "Content-Length: 2",
                                         "Content-Length: 3"))

    def test_bad_content_lengths_are_refused(self):
        for value in ("-1", "+2", "2,3", "0x2", "", "99999999999999999999"):
            with self.subTest(value):
                self.setUp()
                self.assert_refused(self.request("POST", "/queues", b"{}",
                                                 f"Content-Length: {value}"), (400, 413))

    def test_other_codings_are_refused(self):
        coding = "Transfer-Encoding: gzip, chunked"
        self.assert_refused(self.request("POST", "/queues", b"", coding), (400, 501))

    def test_bad_chunk_sizes_are_refused(self):
        for size in (b"zz", b"-1", b"0x1", b"fffffffffffffffff"):
            with self.subTest(size):
                self.setUp()
                head = self.request("POST", "/queues", b"", "Transfer-Encoding: chunked")
                self.assert_refused(head + size + b"\r\n", (400, 413))

    def test_space_before_the_colon_and_folded_lines_are_refused(self):
        for line in ("Content-Length : 2", "X-Name: a\r\n folded"):
            with self.subTest(line):
                self.setUp()
                self.assert_refused(self.request("POST", "/queues", b"{}", line))

    def test_missing_and_double_host_are_refused(self):
        target = self.rest.prefix + "/queues"
        for lines in ("", "Host: a\r\nHost: b\r\n"):
            with self.subTest(lines):
                self.setUp()
                self.assert_refused(f"GET {target} HTTP/1.1\r\n{lines}\r\n")

    def test_malformed_request_lines_are_refused(self):
        for line in ("GET", "GET /\x01 HTTP/1.1", "GET / HTTP/9.9", "\x16\x03\x01\x02\x00",
                     "GET  / HTTP/1.1"):
            with self.subTest(line):
                self.setUp()
                self.assert_refused(f"{line}\r\nHost: x\r\n\r\n", (400, 501, 505))

    def test_headers_over_the_limit_are_refused(self):
        self.assert_refused(self.request("GET", "/queues", b"", "X-Big: " + "x" * 200000),
                            (400, 431))

    def test_body_over_the_limit_is_refused_before_it_comes(self):
        self.assert_refused(self.request("POST", "/queues", b"", "Content-Length: 99999999999"),
                            (400, 413))

    def test_deeply_nested_json_is_refused(self):
        body = b'{"messages":[{"body":' + b"[" * 100000 + b"]" * 100000 + b"}]}"
        queue = self.rest.create_queue()["id"]
        answer = self.rest.raw("POST", f"{self.rest.prefix}/queues/{queue}/messages", body)
        self.assertEqual(answer.status, 400, answer.raw[:200])

    def test_answers_say_that_they_are_json(self):
        answer = self.rest.call("GET", "/queues")
        kinds = {name.lower(): value for name, value in answer.headers.items()}
        self.assertIn("application/json", kinds["content-type"])

    def test_live_ready_and_metrics(self):
        self.assertEqual(self.rest.raw("GET", "/livez").status, 200)
        self.assertEqual(self.rest.raw("GET", "/readyz").status, 200)
        answer = self.rest.raw("GET", "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertIn(b"# TYPE ", answer.raw)
        for metric in (b"dmsd_ready 1\n", b'dmsd_connections{door="kafka"} ',
                       b'dmsd_partitions{state="offline"} 0\n', b"process_resident_memory_bytes ",
                       b"dmsd_http_requests_total "):
            self.assertIn(b"\n" + metric, answer.raw)


if __name__ == "__main__":
    harness.main(threads=8)
