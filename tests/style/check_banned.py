#!/usr/bin/env python3
"""Calls that have a better replacement, or one place only where they belong.

Usage: check_banned.py [repository root]
"""

import re

import source

EVERYWHERE = {
    "sprintf": "snprintf, or base_writer",
    "vsprintf": "vsnprintf, or base_writer",
    "strcpy": "memcpy with a checked length, or snprintf",
    "strcat": "snprintf, or base_writer",
    "strtok": "base_reader, or strchr on a bounded slice",
    "atoi": "strtol with errno and end checked",
    "rand": "the random source of the executor",
    "gmtime": "gmtime_r",
    "localtime": "gmtime_r (all times are UTC)",
    "alloca": "base_arena_alloc",
}
ALLOCATION = {
    "malloc": "base_alloc",
    "calloc": "base_alloc_array or base_alloc_object",
    "realloc": "base_realloc_array",
    "free": "base_free",
}
FILES = {
    name: "logstore_io, or core/net for sockets"
    for name in ("open", "openat", "read", "write", "pread", "pwrite", "close", "fsync",
                 "fdatasync")
}
# The crash tests see every change of files because all go through these calls (tests/crash/disk.c).
CHANGES = {
    "creat": "openat", "open": "openat", "write": "pwrite", "writev": "pwritev",
    "mkdir": "mkdirat", "unlink": "unlinkat", "rmdir": "unlinkat", "remove": "unlinkat",
    "rename": "renameat", "truncate": "ftruncate", "link": "renameat", "linkat": "renameat",
    "symlink": "renameat", "fallocate": "ftruncate", "posix_fallocate": "ftruncate",
}
CLOCK = {name: "base_clock" for name in ("time", "gettimeofday", "clock_gettime")}

# (calls with their replacements, paths where they are allowed)
TESTS = r"tests/|interop/"
RULES = [
    (EVERYWHERE, None),
    (ALLOCATION, re.compile(rf"{TESTS}|core/base/alloc\.c$")),
    (FILES, re.compile(rf"{TESTS}|core/net/|logstore/io_\w+\.c$|core/base/file\.c$|core/main/")),
    (CHANGES, re.compile(rf"{TESTS}|core/net/|core/base/log\.c$")),
    (CLOCK, re.compile(rf"{TESTS}|core/base/clock\.c$")),
]

# A call, and not a member (io->read(...)) nor the end of a longer name. A
# declaration of a function with a banned name is as unwelcome as a call.
CALL = re.compile(r"(?<![\w.])(?<!->)({})\s*\(")


def check(root):
    problems = []
    for path in source.files(root, source.C_SUFFIXES):
        code = source.strip(source.read(root, path))
        for calls, allowed in RULES:
            if allowed is not None and allowed.match(path):
                continue
            for match in re.finditer(CALL.pattern.format("|".join(calls)), code):
                name = match.group(1)
                line = code.count("\n", 0, match.start()) + 1
                problems.append(f"{path}:{line}: {name}() is banned here, use {calls[name]}")
    return problems


if __name__ == "__main__":
    source.main("check_banned", check)
