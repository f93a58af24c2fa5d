#!/usr/bin/env python3
"""Tokens of another Keystone (dms.authentication=keystone). A stand-in that counts what it is asked
always; and a real one, of Debian's package python3-keystone."""

import grp
import http.server
import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import harness
import identity
import wire
from identity import Rest

SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36
UNSUPPORTED_MECHANISM, AUTHENTICATION_FAILED = 33, 58

PROJECT = "5c7b2d19b9ea4142a7a5c8e50a993076"
FUTURE = "2099-01-01T00:00:00.000000Z"


class StandIn(http.server.ThreadingHTTPServer):
    """As much of Keystone as validates tokens."""

    daemon_threads = True

    def __init__(self):
        super().__init__((harness.HOST, 0), Handler)
        self.tokens = {}  # token: role
        self.asked = []
        self.logins = 0
        self.service_token = None
        self.is_broken = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://{harness.HOST}:{self.server_port}/v3"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value, **headers):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user = body["auth"]["identity"]["password"]["user"]
        if self.server.is_broken:
            return self.answer(500, {})
        if user["name"] in ("ann", "bob") and user["password"] == "a good password":
            return self.answer_login(user["domain"], body["auth"].get("scope"))
        if (user["name"], user["password"]) != ("dms", "of the service"):
            return self.answer(401, {"error": {"code": 401}})
        self.server.logins += 1
        self.server.service_token = f"service-{self.server.logins}"
        return self.answer(201, {"token": {"expires_at": FUTURE}},
                           X_Subject_Token=self.server.service_token)

    def answer_login(self, domain, scope):
        token = self.token("member")
        if domain != {"name": "Default"}:
            return self.answer(401, {})
        if scope is None:
            del token["token"]["project"], token["token"]["roles"]
        elif scope != {"project": {"name": "p", "domain": domain}}:
            return self.answer(401, {})
        return self.answer(201, token, X_Subject_Token="of-ann")

    @staticmethod
    def token(role):
        domain = {"id": "default", "name": "Default"}
        return {"token": {
            "expires_at": FUTURE, "user": {"id": "u1", "name": "ann", "domain": domain},
            "project": {"id": PROJECT, "name": "p", "domain": domain},
            "roles": [{"id": "r", "name": role}]}}

    def do_GET(self):
        if self.server.is_broken:
            return self.answer(500, {})
        if self.headers["X-Auth-Token"] != self.server.service_token:
            return self.answer(401, {})
        token = self.headers["X-Subject-Token"]
        self.server.asked.append(token)
        role = self.server.tokens.get(token)
        if isinstance(role, int):
            return self.answer(role, {})
        if role is None:
            return self.answer(404, {})
        return self.answer(200, self.token(role))


class KeystoneTest(harness.BrokerTest):
    @classmethod
    def start_broker(cls, url, user, project, password):
        folder = tempfile.mkdtemp(prefix="dmsd-interop-")
        cls.addClassCleanup(shutil.rmtree, folder, True)
        path = os.path.join(folder, "password")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(password + "\n")
        cls.broker = harness.Broker(**{
            "dms.authentication": "keystone", "dms.keystone.url": url, "dms.keystone.user": user,
            "dms.keystone.project": project, "dms.keystone.password.file": path})
        cls.addClassCleanup(cls.close_broker)

    def code(self, answer, status, code):
        self.assertEqual((answer.status, answer.body["code"]), (status, code), answer.raw)

    def kafka(self, user, password, mechanism="PLAIN"):
        """(mechanisms offered, error of the handshake or of the login, the connection)"""
        connection = wire.Connection(self.broker.connect())
        self.addCleanup(connection.close)
        reader = connection.call(SASL_HANDSHAKE, 1, wire.string(mechanism))
        error, offered = reader.i16(), reader.array(wire.Reader.string)
        if error == 0:
            reader = connection.call(SASL_AUTHENTICATE, 1,
                                     wire.data(f"\0{user}\0{password}".encode()))
            error = reader.i16()
        return offered, error, connection


