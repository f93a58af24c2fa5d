#!/usr/bin/env python3
"""README.md and the fuzzer's dictionary list exactly the configuration keys that
core/main/config.h has.

    check_config.py <source root>            compares, exits 1 on a difference
    check_config.py --print <source root>    prints the table for README.md
"""
import pathlib
import re
import sys

ROW = re.compile(r'X\(\s*\w+,\s*"([^"]+)",\s*(\w+),\s*"([^"]*)",\s*[^"]*?"((?:[^"]|"\s*")*)"\)')
BEGIN = "<!-- configuration table: tests/style/check_config.py --print -->"
END = "<!-- end of configuration table -->"
DICTIONARY = "tests/fuzz/dict/fuzz_config.dict"
WORD = re.compile(r'^"([\w.]+)="$', re.MULTILINE)


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


def check_readme(readme, found):
    """What is wrong with the table in README.md."""
    if BEGIN not in readme or END not in readme:
        return ["README.md: the marks around the configuration table are missing"]
    have = readme[readme.index(BEGIN) + len(BEGIN) : readme.index(END)].split("\n")
    have = [line for line in have if line.strip()]
    want = table(found)
    problems = [f"README.md: missing {line}" for line in want if line not in have]
    problems += [
        f"README.md: no such key, or it differs: {line}" for line in have if line not in want
    ]
    return problems or ([] if have == want else ["README.md: the rows are in another order"])


def check_dictionary(dictionary, found):
    """What is wrong with the words that the fuzzer of configurations puts in."""
    have = WORD.findall(dictionary)
    keys = [key for key, _, _ in found]
    problems = [f"{DICTIONARY}: missing {key}=" for key in keys if key not in have]
    return problems + [f"{DICTIONARY}: no such key: {key}" for key in have if key not in keys]


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
    problems = check_readme((root / "README.md").read_text(), found)
    problems += check_dictionary((root / DICTIONARY).read_text(), found)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
