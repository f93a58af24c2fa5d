#!/usr/bin/env python3
"""dmsd as a process: its options, its signals, its data directory."""

import concurrent.futures
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import harness
import wire

REFUSE_SECONDS_MAX = 20
LOOPS_DEFAULT_MAX = 16


class Process(unittest.TestCase):
    def broker(self, **options):
        broker = harness.Broker(**options)
        self.addCleanup(broker.close)
        return broker

    def refused(self, *arguments, data=None):
        """Runs dmsd, which must end by itself with an error; returns what it said."""
        directory = tempfile.mkdtemp(prefix="dmsd-process-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        given = {argument.split("=")[0] for argument in arguments}
        rest = {"listeners": f"PLAINTEXT://{harness.HOST}:{harness.free_port()}",
                "http.listeners": f"http://{harness.HOST}:{harness.free_port()}",
                "log.dirs": data or os.path.join(directory, "data")}
        command = [harness.binary(), *arguments,
                   *(f"{key}={value}" for key, value in rest.items() if key not in given)]
        try:
            run = subprocess.run(command, capture_output=True, text=True, cwd=directory,
                                 timeout=REFUSE_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.fail(f"dmsd accepted: {' '.join(arguments)}")
        self.assertGreater(run.returncode, 0, f"{arguments}: {run.stderr}")
        return run.stdout + run.stderr

    def test_unknown_key_is_refused_and_names_the_nearest(self):
        said = self.refused("num.partitons=3")
        self.assertIn("num.partitons", said)
        self.assertIn("num.partitions", said)

    def test_bad_values_are_refused_and_name_the_key(self):
        for key, value in (("num.partitions", "three"), ("num.partitions", "0"),
                           ("num.partitions", "-1"), ("num.partitions", "3x"),
                           ("num.network.threads", "-1"), ("node.id", "one"),
                           ("auto.create.topics.enable", "perhaps"),
                           ("group.initial.rebalance.delay.ms", "99999999999999999999"),
                           ("listeners", "127.0.0.1:9092"), ("listeners", "PLAINTEXT://x:port"),
                           ("http.listeners", "ftp://127.0.0.1:1")):
            with self.subTest(f"{key}={value}"):
                self.assertIn(key, self.refused(f"{key}={value}"))

    def test_argument_that_is_no_assignment_is_refused(self):
        self.assertIn("nonsense", self.refused("nonsense"))

    def test_second_dmsd_on_the_same_directory_is_refused(self):
        broker = self.broker()
        said = self.refused(f"log.dirs={broker.data}")
        self.assertIn(broker.data, said)
        self.assertTrue(broker.ready())  # the first was not disturbed
        broker.kcat("-P", "-t", "undisturbed", stdin=b"x\n")

    def test_port_in_use_is_refused_with_its_name(self):
        with socket.create_server((harness.HOST, harness.free_port())) as taken:
            port = taken.getsockname()[1]
            said = self.refused(f"listeners=PLAINTEXT://{harness.HOST}:{port}")
            self.assertIn(str(port), said)
            said = self.refused(f"http.listeners=http://{harness.HOST}:{port}")
            self.assertIn(str(port), said)

    def test_listening_beyond_loopback_without_authentication_is_refused(self):
        port = harness.free_port()
        for argument in (f"listeners=PLAINTEXT://0.0.0.0:{port}",
                         f"http.listeners=http://0.0.0.0:{port}"):
            with self.subTest(argument):
                self.assertIn("0.0.0.0", self.refused(argument))

    def test_data_directory_that_cannot_be_made_is_refused(self):
        with tempfile.NamedTemporaryFile() as file:
            self.assertIn(file.name, self.refused(f"log.dirs={file.name}/data"))

    def test_sigterm_ends_with_0(self):
        broker = self.broker()
        broker.kcat("-P", "-t", "some", stdin=b"x\n")
        self.assertEqual(broker.stop(), 0)

    def test_sigint_and_sighup_end_with_0(self):
        for number in (signal.SIGINT, signal.SIGHUP):
            broker = self.broker()
            process, broker.process = broker.process, None
            process.send_signal(number)
            self.assertEqual(process.wait(harness.STOP_SECONDS_MAX), 0)
            self.assertIn(f"signal={number.value}", broker.log_tail(1))

    def test_nohup_keeps_it_alive(self):
        class Broker(harness.Broker):
            def arguments(self):
                return ["nohup", *super().arguments()]
        broker = Broker()
        self.addCleanup(broker.close)
        process, broker.process = broker.process, None
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)  # taken after the other when both wait
        self.assertEqual(process.wait(harness.STOP_SECONDS_MAX), 0)
        self.assertIn(f"signal={signal.SIGTERM.value}", broker.log_tail(1))

    def test_sigterm_does_not_wait_for_parked_requests(self):
        broker = self.broker()
        rest = broker.rest()
        queue = rest.create_queue()["id"]
        group = rest.create_group(queue)
        path = f"{rest.prefix}/queues/{queue}/groups/{group}/messages?time_wait=60"
        with socket.create_connection((harness.HOST, broker.http_port)) as parked:
            # The answer to the first request tells that the second was taken too.
            parked.sendall(f"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
                           f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertIn(b"200", parked.recv(4096))
            started = time.monotonic()
            self.assertEqual(broker.stop(), 0)
            self.assertLess(time.monotonic() - started, 20)
            answer = b"".join(iter(lambda: parked.recv(4096), b""))
            self.assertIn(b"HTTP/1.1 200 ", answer)
            self.assertIn(b"Connection: close\r\n", answer)
            self.assertTrue(answer.endswith(b"\r\n\r\n[]"), answer)

    def test_sigterm_answers_what_waits_at_the_kafka_door(self):
        broker = self.broker(num_partitions=1, group_initial_rebalance_delay_ms=60000)
        broker.kcat("-P", "-t", "topic", stdin=b"only one\n")
        with wire.Connection(broker.connect()) as poll, wire.Connection(broker.connect()) as join:
            for connection in (poll, join):
                wire.read_metadata(connection.call(wire.METADATA, 1, wire.metadata_body([], 1)),
                                   1)
            # The answer to the first request tells that the second was taken too.
            poll.send(wire.METADATA, 1, wire.metadata_body([], 1))
            polled = poll.send(wire.FETCH, 4, wire.fetch_body("topic", 0, 1, max_wait_ms=60000))
            poll.receive()
            join.send(wire.METADATA, 1, wire.metadata_body([], 1))
            joined = join.send(wire.JOIN_GROUP, 1, wire.string("group") + wire.i32(30000)
                               + wire.i32(30000) + wire.string("") + wire.string("consumer")
                               + wire.array([wire.string("range") + wire.data(b"")]))
            join.receive()
            started = time.monotonic()
            self.assertEqual(broker.stop(), 0)
            self.assertLess(time.monotonic() - started, 4)  # dms.shutdown.drain.ms is 5000
            correlation, answer = poll.receive()
            self.assertEqual(correlation, polled)
            part = wire.FetchAnswer(answer).parts[0]
            self.assertEqual((part["error"], part["high_watermark"], part["records"]),
                             (0, 1, b""))
            self.assertTrue(poll.is_closed_by_peer())
            correlation, answer = join.receive()
            self.assertEqual((correlation, answer.i16()), (joined, 16))  # NOT_COORDINATOR
            self.assertTrue(join.is_closed_by_peer())

    def test_sigterm_drains_everything_acknowledged_stays(self):
        broker = self.broker()
        rest = broker.rest()
        queue = rest.create_queue(queue_mode="KAFKA_HA")["id"]
        group = rest.create_group(queue)
        acknowledged = []

        def produce():
            try:
                for index in range(100000):
                    rest.produce(queue, f"{index}")
                    acknowledged.append(index)
            except (OSError, AssertionError, ValueError):
                return  # the broker has gone
            except Exception as error:  # http.client's: cut off
                self.assertIn("http.client", type(error).__module__)

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            job = pool.submit(produce)
            harness.wait_for("it is in the middle", lambda: len(acknowledged) > 50)
            self.assertEqual(broker.stop(), 0)
            job.result()
        broker.start()
        produced = rest.counters(queue, group)[0]
        self.assertGreaterEqual(produced, len(acknowledged))
        self.assertLessEqual(produced, len(acknowledged) + 1)

    def test_kill_9_keeps_what_was_acknowledged(self):
        broker = self.broker(num_partitions=1)
        rest = broker.rest()
        queue = rest.create_queue(queue_mode="FIFO")["id"]
        group = rest.create_group(queue)
        rounds = 10 if harness.SOAK else 3
        for number in range(rounds):
            broker.kcat("-P", "-t", "kept", "-X", "acks=all", stdin=b"%d\n" % number)
            rest.produce(queue, number)
            name = f"made-{number}"
            broker.kcat("-P", "-t", name, "-X", "acks=all", stdin=b"x\n")
            broker.kill()
            broker.start()
            self.assertEqual(
                broker.kcat("-C", "-t", name, "-o", "beginning", "-e", "-q"), b"x\n")
        values = broker.kcat("-C", "-t", "kept", "-o", "beginning", "-e", "-q").split()
        self.assertEqual(values, [b"%d" % number for number in range(rounds)])
        self.assertEqual(rest.drain(queue, group, rounds), list(range(rounds)))

    def test_restart_keeps_identity_topics_and_ids(self):
        broker = self.broker(num_partitions=2)
        broker.kcat("-P", "-t", "kept", stdin=b"x\n")
        before = broker.kcat("-L", "-J")
        broker.restart()
        self.assertEqual(broker.kcat("-L", "-J"), before)

    def test_advertised_address_is_what_clients_are_told(self):
        port = harness.free_port()
        broker = self.broker(advertised_listeners=f"PLAINTEXT://localhost:{port}")
        self.assertIn(f'"localhost:{port}"'.encode(), broker.kcat("-L", "-J"))

    def test_topics_are_not_made_by_naming_them_when_told_so(self):
        broker = self.broker(auto_create_topics_enable="false")
        with self.assertRaises(AssertionError):
            broker.kcat("-P", "-t", "nowhere", "-X", "message.timeout.ms=2000", stdin=b"x\n")

    def test_configuration_is_taken(self):
        broker = self.broker(num_partitions=7, node_id=42)
        broker.kcat("-P", "-t", "seven", stdin=b"x\n")
        listed = broker.kcat("-L", "-J", "-t", "seven")
        self.assertEqual(listed.count(b'"partition":'), 7)
        self.assertIn(b'"id":42', listed)

    def test_as_many_loops_as_cores_that_it_may_use(self):
        processors = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, processors)
        for usable in (processors, {min(processors)}):
            os.sched_setaffinity(0, usable)
            log = self.broker(num_network_threads=0).log()
            self.assertIn(f"loops={min(len(usable), LOOPS_DEFAULT_MAX)}\n", log)

    def test_as_many_descriptors_as_it_may_have(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1] // 2, limit[1]))
        broker = self.broker()
        self.assertEqual(resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE),
                         (limit[1], limit[1]))

    def test_ends_though_a_message_waits_for_space(self):
        broker = self.broker(log_segment_bytes=16384)
        rest = broker.rest()
        queue = rest.create_queue()["id"]
        for _ in range(12):
            rest.produce(queue, "x" * 9000)
        # From here on a file system without room; in each partition the next needs a new segment.
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (4096, 4096))
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waits = pool.submit(rest.produce, queue, "x" * 9000)
            harness.wait_for("the message waits", lambda: "LOG_NO_SPACE" in broker.log())
            self.assertFalse(waits.done())
            self.assertEqual(broker.stop(), 0)
            self.assertIsNotNone(waits.exception())

    def test_idle_broker_uses_no_cpu(self):
        broker = self.broker()
        ticks = os.sysconf("SC_CLK_TCK")

        def used():
            with open(f"/proc/{broker.process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / ticks

        before, started = used(), time.monotonic()
        harness.wait_for("two seconds pass", lambda: time.monotonic() - started > 2)
        self.assertLess(used() - before, 0.5)


if __name__ == "__main__":
    harness.main(threads=3)
