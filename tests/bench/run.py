#!/usr/bin/env python3
"""Measures dmsd beside what this machine can do at all, and prints a table.

    run.py [--dmsd PATH] [--loadgen PATH] [--against PATH] [--rounds N] [--only REGEX]
    run.py --short     a minute; fails only where a cost is far from its bound

Each round runs the floor and then every case against a dmsd of its own, so that whatever
else this machine does falls on all alike; the table shows medians. dmsd is pinned to one
core and the client to another. What counts is the CPU time of dmsd: wall time and latency
say something only on a machine that does nothing else. --against runs a second binary in
turn with the first.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "interop"))
import harness  # noqa: E402

SERVER_CPU, CLIENT_CPU = (sorted(os.sched_getaffinity(0)) * 2)[:2]
GROSS = 4  # --short fails above this many times the bound
SPARE_BYTES = 1_000_000_000  # touched beyond what a case writes


class PinnedBroker(harness.Broker):
    def __init__(self, binary, **options):
        self.binary = binary
        super().__init__(start=False, num_network_threads=1, **options)
        self.start()

    def arguments(self):
        return ["taskset", "-c", str(SERVER_CPU), self.binary, *super().arguments()[1:]]


class Bench:
    """One run of one case: where the programs are, and the broker it talks to."""

    def __init__(self, loadgen, scale):
        self.loadgen = loadgen
        self.scale = scale  # 1 for the long form
        self.broker = None

    def load(self, case, http=False, **options):
        """Runs a case of the load generator against the broker; returns its last report."""
        options = {"port": self.broker.http_port if http else self.broker.kafka_port,
                   "pid": self.broker.process.pid, **options}
        return self.reports(case, **options)[-1]

    def reports(self, case, **options):
        options = {"cpu": CLIENT_CPU, **options}
        run = subprocess.run([self.loadgen, case, *(f"{k}={v}" for k, v in options.items())],
                             capture_output=True, text=True, timeout=600)
        if run.returncode != 0:
            raise AssertionError(f"{case}: {run.stderr}\n"
                                 f"{self.broker.log_tail() if self.broker else ''}")
        return [json.loads(line) for line in run.stdout.splitlines()]

    def touch(self, size):
        """So that no case pays for memory which the host had taken back."""
        with open("/proc/meminfo", encoding="ascii") as file:
            available = int(re.search(r"MemAvailable: *(\d+)", file.read()).group(1)) * 1024
        self.reports("touch", bytes=min(int(size) + SPARE_BYTES, available // 2))

    def count(self, messages):
        return max(1, int(messages * self.scale))


class Row:
    """One figure. value: from a report; floor: from the floor's report, or None."""

    def __init__(self, name, unit, value, goal, floor=None, more_is_better=False, gross=False):
        self.name = name
        self.unit = unit
        self.value = value
        self.goal = goal
        self.floor = floor
        self.more_is_better = more_is_better
        self.gross = gross  # --short looks at it
        self.values = {}    # by binary
        self.floors = []

    def ratio(self, value, of):
        return of / value if self.more_is_better else value / of


def take(key, scale=1.0):
    return lambda report: report[key] * scale


def receive_and_store(floor):
    """CPU seconds a GB that no broker of this design can do without."""
    return floor["tcp_receive_s_per_gb"] + floor["crc32c_s_per_gb"] + floor["write_s_per_gb"]


def send(floor):
    return min(floor["tcp_send_s_per_gb"], floor["sendfile_s_per_gb"])


def million_of_100(floor):
    return receive_and_store(floor) * 0.109  # GB: 100 B and what a record has around it


