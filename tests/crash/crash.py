"""What the crash tests share: where the harness is, seeds, and what a failed run leaves."""

import os
import random
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "interop")]

import harness  # noqa: E402  (found only now)

# Small segments, so that the logs roll all the time; few partitions, so that starts are quick.
OPTIONS = {"num_partitions": 3, "log_segment_bytes": 65536, "offsets_topic_num_partitions": 2}


def number(name, default):
    """A number from the environment."""
    return int(os.environ.get(name, default))


def seed():
    """CRASH_SEED, or a new one."""
    return number("CRASH_SEED", random.randrange(1 << 31))


def keep(broker, history, **variables):
    """Saves data, log and history of a run that failed; says how to run it again."""
    kept = tempfile.mkdtemp(prefix="dmsd-crash-kept-")
    shutil.copytree(broker.directory, kept, dirs_exist_ok=True)
    history.save(os.path.join(kept, "history"))
    again = " ".join(f"{name}={value}" for name, value in variables.items())
    return (f"kept: {kept}\nagain: {again} DMSD_BINARY={harness.binary()} "
            f"{os.path.abspath(sys.argv[0])}")


class Crashes:
    """One broker, the workload, and what happens to them."""

    def __init__(self, load, random_source):
        self.load = load
        self.broker = load.broker
        self.random = random_source
        self.ready_ms = []

    def down(self, while_down=lambda: None):
        """The broker dies, perhaps again while it starts, and returns."""
        crash = self.load.history.begin("crash")
        self.broker.kill()
        while_down()
        while self.random.random() < 0.2:
            self.broker.spawn()
            self.load.stopping.wait(self.random.uniform(0, 0.1))
            self.broker.kill()
            while_down()
        begun = self.load.history.begin("ready")
        self.broker.start()
        self.load.history.end(begun, "ok")
        self.load.history.end(crash, "ok")
        self.ready_ms.append((begun.end - begun.start) * 1000)

    def end(self):
        """The clients end, leases do with a last crash, and all is settled. What is wrong?"""
        self.load.end_clients()
        self.down()
        self.load.settle()
        return self.load.check()

    def text(self):
        """One line for the report."""
        history = self.load.history
        times = sorted(self.ready_ms)
        return (f"{len(times)} crashes; ready again after {times[len(times) // 2]:.0f} ms "
                f"(most {times[-1]:.0f}); acknowledged: {history.count('send')} sends, "
                f"{history.count('commit')} commits, {history.count('ack')} acks; unknown: "
                f"{history.count('send', 'unknown')} sends, {history.count('ack', 'unknown')} "
                f"acks; read: {history.count('read')} polls, {history.count('lease')} leases")
