#!/usr/bin/env python3
"""Include guards named after the path, a README in each library folder, lines of 100 columns.

Usage: check_headers.py [repository root]
"""

import os
import re

import source

COLUMNS_MAX = 100
README_LINES_MAX = 60
LINE_SUFFIXES = (".c", ".h", ".def", ".py", ".sh")

GUARD = re.compile(r"^\s*#\s*ifndef\s+(\w+)\s*\n\s*#\s*define\s+(\w+)\s*\n", re.MULTILINE)


def words(text):
    return re.sub(r"\W+", "_", text).upper()


def guards_of(path):
    """The names a header's guard may have: prefix of the library and path inside it, for
    example KPROTO_READER_H; in folders that are no library the path, whole or in part."""
    stem = path[: -len(".h")]
    library = source.library_of(path)
    if library is not None:
        prefix = source.LIBRARIES[library]
        inside = stem[len(library) + 1:]
        return {words(f"{prefix}/{inside}") + "_H",
                words(f"{prefix}/{os.path.basename(inside)}") + "_H"}
    parts = stem.split("/")
    return {words("/".join(parts[first:])) + "_H" for first in range(max(1, len(parts) - 1))}


def check_guard(root, path):
    text = source.strip(source.read(root, path))
    match = GUARD.search(text)
    wanted = guards_of(path)
    name = sorted(wanted, key=len)[-1]
    if match is None or text[: match.start()].strip():
        return f"{path}:1: no include guard (wanted: {name})"
    if match.group(1) != match.group(2) or match.group(1) not in wanted:
        return f"{path}:1: include guard {match.group(1)}, wanted {name}"
    if not text.rstrip().endswith("#endif"):
        return f"{path}:1: something follows the #endif of the include guard"
    return None


def check_readmes(root, paths):
    for library in sorted({source.library_of(path) for path in paths} - {None}):
        name = f"{library}/README.md"
        if not os.path.isfile(os.path.join(root, name)):
            yield f"{name}: missing (what it is for, its main types, what it may not do)"
            continue
        lines = len(source.read(root, name).splitlines())
        if lines > README_LINES_MAX:
            yield f"{name}: {lines} lines, more than {README_LINES_MAX}"


def check(root):
    headers = [path for path in source.files(root, (".h",))]
    problems = [problem for problem in (check_guard(root, path) for path in headers) if problem]
    problems += check_readmes(root, source.files(root, source.C_SUFFIXES))
    for path in source.files(root, LINE_SUFFIXES):
        for number, line in enumerate(source.read(root, path).splitlines(), 1):
            if len(line) > COLUMNS_MAX:
                problems.append(f"{path}:{number}: {len(line)} columns, more than {COLUMNS_MAX}")
    return problems


if __name__ == "__main__":
    source.main("check_headers", check)
