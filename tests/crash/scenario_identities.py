"""The small scenario where there is authentication: the first administrator, whom the first start
makes, makes a user and an access key, and everything else is done as that administrator."""

import json
import os

import harness
import identity
import scenario
import wire

SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36
PASSWORD = "a good password"


class Scenario(scenario.Scenario):
    """Beside the others' steps: what was acknowledged of users, keys and tokens."""

    def __init__(self, broker, project, prefix=""):
        del project  # there is only one whose administrator there is
        super().__init__(broker, identity.DEFAULT_PROJECT, prefix)
        self.token = None
        self.user = None  # its name
        self.key = None

    def headers(self):
        return {"X-Auth-Token": self.token} if self.token else {}

    def prove(self, kafka):
        """With the access key where there is one: passwords are slow to check."""
        name, password = "admin", identity.read_admin(self.broker)["OS_PASSWORD"]
        if self.key is not None:
            name, password = self.key["access"], self.key["secret"]
        error = kafka.call(SASL_HANDSHAKE, 1, wire.string("PLAIN")).i16()
        assert error == 0, f"handshake: {error}"
        reader = kafka.call(SASL_AUTHENTICATE, 1, wire.data(f"\0{name}\0{password}".encode()))
        error, text = reader.i16(), reader.string()
        assert error == 0, f"login: {error} {text}"

    def log_in(self, name, password):
        """A token; None when refused."""
        answer = self.request("POST", "/v3/auth/tokens",
                              identity.password_body(name, password, scope="unscoped"
                                                     if name != "admin" else None))
        return None if answer is None else answer.headers["X-Subject-Token"]

    def run(self):
        if self.token is None:
            self.token = self.log_in("admin", identity.read_admin(self.broker)["OS_PASSWORD"])
        if self.token is None:
            return
        self.run_identities()
        super().run()

    def run_identities(self):
        name = f"{self.prefix}user{self.mark}"
        if self.request("POST", "/v3/users",
                        {"user": {"name": name, "password": PASSWORD}}) is not None:
            self.user = name
        made = self.request("POST", "/v3.0/OS-CREDENTIAL/credentials", {"credential": {}})
        if made is not None:
            self.key = made.body["credential"]

    def verify(self):
        data = self.broker.data
        left = [name for name in os.listdir(data) if name.endswith(".tmp")]
        assert not left, f"left behind: {left}"
        for name, size in (("identity.key", 32), ("admin-credentials", 100)):
            found = os.path.getsize(os.path.join(data, name))
            assert found >= size, f"{name} has {found} bytes"
        password = identity.read_admin(self.broker)["OS_PASSWORD"]
        assert self.log_in("admin", password), "the first administrator cannot log in"
        if self.token is None:
            self.token = self.log_in("admin", password)
        if self.user is not None:
            assert self.log_in(self.user, PASSWORD), f"{self.user} cannot log in"
        if self.key is not None:
            # Not in the second of the start.
            harness.wait_for("the access key is good", lambda: identity.Rest(self.broker).signed(
                self.key, "GET", f"/v1.0/{self.project}/queues").status == 200, seconds=5)
        super().verify()
