#!/usr/bin/env python3
"""Memory that runs out, at every allocation in turn: of a start on an empty directory, of one on
what a crash left, and of requests at both doors of a broker that goes on. CRASH_EVERY tests one
allocation of so many only; CRASH_AT one."""

import os
import random
import shutil
import sys
import unittest

import crash
import harness
import scenario
from crash import Fault
from test_faults import OPTIONS

START_EVERY = crash.number("CRASH_EVERY", 1 if harness.SOAK else 60)
EVERY = crash.number("CRASH_EVERY", 1 if harness.SOAK else 15)


class MemoryBroker(harness.Broker):
    """A broker whose allocations are counted, and one of which may fail."""

    def __init__(self, data=None):
        super().__init__(start=False, **OPTIONS)
        self.fault = Fault(os.path.join(self.directory, "fault"))
        self.environment = {"LD_PRELOAD": crash.MEMORY_LAYER,
                            "CRASH_MEMORY_FAULT": self.fault.path}
        if data is not None:
            shutil.copytree(data, self.data)


class Memory(unittest.TestCase):
    def setUp(self):
        if not crash.MEMORY_LAYER:
            self.skipTest("CRASH_MEMORY_LAYER does not name the memory layer")
        self.seed = crash.seed()
        self.problems = []

    def make(self, data=None):
        broker = MemoryBroker(data)
        self.addCleanup(broker.close, check=False)
        return broker

    def report(self, what, calls, faults):
        print(f"seed {self.seed}: {what}: {calls} allocations, {faults} failed, "
              f"{len(self.problems)} problems", file=sys.stderr)
        self.assertFalse(self.problems, "\n\n".join(self.problems)
                         + f"\nagain: CRASH_SEED={self.seed}")

    def calls(self, every, count):
        at = crash.number("CRASH_AT", -1)
        return range(random.Random(self.seed).randrange(every), count, every) if at < 0 else [at]

    def starts(self, data=None, before=None):
        """Starts that fail say why; with memory again, all is there."""
        plain = self.make(data)
        plain.start()
        calls = plain.fault.calls()
        plain.close()
        chosen = self.calls(START_EVERY, calls)
        for at in chosen:
            broker = self.make(data)
            broker.fault.arm(Fault.ERROR, at)
            try:
                self.one_start(broker, before)
                broker.close()
            except AssertionError as error:
                self.problems.append(f"start, allocation {at}: {error}\n{broker.log_tail(20)}")
                broker.close(check=False)
        self.report("start on " + ("old data" if data else "an empty directory"), calls,
                    len(chosen))

    @staticmethod
    def one_start(broker, before):
        broker.spawn()
        process = broker.process
        if not broker.wait_ready():
            assert process.returncode > 0, f"start ends with {process.returncode}"
            assert "level=error" in broker.log() or "out of memory" in broker.log(), \
                "says nothing"
            broker.fault.disarm()
            broker.start()
        broker.fault.disarm()
        broker.restart()
        if before is not None:
            moved = before.moved_to(broker)
            moved.verify()
            moved.disconnect()

    def test_start_on_an_empty_directory(self):
        self.starts()

    def test_start_on_what_a_crash_left(self):
        broker = self.make()
        broker.start()
        before = scenario.Scenario(broker, harness.new_project())
        before.run()
        broker.kill()
        before.disconnect()
        self.assertEqual(before.refusals, [])
        self.starts(broker.data, before)

    def test_requests(self):
        """One broker goes through all: what is refused is refused in clear words, others are
        served, and after a restart all that was acknowledged is there. (What could not be
        opened for want of memory is offline until then.)"""
        broker = self.make()
        broker.start()
        plain = scenario.Scenario(broker, harness.new_project(), "plain")
        begun = broker.fault.calls()
        plain.run()
        calls = broker.fault.calls() - begun
        plain.disconnect()
        self.assertEqual(plain.refusals, [])
        chosen = self.calls(EVERY, calls)
        done = []
        for at in chosen:
            one = scenario.Scenario(broker, harness.new_project(), f"at{at}-")
            broker.fault.arm(Fault.ERROR, at)
            try:
                one.run()
                broker.fault.disarm()
                assert broker.process.poll() is None, f"ended with {broker.process.poll()}"
                plain.verify()
                done.append(one)
            except AssertionError as error:
                self.problems.append(f"request, allocation {at}: {error}\n"
                                     f"refused: {one.refusals}\n{broker.log_tail(20)}")
                if broker.process.poll() is not None:
                    broker.process = None
                    broker.start()
            one.disconnect()
            plain.disconnect()
        broker.restart()
        for one in done:
            try:
                one.verify()
            except AssertionError as error:
                self.problems.append(f"request, restarted: {one.prefix} {error}")
            one.disconnect()
        broker.close()
        self.report("requests", calls, len(chosen))


if __name__ == "__main__":
    harness.main()
