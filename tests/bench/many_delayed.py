#!/usr/bin/env python3
"""Makes many messages wait for their time, and says what that costs.

    many_delayed.py [--dmsd PATH] [--messages 10000000]

Messages with delays of up to a week, in five queues. Measured with all of them pending: how late
messages with short delays are, the memory of the broker, and how long it takes to start after a
kill (SIGKILL). Fails when it needs more than 400 MB, or a message is more than 100 ms late.
"""

import argparse
import http.client
import json
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "interop"))
import harness  # noqa: E402

QUEUES = 5
THREADS = 50
WEEK_MS = 604_800_000
LATE_SECONDS_MAX = 0.1
MEMORY_BYTES_MAX = 400_000_000


def memory(broker, field="VmRSS"):
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) * 1024


def fill(broker, rest, queues, messages):
    """Over connections that are kept, ten messages a request, delays of an hour to a week."""
    bodies = [json.dumps({"messages": [
        {"body": {"number": i * 10 + j}, "delay_time": 3_600_000 + (i * 10 + j) * 601_000 % WEEK_MS}
        for j in range(10)]}) for i in range(100)]

    def work(count):
        connection = http.client.HTTPConnection(harness.HOST, broker.http_port)
        for i in range(count):
            connection.request("POST", f"{rest.prefix}/queues/{queues[i % QUEUES]}/messages",
                               bodies[i % len(bodies)])
            answer = connection.getresponse()
            raw = answer.read()
            assert answer.status == 201, raw
        connection.close()

    threads = [threading.Thread(target=work, args=(messages // 10 // THREADS,))
               for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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


def run(options):
    broker = harness.Broker(dms_delayed_messages_max=2 * options.messages)
    try:
        rest = broker.rest()
        queues = [rest.create_queue(f"queue{i}")["id"] for i in range(QUEUES)]
        group = rest.create_group(queues[0])
        started = time.monotonic()
        fill(broker, rest, queues, options.messages)
        count = pending(rest, queues)
        late = lateness(rest, queues[0], group)
        print(f"{count} pending after {time.monotonic() - started:.0f} s, "
              f"{memory(broker) / 1e6:.0f} MB (peak {memory(broker, 'VmHWM') / 1e6:.0f}); late by "
              f"{late[len(late) // 2] * 1000:.1f} ms, at most {late[-1] * 1000:.1f} ms")
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
        return max(late[-1], late_again[-1]) <= LATE_SECONDS_MAX and peak <= MEMORY_BYTES_MAX
    finally:
        broker.close(check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dmsd", default=os.path.join(ROOT, "build/release/dmsd"))
    parser.add_argument("--messages", type=int, default=10_000_000)
    options = parser.parse_args()
    os.environ["DMSD_BINARY"] = options.dmsd
    sys.exit(0 if run(options) else 1)


if __name__ == "__main__":
    main()
