#!/usr/bin/env python3
"""clang-format has nothing to change in any C file. Skipped where it is not installed.

Usage: check_format.py [repository root]
To repair: git ls-files '*.c' '*.h' | xargs clang-format -i
"""

import re
import shutil
import subprocess
import sys

import source


def check(root):
    paths = source.files(root, source.C_SUFFIXES)
    problems = []
    for first in range(0, len(paths), 50):
        run = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths[first:first + 50]],
                             cwd=root, capture_output=True, text=True)
        lines = [line for line in run.stderr.splitlines() if re.match(r"\S+:\d+:\d+: ", line)]
        if run.returncode != 0:
            problems += lines or [run.stderr.strip()]
    return problems


if __name__ == "__main__":
    if shutil.which("clang-format") is None:
        print("check_format: clang-format is not installed")
        sys.exit(source.SKIP_CODE)
    source.main("check_format", check)
