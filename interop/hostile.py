#!/usr/bin/env python3
"""Clients that no broker wants, as a program of their own, so that they share nothing with
those who measure. For test_hostile.py.

hostile.py ATTACK KAFKA_PORT HTTP_PORT TOPIC
reads "go" and "stop" from its input by turns; answers each with a line, when done.
"""

import os
import resource
import selectors
import socket
import struct
import sys
import threading

import wire

HOST = "127.0.0.1"
IDLE_CONNECTIONS = 10000
FILES_BESIDE_CONNECTIONS = 100


def connect(port, timeout=10):
    return socket.create_connection((HOST, port), timeout=timeout)


def fetch(topic, correlation):
    """A fetch from the beginning, of as much as there is."""
    return wire.request(wire.FETCH, 4, correlation, wire.fetch_body(
        topic, 0, 0, max_bytes=50 << 20, partition_max_bytes=50 << 20))


def metadata(correlation):
    return wire.request(wire.METADATA, 1, correlation, wire.array(None))


def push(sock, payload):
    """Sends as much as the peer takes at once; False when it is gone."""
    sock.setblocking(False)
    try:
        while sock.send(payload) > 0:
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


class Attack:
    """What go() opened, stop() closes. A subclass says what happens in between."""

    threads_count = 0

    def __init__(self, kafka, http, topic):
        self.kafka, self.http, self.topic = kafka, http, topic
        self.sockets = []
        self.threads = []
        self.over = threading.Event()

    def go(self):
        self.over.clear()
        self.open()
        self.threads = [threading.Thread(target=self.repeat) for _ in range(self.threads_count)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        for sock in self.sockets:
            sock.close()
        self.sockets = []

    def open(self):
        """Before go is answered."""

    def repeat(self):
        while not self.over.is_set():
            try:
                self.step()
            except OSError:
                pass
            self.over.wait(0.001)

    def step(self):
        """Again and again until stop, in each thread."""


class IdleConnections(Attack):
    """Half of them at each door; fewer only if the system lets us have no more."""

    def open(self):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(IDLE_CONNECTIONS, soft - FILES_BESIDE_CONNECTIONS)
        for index in range(count):
            self.sockets.append(connect(self.kafka if index % 2 else self.http))


class BadFrames(Attack):
    """Lengths, keys, versions and bodies that cannot be."""

    threads_count = 2
    FRAMES = [struct.pack(">i", length) for length in (-1, -2**31, 2**31 - 1, 200 << 20)] + [
        wire.request(9999, 0, 1, b""), wire.request(-1, 0, 1, b""),
        wire.request(wire.FETCH, 99, 1, b""), wire.request(wire.FETCH, -1, 1, b""),
        wire.request(wire.METADATA, 1, 1, wire.i32(2**31 - 1)),
        wire.request(wire.PRODUCE, 3, 1, b"\xff" * 40), struct.pack(">i", 0)]
    HTTP = [b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100, b"GET /" + b"a" * 100000,
            b"POST /v1.0/x/queues HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
            b"POST /v1.0/x/queues HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n"]

    def step(self):
        for port, messages in ((self.kafka, self.FRAMES), (self.http, self.HTTP)):
            for message in messages:
                with connect(port) as sock:
                    sock.sendall(message)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
            if self.over.is_set():
                return


class ByteAtATime(Attack):
    """Many that never get to the end of a request; half of them stop in the middle."""

    threads_count = 1

    def open(self):
        self.at = 0
        for index in range(400):
            sock = connect(self.kafka if index % 2 else self.http)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets.append(sock)

    def step(self):
        kafka = struct.pack(">i", 90 << 20) + b"\0" * 1000
        http = b"POST /v1.0/x/queues HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n" * 20
        for index, sock in enumerate(self.sockets):
            if index < 200 or self.at < 20:
                line = kafka if index % 2 else http
                sock.send(line[self.at % len(line):][:1])
        self.at += 1


class NeverReads(Attack):
    """They ask for much, by the pipeline, and never take an answer."""

    COUNT = 30

    def open(self):
        http = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n" * 100
        for index in range(self.COUNT):
            for port, payload in ((self.kafka, fetch(self.topic, 1) * 50),
                                  (self.kafka, metadata(1) * 50), (self.http, http)):
                sock = connect(port)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                push(sock, payload)
                self.sockets.append(sock)


class ConnectionStorm(Attack):
    """Connections that end as soon as they began, some by a reset."""

    threads_count = 2

    def step(self):
        for index in range(20):
            sock = connect(self.kafka if index % 2 else self.http)
            if index % 3 == 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()


class EndlessPipeline(Attack):
    """Requests without end, whose answers are read as they come."""

    threads_count = 1

    def open(self):
        for index in range(4):
            sock = connect(self.kafka if index % 2 else self.http)
            sock.setblocking(False)
            self.sockets.append(sock)

    def step(self):
        kafka = b"".join(metadata(at) for at in range(200))
        http = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" * 200
        selector = selectors.DefaultSelector()
        left = {}
        for index, sock in enumerate(self.sockets):
            left[sock] = kafka if index % 2 else http
            selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        whole = dict(left)
        taken = bytearray(1 << 16)
        while not self.over.is_set():
            for key, events in selector.select(0.05):
                sock = key.fileobj
                if events & selectors.EVENT_READ and not sock.recv_into(taken):
                    raise AssertionError("a client that reads was closed")
                if events & selectors.EVENT_WRITE:
                    left[sock] = left[sock][sock.send(left[sock]):] or whole[sock]


ATTACKS = {"idle": IdleConnections, "bad_frames": BadFrames, "byte_at_a_time": ByteAtATime,
           "never_reads": NeverReads, "storm": ConnectionStorm, "pipeline": EndlessPipeline}


def main():
    name, kafka, http, topic = sys.argv[1:]
    attack = ATTACKS[name](int(kafka), int(http), topic)
    # What is measured is the broker, not who gets the processors: only what others leave is ours.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for line in sys.stdin:
        if line.strip() == "go":
            attack.go()
            print(f"going {len(attack.sockets)}", flush=True)
        else:
            attack.stop()
            print("stopped", flush=True)


if __name__ == "__main__":
    main()
