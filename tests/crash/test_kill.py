#!/usr/bin/env python3
"""kill -9 in a loop, under load from both doors. CRASH_ROUNDS rounds of CRASH_KILLS kills each,
every round with a new broker; CRASH_SEED repeats one."""

import random
import sys
import unittest

import crash
import harness
import workload

KILLS = crash.number("CRASH_KILLS", 20 if harness.SOAK else 10)
ROUNDS = crash.number("CRASH_ROUNDS", 10 if harness.SOAK else 1)


class Kill(unittest.TestCase):
    def test_kill_loop(self):
        first = crash.seed()
        for seed in range(first, first + ROUNDS):
            with self.subTest(seed=seed):
                self.round(seed)

    def round(self, seed):
        source = random.Random(seed)
        broker = harness.Broker(**crash.OPTIONS)
        try:
            load = workload.Load(broker, seed)
            crashes = crash.Crashes(load, source, broker.kill)
            load.start()
            for _ in range(KILLS - 1):
                load.stopping.wait(source.uniform(0.05, 0.8))
                crashes.down()
            load.stopping.wait(0.3)
            problems = crashes.end()
            print(f"seed {seed}: {crashes.text()}", file=sys.stderr)
            if problems:
                left = crash.keep(broker, load.history, CRASH_SEED=seed, CRASH_ROUNDS=1,
                                  CRASH_KILLS=KILLS)
                self.fail("\n".join([*problems, left]))
        finally:
            broker.close(check=False)


if __name__ == "__main__":
    harness.main()
