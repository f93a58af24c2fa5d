#!/usr/bin/env python3
"""Lengths of functions and files, longest first: a report, which never fails.

Usage: report_lengths.py [repository root]
"""

import re
import sys

import source

FUNCTION_LINES_AIM = 60
FILE_LINES_AIM = 500
HEADER_LINES_AIM = 150
SHOWN_MAX = 20

NAME = re.compile(r"(\w+)\s*\(")


def functions(code):
    """(name, first line, lines) of each function: its braces stand in column one."""
    lines = code.splitlines()
    head = 0
    for number, line in enumerate(lines):
        if line == "{":
            found = NAME.search(" ".join(lines[head:number]))
            end = next((n for n in range(number, len(lines)) if lines[n] == "}"), number)
            if found:
                yield found.group(1), number + 1, end - number + 1
        if not line.strip() or line.startswith("}") or line.rstrip().endswith(";"):
            head = number + 1


def show(title, rows, aim, total):
    rows.sort(reverse=True)
    print(f"{title}: {len(rows)} of {total} over {aim} lines")
    for length, what in rows[:SHOWN_MAX]:
        print(f"  {length:5}  {what}")


def main():
    root = source.root_of(sys.argv)
    long_functions, long_files, long_headers = [], [], []
    paths = [p for p in source.files(root, source.C_SUFFIXES)]
    functions_count = 0
    for path in paths:
        text = source.read(root, path)
        lines = len(text.splitlines())
        header = path.endswith(".h")
        if lines > (HEADER_LINES_AIM if header else FILE_LINES_AIM):
            (long_headers if header else long_files).append((lines, path))
        for name, line, length in functions(source.strip(text)):
            functions_count += 1
            if length > FUNCTION_LINES_AIM:
                long_functions.append((length, f"{path}:{line} {name}"))
    headers_count = sum(p.endswith(".h") for p in paths)
    show("functions", long_functions, FUNCTION_LINES_AIM, functions_count)
    show("files", long_files, FILE_LINES_AIM, len(paths) - headers_count)
    show("headers", long_headers, HEADER_LINES_AIM, headers_count)


if __name__ == "__main__":
    main()
