#!/usr/bin/env python3
"""Identity at the REST door (guide 4.6; API reference 2): tokens as Keystone gives them, signatures
in both forms, roles, projects, revocation, and that no secret is ever told."""

import collections
import glob
import hashlib
import json
import os
import re
import select
import socket
import stat
import subprocess
import threading
import time
import uuid

import harness
import identity
from identity import DEFAULT_PROJECT, Rest


class IdentityTest(harness.BrokerTest):
    options = {"dms.authentication": "builtin"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.admin_password = identity.read_admin(cls.broker)["OS_PASSWORD"]
        cls.admin = identity.login(cls.broker, "admin", cls.admin_password)

    def code(self, answer, status, code):
        self.assertEqual((answer.status, answer.body["code"]), (status, code), answer.raw)

    def iam_error(self, answer, status):
        self.assertEqual((answer.status, answer.body["error"]["code"]), (status, status))

    def make_user(self, role=None, password="a good password", project=DEFAULT_PROJECT):
        """A new user's id and name."""
        name = "user-" + uuid.uuid4().hex[:12]
        answer = self.admin.iam("POST", "/v3/users",
                                {"user": {"name": name, "password": password}})
        self.assertEqual(answer.status, 201, answer.raw)
        user_id = answer.body["user"]["id"]
        if role:
            self.give_role(user_id, role, project)
        return user_id, name

    def give_role(self, user_id, role, project=DEFAULT_PROJECT, method="PUT"):
        answer = self.admin.iam(method, f"/v3/projects/{project}/users/{user_id}/roles/{role}")
        self.assertEqual(answer.status, 204, answer.raw)

    def login_new(self, role, **arguments):
        user_id, name = self.make_user(role, **arguments)
        return user_id, identity.login(self.broker, name, "a good password")

    def make_key(self, user_id):
        answer = self.admin.iam("POST", "/v3.0/OS-CREDENTIAL/credentials",
                                {"credential": {"user_id": user_id, "description": "test"}})
        self.assertEqual(answer.status, 201, answer.raw)
        return answer.body["credential"]

    def make_queue(self, **fields):
        body = {"name": "q-" + uuid.uuid4().hex[:12], **fields}
        return self.admin.must(201, "POST", "/queues", body)["id"]

    @classmethod
    def drop_queues(cls):
        for queue in cls.admin.must(200, "GET", "/queues")["queues"]:
            cls.admin.must(204, "DELETE", f"/queues/{queue['id']}")

    def tearDown(self):
        self.drop_queues()


class Tokens(IdentityTest):
    def test_every_route_but_a_few_needs_credentials(self):
        nobody = Rest(self.broker)
        self.code(nobody.call("GET", "/queues"), 401, 10240103)
        self.code(nobody.raw("GET", "/metrics"), 401, 10240103)
        self.iam_error(nobody.raw("GET", "/v3/users"), 401)
        for path in ("/livez", "/readyz", "/v3", "/openapi.json"):
            self.assertEqual(nobody.raw("GET", path).status, 200, path)
        self.assertEqual(self.admin.raw("GET", "/metrics").status, 200)
        self.assertIn("WWW-Authenticate", nobody.call("GET", "/queues").headers)

    def test_token_is_as_keystone_describes_it(self):
        # API reference 2.1.
        answer = Rest(self.broker).iam("POST", "/v3/auth/tokens", identity.password_body(
            "admin", self.admin_password, scope={"project": {"name": "default"}}))
        self.assertEqual(answer.status, 201)
        token = answer.body["token"]
        self.assertEqual(token["methods"], ["password"])
        self.assertEqual(token["user"]["name"], "admin")
        self.assertEqual(token["user"]["domain"], {"id": "default", "name": "Default"})
        self.assertEqual(token["project"]["id"], DEFAULT_PROJECT)
        self.assertEqual([role["name"] for role in token["roles"]], ["admin"])
        self.assertRegex(token["expires_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        urls = {entry["type"]: entry["endpoints"][0]["url"] for entry in token["catalog"]}
        self.assertEqual(urls["dms"], f"http://{self.admin.host}/v1.0/{DEFAULT_PROJECT}")
        subject = answer.headers["X-Subject-Token"]
        again = self.admin.iam("GET", "/v3/auth/tokens", X_Subject_Token=subject)
        self.assertEqual((again.status, again.body["token"]["user"]), (200, token["user"]))
        self.assertEqual(again.body["token"]["expires_at"], token["expires_at"])
        head = self.admin.iam("HEAD", "/v3/auth/tokens", X_Subject_Token=subject)
        self.assertEqual((head.status, head.raw), (200, b""))

    def test_scopes(self):
        def scoped(scope):
            answer = Rest(self.broker).iam("POST", "/v3/auth/tokens", identity.password_body(
                "admin", self.admin_password, scope=scope))
            return answer.status, set(answer.body.get("token", {})) & {"project", "domain"}
        self.assertEqual(scoped({"project": {"id": DEFAULT_PROJECT}}), (201, {"project"}))
        self.assertEqual(scoped({"project": {"name": "default", "domain": {"id": "default"}}}),
                         (201, {"project"}))
        self.assertEqual(scoped({"domain": {"name": "Default"}}), (201, {"domain"}))
        self.assertEqual(scoped("unscoped"), (201, set()))
        self.assertEqual(scoped(None), (201, {"project"}))
        for bad in ({"project": {"name": "nothing"}}, {"project": {"id": "f" * 32}},
                    {"domain": {"name": "nothing"}}):
            self.assertEqual(scoped(bad)[0], 401, bad)
        for bad in ({"project": {}}, "nonsense", 5, [], {"project": 5}, {"domain": 5},
                    {"project": {"id": 5}}, {"project": {"name": "default", "domain": 5}}):
            self.assertEqual(scoped(bad)[0], 400, bad)

    def test_domain_of_the_project_is_told(self):
        made = self.admin.iam("POST", "/v3/domains", {"domain": {"name": uuid.uuid4().hex[:12]}})
        domain = {name: made.body["domain"][name] for name in ("id", "name")}
        project = self.admin.iam("POST", "/v3/projects", {"project": {
            "name": "elsewhere", "domain_id": domain["id"]}}).body["project"]["id"]
        _, name = self.make_user("dms_user", project=project)
        answer = Rest(self.broker).iam("POST", "/v3/auth/tokens", identity.password_body(
            name, "a good password", scope={"project": {"id": project}}))
        self.assertEqual(answer.body["token"]["project"]["domain"], domain)
        self.assertEqual(answer.body["token"]["user"]["domain"]["id"], "default")

    def test_traces_say_who_logged_in(self):
        user_id, name = self.make_user("dms_user")
        for password, status in (("a wrong password", 401), ("a good password", 201)):
            answer = Rest(self.broker).iam("POST", "/v3/auth/tokens",
                                           identity.password_body(name, password))
            self.assertEqual(answer.status, status)

        def traces():
            found = self.admin.raw("GET", f"/v3/{DEFAULT_PROJECT}/traces?limit=100"
                                   f"&trace_name=createToken&user={name}").body["traces"]
            return found if len(found) == 2 else None
        good, bad = harness.wait_for("both are written", traces)
        told = [(one["code"], one["user"]["id"], one["resource_id"], one["resource_name"])
                for one in (bad, good)]
        self.assertEqual(told, [("401", "", "", name), ("201", user_id, user_id, name)])

    def test_wrong_types_are_refused(self):
        def call(method, path, body, status=400):
            answer = self.admin.iam(method, path, body)
            self.iam_error(answer, status)
        user_id, _ = self.make_user()
        for wrong in (5, True, [], {}):
            name = uuid.uuid4().hex[:12]
            for fields in ({"password": wrong}, {"domain_id": wrong}):
                call("POST", "/v3/users", {"user": {"name": name, **fields}})
                call("PATCH", f"/v3/users/{user_id}", {"user": fields})
            call("POST", "/v3/projects", {"project": {"name": name, "domain_id": wrong}})

    def test_wrong_logins_are_refused_alike(self):
        user_id, name = self.make_user("dms_user")
        nobody = Rest(self.broker)
        answers = [nobody.iam("POST", "/v3/auth/tokens", identity.password_body(*who))
                   for who in ((name, "a wrong password"), ("nobody", "a wrong password"),
                               (name, ""), (name, "a good password", "Nowhere"))]
        self.assertEqual({(answer.status, answer.raw) for answer in answers},
                         {(401, answers[0].raw)})
        self.assertEqual(answers[0].body["error"]["title"], "Unauthorized")
        self.assertEqual(self.admin.iam("PATCH", f"/v3/users/{user_id}",
                                        {"user": {"enabled": False}}).status, 200)
        self.assertEqual(nobody.iam("POST", "/v3/auth/tokens", identity.password_body(
            name, "a good password")).status, 401)

    def test_failed_logins_are_throttled(self):
        _, name = self.make_user("dms_user")
        nobody = Rest(self.broker)
        statuses = [nobody.iam("POST", "/v3/auth/tokens", identity.password_body(
            name, "a wrong password")).status for _ in range(11)]
        self.assertEqual(statuses, [401] * 10 + [429])
        last = nobody.iam("POST", "/v3/auth/tokens",
                          identity.password_body(name, "a good password"))
        self.iam_error(last, 429)
        self.assertIn("Retry-After", last.headers)
        identity.login(self.broker, "admin", self.admin_password)  # others are not concerned

    def test_failures_count_for_the_user_however_it_is_written(self):
        user_id, name = self.make_user("dms_user")
        forms = [{"id": user_id}, {"name": name, "domain": {"name": "Default"}},
                 {"name": name, "domain": {"id": "default"}}]
        for users in (forms, [{**form, "name": "nobody-" + name} for form in forms[1:]]):
            statuses = [Rest(self.broker).iam("POST", "/v3/auth/tokens", {"auth": {"identity": {
                "methods": ["password"], "password": {"user": {
                    **users[number % len(users)], "password": "a wrong password"}}}}}).status
                for number in range(11)]
            self.assertEqual(statuses, [401] * 10 + [429])

    def test_malformed_logins(self):
        nobody = Rest(self.broker)
        for body in ({}, {"auth": []}, {"auth": {}}, {"auth": {"identity": {"methods": []}}},
                     {"auth": {"identity": {"methods": ["password"]}}},
                     {"auth": {"identity": {"methods": ["password"], "password": {"user": {}}}}},
                     {"auth": {"identity": {"methods": ["password"], "password": {"user": {
                         "name": "admin", "password": "x"}}}}},
                     {"auth": {"identity": {"methods": ["totp", "password"]}}},
                     {"auth": {"identity": {**identity.password_body(
                         "admin", self.admin_password)["auth"]["identity"],
                                            "methods": ["password"] * 2}}},
                     {"auth": {"identity": {"methods": ["token"] * 2,
                                            "token": {"id": self.admin.token}}}}):
            answer = nobody.iam("POST", "/v3/auth/tokens", body)
            self.assertIn(answer.status, (400, 401), body)
            self.assertIn("error", answer.body)
        self.assertEqual(nobody.raw("POST", "/v3/auth/tokens", b"{").status, 400)

    def test_revoked_token_is_no_token_at_once_and_after_a_restart(self):
        _, user = self.login_new("dms_user")
        user.must(200, "GET", "/queues")
        other = identity.login(self.broker, "admin", self.admin_password)
        answer = user.iam("DELETE", "/v3/auth/tokens", X_Subject_Token=user.token)
        self.assertEqual(answer.status, 204, answer.raw)
        self.code(user.call("GET", "/queues"), 401, 10240101)
        self.broker.restart()
        self.code(user.call("GET", "/queues"), 401, 10240101)
        other.must(200, "GET", "/queues")  # tokens survive

    def test_token_for_a_token(self):
        _, user = self.login_new("dms_user")
        answer = Rest(self.broker).iam("POST", "/v3/auth/tokens", {"auth": {
            "identity": {"methods": ["token"], "token": {"id": user.token}}}})
        self.assertEqual((answer.status, answer.body["token"]["methods"]), (201, ["token"]))
        Rest(self.broker, answer.headers["X-Subject-Token"]).must(200, "GET", "/queues")

    def test_project_of_the_path_has_to_be_the_callers(self):
        answer = self.admin.iam("POST", "/v3/projects", {"project": {"name": "other"}})
        other = answer.body["project"]["id"]
        self.code(Rest(self.broker, self.admin.token, other).call("GET", "/queues"), 401, 10240104)
        self.code(Rest(self.broker, self.admin.token, "nonsense").call("GET", "/queues"),
                  400, 10240005)
        self.code(self.admin.raw("GET", f"{self.admin.prefix}/queues",
                                 headers={"X-Project-Id": other}), 401, 10240104)
        user_id, name = self.make_user("dms_admin", project=other)
        user = identity.login(self.broker, name, "a good password", project=other)
        user.must(201, "POST", "/queues", {"name": "q"})
        self.code(Rest(self.broker, user.token).call("GET", "/queues"), 401, 10240104)
        self.iam_error(self.admin.iam("DELETE", f"/v3/projects/{other}"), 409)
        self.give_role(user_id, "dms_admin", other, "DELETE")
        self.code(user.call("GET", "/queues"), 401, 10240101)

    def test_expired_token(self):
        broker = self.own_broker(dms_authentication="builtin", dms_token_lifetime_ms=1500)
        user = identity.login(broker, "admin", identity.read_admin(broker)["OS_PASSWORD"])
        user.must(200, "GET", "/queues")
        harness.wait_for("the token expires", lambda: user.call("GET", "/queues").status == 401)
        self.code(user.call("GET", "/queues"), 401, 10240102)


class Roles(IdentityTest):
    def test_what_each_role_may(self):
        queue = self.make_queue()
        message = {"messages": [{"body": "x"}]}
        _, reader = self.login_new("dms_reader")
        reader.must(200, "GET", "/queues")
        self.code(reader.call("POST", f"/queues/{queue}/messages", message), 403, 10240310)
        self.code(reader.call("POST", "/queues", {"name": "mine"}), 403, 10240310)
        _, user = self.login_new("dms_user")
        user.must(201, "POST", f"/queues/{queue}/messages", message)
        self.code(user.call("POST", "/queues", {"name": "mine"}), 403, 10240311)
        self.code(user.call("DELETE", f"/queues/{queue}"), 403, 10240311)
        _, manager = self.login_new("dms_admin")
        made = manager.must(201, "POST", "/queues", {"name": "mine"})["id"]
        manager.must(204, "DELETE", f"/queues/{made}")
        for somebody in (reader, user, manager):
            self.iam_error(somebody.iam("GET", "/v3/users"), 403)
            self.code(somebody.raw("GET", "/metrics"), 403, 10240311)

    def test_role_counts_from_the_next_request_on(self):
        user_id, user = self.login_new("dms_user")
        self.code(user.call("POST", "/queues", {"name": "now"}), 403, 10240311)
        self.give_role(user_id, "dms_admin")
        queue = user.must(201, "POST", "/queues", {"name": "now"})["id"]
        self.give_role(user_id, "dms_admin", method="DELETE")
        self.code(user.call("DELETE", f"/queues/{queue}"), 403, 10240311)
        check = f"/v3/projects/{DEFAULT_PROJECT}/users/{user_id}/roles"
        self.assertEqual(self.admin.iam("HEAD", check + "/dms_user").status, 204)
        self.assertEqual(self.admin.iam("HEAD", check + "/dms_admin").status, 404)
        self.assertEqual([role["name"] for role in self.admin.iam("GET", check).body["roles"]],
                         ["dms_user"])
        self.iam_error(self.admin.iam("PUT", check + "/emperor"), 404)

    def test_users_are_managed(self):
        user_id, name = self.make_user()
        self.iam_error(self.admin.iam("POST", "/v3/users", {"user": {
            "name": name, "password": "a good password"}}), 409)
        for bad in ({}, {"name": ""}, {"name": "x" * 65}, {"name": "a\nb"}, {"name": 7},
                    {"name": "short", "password": "short"}, {"name": "e", "enabled": "yes"},
                    {"name": "e", "domain_id": "nowhere"}):
            self.iam_error(self.admin.iam("POST", "/v3/users", {"user": bad}), 400)
        hostile = "<img src=x onerror=alert(1)>"
        made = self.admin.iam("POST", "/v3/users", {"user": {"name": hostile}}).body["user"]
        self.assertEqual(made["name"], hostile)
        self.assertEqual(self.admin.iam("GET", f"/v3/users?name={name}").body["users"][0]["id"],
                         user_id)
        shown = self.admin.iam("GET", f"/v3/users/{user_id}").body["user"]
        self.assertFalse(set(shown) & {"password", "scram", "roles", "generation"})
        answer = self.admin.iam("PATCH", f"/v3/users/{user_id}", {"user": {"name": "renamed"}})
        self.assertEqual((answer.status, answer.body["user"]["name"]), (200, "renamed"))
        self.assertEqual(self.admin.iam("DELETE", f"/v3/users/{user_id}").status, 204)
        self.iam_error(self.admin.iam("GET", f"/v3/users/{user_id}"), 404)
        me = self.admin.iam("GET", "/v3/users?name=admin&domain_id=default").body["users"][0]["id"]
        self.iam_error(self.admin.iam("DELETE", f"/v3/users/{me}"), 409)

    def test_domains_and_projects_are_managed(self):
        domain = self.admin.iam("POST", "/v3/domains", {"domain": {"name": "Firm"}}).body["domain"]
        project = self.admin.iam("POST", "/v3/projects", {"project": {
            "name": "default", "domain_id": domain["id"]}}).body["project"]
        self.assertRegex(project["id"], "^[0-9a-f]{32}$")
        user = self.admin.iam("POST", "/v3/users", {"user": {
            "name": "admin", "domain_id": domain["id"], "password": "of the firm"}}).body["user"]
        self.give_role(user["id"], "dms_admin", project["id"])
        theirs = identity.login(self.broker, "admin", "of the firm", "Firm",
                                project=project["id"])
        theirs.must(200, "GET", "/queues")
        self.iam_error(self.admin.iam("DELETE", f"/v3/domains/{domain['id']}"), 409)
        self.assertEqual(self.admin.iam("PATCH", f"/v3/domains/{domain['id']}",
                                        {"domain": {"enabled": False}}).status, 200)
        self.code(theirs.call("GET", "/queues"), 401, 10240101)

    def test_own_password_ends_older_tokens(self):
        user_id, name = self.make_user("dms_user")
        user = identity.login(self.broker, name, "a good password")
        path = f"/v3/users/{user_id}/password"
        self.iam_error(user.iam("POST", path, {"user": {
            "password": "a better password", "original_password": "wrong one"}}), 401)
        self.iam_error(self.admin.iam("POST", path, {"user": {
            "password": "a better password", "original_password": "a good password"}}), 403)
        answer = user.iam("POST", path, {"user": {
            "password": "a better password", "original_password": "a good password"}})
        self.assertEqual(answer.status, 204, answer.raw)
        self.code(user.call("GET", "/queues"), 401, 10240101)
        identity.login(self.broker, name, "a better password").must(200, "GET", "/queues")


class Signatures(IdentityTest):
    """API reference 2.2."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        test = cls("test_both_forms")
        cls.user_id, _ = test.make_user("dms_admin")
        cls.key = test.make_key(cls.user_id)
        cls.rest = Rest(cls.broker)
        cls.target = f"/v1.0/{DEFAULT_PROJECT}/queues"

    def body(self, **fields):
        return json.dumps({"name": "q-" + uuid.uuid4().hex[:12], **fields}).encode()

    def test_both_forms(self):
        for scope in (None, ("eu-de", "dms"), ("", ""), ("cn-north-1", "DMS")):
            answer = self.rest.signed(self.key, "GET", self.target + "?include_deadletter=true",
                                      scope=scope)
            self.assertEqual(answer.status, 200, (scope, answer.raw))
        body = self.body()
        answer = self.rest.signed(self.key, "POST", self.target, body,
                                  {"Content-Type": "application/json"})
        self.assertEqual(answer.status, 201, answer.raw)

    def test_host_may_be_signed_without_its_port(self):
        headers = identity.sign(self.key["access"], self.key["secret"], "GET", self.target,
                                {"Host": harness.HOST})
        headers["Host"] = self.rest.host
        self.assertEqual(self.rest.raw("GET", self.target, headers=headers).status, 200)

    def test_anything_changed_is_refused(self):
        def send(key=self.key, change=None, target=None, body=b"", **arguments):
            headers = identity.sign(key["access"], key["secret"], "POST", self.target,
                                    {"Host": self.rest.host}, self.body(), **arguments)
            headers.update(change or {})
            return self.rest.raw("POST", target or self.target, body, headers)
        self.code(send(body=self.body()), 401, 10240101)
        self.code(send(target=self.target + "?x=1"), 401, 10240101)
        self.code(send({**self.key, "secret": "x" * 40}), 401, 10240101)
        self.code(send({**self.key, "access": "X" * 20}), 401, 10240101)
        self.code(send(change={"X-Sdk-Date": "20200101T000000Z"}), 401, 10240102)
        self.code(send(change={"Authorization": "SDK-HMAC-SHA256 nonsense"}), 401, 10240101)
        self.code(send(change={"Authorization": "Basic YTpi"}), 401, 10240101)
        for age in (-16 * 60, 16 * 60):
            self.code(send(at=time.time() + age), 401, 10240102)

    def test_signature_is_good_once(self):
        body = self.body()
        headers = identity.sign(self.key["access"], self.key["secret"], "POST", self.target,
                                {"Host": self.rest.host}, body)
        self.assertEqual(self.rest.raw("POST", self.target, body, headers).status, 201)
        self.code(self.rest.raw("POST", self.target, body, headers), 401, 10240101)
        headers = identity.sign(self.key["access"], self.key["secret"], "GET", self.target,
                                {"Host": self.rest.host})
        self.assertEqual(self.rest.raw("GET", self.target, headers=headers).status, 200)
        harness.wait_for("the GET cannot be repeated any more", lambda: self.rest.raw(
            "GET", self.target, headers=headers).status == 401, seconds=5)

    def test_used_signature_is_not_good_after_a_restart(self):
        broker = self.own_broker(dms_authentication="builtin")
        rest = Rest(broker)
        admin = identity.login(broker, "admin", identity.read_admin(broker)["OS_PASSWORD"])
        key = admin.iam("POST", "/v3.0/OS-CREDENTIAL/credentials",
                        {"credential": {}}).body["credential"]
        for end in (broker.stop, broker.kill):
            body = self.body()
            harness.wait_for("signatures of now are good", lambda: rest.signed(
                key, "GET", self.target + "?" + uuid.uuid4().hex).status == 200)
            headers = identity.sign(key["access"], key["secret"], "POST", self.target,
                                    {"Host": rest.host}, body)
            answer = rest.raw("POST", self.target, body, headers)
            self.assertEqual(answer.status, 201, answer.raw)
            queue = answer.body["id"]
            admin.must(204, "DELETE", f"/queues/{queue}")
            end()
            broker.start()
            self.code(rest.raw("POST", self.target, body, headers), 401, 10240102)

    def test_signatures_of_who_is_refused_take_no_room(self):
        broker = self.own_broker(dms_authentication="builtin", dms_signatures_max=16)
        rest = Rest(broker)
        admin = identity.login(broker, "admin", identity.read_admin(broker)["OS_PASSWORD"])
        user_id = admin.iam("POST", "/v3/users", {"user": {"name": "ann"}}).body["user"]["id"]
        keys = [admin.iam("POST", "/v3.0/OS-CREDENTIAL/credentials",
                          {"credential": who}).body["credential"]
                for who in ({}, {"user_id": user_id})]
        self.assertEqual(admin.iam("PATCH", f"/v3/users/{user_id}",
                                   {"user": {"enabled": False}}).status, 200)

        def call(key, number):
            return rest.signed(key, "GET", f"{self.target}?x={number}",
                                               at=time.time() + 60).status
        self.assertEqual([call(keys[1], number) for number in range(6)], [401] * 6)
        self.assertEqual([call(keys[0], number) for number in range(5)], [200] * 4 + [404])

    def test_hash_of_the_body_has_to_be_the_one_of_the_body(self):
        body, other = self.body(), self.body()
        good = {"X-Sdk-Content-Sha256": hashlib.sha256(body).hexdigest()}
        self.assertEqual(self.rest.signed(self.key, "POST", self.target, body, good).status, 201)
        headers = identity.sign(self.key["access"], self.key["secret"], "POST", self.target,
                                {"Host": self.rest.host, **good}, body)
        self.code(self.rest.raw("POST", self.target, other, headers), 401, 10240101)
        unsigned = {"X-Sdk-Content-Sha256": "UNSIGNED-PAYLOAD"}
        self.code(self.rest.signed(self.key, "POST", self.target, self.body(), unsigned),
                  401, 10240101)
        self.assertEqual(self.rest.signed(self.key, "GET", self.target, b"", unsigned).status, 200)

    def test_key_works_where_its_user_has_a_role(self):
        other = self.admin.iam("POST", "/v3/projects",
                               {"project": {"name": "keys"}}).body["project"]["id"]
        target = f"/v1.0/{other}/queues"
        self.code(self.rest.signed(self.key, "GET", target), 401, 10240104)
        self.give_role(self.user_id, "dms_reader", other)
        self.assertEqual(self.rest.signed(self.key, "GET", target).status, 200)
        self.code(self.rest.signed(self.key, "POST", target, self.body()), 403, 10240310)

    def test_keys_are_managed(self):
        user_id, user = self.login_new("dms_user")
        key = user.iam("POST", "/v3.0/OS-CREDENTIAL/credentials",
                       {"credential": {"description": "mine"}}).body["credential"]
        path = f"/v3.0/OS-CREDENTIAL/credentials/{key['access']}"
        self.assertEqual(self.rest.signed(key, "GET", self.target).status, 200)
        shown = user.iam("GET", path).body["credential"]
        self.assertEqual((shown["user_id"], shown["status"]), (user_id, "active"))
        self.assertNotIn("secret", shown)
        self.assertEqual(len(user.iam("GET", "/v3.0/OS-CREDENTIAL/credentials")
                             .body["credentials"]), 1)
        _, stranger = self.login_new("dms_admin")
        self.iam_error(stranger.iam("DELETE", path), 404)
        self.iam_error(stranger.iam("POST", "/v3.0/OS-CREDENTIAL/credentials",
                                    {"credential": {"user_id": user_id}}), 403)
        self.assertEqual(user.iam("PUT", path, {"credential": {"status": "inactive"}}).status, 200)
        self.code(self.rest.signed(key, "GET", self.target), 401, 10240101)
        self.assertEqual(user.iam("DELETE", path).status, 204)
        self.broker.restart()
        harness.wait_for("the second of the start is over", lambda: self.rest.signed(
            self.key, "GET", self.target).status == 200, seconds=5)

    def post_keys(self, user_ids):
        """Statuses of 16 requests for each of these users, sent before any answer is read."""
        clients = []
        for user_id in user_ids:
            body = json.dumps({"credential": {"user_id": user_id}})
            post = (f"POST /v3.0/OS-CREDENTIAL/credentials HTTP/1.1\r\nHost: x\r\n"
                    f"X-Auth-Token: {self.admin.token}\r\nContent-Length: {len(body)}\r\n")
            client = socket.create_connection((harness.HOST, self.broker.http_port), 30)
            self.addCleanup(client.close)
            client.sendall(f"{post}\r\n{body}".encode() * 15 +
                           f"{post}Connection: close\r\n\r\n{body}".encode())
            clients.append(client)
        answers = b"".join(piece for client in clients
                           for piece in iter(lambda client=client: client.recv(65536), b""))
        return collections.Counter(int(status) for status in
                                   re.findall(rb"HTTP/1.1 (\d+) ", answers))

    def test_keys_made_at_once_are_counted_and_wait_in_line(self):
        users = [self.make_user()[0] for _ in range(11)]
        self.assertEqual(self.post_keys(users[:1] * 3), {201: 16, 409: 32})
        statuses = self.post_keys(users[1:])
        self.assertEqual((set(statuses), statuses.total()), ({201, 429}, 160))

    def test_temporary_key(self):
        user_id, user = self.login_new("dms_admin")
        body = {"auth": {"identity": {"methods": ["token"], "token": {
            "id": user.token, "duration-seconds": "900"}}}}
        answer = Rest(self.broker).iam("POST", "/v3.0/OS-CREDENTIAL/securitytokens", body)
        self.assertEqual(answer.status, 201, answer.raw)
        key = answer.body["credential"]
        token = {"X-Security-Token": key["securitytoken"]}
        self.assertEqual(self.rest.signed(key, "GET", self.target, headers=token).status, 200)
        self.code(self.rest.signed(key, "GET", self.target), 401, 10240101)
        self.code(self.rest.signed(key, "GET", self.target,
                                   headers={"X-Security-Token": "0" * 64}), 401, 10240101)
        self.code(self.rest.signed(self.key, "GET", self.target, headers=token), 401, 10240101)
        body["auth"]["identity"]["token"]["duration-seconds"] = "1"
        self.iam_error(Rest(self.broker).iam("POST", "/v3.0/OS-CREDENTIAL/securitytokens", body),
                       400)
        self.assertEqual(self.admin.iam("DELETE", f"/v3/users/{user_id}").status, 204)
        self.code(self.rest.signed(key, "GET", self.target, headers=token), 401, 10240101)

    def make_temporary_key(self, token, seconds=900):
        answer = Rest(self.broker).iam("POST", "/v3.0/OS-CREDENTIAL/securitytokens", {"auth": {
            "identity": {"methods": ["token"],
                         "token": {"id": token, "duration-seconds": seconds}}}})
        self.assertEqual(answer.status, 201, answer.raw)
        return answer.body["credential"]

    def test_temporary_key_ends_with_token_and_password(self):
        user_id, name = self.make_user("dms_admin")
        user, other = (identity.login(self.broker, name, "a good password") for _ in range(2))
        keys = [self.make_temporary_key(one.token) for one in (user, other)]
        permanent = self.make_key(user_id)

        def signed():
            return [self.rest.signed(key, "GET", self.target, headers={
                "X-Security-Token": key["securitytoken"]}).status for key in keys]
        self.assertEqual(signed(), [200, 200])
        self.assertEqual(user.iam("DELETE", "/v3/auth/tokens",
                                  X_Subject_Token=user.token).status, 204)
        self.assertEqual(signed(), [401, 200])
        self.assertEqual(self.admin.iam("PATCH", f"/v3/users/{user_id}", {
            "user": {"password": "a better password"}}).status, 200)
        self.assertEqual(signed(), [401, 401])
        self.assertEqual(self.rest.signed(permanent, "GET", self.target).status, 200)

    def test_temporary_key_changes_no_identities(self):
        # What lasts longer than the key is not to be had with it, whatever its user may.
        user_id, user = self.login_new("admin")
        permanent = self.make_key(user_id)
        key = self.make_temporary_key(user.token)
        token = {"X-Security-Token": key["securitytoken"]}
        name = "user-" + uuid.uuid4().hex[:12]
        created = json.dumps({"user": {"name": name, "password": "a good password"}}).encode()
        password = b'{"user":{"password":"another good password"}}'
        role = f"/v3/projects/{DEFAULT_PROJECT}/users/{user_id}/roles/dms_admin"
        for method, target, body in (
                ("POST", "/v3/users", created), ("PATCH", f"/v3/users/{user_id}", password),
                ("POST", f"/v3/users/{user_id}/password", b'{"user":{"original_password":'
                 b'"a good password","password":"another good password"}}'),
                ("DELETE", f"/v3/users/{user_id}", b""), ("PUT", role, b""),
                ("POST", "/v3/projects", b'{"project":{"name":"temporary"}}')):
            self.iam_error(self.rest.signed(key, method, target, body, headers=token), 403)
        looked = self.rest.signed(key, "GET", f"/v3/users/{user_id}", headers=token)
        self.assertEqual(looked.status, 200, looked.raw)
        # Its token is none to log in with.
        self.iam_error(Rest(self.broker).iam("POST", "/v3/auth/tokens", {"auth": {"identity": {
            "methods": ["token"], "token": {"id": key["securitytoken"]}}}}), 401)
        self.assertEqual(self.rest.signed(permanent, "POST", "/v3/users", created).status, 201)

    def test_temporary_key_manages_no_keys(self):
        path = "/v3.0/OS-CREDENTIAL/credentials"
        for role in ("dms_user", "admin"):
            user_id, user = self.login_new(role)
            permanent = self.make_key(user_id)
            key = self.make_temporary_key(user.token)
            for method, target, body in (
                    ("POST", path, b'{"credential":{}}'), ("GET", path, b""),
                    ("GET", f"{path}/{permanent['access']}", b""),
                    ("PUT", f"{path}/{permanent['access']}", b'{"credential":{}}'),
                    ("DELETE", f"{path}/{permanent['access']}", b"")):
                self.iam_error(self.rest.signed(key, method, target, body, headers={
                    "X-Security-Token": key["securitytoken"]}), 403)
            self.assertEqual(self.rest.signed(permanent, "GET", path).status, 200)

    def test_temporary_key_lasts_no_longer_than_its_token(self):
        token = self.admin.iam("GET", "/v3/auth/tokens", X_Subject_Token=self.admin.token)
        key = self.make_temporary_key(self.admin.token, 86400)
        self.assertEqual(key["expires_at"], token.body["token"]["expires_at"])

    def test_long_signed_body(self):
        queue = self.make_queue()
        body = json.dumps({"messages": [{"body": "x" * 300000}]}).encode()
        target = f"/v1.0/{DEFAULT_PROJECT}/queues/{queue}/messages"
        self.assertEqual(self.rest.signed(self.key, "POST", target, body).status, 201)


class Limits(IdentityTest):
    def test_long_body_of_nobody_is_not_waited_for(self):
        # A head that promises more than 64 KiB without credentials is answered before its body.
        for headers, code in (("", 10240103), ("X-Auth-Token: nonsense\r\n", 10240101),
                              ("Authorization: SDK-HMAC-SHA256 nonsense\r\n", 10240101)):
            with socket.create_connection((harness.HOST, self.broker.http_port), 10) as client:
                client.sendall((f"POST /v1.0/{DEFAULT_PROJECT}/queues HTTP/1.1\r\nHost: x\r\n"
                                f"{headers}Expect: 100-continue\r\n"
                                "Content-Length: 100000\r\n\r\n").encode())
                answer = b""
                while b"}" not in answer:
                    piece = client.recv(4096)
                    if not piece:
                        break
                    answer += piece
                self.assertTrue(answer.startswith(b"HTTP/1.1 401"), answer)
                self.assertIn(str(code).encode(), answer)

    def test_chunked_body_of_nobody_ends_at_64_kib(self):
        with socket.create_connection((harness.HOST, self.broker.http_port), 10) as client:
            client.sendall((f"POST /v1.0/{DEFAULT_PROJECT}/queues HTTP/1.1\r\nHost: x\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n").encode())
            client.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            client.sendall(b"10\r\n")
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 401"))

    def test_long_bodies_of_plausible_signatures_cost_what_has_come(self):
        queue = self.make_queue()
        me = self.admin.iam("GET", "/v3/users?name=admin&domain_id=default").body["users"][0]
        key = self.make_key(me["id"])
        target = f"/v1.0/{DEFAULT_PROJECT}/queues/{queue}/messages"
        size = 5 * 1024 * 1024
        clients = []
        for _ in range(10):  # more than 32 MiB, and so is what is looked at before the last step
            fields = identity.sign(key["access"], "x" * 40, "POST", target, {
                "Host": "x", "Expect": "100-continue", "Content-Length": str(size)})
            client = socket.create_connection((harness.HOST, self.broker.http_port), 30)
            self.addCleanup(client.close)
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            client.sendall(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode())
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 100 "))
            clients.append(client)
        body = json.dumps({"messages": [{"body": "x" * 300000}]}).encode()
        self.assertEqual(Rest(self.broker).signed(key, "POST", target, body).status, 201)
        for client in clients:
            try:
                client.sendall(b"x" * (size - 1))
            except OSError:
                pass  # refused by now
        refused = select.select(clients, [], [], 30)[0]
        self.assertIn(b"10240407", refused[0].recv(65536))

    def test_revoking_ends_a_long_poll(self):
        queue = self.make_queue()
        group = self.admin.must(201, "POST", f"/queues/{queue}/groups",
                                {"groups": [{"name": "g"}]})["groups"][0]["id"]
        _, user = self.login_new("dms_user")
        answers = []
        poll = threading.Thread(target=lambda: answers.append(user.call(
            "GET", f"/queues/{queue}/groups/{group}/messages?time_wait=60")))
        started = time.monotonic()
        poll.start()
        self.assertEqual(self.admin.iam("DELETE", "/v3/auth/tokens",
                                        X_Subject_Token=user.token).status, 204)
        poll.join(30)
        self.assertFalse(poll.is_alive())
        self.assertLess(time.monotonic() - started, 30)
        self.code(answers[0], 401, 10240101)

    def test_tokens_and_temporary_keys_of_a_user_have_a_limit(self):
        broker = self.own_broker(dms_authentication="builtin", dms_tokens_per_user=3)
        password = identity.read_admin(broker)["OS_PASSWORD"]
        admin = identity.login(broker, "admin", password)
        self.assertEqual(admin.iam("POST", "/v3/users", {"user": {
            "name": "ann", "password": "a good password"}}).status, 201)
        ann = [identity.login(broker, "ann", "a good password", scope="unscoped")
               for _ in range(3)]

        def state(rest):
            return rest.iam("GET", "/v3/auth/tokens", X_Subject_Token=rest.token).status
        self.assertEqual([state(one) for one in ann], [200] * 3)
        ann.append(Rest(broker, Rest(broker).iam("POST", "/v3/auth/tokens", {"auth": {
            "identity": {"methods": ["token"], "token": {"id": ann[2].token}},
            "scope": "unscoped"}}).headers["X-Subject-Token"]))
        self.assertEqual([state(one) for one in ann], [401] + [200] * 3)
        self.assertEqual(state(admin), 200)  # others are not concerned

        def temporary():
            answer = Rest(broker).iam("POST", "/v3.0/OS-CREDENTIAL/securitytokens", {"auth": {
                "identity": {"methods": ["token"], "token": {"id": admin.token}}}})
            self.assertEqual(answer.status, 201, answer.raw)
            return answer.body["credential"]
        self.assertEqual(admin.iam("POST", "/v3.0/OS-CREDENTIAL/credentials",
                                   {"credential": {}}).status, 201)
        keys = [temporary() for _ in range(4)]
        statuses = [admin.signed(key, "GET", admin.prefix + "/queues", headers={
            "X-Security-Token": key["securitytoken"]}).status for key in keys]
        self.assertEqual(statuses, [401] + [200] * 3)
        many = [threading.Thread(target=identity.login, args=(broker, "admin", password))
                for _ in range(6)]
        for thread in many:
            thread.start()
        for thread in many:
            thread.join()
        identity.login(broker, "admin", password)

    def test_flood_of_logins_does_not_stop_the_others(self):
        statuses = []

        def flood(number):
            statuses.append(Rest(self.broker).iam("POST", "/v3/auth/tokens", identity.password_body(
                f"nobody-{number}", "a wrong password")).status)
        threads = [threading.Thread(target=flood, args=(number,)) for number in range(90)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            self.admin.must(200, "GET", "/queues")
        for thread in threads:
            thread.join()
        self.assertEqual(set(statuses) - {401, 429}, set())
        self.assertIn(429, statuses)  # the line has an end


class Proxies(IdentityTest):
    options = {"dms.authentication": "builtin", "dms.trusted.proxies": "127.0.0.1, 10.1.0.0/16"}

    def fail_until_throttled(self, name, forwarded, wanted):
        """Statuses of failed logins of name that a proxy brings."""
        for status in wanted:
            answer = Rest(self.broker).raw(
                "POST", "/v3/auth/tokens",
                json.dumps(identity.password_body(name, "a wrong password")).encode(),
                {"X-Forwarded-For": forwarded} if forwarded else {})
            self.assertEqual(answer.status, status, forwarded)

    def test_client_is_whom_the_proxy_names(self):
        _, name = self.make_user()
        # Only the last that is no proxy counts: what is in front of it, anybody can write.
        self.fail_until_throttled(name, "192.0.2.1", [401] * 5)
        self.fail_until_throttled(name, "10.9.9.9, 192.0.2.1, 10.1.2.3", [401] * 5 + [429])
        self.fail_until_throttled(name, "192.0.2.1, 192.0.2.2", [401])
        self.fail_until_throttled(name, "2001:db8::1", [401])
        self.fail_until_throttled(name, None, [401])
        told = {one["source_ip"] for one in self.admin.raw(
            "GET", f"/v3/{DEFAULT_PROJECT}/traces?limit=100&user={name}").body["traces"]}
        self.assertLessEqual({"192.0.2.1", "192.0.2.2", harness.HOST}, told)

    def test_header_of_others_is_ignored(self):
        self.broker = broker = self.own_broker(dms_authentication="builtin",
                                               dms_trusted_proxies="10.0.0.0/8")
        for number in range(11):
            self.fail_until_throttled("admin", f"192.0.2.{number}", [401 if number < 10 else 429])
        for bad in ("localhost", "10.0.0.0/33", "1.2.3.4,", "::1/129", "1.2.3.4/-1"):
            run = subprocess.run([harness.binary(), "--check-config", f"dms.trusted.proxies={bad}"],
                                 capture_output=True, text=True, timeout=60)
            self.assertNotEqual(run.returncode, 0, bad)
            self.assertIn("dms.trusted.proxies", run.stderr + run.stdout)


class Secrets(IdentityTest):
    options = {"dms.authentication": "builtin", "log.level": "trace"}

    def test_files_of_secrets_are_for_their_owner_only(self):
        for name in ("identity.key", "admin-credentials"):
            mode = os.stat(os.path.join(self.broker.data, name)).st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o600, name)

    def test_no_secret_is_told_or_stored(self):
        password = "planted password " + uuid.uuid4().hex
        user_id, name = self.make_user("dms_user", password=password)
        user = identity.login(self.broker, name, password)
        key = self.make_key(user_id)
        temporary = Rest(self.broker).iam("POST", "/v3.0/OS-CREDENTIAL/securitytokens", {
            "auth": {"identity": {"methods": ["token"], "token": {"id": user.token}}}}
        ).body["credential"]
        wrong = "planted wrong password " + uuid.uuid4().hex
        Rest(self.broker).iam("POST", "/v3/auth/tokens", identity.password_body(name, wrong))
        Rest(self.broker).signed(key, "GET", f"{user.prefix}/queues")
        secrets = [self.admin_password, password, wrong, user.token, self.admin.token,
                   key["secret"], temporary["secret"], temporary["securitytoken"]]
        told = [self.admin.raw("GET", path).raw.decode() for path in (
            "/metrics", "/v3/users", f"/v3/users/{user_id}", "/v3/projects",
            "/v3.0/OS-CREDENTIAL/credentials", f"/v3/{DEFAULT_PROJECT}/traces?limit=200",
            f"{self.admin.prefix}/queues")]
        self.broker.stop()
        told.append(self.broker.log())
        for path in glob.glob(f"{self.broker.data}/**", recursive=True):
            if os.path.isfile(path) and os.path.basename(path) != "admin-credentials":
                with open(path, "rb") as file:
                    told.append(file.read().decode("latin-1"))
        self.broker.start()
        self.assertGreater(len(told), 10)
        for secret in secrets:
            for text in told:
                self.assertNotIn(secret, text)

    def test_damaged_files_of_secrets_stop_the_start(self):
        broker = self.own_broker(dms_authentication="builtin")
        key_path = os.path.join(broker.data, "identity.key")
        admin = identity.login(broker, "admin", identity.read_admin(broker)["OS_PASSWORD"])
        self.assertEqual(admin.iam("POST", "/v3.0/OS-CREDENTIAL/credentials",
                                   {"credential": {}}).status, 201)
        broker.stop()
        with open(key_path, "rb") as file:
            key = file.read()

        def refuses():
            broker.spawn()
            status = broker.process.wait(60)
            broker.process = None
            self.assertNotEqual(status, 0)
            self.assertIn("SECRET_FILE_REFUSED", broker.log_tail(3))
        os.chmod(key_path, 0o644)
        refuses()
        os.chmod(key_path, 0o600)
        for content in (b"", key[:31], key + b"x"):
            with open(key_path, "wb") as file:
                file.write(content)
            refuses()
        os.unlink(key_path)
        refuses()
        with open(key_path, "wb") as file:
            file.write(key)
        os.chmod(key_path, 0o600)
        with open(key_path + ".tmp", "wb") as file:
            file.write(key[:7])  # of a start that was cut off
        broker.start()
        self.assertFalse(os.path.exists(key_path + ".tmp"))
        admin.must(200, "GET", "/queues")


class CommandLine(IdentityTest):
    def run_user(self, *arguments, stdin="", **environment):
        values = {**os.environ, **identity.read_admin(self.broker), **environment}
        return subprocess.run([harness.binary(), "user", *arguments], input=stdin, text=True,
                              capture_output=True, env=values, timeout=60)

    def must(self, *arguments, **options):
        run = self.run_user(*arguments, **options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_users_roles_and_keys(self):
        self.must("create", "ann", stdin="ann's password\n")
        self.assertIn("enabled   ann\n", self.must("list"))
        self.must("grant", "ann", "default", "dms_user")
        ann = identity.login(self.broker, "ann", "ann's password")
        ann.must(200, "GET", "/queues")
        key = dict(line.split("=") for line in self.must("key", "ann").splitlines())
        self.assertEqual(Rest(self.broker).signed(
            {"access": key["access_key"], "secret": key["secret_key"]}, "GET",
            f"{ann.prefix}/queues").status, 200)
        self.must("password", "ann", stdin="another password\n")
        self.code(ann.call("GET", "/queues"), 401, 10240101)
        self.must("revoke", "ann", "default", "dms_user")
        self.must("disable", "ann")
        self.assertIn("disabled  ann\n", self.must("list"))
        self.must("delete", "ann")
        self.assertNotIn("ann", self.must("list"))

    def test_domains_projects_and_keys(self):
        self.must("domain", "create", "shop")
        self.must("project", "create", "shop/orders")
        self.must("project", "create", "plain")
        self.assertIn("enabled   shop\n", self.must("domain", "list"))
        projects = self.must("project", "list")
        self.assertIn("enabled   shop/orders\n", projects)
        self.assertIn("enabled   plain\n", projects)
        for name in ("twin", "shop/twin"):
            self.must("create", name, stdin="a good password\n")
        self.assertIn("enabled   shop/twin\n", self.must("list"))
        self.assertIn("DOMAIN/NAME", self.run_user("key", "twin").stderr)  # there are two
        self.must("grant", "shop/twin", "shop/orders", "dms_user")
        identity.login(self.broker, "twin", "a good password", domain="shop",
                       scope={"project": {"name": "orders", "domain": {"name": "shop"}}})
        keys = [dict(line.split("=") for line in self.must("key", name).splitlines())
                for name in ("shop/twin", "Default/twin")]
        listed = self.must("keys", "shop/twin")
        self.assertIn(keys[0]["access_key"], listed)
        self.assertNotIn(keys[1]["access_key"], listed)
        self.must("delete-key", keys[0]["access_key"])
        self.assertEqual(self.must("keys", "shop/twin"), "")
        self.assertIn("called nowhere", self.run_user("create", "nowhere/ann", stdin="x\n").stderr)
        self.must("delete", "shop/twin")
        self.must("delete", "twin")

    def test_no_proxy_hears_of_it(self):
        self.must("list", http_proxy="http://127.0.0.1:1", all_proxy="http://127.0.0.1:1")

    def test_what_cannot_be_done(self):
        self.assertEqual(self.run_user("dance").returncode, 2)
        self.assertEqual(self.run_user("grant", "ann").returncode, 2)
        for words in (["project"], ["project", "create"], ["domain", "dance"],
                      ["domain", "list", "x"]):
            self.assertEqual(self.run_user(*words).returncode, 2, words)
        self.assertEqual(self.run_user("delete", "nobody").returncode, 1)
        for words, more in ((["delete", "d" * 300 + "/ann"], {}), (["delete", "n" * 3000], {}),
                            (["delete-key", "k" * 300], {}),
                            (["grant", "admin", "default", "r" * 65], {}),
                            (["create", "ann"], {"stdin": "p" * 255 + "\n"}),
                            (["list"], {"OS_AUTH_URL": "http://" + "h" * 1100})):
            refused = self.run_user(*words, **more)
            self.assertEqual(refused.returncode, 1, words)
            self.assertIn("is too long", refused.stderr)
        wrong = self.run_user("list", OS_PASSWORD="a wrong password")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("authentication", wrong.stderr)


class Sdk(IdentityTest):
    """OpenStack's own client library."""

    def setUp(self):
        try:
            import openstack
        except ImportError:
            self.skipTest("python3-openstacksdk is not installed")
        self.connection = openstack.connect(
            auth_url=f"http://{self.admin.host}/v3", username="admin",
            password=self.admin_password, project_name="default", user_domain_name="Default",
            project_domain_name="Default", region_name="local", app_name="test")

    def test_session(self):
        self.assertEqual(self.connection.current_project_id, DEFAULT_PROJECT)
        endpoint = self.connection.session.get_endpoint(service_type="dms", interface="public")
        self.assertTrue(endpoint.endswith(DEFAULT_PROJECT))
        answer = self.connection.session.get(endpoint + "/queues")
        self.assertEqual(answer.status_code, 200)

    def test_identity(self):
        cloud = self.connection.identity
        user = cloud.create_user(name="sdk", password="of the sdk", domain_id="default")
        project = cloud.create_project(name="sdk", domain_id="default")
        role = cloud.find_role("dms_user")
        cloud.assign_project_role_to_user(project, user, role)
        self.assertIn("sdk", [one.name for one in cloud.users()])
        self.assertEqual(cloud.find_user("sdk").id, user.id)
        cloud.update_user(user, description="changed")
        self.assertEqual(cloud.get_user(user.id).description, "changed")
        cloud.delete_user(user)
        cloud.delete_project(project)
        self.assertIsNone(cloud.find_user("sdk"))


if __name__ == "__main__":
    harness.main()
