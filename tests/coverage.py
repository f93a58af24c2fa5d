#!/usr/bin/env python3
"""Line coverage of the tests, folder by folder.

    cmake --preset coverage && cmake --build --preset coverage
    ctest --preset coverage -LE soak
    tests/coverage.py [--files]      # reads build/coverage, needs gcovr

Fails when the ground floor (log store, core, codec) is below its goal. Wiring and handlers are
shown but not judged: they are seen only from outside, and tests that kill the broker leave no
counts.
"""
import argparse
import collections
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOAL_PERCENT = 90.0
JUDGED = ("logstore", "core/", "kafka-proto")
NOT_JUDGED = ("core/main", "kafka-proto/handlers")


def folder_of(path):
    """core/<library>, kafka-proto/handlers, or the top folder."""
    parts = path.split("/")
    deep = parts[0] == "core" or parts[:2] == ["kafka-proto", "handlers"]
    return "/".join(parts[:2]) if deep else parts[0]


def measure(build):
    """What gcovr found, as a list of files of the product."""
    command = ["gcovr", "--root", ROOT, "--object-directory", build, "--json-summary", "-"]
    for folder in ("core", "kafka-proto", "logstore", "rest-gw"):
        command += ["--filter", os.path.join(ROOT, folder) + "/"]
    report = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(report)["files"]


def is_judged(folder):
    return folder.startswith(JUDGED) and folder not in NOT_JUDGED


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build/coverage"))
    parser.add_argument("--files", action="store_true", help="also each file")
    arguments = parser.parse_args()

    files = measure(arguments.build)
    folders = collections.defaultdict(lambda: [0, 0])
    for file in files:
        total = folders[folder_of(file["filename"])]
        total[0] += file["line_covered"]
        total[1] += file["line_total"]
    if arguments.files:
        for file in sorted(files, key=lambda file: file["line_percent"]):
            print(f"{file['line_percent']:6.1f} %  {file['line_total']:5}  {file['filename']}")
        print()

    failed = False
    for folder, (covered, lines) in sorted(folders.items()):
        percent = 100.0 * covered / lines
        below = is_judged(folder) and percent < GOAL_PERCENT
        failed |= below
        verdict = f"  BELOW {GOAL_PERCENT} %" if below else ""
        print(f"{percent:6.1f} %  {lines:5}  {folder}{verdict}")
    if not folders:
        print("no counts: build the preset and run its tests first", file=sys.stderr)
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
