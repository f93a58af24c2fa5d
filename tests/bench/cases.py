"""Cases of the Kafka door, start and memory; those of REST and of idle things are elsewhere."""

import os
import time

import peers
from bench import (Case, Row, million_of_100, receive_and_store, send, send_million_of_100, take)

US = "µs"
GROSS = 4
CODECS = ["gzip", "snappy", "lz4", "zstd"]


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


def produce_compressed(codec):
    def run(bench):
        return bench.load("produce", record_bytes=1024, codec=codec,
                          messages=bench.count(1_000_000), warm=bench.count(100_000))
    return run


def consume(record_bytes, messages, **options):
    def run(bench):
        bench.load("produce", record_bytes=record_bytes, messages=bench.count(messages),
                   partitions=options.get("partitions", 1))
        return bench.load("consume", record_bytes=record_bytes, **options)
    return run


def partitions(count):
    def run(bench):
        messages = bench.count(8_000_000)
        return bench.load("produce", partitions=count, record_bytes=100, messages=messages,
                          warm=count * 100, batch_records=9174)
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


def produce_durable(bench):
    return bench.load("produce", mode="KAFKA_HA", record_bytes=1024,
                      messages=bench.count(500_000), warm=bench.count(50_000))


def end_to_end(case, **options):
    def run(bench):
        return bench.load(case, record_bytes=100, rate=5000, messages=bench.count(25_000),
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


def throughput():
    per_gb = ("CPU s/GB", take("cpu_s_per_gb"))
    per_million = ("CPU s/million", take("cpu_s_per_million"))
    return [
        Case(produce_100, [Row("produce 100 B", *per_million, 0.045, million_of_100, gross=GROSS)],
             1e9, peers=peers.produce(100, 1_000_000)),
        Case(produce_1024, [Row("produce 1 KiB", *per_gb, 0.40, receive_and_store, gross=GROSS)],
             1.2e9, peers=peers.produce(1024, 250_000)),
        Case(produce_small_batches, [Row("produce 1 KiB, batches of 16 KiB", *per_gb, None,
                                         receive_and_store, gross=3 * GROSS)], 0.5e9),
        Case(produce_many_connections, [Row("the same, 1,000 connections", *per_gb, None,
                                            receive_and_store)], 0.5e9, short=False),
        *[Case(produce_compressed(codec),
               [Row(f"produce 1 KiB, {codec}: a GB as sent", *per_gb, None, receive_and_store,
                    gross=2 * GROSS)], 0.7e9, short=codec == "zstd") for codec in CODECS],
        Case(consume(1024, 1_000_000), [Row("consume 1 KiB from cache", *per_gb, 0.32, send,
                                            gross=2 * GROSS)], 1e9,
             peers=peers.consume(1024, 250_000)),
        Case(consume(100, 8_000_000), [Row("consume 100 B from cache", *per_million, None,
                                           send_million_of_100)], 1e9, short=False),
        Case(consume(1024, 1_000_000, partitions=1000, connections=1000),
             [Row("consume 1 KiB, 1,000 partitions, 1,000 connections", *per_gb, None, send)], 1e9,
             short=False),
        Case(produce_durable, [Row("HA produce 1 KiB", "MB/s", take("mb_per_s"), 750,
                                   take("fdatasync_1mib_mb_per_s"), more_is_better=True),
                               Row("HA produce 1 KiB, CPU", *per_gb, None, receive_and_store)],
             0.6e9, peers=peers.produce_durable(1024, 100_000)),
        Case(partitions(64), [Row("64 partitions, 100 B", *per_million, None, million_of_100,
                                  gross=GROSS)], 1e9, short=False),
        Case(partitions(1000), [Row("1,000 partitions, 100 B", *per_million, 0.07, million_of_100,
                                    gross=GROSS)], 1e9),
        Case(ten_thousand_partitions, [
            Row("10,000 partitions relative to 1,000, batches of 87 KB", "x", take("ratio"), 1.3),
            Row("10,000 partitions, 100 B, batches of 87 KB", *per_million, None,
                million_of_100)], 2.5e9, short=False),
    ]


def latency():
    return [
        Case(roundtrip, [Row("round trip at 1,000/s, p50", US, take("p50_us"), 72,
                             take("ping_p50_us")),
                         Row("round trip at 1,000/s, p99", US, take("p99_us"), 130,
                             take("ping_p99_us")),
                         Row("round trip, CPU", US, take("cpu_us_per_request"))],
             peers=peers.roundtrip(100, 5000)),
        Case(end_to_end("e2e"), [Row("end to end at 5,000/s, p50", US, take("p50_us"), 250,
                                     take("ping_p50_us")),
                                 Row("end to end at 5,000/s, p99", US, take("p99_us"), 1500,
                                     take("ping_p99_us")),
                                 Row("end to end, CPU a message", US, take("cpu_s_per_million"))]),
        Case(end_to_end("rdkafka-e2e", warm=5000), [
            Row("end to end with librdkafka at 5,000/s, p50", US, take("p50_us"), 250),
            Row("end to end with librdkafka at 5,000/s, p99", US, take("p99_us"), 1500),
            Row("end to end with librdkafka, CPU a message", US, take("cpu_s_per_million"))]),
        Case(roundtrip_durable, [Row("HA round trip, p50", US, take("p50_us"), 310,
                                     lambda f: f["fdatasync_p50_us"] + f["ping_p50_us"])],
             peers=peers.roundtrip_durable(100, 3000)),
    ]


def whole():
    """10 GB whatever the scale."""
    return [
        Case(memory, [Row("RSS idle", "MiB", take("idle_mib"), 15),
                      Row("RSS after 10 GB", "MiB", take("after_mib"), 64)], 10e9, short=False),
        Case(restart, [Row("start after kill -9, 10 GB", "s", take("seconds"), 1)], 10e9,
             short=False),
    ]
