#!/usr/bin/env python3
"""Power cuts under load from both doors: what was not synced is lost, torn or there.
CRASH_ROUNDS rounds of CRASH_CUTS cuts each, every round with a new broker; CRASH_SEED repeats
one."""

import random
import sys
import unittest

import crash
import harness
import workload

CUTS = crash.number("CRASH_CUTS", 20 if harness.SOAK else 10)
ROUNDS = crash.number("CRASH_ROUNDS", 10 if harness.SOAK else 1)


class PowerCut(unittest.TestCase):
    def setUp(self):
        if not crash.DISK_LAYER:
            self.skipTest("CRASH_DISK_LAYER does not name the disk layer")

    def broker(self, source):
        broker = crash.DiskBroker(source, **crash.OPTIONS)
        self.addCleanup(broker.close, check=False)
        broker.start()
        return broker

    def test_power_cuts(self):
        first = crash.seed()
        for seed in range(first, first + ROUNDS):
            with self.subTest(seed=seed):
                self.round(seed)

    def round(self, seed):
        source = random.Random(seed)
        broker = self.broker(source)
        load = workload.Load(broker, seed)
        crashes = crash.Crashes(load, source, broker.cut)
        load.start()
        try:
            for _ in range(CUTS - 1):
                load.stopping.wait(source.uniform(0.05, 0.8))
                crashes.down()
            load.stopping.wait(0.3)
            problems = crashes.end()
        except AssertionError as error:
            problems = [str(error)]
        if crashes.ready_ms:
            print(f"seed {seed}: {crashes.text()}", file=sys.stderr)
        if problems:
            self.fail("\n".join([*problems, crash.keep(broker, load.history, CRASH_SEED=seed,
                                                       CRASH_ROUNDS=1, CRASH_CUTS=CUTS)]))
        broker.close(check=False)

    def test_disk_that_lies_is_found_out(self):
        """What a broker that acknowledges early would do to its clients: the whole chain of
        layer, cut, clients and checker sees it."""
        source = random.Random(crash.seed())
        broker = self.broker(source)
        load = workload.Load(broker, "lies")
        broker.kill()
        broker.lies = True
        broker.start()
        load.start()
        load.stopping.wait(1)
        load.end_clients()
        broker.cut()
        broker.start()
        for topic, name in load.topics():
            load.read_log(topic, name)
        load.catalog.settle()
        problems = load.check()
        self.assertGreater(len([one for one in problems if one.startswith("lost")]), 10)
        self.assertTrue([one for one in problems if one.startswith("catalog")], problems)


if __name__ == "__main__":
    harness.main()
