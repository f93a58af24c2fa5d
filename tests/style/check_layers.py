#!/usr/bin/env python3
"""Who may include whom: #include "..." lines against the table of libraries.

Usage: check_layers.py [repository root]
"""

import os
import re

import source

# What each library may use; what those may use comes along. The order is the
# one of the design: a row uses only rows above it.
MAY_USE = {
    "core/base": [],
    "core/net": ["core/base"],
    "logstore": ["core/base"],
    "core/catalog": ["core/base", "logstore"],
    "core/partition": ["core/catalog", "logstore", "core/net"],
    "core/group": ["core/partition", "core/catalog"],
    "core/queue": ["core/partition", "core/catalog"],
    "core/txn": ["core/partition", "core/group", "core/catalog"],
    "core/security": ["core/catalog"],
    "core/telemetry": ["core/base", "core/catalog", "logstore"],
    "core/cluster": ["core/catalog", "core/partition"],
    "kafka-proto": ["core/base"],
}
CORE = [library for library in MAY_USE if library.startswith("core/")]
MAY_USE["kafka-proto/handlers"] = ["kafka-proto", *CORE]
MAY_USE["rest-gw"] = CORE
MAY_USE["core/main"] = list(MAY_USE)

# The back ends of the log store run on the executor of core/net.
BACKEND = re.compile(r"^logstore/io_\w+\.[ch]$")

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def closure(library):
    """Everything a library may include from, itself among it."""
    seen = set()
    left = [library]
    while left:
        one = left.pop()
        if one not in seen:
            seen.add(one)
            left += MAY_USE[one]
    return seen


def may_look_inside(path, library):
    """tests/unit/queue/ may look inside core/queue: small pieces are tested on their own. Fuzz
    targets may look everywhere: decoders are private."""
    return library is not None and path.startswith(
        (f"tests/unit/{os.path.basename(library)}/", "tests/fuzz/"))


def check_include(root, path, name):
    """What is wrong with one include line; None if nothing is."""
    if not os.path.isfile(os.path.join(root, name)):
        return f'"{name}" is not a path from the repository root'
    user = source.library_of(path)
    used = source.library_of(name)
    if name.endswith("_priv.h") and user != used and not may_look_inside(path, used):
        return f'"{name}" is private to {used}'
    if user is None:
        return None  # tests and interop may use everything public
    if used is None:
        return f'{user} may not include "{name}", which is in no library'
    allowed = closure(user)
    if BACKEND.match(path):
        allowed |= closure("core/net")
    if used not in allowed:
        listed = ", ".join(sorted(allowed - {user})) or "nothing"
        return f"{user} may not use {used} (it may use: {listed})"
    return None


def check(root):
    problems = []
    for path in source.files(root, source.C_SUFFIXES + (".def",)):
        text = source.read(root, path)
        code = source.strip(text)
        for match in INCLUDE.finditer(text):
            if "#" not in code[match.start():match.end()]:
                continue  # inside a comment
            problem = check_include(root, path, match.group(1))
            if problem:
                line = text.count("\n", 0, match.start(1)) + 1
                problems.append(f"{path}:{line}: {problem}")
    return problems


if __name__ == "__main__":
    source.main("check_layers", check)
