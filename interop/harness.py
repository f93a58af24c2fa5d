"""Runs a real dmsd for black-box tests: free ports, a data directory of its own, a poll on
/readyz, kill and restart on the same data. Standard library only.

The binary is named by DMSD_BINARY or by `--dmsd PATH` on the command line of a test.

As a program: harness.py [key=value ...] -- PROGRAM [ARGUMENT ...]
runs PROGRAM beside a dmsd whose address it finds in DMSD_BOOTSTRAP.
"""

import atexit
import collections
import concurrent.futures
import ctypes
import functools
import glob
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

HOST = "127.0.0.1"
READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30
KCAT_METADATA_SECONDS_MAX = 30  # kcat's own 5 are few beside a sanitizer
# Below what the kernel gives to outgoing connections, so that none takes a port of ours
# between two starts.
PORTS = range(20000, 32000)
PR_SET_PDEATHSIG = 1

SOAK = bool(os.environ.get("DMSD_SOAK"))
# Where captures of what clients and brokers say go: a path without its "-1.pcap". Empty: none.
CAPTURE = os.environ.get("DMSD_CAPTURE", "")

_live = set()  # brokers whose process or directory must not outlive this program
_libc = ctypes.CDLL(None, use_errno=True)
_reservations = []  # of ports; they end with this program
_captures = 0


class BrokerError(AssertionError):
    """dmsd did not do what the harness asked it to."""


def binary():
    path = os.environ.get("DMSD_BINARY")
    if not path:
        here = os.path.dirname(os.path.abspath(__file__))
        path = os.path.join(here, "..", "build", "release", "dmsd")
    path = os.path.abspath(path)
    if not os.access(path, os.X_OK):
        sys.exit(f"no dmsd at {path}: name it with DMSD_BINARY or --dmsd")
    return path


@functools.lru_cache(maxsize=1)
def slowness():
    """What bounds of time are to be multiplied with: sanitizers and coverage slow dmsd down."""
    with open(binary(), "rb") as file:
        program = file.read()
    return 10 if any(name in program for name in (b"__asan_", b"__tsan_", b"__gcov_")) else 1


def free_port():
    """A port of the loopback that nothing listens on now, and that no other program of ours takes
    before this one has ended, while a broker starts anew, say."""
    while True:
        port = random.choice(PORTS)
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0dmsd-test-port-{port}")
            with socket.socket() as probe:
                probe.bind((HOST, port))
        except OSError:
            reservation.close()
            continue
        _reservations.append(reservation)
        return port


