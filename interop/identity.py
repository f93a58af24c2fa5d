"""What a client needs to be somebody: logging in, and signing requests. An implementation of its
own, with the standard library, of what the SDKs do."""

import base64
import hashlib
import hmac
import json
import time
import urllib.parse

import harness

DEFAULT_PROJECT = "0" * 32


def read_admin(broker):
    """The first administrator's credentials, as the broker wrote them."""
    values = {}
    with open(f"{broker.data}/admin-credentials", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.removeprefix("export ").strip().partition("=")
            values[name] = value
    return values


def password_body(name, password, domain="Default", scope=None):
    auth = {"identity": {"methods": ["password"], "password": {"user": {
        "name": name, "password": password, "domain": {"name": domain}}}}}
    if scope is not None:
        auth["scope"] = scope
    return {"auth": auth}


def quote(text):
    return urllib.parse.quote(text, safe="-_.~")


def canonical_hash(method, target, headers, signed, body):
    path, _, query = target.partition("?")
    path = "/".join(quote(urllib.parse.unquote(part)) for part in path.split("/"))
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    text = "\n".join([
        method, path if path.endswith("/") else path + "/",
        "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs),
        "".join(f"{name}:{lower[name]}\n" for name in signed),
        ";".join(signed),
        lower.get("x-sdk-content-sha256", hashlib.sha256(body).hexdigest())])
    return hashlib.sha256(text.encode()).hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sign(access, secret, method, target, headers, body=b"", scope=None, at=None):
    """Adds X-Sdk-Date and Authorization to headers. scope: (region, service), if any."""
    headers["X-Sdk-Date"] = date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    signed = sorted(name.lower() for name in headers if "_" not in name)
    digest = canonical_hash(method, target, headers, signed, body)
    if scope is None:
        text = f"SDK-HMAC-SHA256\n{date}\n{digest}"
        key, who = secret.encode(), f"Access={access}"
    else:
        parts = [date[:8], *scope, "sdk_request"]
        key = ("SDK" + secret).encode()
        for part in parts:
            key = mac(key, part)
        text = f"SDK-HMAC-SHA256\n{date}\n{'/'.join(parts)}\n{digest}"
        who = f"Credential={access}/{'/'.join(parts)}"
    headers["Authorization"] = (f"SDK-HMAC-SHA256 {who}, SignedHeaders={';'.join(signed)}, "
                                f"Signature={mac(key, text).hex()}")
    return headers


def scram_final(password, first, challenge):
    """The client's last message of SCRAM-SHA-256, and the server's answer to it."""
    fields = dict(part.split("=", 1) for part in challenge.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]),
                                 int(fields["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    bare = f"c=biws,r={fields['r']}"
    transcript = f"{first},{challenge},{bare}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), transcript, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), transcript, "sha256")
    return f"{bare},p={proof}", "v=" + base64.b64encode(server).decode()


class Rest(harness.Rest):
    """The REST door, with a token."""

    def __init__(self, broker, token=None, project=DEFAULT_PROJECT):
        super().__init__(broker.http_port, project)
        self.host = f"{harness.HOST}:{broker.http_port}"
        self.token = token

    def raw(self, method, target, body=None, headers=None, **arguments):
        headers = dict(headers or {})
        if self.token is not None:
            headers.setdefault("X-Auth-Token", self.token)
        return super().raw(method, target, body, headers, **arguments)

    def iam(self, method, path, value=None, **headers):
        body = None if value is None else json.dumps(value).encode()
        return self.raw(method, path, body,
                        {name.replace("_", "-"): text for name, text in headers.items()})

    def signed(self, key, method, target, body=b"", headers=None, **arguments):
        headers = sign(key["access"], key["secret"], method, target,
                       {"Host": self.host, **(headers or {})}, body, **arguments)
        return harness.Rest.raw(self, method, target, body or None, headers)


def login(broker, name, password, domain="Default", scope=None, project=DEFAULT_PROJECT):
    answer = Rest(broker).iam("POST", "/v3/auth/tokens",
                              password_body(name, password, domain, scope))
    assert answer.status == 201, answer
    return Rest(broker, answer.headers["X-Subject-Token"], project)
