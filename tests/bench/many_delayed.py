#!/usr/bin/env python3
"""Makes many messages wait for their time, and says what that costs.

    many_delayed.py [--dmsd PATH] [--loadgen PATH] [--messages 10000000]

Messages with delays of up to a week, in five queues. Measured with all of them pending: how late
messages with short delays are, the memory of the broker, and how long it takes to start after a
kill (SIGKILL). Fails when it needs more than 400 MB, or a message is more than 100 ms late.
"""

import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "interop"))
import harness  # noqa: E402

QUEUES = 5
ROUNDS = 10
HOUR_MS = 3_600_000
WEEK_MS = 604_800_000
LATE_SECONDS_MAX = 0.1
MEMORY_BYTES_MAX = 400_000_000


def memory(broker, field="VmRSS"):
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) * 1024


def fill(broker, rest, loadgen, queues, messages):
    """Ten messages a request, delays of an hour to a week; the same spread in each queue."""
    each = messages // QUEUES // ROUNDS
    for queue in queues:
        for i in range(ROUNDS):
            subprocess.run(
                [loadgen, "rest-produce", f"port={broker.http_port}", f"pid={broker.process.pid}",
                 f"path={rest.prefix}", f"queue={queue}", "connections=50", "batch_records=10",
                 "record_bytes=10", f"messages={each}",
                 f"delay_ms={HOUR_MS + i * (WEEK_MS - HOUR_MS) // ROUNDS}",
                 f"delay_step_ms={(WEEK_MS - HOUR_MS) // ROUNDS // 10}"],
                check=True, stdout=subprocess.DEVNULL)


def lateness(rest, queue, group):
    late = []
    for i in range(30):
        delay = 20 + i * 37 % 300
        started = time.monotonic()
        rest.produce(queue, "soon", delay_time=delay)
        messages = rest.consume(queue, group, time_wait=10)
        late.append(time.monotonic() - started - delay / 1000)
        rest.ack(queue, group, messages)
    late.sort()
    return late


def pending(rest, queues):
    return sum(rest.must(200, "GET", f"/queues/{queue}")["delayed_messages"] for queue in queues)


def report(dmsd, loadgen, messages=10_000_000):
    """The worse of before and after the start."""
    os.environ["DMSD_BINARY"] = dmsd
    broker = harness.Broker(dms_delayed_messages_max=2 * messages,
                            dms_delayed_messages_per_queue_max=messages)
    try:
        rest = broker.rest()
        queues = [rest.create_queue(f"queue{i}")["id"] for i in range(QUEUES)]
        group = rest.create_group(queues[0])
        started = time.monotonic()
        fill(broker, rest, loadgen, queues, messages)
        count = pending(rest, queues)
        late = lateness(rest, queues[0], group)
        print(f"{count} pending after {time.monotonic() - started:.0f} s, "
              f"{memory(broker) / 1e6:.0f} MB (peak {memory(broker, 'VmHWM') / 1e6:.0f}); late by "
              f"{late[len(late) // 2] * 1000:.1f} ms, at most {late[-1] * 1000:.1f} ms")
        filled_peak = memory(broker, "VmHWM")
        broker.kill()
        started = time.monotonic()
        broker.start()
        ready = time.monotonic() - started
        late_again = lateness(rest, queues[0], group)
        peak = memory(broker, "VmHWM")
        print(f"after a kill: ready after {ready:.2f} s, {pending(rest, queues)} pending, "
              f"{memory(broker) / 1e6:.0f} MB (peak {peak / 1e6:.0f}); late by "
              f"{late_again[len(late) // 2] * 1000:.1f} ms, at most {late_again[-1] * 1000:.1f} ms")
        assert pending(rest, queues) == count
        return {"late_ms": max(late[-1], late_again[-1]) * 1e3, "start_s": ready,
                "peak_mb": max(peak, filled_peak) / 1e6}
    finally:
        broker.close(check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dmsd", default=os.path.join(ROOT, "build/release/dmsd"))
    parser.add_argument("--loadgen", default=os.path.join(ROOT, "build/release/loadgen"))
    parser.add_argument("--late-ms-max", type=int, default=int(LATE_SECONDS_MAX * 1e3))
    parser.add_argument("--messages", type=int, default=10_000_000)
    options = parser.parse_args()
    worst = report(options.dmsd, options.loadgen, options.messages)
    sys.exit(0 if worst["late_ms"] <= options.late_ms_max and
             worst["peak_mb"] * 1e6 <= MEMORY_BYTES_MAX else 1)


if __name__ == "__main__":
    main()
