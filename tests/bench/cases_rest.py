"""Cases of the REST door."""

import peers
from bench import Case, Row, consume_and_ack, take

US = "µs"
GROSS = 12
CONNECTIONS = [1, 16, 64, 256]
LARGE_OF_TEN = 48 << 10  # the messages of one request may have 512 KiB together
MODES = {"KAFKA_HT": "page cache", "NORMAL": "durable"}


def queue(bench, mode):
    rest = bench.broker.rest()
    made = rest.create_queue(queue_mode=mode)["id"]
    return {"path": rest.prefix, "queue": made, "group": rest.create_group(made), "http": True}


def produce(mode, batch):
    def run(bench):
        return bench.load("rest-produce", connections=64, record_bytes=1024, batch_records=batch,
                          messages=bench.count(100_000) * batch, **queue(bench, mode))
    return run


def consume(bench):
    messages = bench.count(100_000) // 10 * 10
    where = queue(bench, "NORMAL")
    bench.load("rest-produce", connections=64, record_bytes=1024, batch_records=10,
               messages=messages, **where)
    return bench.load("rest-consume", connections=16, record_bytes=1024, messages=messages,
                      **where)


def matrix(mode, batch, size, messages):
    """Produces with each number of connections, and consumes and acknowledges as much."""
    def run(bench):
        where = queue(bench, mode)
        count = max(bench.count(messages) // 10 * 10, 20 * batch)
        report = {}
        for connections in CONNECTIONS:
            common = {"connections": connections, "record_bytes": size, "batch_records": batch,
                      "messages": count, **where}
            report[f"produce {connections}"] = bench.load("rest-produce", **common)
            report[f"consume {connections}"] = bench.load("rest-consume", **common)
        return report
    return run


def cell(operation, connections):
    return lambda report: report[f"{operation} {connections}"]["cpu_s_per_million"]


def matrix_case(mode, batch, size, messages):
    body = f"{size} B" if size < 1024 else f"{size >> 10} KiB"
    rows = []
    for operation, label in [("produce", "produce"), ("consume", "consume and ack")]:
        line = f"{label}, {body}, batches of {batch}, {MODES[mode]}"
        rows += [Row(f"REST matrix: {line}, {connections} connections", US,
                     cell(operation, connections), line=line, column=connections)
                 for connections in CONNECTIONS]
    return Case(matrix(mode, batch, size, messages), rows, messages * size * 4, short=False)


def rest():
    return [
        Case(produce("KAFKA_HT", 1), [
            Row("REST produce 1 KiB, 64 connections, page cache, CPU", US,
                take("cpu_us_per_request"), 9, take("exchange_post_us"), 6.4,
                gross=2 * GROSS),
            Row("REST produce 1 KiB, 64 connections, page cache", "1/s", take("messages_per_s"),
                more_is_better=True)], 0.1e9, peers=peers.post(1024, 100_000)),
        Case(produce("NORMAL", 1), [
            Row("REST produce 1 KiB, 64 connections, CPU", US, take("cpu_us_per_request"), None,
                take("exchange_post_us")),
            Row("REST produce 1 KiB, 64 connections", "1/s", take("messages_per_s"), 60000,
                more_is_better=True)], 0.1e9),
        Case(produce("NORMAL", 10), [
            Row("REST produce 10 x 1 KiB, CPU a message", US, take("cpu_s_per_million"))],
             1e9, short=False, peers=peers.post(1024, 100_000, 10)),
        Case(consume, [Row("REST consume and ack of 10, CPU a message", US,
                           take("cpu_s_per_million"), 3, consume_and_ack,
                           gross=2 * GROSS)], 0.1e9,
             peers=peers.get_and_ack(100_000)),
        *[matrix_case(mode, batch, size, messages) for mode in MODES
          for batch, size, messages in [(1, 256, 20_000), (10, 256, 20_000), (1, 65536, 4_000),
                                        (10, LARGE_OF_TEN, 4_000)]],
    ]
