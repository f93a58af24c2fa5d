#!/usr/bin/env python3
"""Starts a dmsd with one large queue, and says how long that takes and how much memory.

    large_queue.py [--dmsd PATH] [--loadgen PATH] [--messages 100000000] [--mode KAFKA_HA|NORMAL]

A queue of three partitions is filled with messages of 100 bytes. Three groups stand in its middle,
at different places, with acknowledgements scattered behind them. The broker is started again
after a kill (SIGKILL), and after an orderly stop. Fails when the start takes more than five
seconds, or the broker more than 200 MB. Needs 107 bytes of disk a message.

Only REST writes to a NORMAL queue, which takes its time: there a Kafka queue is filled, whose
segments then become those of the other one. They are the same.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "interop"))
import harness  # noqa: E402

PARTITIONS = 3
GROUPS = 3
RECORD_BYTES = 100
START_SECONDS_MAX = 5.0
MEMORY_BYTES_MAX = 200_000_000


def memory(broker, field="VmRSS"):
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) * 1024


def fill(broker, loadgen, topic, messages):
    subprocess.run([loadgen, "produce", f"port={broker.kafka_port}", f"pid={broker.process.pid}",
                    f"topic={topic}", f"partitions={PARTITIONS}", "mode=KAFKA_HA",
                    f"messages={messages}", f"record_bytes={RECORD_BYTES}"],
                   check=True, stdout=subprocess.DEVNULL)


def take_over(broker, source, target):
    """The logs of one queue become those of another; the broker is stopped."""
    for i in range(PARTITIONS):
        shutil.rmtree(os.path.join(broker.data, f"{target}-{i}"))
        os.rename(os.path.join(broker.data, f"{source}-{i}"),
                  os.path.join(broker.data, f"{target}-{i}"))


def commit(broker, topic, group, share):
    """Commits, over Kafka, a position in the middle of each partition."""
    from kafka import KafkaConsumer, TopicPartition  # not every python3 has it
    from kafka.structs import OffsetAndMetadata

    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group,
                             enable_auto_commit=False)
    partitions = [TopicPartition(topic, i) for i in range(PARTITIONS)]
    ends = consumer.end_offsets(partitions)
    consumer.assign(partitions)
    consumer.commit({one: OffsetAndMetadata(int(end * share), None) for one, end in ends.items()})
    consumer.close()


def scatter(rest, queue, group, rounds=60):
    """Consumes; every other batch is acknowledged, so that the cursor has holes."""
    for i in range(rounds):
        messages = rest.consume(queue, group, ack_wait=300)
        if i % 2 == 0:
            rest.ack(queue, group, messages)


def measure(broker, rest, queue, groups, counters, name):
    started = time.monotonic()
    broker.start()
    ready = time.monotonic() - started
    for group in groups:
        assert rest.consume(queue, group, max_msgs=1), "nothing to consume"
    answered = time.monotonic() - started
    for group, before in zip(groups, counters):
        after = rest.counters(queue, group)
        assert after == before, (after, before)
    used = memory(broker)
    print(f"{name}: ready after {ready:.2f} s, every group answered after {answered:.2f} s, "
          f"{used / 1e6:.0f} MB (peak {memory(broker, 'VmHWM') / 1e6:.0f})")
    return {"start_s": answered, "peak_mb": memory(broker, "VmHWM") / 1e6}


def report(dmsd, loadgen, mode="KAFKA_HA", messages=100_000_000):
    """The worse of both starts."""
    os.environ["DMSD_BINARY"] = dmsd
    options = argparse.Namespace(loadgen=loadgen, mode=mode, messages=messages)
    broker = harness.Broker()
    try:
        rest = broker.rest()
        source = rest.create_queue("source", queue_mode="KAFKA_HA")["id"]
        topic = f"k-{rest.project}-{source}"
        started = time.monotonic()
        times_ms = []  # from when on messages are in the second quarter, and so on
        for _ in range(GROUPS + 1):
            times_ms.append(int(time.time()) * 1000)
            fill(broker, options.loadgen, topic, options.messages // (GROUPS + 1))
        print(f"{options.messages} messages in {time.monotonic() - started:.0f} s, "
              f"{memory(broker) / 1e6:.0f} MB (peak {memory(broker, 'VmHWM') / 1e6:.0f})")
        queue = source
        if options.mode != "KAFKA_HA":
            queue = rest.create_queue("large", queue_mode=options.mode)["id"]
            broker.stop()
            take_over(broker, source, queue)
            broker.start()
        groups = [rest.create_group(queue, f"group{i}") for i in range(GROUPS)]
        for i, group in enumerate(groups):
            if options.mode == "KAFKA_HA":
                commit(broker, topic, group, (i + 1) / (GROUPS + 1))
            else:
                rest.must(200, "POST", f"/queues/{queue}/groups/{group}/reset",
                          {"position": "time", "timestamp": times_ms[i + 1]})
            scatter(rest, queue, group)
        counters = [rest.counters(queue, group) for group in groups]
        broker.kill()
        killed = measure(broker, rest, queue, groups, counters, "after a kill")
        broker.stop()
        stopped = measure(broker, rest, queue, groups, counters, "after an orderly stop")
        return {key: max(killed[key], stopped[key]) for key in killed}
    finally:
        broker.close(check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dmsd", default=os.path.join(ROOT, "build/release/dmsd"))
    parser.add_argument("--loadgen", default=os.path.join(ROOT, "build/release/loadgen"))
    parser.add_argument("--mode", default="KAFKA_HA", choices=["KAFKA_HA", "NORMAL"])
    parser.add_argument("--json", action="store_true", help="the result as the last line")
    parser.add_argument("--messages", type=int, default=100_000_000)
    options = parser.parse_args()
    worst = report(options.dmsd, options.loadgen, options.mode, options.messages)
    if options.json:
        print(json.dumps(worst))
    sys.exit(0 if worst["start_s"] <= START_SECONDS_MAX and
             worst["peak_mb"] * 1e6 <= MEMORY_BYTES_MAX else 1)


if __name__ == "__main__":
    main()
