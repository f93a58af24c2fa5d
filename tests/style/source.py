"""What the style checks share: the list of files, and C text without comments and strings."""

import os
import re
import subprocess
import sys

C_SUFFIXES = (".c", ".h")
SKIP_CODE = 77  # what ctest takes as "skipped"

# The libraries of the repository: folder -> prefix of its symbols. The longest
# folder that a path starts with is its library.
LIBRARIES = {
    "core/base": "base",
    "core/net": "net",
    "logstore": "logstore",
    "core/catalog": "catalog",
    "core/partition": "partition",
    "core/group": "group",
    "core/queue": "queue",
    "core/txn": "txn",
    "core/security": "security",
    "core/telemetry": "telemetry",
    "core/cluster": "cluster",
    "kafka-proto": "kproto",
    "kafka-proto/handlers": "khandler",
    "rest-gw": "restgw",
    "core/main": "main",
}


def library_of(path):
    """The library folder of a path from the repository root; None outside all of them."""
    found = [lib for lib in LIBRARIES if path.startswith(lib + "/")]
    return max(found, key=len) if found else None


def files(root, suffixes):
    """Paths from root, sorted: those git tracks, or every file where there is no git."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True)
    top = subprocess.run(["git", "-C", root, "rev-parse", "--show-toplevel"], capture_output=True)
    same_root = os.path.realpath(top.stdout.decode().strip() or "/") == os.path.realpath(root)
    if listed.returncode == 0 and same_root:
        paths = [p for p in listed.stdout.decode().split("\0") if p]
    else:
        paths = []
        for folder, folders, names in os.walk(root):
            folders[:] = [f for f in folders if f not in ("build", "dms-data", ".git")]
            paths += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    # A tracked file may just have been removed in the work tree.
    return sorted(p for p in paths
                  if p.endswith(suffixes) and os.path.isfile(os.path.join(root, p)))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


TOKEN = re.compile(r"""
    (?P<comment> /\*.*?\*/ | //[^\n]* )
  | (?P<string> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
""", re.VERBOSE | re.DOTALL)


def strip(text):
    """C text with comments and the inside of strings blanked: lines and columns stay."""

    def blank(match):
        token = match.group(0)
        if match.lastgroup == "string":
            return token[0] + " " * (len(token) - 2) + token[-1]
        return re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(blank, text)


def report(check, problems):
    """Prints what is wrong, one line each, and gives the exit status."""
    for problem in problems:
        print(problem)
    print(f"{check}: {len(problems)} problem(s)" if problems else f"{check}: clean")
    return 1 if problems else 0


def root_of(argv):
    """The repository to check: the argument, or the one this file is in."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.abspath(argv[1] if len(argv) > 1 else os.path.join(here, "..", ".."))


def main(check, function):
    sys.exit(report(check, function(root_of(sys.argv))))
