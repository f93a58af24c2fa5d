#!/usr/bin/env python3
"""Memory that runs out, at every allocation in turn: of a start on an empty directory, of one on
what a crash left, and of requests at both doors of a broker that goes on. CRASH_EVERY tests one
allocation of so many only; CRASH_AT one; CRASH_KIND requests of one kind."""

import os
import random
import shutil
import sys
import unittest

import crash
import harness
import scenario
import scenario_requests
from crash import Fault
from test_faults import OPTIONS

START_EVERY = crash.number("CRASH_EVERY", 1 if harness.SOAK else 60)
EVERY = crash.number("CRASH_EVERY", 1 if harness.SOAK else 15)
EVERY_OF_KIND = crash.number("CRASH_EVERY", 1 if harness.SOAK else 5)
EVERY_OF_SLOW = crash.number("CRASH_EVERY", 1 if harness.SOAK else 40)
KIND = os.environ.get("CRASH_KIND")


def start_again_if_it_ended(broker):
    """So that one finding does not hide the others."""
    if broker.process.poll() is not None:
        broker.process = None
        broker.start()


class MemoryBroker(harness.Broker):
    """A broker whose allocations are counted, and one of which may fail."""

    def __init__(self, data=None, **options):
        super().__init__(start=False, **OPTIONS, **options)
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

    def make(self, data=None, **options):
        broker = MemoryBroker(data, **options)
        self.addCleanup(broker.close, check=False)
        return broker

    def report(self, what, calls, faults):
        print(f"seed {self.seed}: {what}: {calls} allocations, {faults} failed, "
              f"{len(self.problems)} problems", file=sys.stderr)
        self.assertGreater(calls, 0, "the layer counts nothing")
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
                start_again_if_it_ended(broker)
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

    def test_requests_of_all_kinds(self):
        """Each kind by itself: one broker, whose allocations fail one at a time while it answers,
        and is then asked whether what it answered is so."""
        broker = self.make(**scenario_requests.OPTIONS)
        broker.start()
        requests = scenario_requests.Requests(broker)
        requests.begin()
        calls = faults = 0
        later = []
        for kind in [KIND] if KIND else requests.KINDS:
            self.one_kind(broker, requests, kind, None)  # what is made once is there
            count = self.one_kind(broker, requests, kind, None)
            chosen = self.calls(EVERY_OF_SLOW if kind in requests.SLOW else EVERY_OF_KIND, count)
            for at in chosen:
                self.one_kind(broker, requests, kind, at)
                later += [(f"{kind}, allocation {at}", check) for check in requests.later]
                requests.later = []
            calls, faults = calls + count, faults + len(chosen)
        requests.disconnect()
        broker.restart()
        for what, check in later:
            requests.refusals = []
            try:
                check()
                assert not requests.refusals, requests.refusals
            except AssertionError as error:
                self.problems.append(f"{what}, restarted: {error!r}")
        requests.disconnect()
        broker.close()
        self.report("requests of all kinds", calls, faults)

    def one_kind(self, broker, requests, kind, at):
        """Runs it, with the fault if there is one; how much it allocated."""
        parts = getattr(requests, kind)()
        requests.refusals = []
        try:
            next(parts)
            assert not requests.refusals, "refused without a fault"
            begun = broker.fault.calls()
            if at is not None:
                broker.fault.arm(Fault.ERROR, at)
            next(parts)
            broker.fault.disarm()
            calls = broker.fault.calls() - begun
            assert broker.process.poll() is None, f"ended with {broker.process.poll()}"
            assert at is not None or not requests.refusals, "refused without a fault"
            refused, requests.refusals = requests.refusals, []
            for _ in parts:
                pass
            assert not requests.refusals, f"refused after the fault, which did {refused}"
            return calls
        except (AssertionError, TypeError) as error:
            broker.fault.disarm()
            self.problems.append(f"{kind}, allocation {at}: {error!r}\n"
                                 f"refused: {requests.refusals}\n{broker.log_tail(5)}")
            start_again_if_it_ended(broker)
            requests.disconnect()
            return 0


if __name__ == "__main__":
    harness.main()
