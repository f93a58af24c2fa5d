"""What the crash tests share: where the harness is, seeds, and what a failed run leaves."""

import mmap
import os
import random
import shutil
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "interop")]

import harness  # noqa: E402  (found only now)
import powercut  # noqa: E402

# The preloaded layers.
DISK_LAYER = os.environ.get("CRASH_DISK_LAYER", "")
MEMORY_LAYER = os.environ.get("CRASH_MEMORY_LAYER", "")
FOR_EVER = 1 << 40

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


class Fault:
    """The countdown that a preloaded layer looks at (struct fault_control of fault.h)."""

    NONE, ERROR, SHORT, KILL = range(4)
    LAYOUT = struct.Struct("=QQQQII")

    def __init__(self, path):
        self.path = path
        with open(path, "wb+") as file:
            file.write(bytes(self.LAYOUT.size))
            file.flush()
            self.memory = mmap.mmap(file.fileno(), self.LAYOUT.size)

    def arm(self, kind, at, times=1, error=0):
        """The at-th call from now on fails, the first one being 0, and times in all."""
        self.disarm()
        struct.pack_into("=QQQ", self.memory, 8, self.calls() + at, times, 0)
        struct.pack_into("=I", self.memory, 32, error)
        struct.pack_into("=I", self.memory, 36, kind)

    def disarm(self):
        struct.pack_into("=I", self.memory, 36, self.NONE)

    def calls(self):
        """So far, of the kind that the layer counts."""
        return struct.unpack_from("=Q", self.memory, 0)[0]

    def hits(self):
        """Calls that failed since arm."""
        return struct.unpack_from("=Q", self.memory, 24)[0]


class DiskBroker(harness.Broker):
    """A broker whose disk is known: what a power cut may leave of it, and which call fails."""

    def __init__(self, source, data=None, **options):
        """source: the random one of the cuts; data: a directory to begin with a copy of."""
        self.source = source
        self.disk = None
        self.lies = False
        super().__init__(start=False, **options)
        self.fault = Fault(os.path.join(self.directory, "fault"))
        if data is not None:
            shutil.copytree(data, self.data)

    def spawn(self):
        self.journal = os.path.join(self.directory, "journal")
        os.makedirs(self.data, exist_ok=True)
        self.disk = powercut.Disk(self.data, self.lies)
        self.environment = {"LD_PRELOAD": DISK_LAYER, "CRASH_DISK_ROOT": self.data,
                            "CRASH_DISK_JOURNAL": self.journal,
                            "CRASH_DISK_FAULT": self.fault.path}
        with open(self.journal, "wb"):
            pass  # it may die before it opens it
        super().spawn()

    def cut(self):
        """The power goes. In `before` is what there was, and the journal beside it."""
        self.kill()
        self.disk.replay(self.journal, self.source)
        self.disk.cut(self.source)
        before = self.data + "-before"
        shutil.rmtree(before, ignore_errors=True)
        os.rename(self.data, before)
        shutil.copy(self.journal, self.journal + "-before")
        self.disk.write(self.data)


class Crashes:
    """One broker, the workload, and what happens to them."""

    def __init__(self, load, source, die):
        """die: ends the process in the way that is to be tested."""
        self.load = load
        self.broker = load.broker
        self.random = source
        self.die = die
        self.ready_ms = []

    def down(self):
        """The broker dies, perhaps again while it starts, and returns."""
        crash = self.load.history.begin("crash")
        self.die()
        while self.random.random() < 0.2:
            self.broker.spawn()
            self.load.stopping.wait(self.random.uniform(0, 0.1))
            self.die()
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
                f"{history.count('commit')} commits, {history.count('ack')} acks, "
                f"{history.count('change')} changes, {history.count('redrive')} redrives; "
                f"unknown: {history.count('send', 'unknown')} sends, "
                f"{history.count('ack', 'unknown')} acks, {history.count('change', 'unknown')} "
                f"changes; read: {history.count('read')} polls, {history.count('lease')} leases")
