"""Cases of what is there and does nothing, and of data that no cache holds."""

import contextlib
import glob
import json
import os
import statistics
import subprocess

import cases_rest
from bench import Case, PinnedBroker, Row, take

TURNS = 5
IDLE = 10_000  # whatever the scale
REQUESTS_MIN = 5000  # of a ratio of two costs that hardly differ
SEGMENT_BYTES = 16384
COLD_SHARE_MIN = 0.5  # of what the cold reader read must have come from the disk


def idle_connections(bench):
    reports = bench.reports("idle-connections", **bench.where(), connections=10, record_bytes=100,
                            idle=IDLE, messages=max(bench.count(5000), REQUESTS_MIN), warm=100)
    without, idle, beside = reports
    return {"bytes_each": idle["bytes_each"], "cpu_ratio": beside["cpu_us_per_request"] /
            without["cpu_us_per_request"], "p99_ratio": beside["p99_us"] / without["p99_us"]}


@contextlib.contextmanager
def idle_partitions(bench):
    bench.load("topic", topic="idle", partitions=IDLE)
    yield


@contextlib.contextmanager
def idle_groups(bench):
    bench.load("groups", topic="idle", groups=IDLE)
    yield


@contextlib.contextmanager
def held_connections(bench):
    holder = bench.start("hold", idle=IDLE)
    assert holder.stdout.readline(), "the connections were refused"
    yield
    holder.stdin.close()
    holder.wait()
    holder.stdout.close()


@contextlib.contextmanager
def idle_segments(bench):
    """Small ones, made before the broker starts with its usual settings."""
    broker = bench.broker
    broker.stop()
    broker.options["log.segment.bytes"] = str(SEGMENT_BYTES)
    broker.start()
    bench.load("produce", topic="idle", record_bytes=1024, batch_records=14,
               messages=IDLE * 14)
    made = max(len(os.listdir(one)) for one in glob.glob(os.path.join(broker.data, "*-0")))
    assert made > IDLE // 2, f"only {made} segments"
    broker.stop()
    del broker.options["log.segment.bytes"]
    broker.start()
    yield


def cost(bench, queue):
    """CPU µs of a Kafka request and of a REST request."""
    messages = max(bench.count(10_000), REQUESTS_MIN)
    kafka = bench.load("roundtrip", topic="busy", record_bytes=100, rate=5000, messages=messages,
                       warm=100)
    rest = bench.load("rest-produce", record_bytes=100, messages=messages, **queue)
    return kafka["cpu_us_per_request"], rest["cpu_us_per_request"]


def beside(idle):
    """What a request costs in a broker with idle things, relative to one without, in turn."""
    def run(bench):
        full = bench.broker
        empty = PinnedBroker(bench.binary)
        try:
            with idle(bench):
                servers = []
                for bench.broker in (empty, full):
                    servers.append((bench.broker, cases_rest.queue(bench, "KAFKA_HT"), []))
                for _ in range(TURNS):
                    for bench.broker, queue, costs in servers:
                        costs.append(cost(bench, queue))
                bench.broker = full
        finally:
            bench.broker = full
            empty.close(check=False)
        without, with_idle = ([statistics.median(column) for column in zip(*costs)]
                              for _, _, costs in servers)
        return {"kafka": with_idle[0] / without[0], "rest": with_idle[1] / without[1]}
    return run


def evict(broker):
    """Drops all segments from the page cache; what is dirty is written first."""
    for name in glob.glob(os.path.join(broker.data, "*", "*")):
        try:
            fd = os.open(name, os.O_RDONLY)
        except FileNotFoundError:
            continue  # the broker writes an index under another name first, then renames it
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def is_memory(directory):
    """Whether it is on a file system (tmpfs) that has no disk to read from."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, text=True,
                          check=True)
    return kind.stdout.strip() == "tmpfs"


def disk_bytes(broker):
    with open(f"/proc/{broker.process.pid}/io", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("read_bytes")).split()[1])


def tail(bench):
    return bench.load("e2e", topic="tail", record_bytes=100, rate=5000,
                      messages=bench.count(10_000))


def tail_beside_reader(bench, read_first):
    """A producer and a consumer that keeps up, while another reads a large topic from its start."""
    read_first()
    before = disk_bytes(bench.broker)
    reader = bench.start("consume", topic="large", record_bytes=1024)
    report = tail(bench)
    was_done = reader.poll() is not None
    output, _ = reader.communicate()
    if reader.returncode != 0:
        raise AssertionError(f"the reader failed: {output}")
    read = json.loads(output)
    return report, read, (disk_bytes(bench.broker) - before) / read["bytes"], was_done


def cold_reader(bench):
    bench.load("produce", topic="large", record_bytes=1024, messages=bench.count(4_000_000))
    evict(bench.broker)  # written to disk before anything is measured
    bench.load("consume", topic="large", record_bytes=1024)
    started = bench.server_cpu_s()
    alone = tail(bench)
    tail_cpu = bench.server_cpu_s() - started
    warm, _, _, _ = tail_beside_reader(bench, lambda: None)
    evict(bench.broker)
    cold_alone = bench.load("consume", topic="large", record_bytes=1024)
    started = bench.server_cpu_s()
    cold, read, share, _ = tail_beside_reader(bench, lambda: evict(bench.broker))
    both_cpu = bench.server_cpu_s() - started
    if share < COLD_SHARE_MIN and not is_memory(bench.broker.data):
        raise AssertionError(f"only {share:.0%} of the cold data came from the disk")
    return {"rate": cold["messages_per_s"] / alone["messages_per_s"],
            "p50": cold["p50_us"] / alone["p50_us"], "p99": cold["p99_us"] / alone["p99_us"],
            "p99_warm": warm["p99_us"] / alone["p99_us"],
            "cpu": both_cpu / (tail_cpu + cold_alone["server_cpu_s"]),
            "reader_mb_per_s": read["mb_per_s"], "share": share}


def idle():
    growth = [("10,000 idle partitions", idle_partitions), ("10,000 idle groups", idle_groups),
              ("10,000 idle connections", held_connections),
              ("10,000 idle segments", idle_segments)]
    return [
        Case(idle_connections, [
            Row("10,000 idle connections, memory each", "B", take("bytes_each"), 8192, gross=2),
            Row("round trip of 10 beside them, CPU", "x", take("cpu_ratio"), 1.2, gross=3),
            Row("round trip of 10 beside them, p99", "x", take("p99_ratio"), 1.2)]),
        *[Case(beside(make), [
            Row(f"Kafka request beside {name}, CPU", "x", take("kafka"), 1.2, gross=3),
            Row(f"REST request beside {name}, CPU", "x", take("rest"), 1.2, gross=3)],
               short=False) for name, make in growth],
        Case(cold_reader, [
            Row("tail at 5,000/s beside a cold reader: rate", "x", take("rate"), 0.99,
                more_is_better=True, gross=3),
            Row("tail beside a cold reader: p50 relative to alone", "x", take("p50")),
            Row("tail beside a cold reader: p99 relative to alone", "x", take("p99")),
            Row("tail beside a warm reader: p99 relative to alone", "x", take("p99_warm")),
            Row("tail and cold reader, CPU relative to each alone", "x", take("cpu"), 1.2),
            Row("cold reader", "MB/s", take("reader_mb_per_s"), more_is_better=True)],
             8e9),
    ]