def produce_100(bench):
    messages = bench.count(8_000_000)
    return bench.load("produce", record_bytes=100, messages=messages, warm=messages // 8)


def produce_1024(bench):
    messages = bench.count(1_000_000)
    return bench.load("produce", record_bytes=1024, messages=messages, warm=messages // 8)


def produce_small_batches(bench):
    return bench.load("produce", record_bytes=1024, batch_bytes=16384,
                      messages=bench.count(400_000), warm=bench.count(40_000))


def produce_many_connections(bench):
    return bench.load("produce", record_bytes=1024, batch_bytes=16384, connections=1000, window=1,
                      messages=bench.count(400_000), warm=bench.count(40_000))


def consume(bench):
    bench.load("produce", record_bytes=1024, messages=bench.count(1_000_000))
    return bench.load("consume", record_bytes=1024)


def partitions(count):
    def run(bench):
        messages = bench.count(8_000_000)
        return bench.load("produce", partitions=count, record_bytes=100, messages=messages,
                          warm=count * 100, batch_records=9174 if count <= 1000 else 800)
    return run


def roundtrip(bench):
    return bench.load("roundtrip", record_bytes=100, messages=bench.count(5000), warm=100)


def roundtrip_durable(bench):
    return bench.load("roundtrip", mode="KAFKA_HA", record_bytes=100,
                      messages=bench.count(3000), warm=100)


def produce_durable(bench):
    return bench.load("produce", mode="KAFKA_HA", record_bytes=1024,
                      messages=bench.count(500_000), warm=bench.count(50_000))


def end_to_end(bench):
    return bench.load("e2e", record_bytes=100, rate=5000, messages=bench.count(25_000))


def idle_connections(bench):
    reports = bench.reports("idle-connections", port=bench.broker.kafka_port,
                            pid=bench.broker.process.pid, connections=10, record_bytes=100,
                            idle=bench.count(10_000), messages=bench.count(5000), warm=100)
    without, idle, beside = reports
    return {"bytes_each": idle["bytes_each"], "cpu_ratio": beside["cpu_us_per_request"] /
            without["cpu_us_per_request"], "p99_ratio": beside["p99_us"] / without["p99_us"]}


def rest_queue(bench, mode):
    rest = bench.broker.rest()
    queue = rest.create_queue(queue_mode=mode)["id"]
    group = rest.create_group(queue)
    return {"path": rest.prefix, "queue": queue, "group": group, "http": True}


def rest_produce(mode, batch):
    def run(bench):
        return bench.load("rest-produce", connections=64, record_bytes=1024, batch_records=batch,
                          messages=bench.count(100_000) * batch, **rest_queue(bench, mode))
    return run


def rest_consume(bench):
    messages = bench.count(100_000) // 10 * 10
    where = rest_queue(bench, "NORMAL")
    bench.load("rest-produce", connections=64, record_bytes=1024, batch_records=10,
               messages=messages, **where)
    return bench.load("rest-consume", connections=16, record_bytes=1024, messages=messages,
                      **where)


def memory(bench):
    pid = bench.broker.process.pid
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        idle = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    report = bench.load("produce", record_bytes=1024, messages=bench.count(10_000_000))
    return {"idle_mib": idle / 2**20, "after_mib": report["rss_kib"] / 1024}


def restart(bench):
    """From kill -9 with a log to the first answer."""
    bench.load("produce", record_bytes=1024, messages=bench.count(10_000_000))
    bench.broker.kill()
    started = time.monotonic()
    bench.broker.start()
    return {"seconds": time.monotonic() - started}


class Case:
    def __init__(self, run, rows, written=0, short=True):
        self.run = run
        self.rows = rows
        self.written = written  # bytes, in the long form
        self.short = short


def cases():
    us = "µs"
    return [
        Case(produce_100, [Row("produce 100 B", "CPU s/million", take("cpu_s_per_million"), 0.045,
                               million_of_100, gross=True)], 1e9),
        Case(produce_1024, [Row("produce 1 KiB", "CPU s/GB", take("cpu_s_per_gb"), 0.40,
                                receive_and_store, gross=True)], 1.2e9),
        Case(produce_small_batches, [Row("produce 1 KiB, batches of 16 KiB", "CPU s/GB",
                                         take("cpu_s_per_gb"), None, receive_and_store)], 0.5e9),
        Case(produce_many_connections, [Row("the same, 1,000 connections", "CPU s/GB",
                                            take("cpu_s_per_gb"), None, receive_and_store)],
             0.5e9, short=False),
        Case(consume, [Row("consume 1 KiB from cache", "CPU s/GB", take("cpu_s_per_gb"), 0.32,
                           send, gross=True)], 1e9),
        Case(roundtrip, [Row("round trip at 1,000/s, p50", us, take("p50_us"), 72,
                             take("ping_p50_us")),
                         Row("round trip at 1,000/s, p99", us, take("p99_us"), 130,
                             take("ping_p99_us")),
                         Row("round trip, CPU", us, take("cpu_us_per_request"), None)]),
        Case(end_to_end, [Row("end to end at 5,000/s, p50", us, take("p50_us"), 250,
                              take("ping_p50_us")),
                          Row("end to end at 5,000/s, p99", us, take("p99_us"), 1500,
                              take("ping_p99_us")),
                          Row("end to end, CPU a message", us, take("cpu_s_per_million"), None)]),
        Case(roundtrip_durable, [Row("HA round trip, p50", us, take("p50_us"), 310,
                                     lambda f: f["fdatasync_p50_us"] + f["ping_p50_us"])]),
        Case(produce_durable, [Row("HA produce 1 KiB", "MB/s", take("mb_per_s"), 750,
                                   take("fdatasync_1mib_mb_per_s"), more_is_better=True),
                               Row("HA produce 1 KiB, CPU", "CPU s/GB", take("cpu_s_per_gb"), None,
                                   receive_and_store)], 0.6e9),
        Case(partitions(1000), [Row("1,000 partitions, 100 B", "CPU s/million",
                                    take("cpu_s_per_million"), 0.07, million_of_100, gross=True)],
             1e9),
        Case(partitions(10000), [Row("10,000 partitions, 100 B, batches of 87 KB", "CPU s/million",
                                     take("cpu_s_per_million"), None, million_of_100)], 1e9,
             short=False),
        Case(rest_produce("NORMAL", 1), [
            Row("REST produce 1 KiB, 64 connections, CPU", us, take("cpu_us_per_request"), 9),
            Row("REST produce 1 KiB, 64 connections", "1/s", take("messages_per_s"), 60000,
                more_is_better=True)], 0.1e9),
        Case(rest_produce("NORMAL", 10), [
            Row("REST produce 10 x 1 KiB, CPU a message", us, take("cpu_s_per_million"), None)],
             1e9, short=False),
        Case(rest_consume, [Row("REST consume and ack of 10, CPU a message", us,
                                take("cpu_s_per_million"), 3)], 0.1e9),
        Case(idle_connections, [
            Row("idle connections, memory each", "B", take("bytes_each"), 8192),
            Row("round trip beside them, CPU", "x", take("cpu_ratio"), 1.2),
            Row("round trip beside them, p99", "x", take("p99_ratio"), 1.2)]),
        Case(memory, [Row("RSS idle", "MiB", take("idle_mib"), 15),
                      Row("RSS after 10 GB", "MiB", take("after_mib"), 64)], 10e9, short=False),
        Case(restart, [Row("start after kill -9, 10 GB", "s", take("seconds"), 1)], 10e9,
             short=False),
    ]


def run_case(bench, case, binary, floor):
    bench.touch(case.written * bench.scale)
    bench.broker = PinnedBroker(binary)
    try:
        report = case.run(bench)
    finally:
        bench.broker.close(check=False)
        bench.broker = None
    for row in case.rows:
        row.values.setdefault(binary, []).append(row.value(report))
        if row.floor is not None:
            row.floors.append(row.floor(floor))


def show(value):
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.3f}"


def table(rows, binaries):
    """Lines of a Markdown table."""
    head = ["", "unit", *(["dmsd"] if len(binaries) == 1 else ["A", "B", "B/A"]), "floor",
            "x floor", "goal", "x goal"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        medians = [statistics.median(row.values[binary]) for binary in binaries]
        floor = statistics.median(row.floors) if row.floors else None
        cells = [row.name, row.unit, *map(show, medians)]
        if len(medians) == 2:
            cells.append(show(medians[1] / medians[0]) if medians[0] else "")
        cells += [show(floor), show(floor and row.ratio(medians[0], floor)), show(row.goal),
                  show(row.goal and row.ratio(medians[0], row.goal))]
        lines.append(cells)
    return ["| " + " | ".join(line) + " |" for line in lines]


def gross_losses(rows, binary):
    for row in rows:
        if row.gross:
            ratio = statistics.median(row.values[binary]) / statistics.median(row.floors)
            if ratio > GROSS:
                yield f"{row.name}: {ratio:.1f} times its bound, at most {GROSS} are allowed"


def print_floor(floors):
    print("floor: " + ", ".join(
        f"{key} {show(statistics.median(one[key] for one in floors))}"
        for key in floors[0] if isinstance(floors[0][key], float)))


def measure(options, chosen, binaries):
    bench = Bench(options.loadgen, 0.1 if options.short else 1)
    floors = []
    for number in range(options.rounds):
        bench.touch(2e9 * bench.scale)
        floors.append(bench.reports("floor", server_cpu=SERVER_CPU, directory=options.directory,
                                    bytes=bench.count(1_000_000_000))[0])
        for case in chosen:
            for binary in binaries:
                print(f"round {number + 1}: {case.rows[0].name}", file=sys.stderr)
                run_case(bench, case, binary, floors[-1])
    print_floor(floors)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    build = os.path.join(ROOT, "build", "release")
    parser.add_argument("--dmsd", default=os.environ.get("DMSD_BINARY",
                                                         os.path.join(build, "dmsd")))
    parser.add_argument("--loadgen")
    parser.add_argument("--against", help="a second dmsd")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default="", help="cases whose first row matches")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--directory", default="/tmp", help="of the floor's file")
    options = parser.parse_args()
    options.dmsd = os.path.abspath(options.dmsd)
    options.loadgen = options.loadgen or os.path.join(os.path.dirname(options.dmsd), "loadgen")
    options.rounds = options.rounds or (1 if options.short else 3)
    os.environ["DMSD_BINARY"] = options.dmsd
    binaries = [options.dmsd] + ([os.path.abspath(options.against)] if options.against else [])
    chosen = [case for case in cases() if (case.short or not options.short) and
              re.search(options.only, case.rows[0].name)]

    measure(options, chosen, binaries)
    rows = [row for case in chosen for row in case.rows]
    print("\n".join(table(rows, binaries)))
    losses = list(gross_losses(rows, options.dmsd)) if options.short else []
    for loss in losses:
        print(loss, file=sys.stderr)
    sys.exit(1 if losses else 0)


if __name__ == "__main__":
    main()