class WithStandIn(KeystoneTest):
    @classmethod
    def setUpClass(cls):
        cls.keystone = StandIn()
        cls.addClassCleanup(cls.keystone.server_close)
        cls.addClassCleanup(cls.keystone.shutdown)
        cls.start_broker(cls.keystone.url, "dms", "service", "of the service")

    def client(self, role, project=PROJECT):
        token = f"gAAAA-{os.urandom(60).hex()}"
        if role:
            self.keystone.tokens[token] = role
        return Rest(self.broker, token, project)

    def test_token_is_asked_about_once(self):
        client = self.client("member")
        for _ in range(3):
            client.must(200, "GET", "/queues")
        self.assertEqual(self.keystone.asked.count(client.token), 1)
        self.code(Rest(self.broker, client.token, "f" * 32).call("GET", "/queues"), 401, 10240104)
        bad = self.client(None)
        for _ in range(3):
            self.code(bad.call("GET", "/queues"), 401, 10240101)
        self.assertEqual(self.keystone.asked.count(bad.token), 1)

    def test_many_at_once_share_one_question(self):
        client = self.client("member")
        threads = [threading.Thread(target=client.must, args=(200, "GET", "/queues"))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.keystone.asked.count(client.token), 1)

    def test_roles(self):
        reader = self.client("reader")
        reader.must(200, "GET", "/queues")
        self.code(reader.call("POST", "/queues", {"name": "q"}), 403, 10240310)
        self.code(self.client("stranger").call("POST", "/queues", {"name": "q"}), 403, 10240311)
        member = self.client("member")
        queue = member.must(201, "POST", "/queues", {"name": "q"})["id"]
        # Longer than what anybody may send: who it is is not known yet.
        long = {"messages": [{"body": "x" * 300000}]}
        self.client("dms_user").must(201, "POST", f"/queues/{queue}/messages", long)
        member.must(204, "DELETE", f"/queues/{queue}")

    def test_service_token_that_ended_is_renewed(self):
        self.client("member").must(200, "GET", "/queues")
        before = self.keystone.logins
        self.keystone.service_token = "another"
        self.client("member").must(200, "GET", "/queues")
        self.assertEqual(self.keystone.logins, before + 1)

    def test_keystone_that_fails_is_no_answer(self):
        known = self.client("member")
        known.must(200, "GET", "/queues")
        self.keystone.is_broken = True
        try:
            self.code(self.client("member").call("GET", "/queues"), 500, 10250005)
            known.must(200, "GET", "/queues")
        finally:
            self.keystone.is_broken = False
        client = self.client("member")
        harness.wait_for("it is asked again", lambda: client.call("GET", "/queues").status == 200)

    def test_token_that_it_cannot_read_is_the_trouble_of_one_only(self):
        for token, status in (("unreadable", 431), ("odd", 418), ("x" * 2049, None),
                              ("a b", None)):
            self.keystone.tokens[token] = status
            self.code(Rest(self.broker, token, PROJECT).call("GET", "/queues"), 401, 10240101)
            self.client("member").must(200, "GET", "/queues")
            self.assertEqual(token in self.keystone.asked, status is not None, token)

    def test_its_users_come_to_the_kafka_door(self):
        token = self.client("member").token
        for user, password in (("Default/ann/p", "a good password"), ("token", token)):
            offered, error, connection = self.kafka(user, password)
            self.assertEqual((offered, error), (["PLAIN"], 0), user)
            connection.call(wire.METADATA, 4, wire.metadata_body(["of-ann"], 4))
        for user, password in (
                ("Default/ann/p", "a wrong one"), ("Default/ann/q", "a good password"),
                ("other/ann/p", "a good password"), ("ann", "a good password"),  # no project
                ("token", "gAAAA-nobody"), ("token", "x\r\nX-Auth-Token: y")):
            self.assertEqual(self.kafka(user, password)[1], AUTHENTICATION_FAILED, user)
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            self.assertEqual(self.kafka("ann", "", mechanism)[1], UNSUPPORTED_MECHANISM)
        self.client("member").must(200, "GET", "/queues")  # nothing of this is its fault
        self.keystone.is_broken = True
        try:
            self.assertEqual(self.kafka("Default/ann/p", "a good password")[1],
                             AUTHENTICATION_FAILED)
        finally:
            self.keystone.is_broken = False
        harness.wait_for("it is asked again", lambda: self.kafka(
            "Default/ann/p", "a good password")[1] == 0)

    def test_failures_count_for_the_user_in_whatever_project(self):
        for number in range(10):
            user = f"Default/bob/{number}" if number else "bob"
            self.assertEqual(self.kafka(user, "a wrong one")[1], AUTHENTICATION_FAILED)
        self.assertEqual(self.kafka("Default/bob/p", "a good password")[1], AUTHENTICATION_FAILED)
        self.assertEqual(self.kafka("Default/ann/p", "a good password")[1], 0)

    def test_users_of_a_former_time_do_not_log_in(self):
        broker = self.own_broker(dms_authentication="builtin")
        password = identity.read_admin(broker)["OS_PASSWORD"]
        admin = identity.login(broker, "admin", password)
        key = admin.iam("POST", "/v3.0/OS-CREDENTIAL/credentials",
                        {"credential": {}}).body["credential"]
        broker.stop()
        broker.options.update({key: text for key, text in self.broker.options.items()
                               if "keystone" in text or "keystone" in key})
        broker.start()
        known, self.broker = self.broker, broker
        try:
            for user, secret in (("admin", password), (key["access"], key["secret"]),
                                 ("token", admin.token)):
                self.assertEqual(self.kafka(user, secret)[1], AUTHENTICATION_FAILED, user)
        finally:
            self.broker = known
        self.code(Rest(broker, admin.token).call("GET", "/queues"), 401, 10240101)
        self.code(Rest(broker).signed(key, "GET", admin.prefix + "/queues"), 401, 10240101)

    def test_there_is_no_identity_service_here(self):
        self.code(Rest(self.broker).iam("POST", "/v3/auth/tokens", {"auth": {}}), 404, 10240406)
        self.code(self.client("admin").iam("GET", "/v3/users"), 404, 10240406)