def wait_for(what, condition, seconds=20.0, pause=0.02):
    """Polls condition until it gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        threading.Event().wait(pause)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Broker:
    """One dmsd and its data directory. It dies with the thread that started it."""

    def __init__(self, start=True, **options):
        """options: configuration keys with `_` for `.`, as num_partitions=3."""
        self.directory = tempfile.mkdtemp(prefix="dmsd-interop-")
        self.data = os.path.join(self.directory, "data")
        self.log_path = os.path.join(self.directory, "stderr")
        self.options = {"group.initial.rebalance.delay.ms": "0", "num.network.threads": "2"}
        self.options.update({key.replace("_", "."): str(value)
                             for key, value in options.items()})
        self.environment = {}  # beside what this program has
        self.process = None
        self.recorder = None
        self.choose_ports()
        _live.add(self)
        if start:
            try:
                self.start()
            except BaseException:
                self.close(check=False)
                raise

    def choose_ports(self):
        """kafka_port is where clients go; dmsd listens there, or the recorder does."""
        self.kafka_port = free_port()
        self.http_port = free_port()
        self.bootstrap = f"{HOST}:{self.kafka_port}"
        self.listen_port = self.kafka_port
        if CAPTURE:
            self.listen_port = free_port()
            self.record()

    def record(self):
        """Puts a recorder before dmsd, which writes what passes to a file of its own."""
        global _captures
        self.end_recorder()
        if _captures == 0:
            for old in glob.glob(glob.escape(CAPTURE) + "-*.pcap"):
                os.remove(old)
            os.makedirs(os.path.dirname(CAPTURE), exist_ok=True)
        _captures += 1
        here = os.path.dirname(os.path.abspath(__file__))
        self.recorder = subprocess.Popen(
            [sys.executable, os.path.join(here, "recorder.py"), str(self.kafka_port),
             str(self.listen_port), f"{CAPTURE}-{_captures}.pcap"],
            stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)
        wait_for("the recorder listens", self.recorder_listens)

    def recorder_listens(self):
        if self.recorder.poll() is not None:
            raise BrokerError("the recorder ended")
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.kafka_port)) == 0

    def end_recorder(self):
        if self.recorder is not None:
            recorder, self.recorder = self.recorder, None
            recorder.send_signal(signal.SIGTERM)
            recorder.wait()

    def arguments(self):
        options = {
            "listeners": f"PLAINTEXT://{HOST}:{self.listen_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "http.listeners": f"http://{HOST}:{self.http_port}",
            "log.dirs": self.data,
        }
        options.update(self.options)
        return [binary(), *(f"{key}={value}" for key, value in options.items())]

    def spawn(self):
        """Starts the process and does not wait."""
        assert self.process is None
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.arguments(), cwd=self.directory,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment},
                                            preexec_fn=_die_with_parent)

    def start(self):
        is_new = not os.path.exists(self.data)
        for _ in range(3):
            self.spawn()
            if self.wait_ready():
                return
            # Somebody may have taken a port; with data there the clients know ours.
            if "the port is taken" not in self.log() or not is_new:
                break
            shutil.rmtree(self.data, ignore_errors=True)
            os.remove(self.log_path)
            self.choose_ports()
        raise BrokerError(f"dmsd did not start:\n{self.log_tail()}")

    def wait_ready(self):
        """True once /readyz says so; False if the process ended."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while self.process.poll() is None:
            if self.ready():
                return True
            if time.monotonic() > deadline:
                raise BrokerError(f"not ready in {READY_SECONDS_MAX} s:\n{self.log_tail()}")
            threading.Event().wait(0.02)
        self.process = None
        return False

    def ready(self):
        try:
            connection = http.client.HTTPConnection(HOST, self.http_port, timeout=5)
            connection.request("GET", "/readyz")
            status = connection.getresponse().status
            connection.close()
            return status == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise BrokerError(f"did not end in {STOP_SECONDS_MAX} s after SIGTERM:\n"
                              f"{self.log_tail()}") from None

    def kill(self):
        """kill -9."""
        if self.process is not None:
            process, self.process = self.process, None
            process.kill()
            process.wait()

    def restart(self):
        status = self.stop()
        if status != 0:
            raise BrokerError(f"dmsd ended with {status}:\n{self.log_tail()}")
        self.start()

    def close(self, check=True):
        """Ends the process and removes the data. With check, a status other than 0 (a
        sanitizer's report, an assertion) is an error."""
        log = ""
        status = 0
        try:
            if self.process is not None and self.process.poll() is not None:
                status = self.process.wait()
                self.process = None
            if check:
                status = status or self.stop()
            else:
                self.kill()
            log = self.log_tail()
        finally:
            self.kill()
            self.end_recorder()
            _live.discard(self)
            shutil.rmtree(self.directory, ignore_errors=True)
        if check and status != 0:
            raise BrokerError(f"dmsd ended with {status}:\n{log}")

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def rest(self, project=None):
        return Rest(self.http_port, project)

    def rss_mib(self, field="VmRSS"):
        """Resident memory of the process."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) / 1024
        raise AssertionError(f"no {field}")

    def rss_mib_max(self):
        """The most that it was since reset_rss_max."""
        return self.rss_mib("VmHWM")

    def reset_rss_max(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def cpu_seconds(self):
        """What the process has used of its processors."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self, timeout=20.0):
        """A raw connection to the Kafka door."""
        return socket.create_connection((HOST, self.kafka_port), timeout=timeout)

    def kcat(self, *arguments, **run):
        """Runs kcat, returns what it wrote; any failure of kcat is one of the test."""
        return kcat(self.bootstrap, *arguments, **run)


