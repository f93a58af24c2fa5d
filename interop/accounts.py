"""A dmsd with authentication, and its users: for tests of who may do what."""

import json
import os
import re
import uuid

import harness

DEFAULT_PROJECT = "0" * 32


class Rest(harness.Rest):
    """The REST door with a token."""

    token = None

    def raw(self, method, target, body=None, headers=None, **arguments):
        headers = dict(headers or {})
        if self.token:
            headers["X-Auth-Token"] = self.token
        return super().raw(method, target, body, headers, **arguments)

    def pipeline(self, targets, headers=None, **arguments):
        return super().pipeline(targets, {**(headers or {}), "X-Auth-Token": self.token},
                                **arguments)


class User:
    """Somebody with a role in a project."""

    def __init__(self, accounts, id, name, domain, password, project):
        self.accounts, self.id, self.name, self.password = accounts, id, name, password
        self.domain, self.project = domain, project

    @property
    def login(self):
        """What a Kafka client says its name is."""
        domain = self.domain["name"]
        return self.name if domain == "Default" else f"{domain}/{self.name}"

    def rest(self):
        rest = Rest(self.accounts.port, self.project)
        answer = rest.raw("POST", "/v3/auth/tokens", json.dumps({"auth": {
            "identity": {"methods": ["password"], "password": {
                "user": {"id": self.id, "password": self.password}}},
            "scope": {"project": {"id": self.project}}}}).encode())
        if answer.status != 201:
            raise AssertionError(f"login of {self.name}: {answer.status} {answer.raw!r}")
        rest.token = {name.lower(): value for name, value in answer.headers.items()}[
            "x-subject-token"]
        return rest

    def kafka(self, mechanism="SCRAM-SHA-256"):
        """Settings of librdkafka. With PLAIN each connection costs the broker a slow hash."""
        return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
                "sasl.username": self.login, "sasl.password": self.password}

    def kcat(self, *arguments, mechanism="SCRAM-SHA-256", **run):
        options = [part for item in self.kafka(mechanism).items()
                   for part in ("-X", "=".join(item))]
        return self.accounts.broker.kcat(*options, *arguments, **run)


class Accounts:
    """Makes domains, projects and users as the administrator of a fresh broker."""

    def __init__(self, broker):
        self.broker = broker
        self.port = broker.http_port
        with open(os.path.join(broker.data, "admin-credentials"), encoding="utf-8") as file:
            password = re.search(r"OS_PASSWORD=(\S+)", file.read()).group(1)
        self.root = Rest(self.port, DEFAULT_PROJECT)
        answer = self.root.raw("POST", "/v3/auth/tokens", json.dumps({"auth": {"identity": {
            "methods": ["password"], "password": {"user": {
                "name": "admin", "domain": {"name": "Default"}, "password": password}}}}}).encode())
        if answer.status != 201:
            raise AssertionError(f"login of the administrator: {answer.status} {answer.raw!r}")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        self.root.token = headers["x-subject-token"]
        user = answer.body["token"]["user"]
        self.domain = user["domain"]
        self.admin = User(self, user["id"], "admin", self.domain, password, DEFAULT_PROJECT)

    def call(self, status, method, path, value=None):
        body = None if value is None else json.dumps(value).encode()
        answer = self.root.raw(method, path, body, {"Content-Type": "application/json"})
        if answer.status != status:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.raw!r}")
        return answer.body

    def make_domain(self, name):
        return self.call(201, "POST", "/v3/domains", {"domain": {"name": name}})["domain"]

    def make_project(self, domain=None):
        return self.call(201, "POST", "/v3/projects", {"project": {
            "name": uuid.uuid4().hex[:12], "domain_id": (domain or self.domain)["id"]}})[
                "project"]["id"]

    def make_user(self, role="dms_admin", project=None, domain=None, **fields):
        """In a project of its own unless one is given."""
        domain = domain or self.domain
        project = project or self.make_project(domain)
        name, password = "user" + uuid.uuid4().hex[:8], uuid.uuid4().hex
        made = self.call(201, "POST", "/v3/users", {"user": {
            "name": name, "password": password, "domain_id": domain["id"],
            "default_project_id": project, **fields}})["user"]
        if role:
            self.call(204, "PUT", f"/v3/projects/{project}/users/{made['id']}/roles/"
                      f"{self.role_id(role)}")
        return User(self, made["id"], name, domain, password, project)

    def role_id(self, name):
        roles = self.call(200, "GET", "/v3/roles")["roles"]
        return next(row["id"] for row in roles if row["name"] == name)

    def change_user(self, user, **fields):
        self.call(200, "PATCH", f"/v3/users/{user.id}", {"user": fields})

    def access_key(self, user):
        """(access key, secret key)"""
        made = self.call(201, "POST", "/v3.0/OS-CREDENTIAL/credentials",
                         {"credential": {"user_id": user.id}})["credential"]
        return made["access"], made["secret"]

    def delete_access_key(self, access):
        self.call(204, "DELETE", f"/v3.0/OS-CREDENTIAL/credentials/{access}")


class AccountsTest(harness.BrokerTest):
    """Tests that share one broker with authentication."""

    options = {"dms_authentication": "builtin"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.accounts = Accounts(cls.broker)
