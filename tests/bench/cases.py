"""Cases of the Kafka door, start and memory; those of REST and of idle things are elsewhere."""

import json
import os
import subprocess
import time

import large_queue
import many_delayed
import peers
from bench import (CONSUME_FLOORS, DURABLE_FLOORS, PING_FLOORS, PRODUCE_FLOORS, SYNC_FLOORS, Case,
                   Row, million_of_100, receive_and_store, send, send_million_of_100,
                   sync_and_ping, take)

US = "µs"
GROSS = 6  # on a busy machine up to 2.5 times the bound was seen
GROSS_WALL = 10
CODECS = ["gzip", "snappy", "lz4", "zstd"]


def produce(record_bytes, messages, warm=None, **options):
    def run(bench):
        count = bench.count(messages)
        return bench.load("produce", record_bytes=record_bytes, messages=count,
                          warm=count // 8 if warm is None else warm, **options)
    return run


def consume(record_bytes, messages, produced=None, **options):
    """produced: options of the producer alone."""
    def run(bench):
        bench.load("produce", record_bytes=record_bytes, messages=bench.count(messages),
                   partitions=options.get("partitions", 1), **(produced or {}))
        return bench.load("consume", record_bytes=record_bytes, **options)
    return run


def consume_compressed(codec):
    def run(bench):
        sent = bench.load("produce", record_bytes=1024, codec=codec,
                          messages=bench.count(1_000_000))
        report = bench.load("consume", record_bytes=1024)
        return {**report, "bytes": sent["bytes"],  # as sent, like that of the producer
                "mb_per_s": sent["bytes"] / 1e6 / report["seconds"],
                "cpu_s_per_gb": report["server_cpu_s"] / (sent["bytes"] / 1e9)}
    return run


def rdkafka_consume(record_bytes, messages):
    def run(bench):
        bench.load("produce", record_bytes=record_bytes, messages=bench.count(messages))
        return bench.load("rdkafka-consume", record_bytes=record_bytes)
    return run


def ten_thousand_partitions(bench):
    """Relative to 1,000 in the same broker, in turn; batches of 87 KB both."""
    few, many = [], []
    for topic, count in [("few", 1000), ("many", 10000)]:
        bench.load("produce", topic=topic, partitions=count, record_bytes=100, batch_records=10,
                   messages=count * 10)
    for _ in range(2):
        for reports, topic, count in [(few, "few", 1000), (many, "many", 10000)]:
            reports.append(bench.load("produce", topic=topic, partitions=count, record_bytes=100,
                                      messages=bench.count(4_000_000), batch_records=800))
    cost = [sum(one["cpu_s_per_million"] for one in reports) for reports in (few, many)]
    return {**many[-1], "ratio": cost[1] / cost[0]}


def roundtrip(bench):
    return bench.load("roundtrip", record_bytes=100, messages=bench.count(5000), warm=100)


def roundtrip_durable(bench):
    return bench.load("roundtrip", mode="KAFKA_HA", record_bytes=100,
                      messages=bench.count(3000), warm=100)


def end_to_end(case, rate, messages, **options):
    def run(bench):
        return bench.load(case, record_bytes=100, rate=rate, messages=bench.count(messages),
                          **options)
    return run


def memory(bench):
    pid = bench.broker.process.pid
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        idle = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    report = bench.load("produce", record_bytes=1024, messages=10_000_000)
    return {"idle_mib": idle / 2**20, "after_mib": report["rss_kib"] / 1024}


def restart(bench):
    """From kill -9 with a log to the first answer."""
    bench.load("produce", record_bytes=1024, messages=10_000_000)
    bench.broker.kill()
    started = time.monotonic()
    bench.broker.start()
    return {"seconds": time.monotonic() - started}


def many_produced():
    """One connection, or a thousand; one partition, or a thousand."""
    per_gb = ("CPU s/GB", take("cpu_s_per_gb"))
    per_million = ("CPU s/million", take("cpu_s_per_million"))
    quarter = {"batch_records": 244}  # 250 KB
    small = {"batch_bytes": 16384, "connections": 1000, "window": 1}
    floors = PRODUCE_FLOORS

    def mock(size, messages, **options):
        return peers.mock_produce(size, messages, **options)

    return [
        Case(produce(1024, 400_000, batch_bytes=16384), [
            Row("produce 1 KiB, batches of 16 KiB", *per_gb, None, receive_and_store,
                gross=3 * GROSS)], 0.5e9, floors=floors,
             peers=mock(1024, 400_000, batch_bytes=16384)),
        Case(produce(1024, 400_000, **small), [
            Row("the same, 1,000 connections", *per_gb, None, receive_and_store)],
             0.5e9, short=False, floors=floors,
             peers=peers.many_connections(1024, 400_000, **small)),
        Case(produce(100, 4_000_000, **small), [
            Row("produce 100 B, batches of 16 KiB, 1,000 connections", *per_million, None,
                million_of_100)],
             0.5e9, short=False, floors=floors,
             peers=peers.many_connections(100, 4_000_000, **small)),
        Case(produce(1024, 1_000_000, partitions=64, warm=64 * 244, **quarter), [
            Row("64 partitions, 1 KiB, batches of 250 KB", *per_gb, None, receive_and_store)],
             1.1e9, short=False, floors=floors,
             peers=mock(1024, 1_000_000, partitions=64, **quarter)),
        Case(produce(1024, 1_000_000, partitions=1000, warm=1000 * 244, **quarter), [
            Row("1,000 partitions, 1 KiB, batches of 250 KB", *per_gb, None, receive_and_store)],
             1.3e9, short=False, floors=floors,
             peers=mock(1024, 1_000_000, partitions=1000, **quarter)),
        Case(produce(100, 8_000_000, partitions=64, warm=6400, batch_records=9174), [
            Row("64 partitions, 100 B", *per_million, None, million_of_100)],
             1e9, short=False, floors=floors,
             peers=mock(100, 8_000_000, partitions=64, batch_records=9174)),
        Case(produce(100, 8_000_000, partitions=1000, warm=100_000, batch_records=9174), [
            Row("1,000 partitions, 100 B", *per_million, 0.07, million_of_100, 0.035,
                gross=2 * GROSS)],
             1e9, floors=floors, peers=mock(100, 8_000_000, partitions=1000, batch_records=9174)),
        Case(ten_thousand_partitions, [
            Row("10,000 partitions relative to 1,000, batches of 87 KB", "x", take("ratio"), 1.3),
            Row("10,000 partitions, 100 B, batches of 87 KB", *per_million, None,
                million_of_100)], 2.5e9, short=False, floors=floors),
    ]


def consumed():
    per_gb = ("CPU s/GB", take("cpu_s_per_gb"))
    floors = CONSUME_FLOORS
    return [
        Case(consume(1024, 1_000_000), [Row("consume 1 KiB from cache", *per_gb, 0.32, send, 0.29,
                                            gross=GROSS)], 1e9, floors=floors,
             peers=peers.consume(1024, 250_000)),
        Case(consume(100, 8_000_000), [Row("consume 100 B from cache", "CPU s/million",
                                           take("cpu_s_per_million"), None,
                                           send_million_of_100)], 1e9, short=False,
             floors=floors, peers=peers.consume(100, 1_000_000)),
        *[Case(consume_compressed(codec), [
            Row(f"consume 1 KiB, {codec}: a GB as sent", *per_gb, None, send)], 0.7e9,
               short=False, floors=floors) for codec in CODECS],
        Case(consume(1024, 1_000_000, partitions=64), [
            Row("consume 1 KiB, 64 partitions", *per_gb, None, send)], 1e9, short=False,
             floors=floors),
        Case(consume(1024, 1_000_000, partitions=1000), [
            Row("consume 1 KiB, 1,000 partitions", *per_gb, None, send)], 1e9, short=False,
             floors=floors),
        Case(consume(1024, 1_000_000, partitions=1000, connections=1000),
             [Row("consume 1 KiB, 1,000 partitions, 1,000 connections", *per_gb, None, send)],
             1e9, short=False, floors=floors),
        Case(consume(1024, 4000, {"batch_bytes": 16384}, connections=1000, each_reads_all=1,
                     fetch_bytes=65536),
             [Row("consume 1 KiB, 1,000 connections read the same partition", *per_gb, None,
                  send)], short=False, floors=floors),
    ]


def durable():
    per_gb = ("CPU s/GB", take("cpu_s_per_gb"))
    return [
        Case(produce(1024, 500_000, mode="KAFKA_HA"), [
            Row("HA produce 1 KiB", "MB/s", take("mb_per_s"), 750,
                take("fdatasync_1mib_mb_per_s"), 829, more_is_better=True),
            Row("HA produce 1 KiB, CPU", *per_gb, None, receive_and_store)],
             0.6e9, floors=DURABLE_FLOORS, peers=peers.produce_durable(1024, 100_000)),
        Case(produce(100, 4_000_000, mode="KAFKA_HA", partitions=64, batch_records=9174), [
            Row("HA produce 100 B, 64 partitions", "MB/s", take("mb_per_s"), None,
                take("fdatasync_1mib_mb_per_s"), more_is_better=True),
            Row("HA produce 100 B, 64 partitions, CPU", "CPU s/million",
                take("cpu_s_per_million"), None, million_of_100)],
             0.5e9, short=False, floors=DURABLE_FLOORS),
    ]


def throughput():
    per_gb = ("CPU s/GB", take("cpu_s_per_gb"))
    per_million = ("CPU s/million", take("cpu_s_per_million"))
    floors = PRODUCE_FLOORS
    return [
        Case(produce(100, 8_000_000), [
            Row("produce 100 B", *per_million, 0.045, million_of_100, 0.035, gross=GROSS)],
             1e9, floors=floors, peers=peers.produce(100, 1_000_000)),
        Case(produce(1024, 1_000_000), [
            Row("produce 1 KiB", *per_gb, 0.40, receive_and_store, 0.33, gross=GROSS)],
             1.2e9, floors=floors, peers=peers.produce(1024, 250_000)),
        *[Case(produce(1024, 1_000_000, codec=codec),
               [Row(f"produce 1 KiB, {codec}: a GB as sent", *per_gb, None, receive_and_store,
                    gross=GROSS)], 0.7e9, short=codec == "zstd", floors=floors,
               peers=peers.mock_produce(1024, 1_000_000, codec=codec)) for codec in CODECS],
        *many_produced(), *consumed(), *durable(),
        Case(lambda bench: bench.load("rdkafka-produce", record_bytes=100,
                                      messages=bench.count(4_000_000),
                                      warm=bench.count(400_000)),
             [Row("produce 100 B with librdkafka", *per_million, None, million_of_100)],
             0.5e9, short=False, floors=floors,
             peers=peers.mock_produce(100, 4_000_000, "rdkafka-produce")),
        Case(rdkafka_consume(100, 4_000_000),
             [Row("consume 100 B with librdkafka", *per_million, None, send_million_of_100)],
             0.5e9, short=False, floors=CONSUME_FLOORS),
    ]


def latency():
    e2e_peers = peers.end_to_end(100, 25_000, rate=5000)
    durable_peers = peers.end_to_end_durable(100, 10_000, rate=1000)
    return [
        Case(roundtrip, [Row("round trip at 1,000/s, p50", US, take("p50_us"), 72,
                             take("ping_p50_us"), 60, gross=GROSS_WALL),
                         Row("round trip at 1,000/s, p99", US, take("p99_us"), 130,
                             take("ping_p99_us"), 88),
                         Row("round trip, CPU", US, take("cpu_us_per_request"))],
             floors=PING_FLOORS, peers=peers.roundtrip(100, 5000)),
        Case(end_to_end("e2e", 5000, 25_000), [
            Row("end to end at 5,000/s, p50", US, take("p50_us"), 250, take("ping_p50_us")),
            Row("end to end at 5,000/s, p99", US, take("p99_us"), 1500, take("ping_p99_us")),
            Row("end to end, CPU a message", US, take("cpu_s_per_million"))],
             floors=PING_FLOORS, peers=e2e_peers),
        Case(end_to_end("rdkafka-e2e", 5000, 25_000, warm=5000), [
            Row("end to end with librdkafka at 5,000/s, p50", US, take("p50_us"), 250),
            Row("end to end with librdkafka at 5,000/s, p99", US, take("p99_us"), 1500),
            Row("end to end with librdkafka, CPU a message", US, take("cpu_s_per_million"))],
             floors=PING_FLOORS),
        Case(roundtrip_durable, [Row("HA round trip, p50", US, take("p50_us"), 310,
                                     sync_and_ping, 228)],
             floors=SYNC_FLOORS, peers=peers.roundtrip_durable(100, 3000)),
        Case(end_to_end("e2e", 1000, 10_000, mode="KAFKA_HA"), [
            Row("HA end to end at 1,000/s, p50", US, take("p50_us"), None, sync_and_ping),
            Row("HA end to end at 1,000/s, p99", US, take("p99_us"), None,
                lambda f: sync_and_ping(f, "p99"))],
             short=False, floors=SYNC_FLOORS, peers=durable_peers),
    ]


def start_large(bench):
    """A broker of its own, and Debian's Python, which has a Kafka client."""
    run = subprocess.run(
        ["/usr/bin/python3", "-B", large_queue.__file__, "--dmsd", bench.binary, "--loadgen",
         bench.loadgen, "--messages", str(bench.count(100_000_000)), "--json"],
        capture_output=True, text=True)
    lines = run.stdout.splitlines()
    assert lines and lines[-1].startswith("{"), run.stderr
    return json.loads(lines[-1])


def wait_many(bench):
    """A broker of its own."""
    return many_delayed.report(bench.binary, bench.loadgen, bench.count(10_000_000))


def whole():
    """Of the first two 10 GB whatever the scale."""
    return [
        Case(memory, [Row("RSS idle", "MiB", take("idle_mib"), 15),
                      Row("RSS after 10 GB", "MiB", take("after_mib"), 64)], 10e9, short=False,
             once=True),
        Case(restart, [Row("start after kill -9, 10 GB", "s", take("seconds"), 1)], 10e9,
             short=False, once=True),
        Case(start_large, [
            Row("start with a queue of 100 million messages (x scale), three groups", "s",
                take("start_s"), large_queue.START_SECONDS_MAX),
            Row("the same: most memory", "MB", take("peak_mb"),
                large_queue.MEMORY_BYTES_MAX / 1e6)], 11e9, short=False, once=True),
        Case(wait_many, [
            Row("10 million delayed messages (x scale): most memory", "MB", take("peak_mb"),
                many_delayed.MEMORY_BYTES_MAX / 1e6),
            Row("the same: start after kill -9", "s", take("start_s")),
            Row("the same: lateness, at most", "ms", take("late_ms"),
                many_delayed.LATE_SECONDS_MAX * 1e3)], 2e9, short=False, once=True),
    ]
