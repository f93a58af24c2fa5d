#!/usr/bin/env python3
"""Hostile and unlucky clients: the broker's memory stays bounded, and a client that behaves
hardly notices them. Windows of quiet and of attack take turns, so that what else the machine
does falls on both; the median of the windows' p99 counts.

DMSD_STRICT=1 measures longer and holds the broker to the goal, p99 at most twice the quiet one;
else the test fails only where that is grossly missed.
"""

import concurrent.futures
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time

import harness
import wire

STRICT = bool(os.environ.get("DMSD_STRICT"))
SANITIZED = bool(os.environ.get("DMSD_SANITIZE"))
WINDOWS = 15 if STRICT else 3
WINDOW_SECONDS = 1.0 if STRICT else 0.3
RATIO_MAX = 2.0 if STRICT else 25.0
# Below this a ratio means nothing; what a sanitizer makes of times means little at all.
P99_MS_FREE = 1000.0 if SANITIZED else 2.0 if STRICT else 200.0
FILES_WANTED = 25000

# What each attack may cost in resident memory, and the limits it follows from.
RSS_MIB_MAX = {
    "idle": 64,            # 10,000 connections of at most 6 KiB
    "bad_frames": 32,      # a refused frame is never stored
    "byte_at_a_time": 32,  # a frame's buffer grows with what has come, not with its length
    "never_reads": 320,    # 60 Kafka connections of 2 MiB unsent, 30 HTTP ones of 4, overhead
    "storm": 48,
    "dense_json": 48,      # bodies of 6 MiB, and a tree of 10,000 values
    "pipeline": 64,        # 64 requests in flight per Kafka connection, 16 per HTTP connection
}