MANAGE = "from keystone.cmd.manage import main; main()"
# What the package's WSGI script does, on a port of our own and as nobody in particular.
SERVE = """
import sys
from wsgiref.simple_server import make_server
from keystone.server.wsgi import initialize_public_application
port = int(sys.argv.pop(1))
make_server("127.0.0.1", port, initialize_public_application()).serve_forever()
"""


@unittest.skipUnless(importlib.util.find_spec("keystone"), "python3-keystone is not installed")
class WithKeystone(KeystoneTest):
    """A real one: the test's own process, with its data in a directory that goes."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="dmsd-keystone-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.port = harness.free_port()
        cls.url = f"http://{harness.HOST}:{cls.port}/v3"
        cls.start_keystone()
        cls.start_broker(cls.url, "admin", "admin", "secret")

    @classmethod
    def start_keystone(cls):
        conf = os.path.join(cls.folder, "keystone.conf")
        for name in ("fernet", "credential"):
            os.mkdir(os.path.join(cls.folder, name), 0o700)
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f"[DEFAULT]\nlog_dir = {cls.folder}\n"
                       f"[database]\nconnection = sqlite:///{cls.folder}/keystone.db\n"
                       "[token]\nprovider = fernet\n"
                       f"[fernet_tokens]\nkey_repository = {cls.folder}/fernet\n"
                       f"[credential]\nkey_repository = {cls.folder}/credential\n")
        owner = ["--keystone-user", pwd.getpwuid(os.getuid()).pw_name,
                 "--keystone-group", grp.getgrgid(os.getgid()).gr_name]
        with open(os.path.join(cls.folder, "log"), "wb") as log:
            for command in (["db_sync"], ["fernet_setup", *owner], ["credential_setup", *owner],
                            ["bootstrap", "--bootstrap-password", "secret",
                             "--bootstrap-public-url", cls.url + "/",
                             "--bootstrap-region-id", "r"]):
                subprocess.run([sys.executable, "-c", MANAGE, "--config-file", conf, *command],
                               check=True, stdout=log, stderr=log, timeout=120)
            cls.keystone = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(cls.port), "--config-file", conf],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        cls.addClassCleanup(cls.keystone.wait)
        cls.addClassCleanup(cls.keystone.kill)

    def login(self):
        body = identity.password_body("admin", "secret", scope={
            "project": {"name": "admin", "domain": {"name": "Default"}}})
        keystone = harness.Rest(self.port)

        def attempt():
            try:
                return keystone.raw("POST", "/v3/auth/tokens", json.dumps(body).encode(),
                                    {"Content-Type": "application/json"})
            except OSError:
                return None
        answer = harness.wait_for("keystone answers", attempt, seconds=60)
        self.assertEqual(answer.status, 201, answer.raw)
        return Rest(self.broker, answer.headers["X-Subject-Token"],
                    answer.body["token"]["project"]["id"])

    def test_its_tokens_are_good_here_until_they_are_revoked(self):
        client = self.login()
        queue = client.must(201, "POST", "/queues", {"name": "q"})["id"]
        client.must(204, "DELETE", f"/queues/{queue}")
        self.code(Rest(self.broker, client.token + "x", client.project).call("GET", "/queues"),
                  401, 10240101)
        long = Rest(self.broker, "x" * 2000, client.project)
        self.code(long.call("GET", "/queues"), 401, 10240101)
        for user, password, wanted in (
                ("Default/admin/admin", "secret", 0), ("token", client.token, 0),
                ("Default/admin/admin", "wrong", AUTHENTICATION_FAILED),
                ("admin", "secret", AUTHENTICATION_FAILED)):  # no default project
            self.assertEqual(self.kafka(user, password)[1], wanted, user)
        client.must(200, "GET", "/queues")  # it is not down for the others
        other = self.login()  # revoked before it was ever shown here
        gone = harness.Rest(self.port).raw("DELETE", "/v3/auth/tokens", headers={
            "X-Auth-Token": client.token, "X-Subject-Token": other.token})
        self.assertEqual(gone.status, 204)
        self.code(other.call("GET", "/queues"), 401, 10240101)


if __name__ == "__main__":
    harness.main()
