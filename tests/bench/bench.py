"""What the cases share: the servers, pinned to one core, and the load generator on another."""

import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(ROOT, "interop"))
import harness  # noqa: E402

SERVER_CPU, CLIENT_CPU = (sorted(os.sched_getaffinity(0)) * 2)[:2]
SPARE_BYTES = 1_000_000_000  # touched beyond what a case writes


def pinned(command):
    return ["taskset", "-c", str(SERVER_CPU), *command]


class PinnedBroker(harness.Broker):
    def __init__(self, binary, **options):
        self.binary = binary
        super().__init__(start=False, num_network_threads=1, **options)
        self.start()

    def arguments(self):
        return pinned([self.binary, *super().arguments()[1:]])


class Bench:
    """One run of one case: where the programs are, and the server it talks to."""

    def __init__(self, loadgen, scale):
        self.loadgen = loadgen
        self.scale = scale  # 1 for the long form
        self.binary = None  # of the dmsd that is measured now
        self.broker = None  # dmsd, or a peer: process, kafka_port, http_port

    def load(self, case, http=False, **options):
        """Runs a case of the load generator against the server; returns its last report."""
        return self.reports(case, **self.where(http), **options)[-1]

    def where(self, http=False):
        return {"port": self.broker.http_port if http else self.broker.kafka_port,
                "pid": self.broker.process.pid}

    def command(self, case, **options):
        options = {"cpu": CLIENT_CPU, **options}
        return [self.loadgen, case, *(f"{key}={value}" for key, value in options.items())]

    def reports(self, case, **options):
        run = subprocess.run(self.command(case, **options), capture_output=True, text=True,
                             timeout=600)
        if run.returncode != 0:
            raise AssertionError(f"{case}: {run.stderr}\n"
                                 f"{self.broker.log_tail() if self.broker else ''}")
        return [json.loads(line) for line in run.stdout.splitlines()]

    def start(self, case, **options):
        """As load, beside what comes next; its report is the process's standard output."""
        return subprocess.Popen(self.command(case, **self.where(), **options), text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def server_cpu_s(self):
        """CPU time of the server so far: the clock of another process (clock_getcpuclockid)."""
        return time.clock_gettime(~self.broker.process.pid << 3 | 2)

    def touch(self, size):
        """So that no case pays for memory which the host had taken back."""
        with open("/proc/meminfo", encoding="ascii") as file:
            available = int(re.search(r"MemAvailable: *(\d+)", file.read()).group(1)) * 1024
        wanted = int(size) + SPARE_BYTES * min(1, self.scale * 2)
        self.reports("touch", bytes=int(min(wanted, available // 2)))

    def count(self, messages):
        return max(1, int(messages * self.scale))


class Row:
    """One figure of a case. value: from a report; floor: from the floor's report, or None.

    bound: what floor was on the machine that the goal was set on, None where that is not known.
    gross: --short fails when the figure is more than this many times its bound, which is the
    floor, or the goal where there is no floor. line and column: the place in a table of many
    alike instead of a line of its own."""

    def __init__(self, name, unit, value, goal=None, floor=None, bound=None, more_is_better=False,
                 gross=None, line=None, column=None):
        self.name = name
        self.unit = unit
        self.value = value
        self.goal = goal
        self.floor = floor
        self.bound = bound
        self.more_is_better = more_is_better
        self.gross = gross
        self.line = line
        self.column = column

    def ratio(self, value, of):
        if not value or not of:
            return None
        return of / value if self.more_is_better else value / of


class Case:
    """run(bench) gives a report. peers: what runs the same against another server, by its name."""

    def __init__(self, run, rows, written=0, short=True, peers=None, floors=None, once=False):
        self.run = run
        self.floors = floors or {}  # of the table of details: by key, of floor and report
        self.once = once  # too long for more than one round
        self.rows = rows
        self.name = rows[0].name
        self.written = written  # bytes, in the long form
        self.short = short
        self.peers = peers or {}


def take(key, scale=1.0):
    return lambda report: report[key] * scale


def receive_and_store(floor):
    """CPU seconds a GB that no broker of this design can do without."""
    return floor["tcp_receive_s_per_gb"] + floor["crc32c_s_per_gb"] + floor["write_s_per_gb"]


def send(floor):
    """Consumed bytes go from the page cache to the socket, whatever way."""
    return floor["sendfile_s_per_gb"]


def million_of_100(floor):
    return receive_and_store(floor) * 0.109  # GB: 100 B and what a record has around it


def send_million_of_100(floor):
    return send(floor) * 0.109


RECORD_OVERHEAD = 9  # bytes around a value


def _stream_floors(cpu_s_per_gb, mb_per_s):
    """Floors of what moves a stream of records."""
    def size(report):
        return report["bytes"] / report["messages"]

    return {"messages_per_s": lambda f, r: f[mb_per_s] * 1e6 / (size(r) + RECORD_OVERHEAD),
            "mb_per_s": lambda f, r: f[mb_per_s] * size(r) / (size(r) + RECORD_OVERHEAD),
            "cpu_s_per_gb": lambda f, r: cpu_s_per_gb(f) * (1 + RECORD_OVERHEAD / size(r)),
            "cpu_s_per_million": lambda f, r: cpu_s_per_gb(f) * (size(r) + RECORD_OVERHEAD) / 1e3}


PRODUCE_FLOORS = _stream_floors(receive_and_store, "tcp_receive_mb_per_s")
CONSUME_FLOORS = _stream_floors(send, "tcp_send_mb_per_s")
DURABLE_FLOORS = {**PRODUCE_FLOORS, "mb_per_s": lambda f, r: f["fdatasync_1mib_mb_per_s"]}
PING_FLOORS = {f"{key}_us": lambda f, r, key=key: f[f"ping_{key}_us"]
               for key in ("p50", "p99", "p999")}


def consume_and_ack(floor):
    """A message's part of a GET of ten and of the POST that acknowledges them."""
    return (floor["exchange_get_us"] + floor["exchange_post_us"]) / 10


def sync_and_ping(floor, key="p50"):
    return floor[f"fdatasync_{key}_us"] + floor[f"ping_{key}_us"]


SYNC_FLOORS = {f"{key}_us": lambda f, r, key=key: sync_and_ping(f, key) for key in ("p50", "p99")}
