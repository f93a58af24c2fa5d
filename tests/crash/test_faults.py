#!/usr/bin/env python3
"""A disk that fails, at every call that changes or syncs a file in turn: on an empty directory
and on one that a crash left. CRASH_EVERY tests one call of so many only; CRASH_KIND and CRASH_AT
one kind and one call."""

import concurrent.futures
import errno
import os
import random
import sys
import tempfile
import unittest

import crash
import harness
import scenario
import scenario_identities
from crash import FOR_EVER, Fault

EVERY = crash.number("CRASH_EVERY", 1 if harness.SOAK else 40)
# With authentication the first start does more, and it is that start which is to be seen.
EVERY_OF_FIRST_START = max(1, EVERY // 4)
EVERY_BEHIND_FIRST_START = EVERY * (1 if harness.SOAK else 4)
AT = crash.number("CRASH_AT", -1)
WORKERS = 3  # they mostly wait

# What happens: (kind, how often, errno)
KINDS = {
    "eio": (Fault.ERROR, 1, errno.EIO),
    "enospc": (Fault.ERROR, 1, errno.ENOSPC),
    "full": (Fault.SHORT, FOR_EVER, errno.ENOSPC),  # and it stays full
    "cut": (Fault.KILL, 1, 0),
}
OPTIONS = {**crash.OPTIONS, "num_partitions": 1, "dms_queue_partitions": 1,
           "offsets_topic_num_partitions": 1}
BUILTIN = {"dms_authentication": "builtin"}


class Run:
    """One start, scenario, end and restart with one fault."""

    def __init__(self, seed, kind, at, data=None, before=None, with_identities=False):
        self.kind = kind
        self.at = at
        make = scenario_identities.Scenario if with_identities else scenario.Scenario
        self.broker = crash.DiskBroker(random.Random(f"{seed} {kind} {at}"), data, **OPTIONS,
                                       **(BUILTIN if with_identities else {}))
        project = before.project if before else harness.new_project()
        self.before = before.moved_to(self.broker) if before else None
        self.scenario = make(self.broker, project, "again" if before else "")
        self.calls = 0
        self.start_calls = 0

    def check(self):
        """What is wrong; None when nothing is."""
        try:
            self.go()
            return None
        except AssertionError as error:
            kept = tempfile.mkdtemp(prefix="dmsd-crash-kept-")
            os.rename(self.broker.directory, kept)
            return (f"{self.kind} at call {self.at} {'on old data' if self.before else ''}: "
                    f"{error}\nkept: {kept}\n{tail(kept)}")
        finally:
            self.scenario.disconnect()
            self.broker.close(check=False)

    def go(self):
        fault, times, error = KINDS.get(self.kind, (Fault.NONE, 0, 0))
        self.broker.fault.arm(fault, self.at, times, error)
        if self.start():
            self.start_calls = self.broker.fault.calls()
            self.scenario.run()
            self.scenario.disconnect()
            self.end()
        self.calls = self.broker.fault.calls()
        if self.kind in ("eio", "cut"):
            self.broker.cut()
        self.broker.fault.disarm()
        self.broker.start()
        for one in (self.scenario, self.before):
            if one is not None:
                one.verify()
                one.disconnect()
        status = self.broker.stop()
        assert status == 0, f"ends with {status}"

    def start(self):
        """True once it runs. If it does not, it has said why."""
        self.broker.spawn()
        process = self.broker.process
        if self.broker.wait_ready():
            return True
        if self.kind != "cut":
            assert process.returncode > 0, f"start ends with {process.returncode}"
            assert "level=error" in self.broker.log(), "says nothing"
        return False

    def end(self):
        status = self.broker.process.poll()
        if self.kind == "cut":
            return
        assert status is None, f"ended with {status}"
        if self.scenario.refusals:
            assert "level=error" in self.broker.log() or "level=warn" in self.broker.log(), \
                f"refuses and says nothing: {self.scenario.refusals}"
        if self.broker.source.random() < 0.5:
            status = self.broker.stop()
            assert status >= 0, f"ends with {status}"
        else:
            self.broker.kill()


def tail(directory):
    with open(os.path.join(directory, "stderr"), encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-30:])


class Faults(unittest.TestCase):
    def setUp(self):
        if not crash.DISK_LAYER:
            self.skipTest("CRASH_DISK_LAYER does not name the disk layer")
        self.seed = crash.seed()

    def every_call(self, data=None, before=None, with_identities=False):
        def run(kind, at):
            return Run(self.seed, kind, at, data, before, with_identities)
        plain = run("none", 0)
        self.assertIsNone(plain.check())
        self.assertEqual(plain.scenario.refusals, [])
        first = random.Random(self.seed).randrange(EVERY)
        if AT >= 0:
            calls = [AT]
        elif with_identities:
            calls = [*range(first % EVERY_OF_FIRST_START, plain.start_calls, EVERY_OF_FIRST_START),
                     *range(plain.start_calls + first, plain.calls, EVERY_BEHIND_FIRST_START)]
        else:
            calls = range(first, plain.calls, EVERY)
        kinds = ["eio", "cut"] if with_identities and not harness.SOAK else list(KINDS)
        if "CRASH_KIND" in os.environ:
            kinds = [os.environ["CRASH_KIND"]]
        runs = [(kind, at) for kind in kinds for at in calls]
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            found = list(pool.map(lambda one: run(*one).check(), runs))
        problems = [one for one in found if one is not None]
        print(f"seed {self.seed}: {plain.calls} calls, {plain.start_calls} of them to start; "
              f"{len(runs)} faults, {len(problems)} problems", file=sys.stderr)
        self.assertFalse(problems, "\n\n".join(problems) + f"\nagain: CRASH_SEED={self.seed}")

    def test_on_an_empty_directory(self):
        self.every_call()

    def test_on_what_a_crash_left(self):
        broker = crash.DiskBroker(random.Random(self.seed), **OPTIONS)
        self.addCleanup(broker.close, check=False)
        broker.start()
        before = scenario.Scenario(broker, harness.new_project())
        before.run()
        broker.kill()
        before.disconnect()
        self.assertEqual(before.refusals, [])
        self.every_call(broker.data, before)

    def test_with_identities(self):
        self.every_call(with_identities=True)


if __name__ == "__main__":
    harness.main()