def raise_file_limit():
    """As many files as we may have: what dmsd, and the attacker, get too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def neighbour(kafka_port, topic):
    """Produces a message and reads another, at leisure; a line "seconds" in, its p99 out."""
    connection = wire.Connection(wire.socket.create_connection((harness.HOST, kafka_port)))
    connection.sock.setsockopt(wire.socket.IPPROTO_TCP, wire.socket.TCP_NODELAY, 1)
    body = wire.produce_body(topic, 0, wire.batch([b"x" * 100], 1), acks=1)
    for line in sys.stdin:
        end = time.monotonic() + float(line)
        times = []
        while time.monotonic() < end:
            begin = time.perf_counter()
            error = wire.read_produce(
                connection.call(wire.PRODUCE, 3, body), 3)[0]
            assert error == 0, error
            answer = connection.call(wire.FETCH, 4, wire.fetch_body(
                topic, 0, 0, partition_max_bytes=1000))
            assert wire.FetchAnswer(answer).parts[0]["records"]
            times.append((time.perf_counter() - begin) * 1000)
            time.sleep(0.0005)
        times.sort()
        print(json.dumps({"p99": times[len(times) * 99 // 100], "count": len(times)}),
              flush=True)


class Helper:
    """A program that answers each line with a line."""

    def __init__(self, *command):
        self.process = subprocess.Popen([sys.executable, *command], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise AssertionError(f"{self.process.args} ended with {self.process.wait()}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


class Hostile(harness.BrokerTest):
    options = {"log_level": "warn"}

    @classmethod
    def setUpClass(cls):
        cls.files = raise_file_limit()
        super().setUpClass()
        cls.quiet_topic, cls.full_topic = cls.topic("quiet"), cls.topic("full")
        for topic in (cls.quiet_topic, cls.full_topic):
            cls.broker.kcat("-P", "-t", topic, "-p", "0", stdin=b"first\n")
        full = wire.produce_body(cls.full_topic, 0, wire.batch([b"v" * 500000], 1), acks=1)
        with wire.Connection(cls.broker.connect()) as connection:
            for _ in range(64):
                wire.read_produce(connection.call(wire.PRODUCE, 3, full), 3)
        cls.neighbour = Helper(__file__, "--neighbour", str(cls.broker.kafka_port),
                               cls.quiet_topic)
        cls.addClassCleanup(cls.neighbour.close)
        cls.neighbour.ask(0.5)  # warms up

    def measure(self):
        return json.loads(self.neighbour.ask(WINDOW_SECONDS))["p99"]

    def attack(self, name):
        here = os.path.dirname(os.path.abspath(__file__))
        attacker = Helper(os.path.join(here, "hostile.py"), name, str(self.broker.kafka_port),
                          str(self.broker.http_port), self.full_topic)
        self.addCleanup(attacker.close)
        quiet, hostile, rss = [], [], 0
        before = rss_mib(self.broker.process.pid)
        going = ""
        for _ in range(WINDOWS):
            quiet.append(self.measure())
            going = attacker.ask("go").strip()
            hostile.append(self.measure())
            rss = max(rss, rss_mib(self.broker.process.pid))
            attacker.ask("stop")
        one, other = statistics.median(quiet), statistics.median(hostile)
        print(f"{name}: p99 {one:.2f} ms quiet, {other:.2f} ms beside it; "
              f"memory {before:.0f} MiB, then {rss:.0f} MiB ({going})", file=sys.stderr)
        self.assertTrue(self.broker.ready())
        if not SANITIZED:
            self.assertLess(rss - before, RSS_MIB_MAX[name])
        if other > P99_MS_FREE:
            self.assertLess(other / one, RATIO_MAX)
        return going

    def test_10000_idle_connections(self):
        going = self.attack("idle")
        if self.files < FILES_WANTED:
            print(f"RLIMIT_NOFILE allows {self.files}: {going}", file=sys.stderr)

    def test_frames_that_cannot_be(self):
        self.attack("bad_frames")

    def test_a_byte_at_a_time(self):
        self.attack("byte_at_a_time")

    def test_answers_never_read(self):
        self.attack("never_reads")

    def test_answers_read_late(self):
        """Reading stops while a client does not take its answers, and goes on when it does."""
        count = 300
        asked = b"".join(wire.request(wire.FETCH, 4, index, wire.fetch_body(
            self.full_topic, 0, index % 60, partition_max_bytes=1)) for index in range(count))
        with wire.Connection(self.broker.connect(60)) as connection:
            sender = threading.Thread(target=connection.sock.sendall, args=(asked,))
            sender.start()
            before = rss_mib(self.broker.process.pid)
            self.assertLess(self.broker.rest().raw("GET", "/livez").status, 300)
            for index in range(count):
                correlation, answer = connection.receive()
                self.assertEqual(correlation, index)
                self.assertTrue(wire.FetchAnswer(answer).parts[0]["records"])
            sender.join()
        if not SANITIZED:
            self.assertLess(rss_mib(self.broker.process.pid) - before, 64)

    def test_dense_json(self):
        """A tree of JSON costs many times its text: what is no message has few values and is
        short, what is one is no tree."""
        rest = self.broker.rest()
        queue = rest.create_queue()["id"]
        group = rest.create_group(queue)
        path = rest.prefix + "/queues"
        short = b'{"groups":[' + b"{}," * 170000 + b"{}]}"
        long = b'{"groups":[' + b"{}," * 2000000 + b"{}]}"
        body = b"[" + b"{}," * 170000 + b"{}]"
        before = rss_mib(self.broker.process.pid)

        def post(url, text):
            return rest.raw("POST", path + url, text)

        for _ in range(5):
            for url in ("", f"/{queue}/groups", f"/{queue}/policies",
                        f"/{queue}/groups/{group}/reset"):
                answer = post(url, short)
                self.assertEqual((answer.status, answer.body["code"]), (400, 10240009))
                self.assertIn("too many values", answer.body["message"])
                try:
                    answer = post(url, long)
                    self.assertEqual((answer.status, answer.body["code"]), (413, 10540010))
                except (ConnectionError, BrokenPipeError):
                    pass  # it closed while we were talking
            answer = post(f"/{queue}/messages", b'{"messages":[{"body":' + body + b"}]}")
            self.assertEqual(answer.status, 201)
            self.assertEqual(len(rest.consume(queue, group)[0]["message"]["body"]), 170001)
        after = rss_mib(self.broker.process.pid)
        print(f"dense JSON: memory {before:.0f} MiB, then {after:.0f} MiB", file=sys.stderr)
        if not SANITIZED:
            self.assertLess(after - before, RSS_MIB_MAX["dense_json"])

    def test_connection_storm(self):
        self.attack("storm")

    def test_requests_without_end(self):
        self.attack("pipeline")


class DyingMember:
    """A group member by hand, that can stop at any step."""

    def __init__(self, broker, topic, group):
        self.topic, self.group = topic, group
        self.connection = wire.Connection(broker.connect())
        self.member, self.generation = "", -1

    def ask_to_join(self):
        metadata = wire.i16(0) + wire.array([wire.string(self.topic)]) + wire.data(b"")
        self.connection.send(wire.JOIN_GROUP, 1, wire.string(self.group) + wire.i32(SESSION_MS)
                             + wire.i32(SESSION_MS) + wire.string(self.member)
                             + wire.string("consumer")
                             + wire.array([wire.string("range") + wire.data(metadata)]))

    def join(self):
        self.ask_to_join()
        answer = self.connection.receive()[1]
        assert answer.i16() == 0
        self.generation = answer.i32()
        answer.string(), answer.string()
        self.member = answer.string()
        self.members = answer.array(lambda one: (one.string(), one.data()))

    def identity(self):
        return wire.string(self.group) + wire.i32(self.generation) + wire.string(self.member)

    def sync(self):
        """As leader it gives itself nothing and the others nothing: it dies anyway."""
        empty = wire.i16(0) + wire.array([]) + wire.data(b"")
        self.connection.call(wire.SYNC_GROUP, 0, self.identity() + wire.array(
            [wire.string(name) + wire.data(empty) for name, _ in self.members]))

    def heartbeat(self):
        self.connection.call(wire.HEARTBEAT, 0, self.identity())

    def fetch(self):
        self.connection.send(wire.FETCH, 4, wire.fetch_body(self.topic, 0, 0, max_wait_ms=30000,
                                                            min_bytes=1 << 20))

    def commit(self):
        self.connection.send(wire.OFFSET_COMMIT, 2, self.identity() + wire.i64(-1) + wire.array(
            [wire.string(self.topic) + wire.array([wire.i32(0) + wire.i64(1)
                                                   + wire.string("")])]))

    def leave(self):
        self.connection.send(wire.LEAVE_GROUP, 0, wire.string(self.group)
                             + wire.string(self.member))


SESSION_MS = 1500
# What it does before it dies.
DEATHS = {"ask_to_join": ["ask_to_join"], "join": ["join"], "sync": ["join", "sync"],
          "heartbeat": ["join", "sync", "heartbeat"], "fetch": ["join", "sync", "fetch"],
          "commit": ["join", "sync", "commit"], "leave": ["join", "sync", "leave"]}


class Unlucky(harness.BrokerTest):
    """A member dies at every step: the others have its partitions within its session time."""

    options = {"group_min_session_timeout_ms": SESSION_MS, "num_partitions": 2}
    # A rebalance that waits for it, its session, and what the survivor needs to hear of it.
    SECONDS_MAX = 3 * SESSION_MS / 1000 + 5

    def members_count(self, group):
        """Of a stable group; 0 while it is not stable."""
        with wire.Connection(self.broker.connect()) as connection:
            answer = connection.call(wire.DESCRIBE_GROUPS, 0, wire.array([wire.string(group)]))
        answer.i32()
        answer.i16(), answer.string()
        state, _, _ = answer.string(), answer.string(), answer.string()
        members = answer.array(lambda one: (one.string(), one.string(), one.string(),
                                            one.data(), one.data()))
        return len(members) if state == "Stable" else 0

    def die(self, step, closes):
        topic, group = self.topic(step), self.topic("group")
        self.broker.kcat("-P", "-t", topic, "-p", "0", stdin=b"first\n")
        survivor = subprocess.Popen(
            ["kcat", "-b", self.broker.bootstrap, "-q", "-u", "-X",
             f"session.timeout.ms={SESSION_MS}", "-X", "heartbeat.interval.ms=200",
             "-X", "auto.offset.reset=earliest", "-G", group, topic],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self.assertEqual(survivor.stdout.readline(), b"first\n")
            dying = DyingMember(self.broker, topic, group)
            for one in DEATHS[step]:
                getattr(dying, one)()
            self.addCleanup(dying.connection.close)
            if closes:
                dying.connection.close()
            died = time.monotonic()
            harness.wait_for("the survivor is alone", lambda: self.members_count(group) == 1,
                             self.SECONDS_MAX)
            for partition in ("0", "1"):
                self.broker.kcat("-P", "-t", topic, "-p", partition, stdin=b"after\n")
            for _ in range(2):
                self.assertEqual(survivor.stdout.readline(), b"after\n")
            self.assertLess(time.monotonic() - died, self.SECONDS_MAX + 5)
        finally:
            survivor.kill()
            survivor.wait()
            survivor.stdout.close()

    def test_at_every_step(self):
        deaths = [(step, closes) for step in DEATHS for closes in (True, False)]
        with concurrent.futures.ThreadPoolExecutor(len(deaths)) as pool:
            for death, done in [(one, pool.submit(self.die, *one)) for one in deaths]:
                with self.subTest(death):
                    done.result()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--neighbour"]:
        neighbour(int(sys.argv[2]), sys.argv[3])
    else:
        harness.main()
