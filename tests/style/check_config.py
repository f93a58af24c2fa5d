#!/usr/bin/env python3
"""README.md lists exactly the configuration keys that core/main/config.h has.

    check_config.py <source root>            compares, exits 1 on a difference
    check_config.py --print <source root>    prints the table for README.md
"""
import pathlib
import re
import sys

ROW = re.compile(r'X\(\s*\w+,\s*"([^"]+)",\s*(\w+),\s*"([^"]*)",\s*[^"]*?"((?:[^"]|"\s*")*)"\)')
BEGIN = "<!-- configuration table: tests/style/check_config.py --print -->"
END = "<!-- end of configuration table -->"


def rows(header):
    """(key, default, help) of every row of MAIN_CONFIG_LIST."""
    start = header.index("#define MAIN_CONFIG_LIST(X)")
    end = header.index("#define MAIN_CONFIG_ENUM", start)
    text = re.sub(r"\\\n", " ", header[start:end])
    found = []
    for key, _, default, help_text in ROW.findall(text):
        found.append((key, default, re.sub(r'"\s*"', "", help_text)))
    return found


def table(found):
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key, default, help_text in found:
        shown = f"`{default}`" if default else "empty"
        lines.append(f"| `{key}` | {shown} | {help_text} |")
    return lines


def main(arguments):
    printing = arguments[:1] == ["--print"]
    root = pathlib.Path(arguments[-1])
    header = (root / "core/main/config.h").read_text()
    found = rows(header)
    if len(found) != header.count("    X("):
        print("core/main/config.h: a row of MAIN_CONFIG_LIST could not be read")
        return 1
    if printing:
        print("\n".join(table(found)))
        return 0
    readme = (root / "README.md").read_text()
    if BEGIN not in readme or END not in readme:
        print("README.md: the marks around the configuration table are missing")
        return 1
    have = readme[readme.index(BEGIN) + len(BEGIN) : readme.index(END)].split("\n")
    have = [line for line in have if line.strip()]
    want = table(found)
    for line in want:
        if line not in have:
            print(f"README.md: missing {line}")
    for line in have:
        if line not in want:
            print(f"README.md: no such key, or it differs: {line}")
    return 0 if have == want else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
