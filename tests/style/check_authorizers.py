#!/usr/bin/env python3
"""Every Kafka API and every REST route asks the authorizer (CVE-2018-17196 is what happens when one
does not). A handler asks when it, or a function that it calls, calls one of ASKS. What needs no
asking is named here, with the reason."""

import pathlib
import re
import sys

ASKS = {"security_authorize", "security_judge"}

# Whoever may connect may know these; nothing of any project is in them.
KAFKA_FREE = {
    "khandler_api_versions": "what is offered, also before authentication",
    "khandler_describe_cluster": "the address one is connected to; operations are judged inside",
    "khandler_sasl_handshake": "authentication itself",
    "khandler_sasl_authenticate": "authentication itself",
}

# Flags of rows that the gate itself answers for.
REST_FREE = ("RESTGW_ROUTE_PUBLIC", "RESTGW_ROUTE_IAM", "RESTGW_ROUTE_ADMIN", "IAM_PUBLIC",
             "IAM_ADMIN")

FUNCTION = re.compile(r"^[a-z][^;{}#/]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}\n", re.S | re.M)
WORD = re.compile(r"\b\w+\b")


def functions(text):
    return {name: body for name, body in FUNCTION.findall(text)}


def asks(name, bodies, shared, seen=None):
    """Whether the function does, or one that it names: of its own file, or one that files share."""
    seen = seen if seen is not None else set()
    body, bodies = (bodies[name], bodies) if name in bodies else shared.get(name, (None, None))
    if body is None or name in seen:
        return False
    seen.add(name)
    words = set(WORD.findall(body))
    return bool(words & ASKS) or any(asks(word, bodies, shared, seen)
                                     for word in words if word in bodies or word in shared)


def read(folder):
    """Of every function that is not static: its body, and those of its file."""
    shared = {}
    for path in sorted(folder.glob("*.c")):
        bodies = functions(path.read_text())
        shared.update({name: (body, bodies) for name, body in bodies.items()
                       if name.startswith(("khandler_", "restgw_"))})
    return shared


def kafka_rows(table):
    return re.findall(r"\{KPROTO_KEY_\w+,[^}]*?\b(khandler_\w+)\b[^}]*\}", table)


def rest_rows(table):
    """(handler, text of the row)"""
    text = table[table.index("restgw_route routes[]"):]
    text = text[:text.index("\n};")]
    return [(re.search(r"\b(restgw__\w+)", row).group(1), row)
            for row in re.findall(r"\{RESTGW_HTTP_.*?\}(?=,\n)", text, re.S)]


def check(root):
    root = pathlib.Path(root)
    kafka_shared = read(root / "kafka-proto/handlers")
    rest_shared = read(root / "rest-gw")
    kafka = kafka_rows((root / "kafka-proto/handlers/table.c").read_text())
    rest = rest_rows((root / "rest-gw/gateway.c").read_text())
    problems = [f"kafka-proto/handlers: {name} asks nobody whether it may" for name in kafka
                if name not in KAFKA_FREE and not asks(name, {}, kafka_shared)]
    problems += [f"rest-gw: {name} asks nobody whether it may" for name, row in rest
                 if not any(flag in row for flag in REST_FREE) and not asks(name, {}, rest_shared)]
    if not kafka or not rest:
        problems.append("the tables of APIs and routes could not be read")
    return problems


def main(root):
    problems = check(root)
    print("\n".join(problems) or "every Kafka API and REST route asks")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
