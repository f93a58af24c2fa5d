"""What clients did and saw: every operation with the moments of its start and its end.

An operation is "unknown" until somebody says better: its client asked and never heard. All
times are time.monotonic(), which the disk layer's journal uses as well.
"""

import json
import threading
import time

UNKNOWN, OK, FAIL = "unknown", "ok", "fail"


class Op:
    """One operation; kind says which fields it has (see checker.py)."""

    def __init__(self, kind, start, **fields):
        self.kind = kind
        self.start = start
        self.end = None
        self.outcome = UNKNOWN
        self.__dict__.update(fields)

    def __repr__(self):
        fields = " ".join(f"{key}={value!r}" for key, value in self.__dict__.items()
                          if key not in ("kind", "start", "end", "outcome"))
        end = "?" if self.end is None else f"{self.end:.6f}"
        return f"[{self.start:.6f} {end}] {self.kind} {self.outcome} {fields}"


class History:
    """Any thread may write."""

    def __init__(self):
        self.ops = []
        self.lock = threading.Lock()

    def begin(self, kind, **fields):
        op = Op(kind, time.monotonic(), **fields)
        with self.lock:
            self.ops.append(op)
        return op

    def end(self, op, outcome, **fields):
        op.__dict__.update(fields)
        op.end = time.monotonic()
        op.outcome = outcome

    def note(self, kind, **fields):
        """Something that was so at one moment."""
        op = self.begin(kind, **fields)
        self.end(op, OK)
        return op

    def count(self, kind, outcome=OK):
        with self.lock:
            return sum(1 for op in self.ops if op.kind == kind and op.outcome == outcome)

    def save(self, path):
        with self.lock, open(path, "w", encoding="utf-8") as file:
            for op in self.ops:
                file.write(json.dumps(op.__dict__) + "\n")


def load(path):
    """The operations of a saved history."""
    with open(path, encoding="utf-8") as file:
        return [_from(json.loads(line)) for line in file]


def _from(fields):
    op = Op(fields.pop("kind"), fields.pop("start"))
    op.__dict__.update(fields)
    return op