def kcat(bootstrap, *arguments, stdin=b"", timeout=60):
    command = ["kcat", "-m", str(KCAT_METADATA_SECONDS_MAX), "-b", bootstrap, *arguments]
    run = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout)
    if run.returncode != 0:
        raise AssertionError(f"{' '.join(command)} gave {run.returncode}:\n"
                             f"{run.stderr.decode(errors='replace')}")
    return run.stdout


def new_project():
    """A project id of its own: 32 hex digits."""
    return uuid.uuid4().hex


Answer = collections.namedtuple("Answer", "status body headers raw")


class Rest:
    """The REST door of one broker, for one project. Each call is a connection of its own,
    so that any thread may call."""

    def __init__(self, port, project=None, version="v1.0"):
        self.port = port
        self.project = project or new_project()
        self.prefix = f"/{version}/{self.project}"

    def raw(self, method, target, body=None, headers=None, timeout=90):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            response = connection.getresponse()
            raw = response.read()
            try:
                parsed = json.loads(raw) if raw else None
            except ValueError:
                parsed = None
            return Answer(response.status, parsed, dict(response.getheaders()), raw)
        finally:
            connection.close()

    def pipeline(self, targets, headers=None, timeout=90):
        """GETs all targets over one connection, without waiting between them; gives each answer
        as it comes. Nothing is sent before the first is asked for."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        with socket.create_connection((HOST, self.port), timeout) as sock, \
                sock.makefile("rb") as stream:
            sock.sendall("".join(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n"
                                 for target in targets).encode())
            for _ in targets:
                status = int(stream.readline().split()[1])
                got = http.client.parse_headers(stream)
                raw = stream.read(int(got["Content-Length"] or 0))
                yield Answer(status, json.loads(raw) if raw else None, dict(got), raw)

    def call(self, method, path, value=None, **arguments):
        """path is below the project; value is sent as JSON."""
        body, headers = None, {}
        if value is not None:
            body = json.dumps(value).encode()
            headers["Content-Type"] = "application/json"
        return self.raw(method, self.prefix + path, body, headers, **arguments)

    def must(self, status, method, path, value=None, **arguments):
        """As call; any other status is a failure. Returns the parsed body."""
        answer = self.call(method, path, value, **arguments)
        if answer.status != status:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.raw!r}, "
                                 f"wanted {status}")
        return answer.body

    def create_queue(self, name="queue", **fields):
        return self.must(201, "POST", "/queues", {"name": name, **fields})

    def create_group(self, queue_id, name="group"):
        made = self.must(201, "POST", f"/queues/{queue_id}/groups",
                         {"groups": [{"name": name}]})
        return made["groups"][0]["id"]

    def produce(self, queue_id, *bodies, **fields):
        messages = [{"body": body, **fields} for body in bodies]
        return self.must(201, "POST", f"/queues/{queue_id}/messages",
                         {"messages": messages})["messages"]

    def consume(self, queue_id, group_id, max_msgs=10, time_wait=3, ack_wait=None):
        query = f"?max_msgs={max_msgs}&time_wait={time_wait}"
        if ack_wait is not None:
            query += f"&ack_wait={ack_wait}"
        return self.must(200, "GET", f"/queues/{queue_id}/groups/{group_id}/messages{query}")

    def ack(self, queue_id, group_id, messages, status="success"):
        return self.must(200, "POST", f"/queues/{queue_id}/groups/{group_id}/ack",
                         {"message": [{"handler": one["handler"], "status": status}
                                      for one in messages]})

    def drain(self, queue_id, group_id, count, seconds=60):
        """Consumes and acknowledges until count messages came; returns their bodies."""
        bodies = []
        deadline = time.monotonic() + seconds
        while len(bodies) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(bodies)} of {count} messages in {seconds} s")
            messages = self.consume(queue_id, group_id)
            if messages:
                answer = self.ack(queue_id, group_id, messages)
                assert answer == {"success": len(messages), "fail": 0}, answer
            bodies += [one["message"]["body"] for one in messages]
        return bodies

    def group(self, queue_id, group_id):
        """The group's row of the list, with its counters."""
        groups = self.must(200, "GET", f"/queues/{queue_id}/groups")["groups"]
        return next(one for one in groups if one["id"] == group_id)

    def counters(self, queue_id, group_id):
        """(produced, consumed, available)"""
        row = self.group(queue_id, group_id)
        return (row["produced_messages"], row["consumed_messages"], row["available_messages"])


class BrokerTest(unittest.TestCase):
    """Tests that share one broker for the class; options are its configuration."""

    options = {}
    broker = None

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(**cls.options)
        cls.addClassCleanup(cls.close_broker)

    @classmethod
    def close_broker(cls):
        cls.broker.close()

    def own_broker(self, **options):
        """A broker for this test alone."""
        broker = Broker(**options)
        self.addCleanup(broker.close)
        return broker

    @staticmethod
    def topic(prefix="topic"):
        """A topic name nobody has used."""
        return f"{prefix}-{uuid.uuid4().hex[:12]}"


class ParallelRunner:
    """Runs the tests of each class side by side: for tests that mostly wait."""

    def __init__(self, threads):
        self.threads = threads

    def run(self, suite):
        started = time.monotonic()
        classes = collections.defaultdict(list)
        self.collect(suite, classes)
        total = unittest.TestResult()
        for cls, tests in classes.items():
            self.run_class(cls, tests, total)
        for test, text in total.errors + total.failures:
            print(f"{'=' * 70}\nFAILED: {test}\n{text}", file=sys.stderr)
        bad = len(total.errors) + len(total.failures)
        print(f"{total.testsRun} tests in {time.monotonic() - started:.1f} s, {bad} failed",
              file=sys.stderr)
        return total

    def collect(self, suite, classes):
        for one in suite:
            if isinstance(one, unittest.TestSuite):
                self.collect(one, classes)
            else:
                classes[type(one)].append(one)

    def run_class(self, cls, tests, total):
        try:
            cls.setUpClass()
        except Exception:
            total.addError(tests[0], sys.exc_info())
            cls.doClassCleanups()
            return
        with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
            for result in pool.map(self.run_test, tests):
                total.testsRun += result.testsRun
                total.errors += result.errors
                total.failures += result.failures
        cls.tearDownClass()
        cls.doClassCleanups()
        for error in cls.tearDown_exceptions:
            total.addError(tests[0], error)

    @staticmethod
    def run_test(test):
        result = unittest.TestResult()
        started = time.monotonic()
        test.run(result)
        word = "ok" if result.wasSuccessful() else "FAILED"
        print(f"{test.id()} ... {word} ({time.monotonic() - started:.1f} s)", file=sys.stderr)
        return result


def main(threads=1):
    """Takes --dmsd PATH out of the command line and runs the tests of the calling file."""
    if "--dmsd" in sys.argv:
        at = sys.argv.index("--dmsd")
        os.environ["DMSD_BINARY"] = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    binary()
    if threads > 1:
        unittest.main(module="__main__", testRunner=ParallelRunner(threads))
    unittest.main(module="__main__", verbosity=2)


def run_beside():
    """harness.py [key=value ...] -- PROGRAM [ARGUMENT ...]"""
    if "--" not in sys.argv:
        sys.exit(__doc__)
    at = sys.argv.index("--")
    options = dict(argument.split("=", 1) for argument in sys.argv[1:at])
    broker = Broker(start=False)
    broker.options.update(options)
    broker.start()
    status = subprocess.run(sys.argv[at + 1:],
                            env={**os.environ, "DMSD_BOOTSTRAP": broker.bootstrap}).returncode
    if status != 0:
        print(broker.log_tail(), file=sys.stderr)
    broker.close()
    sys.exit(1 if status != 0 else 0)


@atexit.register
def _close_all():
    for broker in list(_live):
        broker.close(check=False)


# A test that is stopped from outside runs its clean-up too.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

if __name__ == "__main__":
    run_beside()
