#!/usr/bin/env python3
"""What real clients and dmsd said to each other, as the other interop suites recorded it
(recorder.py), read by Wireshark's Kafka dissector: not one malformed packet.

test_dissector.py DIRECTORY SUITE...      each SUITE left DIRECTORY/SUITE-N.pcap
"""

import collections
import concurrent.futures
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import recorder
import wire

DIRECTORY = None
SUITES = []

# Anything the dissector could not read, or read to another end than the frame's.
TROUBLE = ("_ws.malformed || kafka.request_missing || kafka.unknown_message_magic"
           " || _ws.expert.group == 0x07000000")
FIELDS = ("frame.number", "kafka.api_key", "kafka.api_version", "_ws.expert.message",
          "kafka.batch_codec", "tcp.stream", "kafka.correlation_id")
# Where Wireshark 4.0 itself is wrong: it takes the BYTES of the group APIs for null and the
# array of DeleteTopics for empty, then says that the frame goes on. It says so of requests of
# librdkafka as of answers of dmsd. Likewise the BYTES of SaslAuthenticate.
DISSECTOR_SHORT_READS = {"11", "14", "15", "20", "36"}
SHORT_READ = "Dissected message does not end at the pdu length offset"
# A request of kafka-go that dmsd refuses, in a version from before transactional ids.
REFUSED = ("0", "2")
# Of a batch of zstd it keeps but the last piece that comes out, and takes that for records. Where
# the batch ends it knows all the same: a frame that ends elsewhere is told of these, too. If it
# gives up in such a request, it misses it when the answer comes.
ZSTD = "4"
API_VERSIONS = "18"
HARMLESS = ("Connection ", "Unsupported ", "Unknown ")


def tshark(path, display_filter, fields):
    """A list of values for each packet that passes the filter."""
    command = ["tshark", "-n", "-r", path, "-Y", display_filter, "-T", "fields",
               "-E", "separator=/t", "-E", "aggregator=|"]
    for field in fields:
        command += ["-e", field]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if run.returncode != 0:
        raise AssertionError(f"{' '.join(command)} gave {run.returncode}:\n{run.stderr}")
    return [line.split("\t") for line in run.stdout.splitlines()]


def is_short_read(messages):
    """Whether that is all it says."""
    said = [one for one in messages.split("|") if one and not one.startswith(HARMLESS)]
    return bool(said) and all(one == SHORT_READ for one in said)


def is_beyond(keys, messages):
    """Whether it says that it does not know this API or version, and what it says of the content
    is worth nothing. An answer of ApiVersions names all it does not know."""
    return keys != API_VERSIONS and any(
        one.startswith("Unsupported ") or one == f"Unknown {keys} API key"
        for one in messages.split("|"))


def malformed(path):
    """What the dissector holds against a capture."""
    found, given_up = [], set()
    for row in tshark(path, TROUBLE, FIELDS):
        number, keys, versions, messages, codecs, stream, correlation = row
        short = is_short_read(messages)
        beyond = (is_beyond(keys, messages)
                  or (ZSTD in codecs.split("|") and SHORT_READ not in messages))
        if beyond:
            given_up.add((stream, correlation))
        known = ((keys, versions) == REFUSED or beyond
                 or (messages == "Request missing" and (stream, correlation) in given_up)
                 or (short and set(keys.split("|")) <= DISSECTOR_SHORT_READS))
        if not known:
            found.append(f"{path} packet {number}: API {keys} version {versions}: {messages[:200]}")
    return found


class Planted(unittest.TestCase):
    """The check sees what it is for."""

    def capture(self, request, answer):
        directory = tempfile.mkdtemp(prefix="dmsd-interop-")
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "planted.pcap")
        capture = recorder.Capture(path)
        stream = recorder.Stream(capture)
        stream.data(stream.client, request)
        stream.data(stream.broker, answer)
        stream.end(stream.client)
        stream.end(stream.broker)
        capture.close()
        return malformed(path)

    def answer(self, body):
        return wire.i32(4 + len(body)) + wire.i32(1) + body

    def test_nothing_is_held_against_a_good_answer(self):
        request = wire.request(wire.HEARTBEAT, 0, 1, wire.string("g") + wire.i32(1)
                               + wire.string("m"))
        self.assertEqual(self.capture(request, self.answer(wire.i16(0))), [])

    def test_a_byte_too_many(self):
        request = wire.request(wire.HEARTBEAT, 0, 1, wire.string("g") + wire.i32(1)
                               + wire.string("m"))
        self.assertEqual(len(self.capture(request, self.answer(wire.i16(0) + b"\0"))), 1)

    def test_a_field_too_few(self):
        request = wire.request(wire.HEARTBEAT, 1, 1, wire.string("g") + wire.i32(1)
                               + wire.string("m"))
        self.assertEqual(len(self.capture(request, self.answer(wire.i32(0)))), 1)

    def test_a_string_longer_than_the_frame(self):
        request = wire.request(wire.LIST_GROUPS, 0, 1, b"")
        body = wire.i16(0) + wire.i32(1) + wire.i16(500) + b"short"
        self.assertEqual(len(self.capture(request, self.answer(body))), 1)

    def test_a_string_longer_than_the_frame_where_short_reads_are_let_pass(self):
        request = wire.request(wire.DELETE_TOPICS, 0, 1, wire.array([]) + wire.i32(1))
        body = wire.i32(1) + wire.i16(500) + b"short"
        self.assertEqual(len(self.capture(request, self.answer(body))), 1)

    def test_an_answer_nobody_asked_for(self):
        request = wire.request(wire.LIST_GROUPS, 0, 7, b"")
        body = wire.i16(0) + wire.array([])
        self.assertEqual(len(self.capture(request, self.answer(body))), 1)


class Recorded(unittest.TestCase):
    def test_no_malformed_packet(self):
        self.assertTrue(SUITES, __doc__)
        captures = []
        for suite in SUITES:
            found = glob.glob(os.path.join(glob.escape(DIRECTORY), f"{suite}-*.pcap"))
            self.assertTrue(found, f"{suite} left no capture in {DIRECTORY}")
            captures += found
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            troubles = [one for found in pool.map(malformed, captures) for one in found]
            self.assertEqual(troubles, [])
            keys = collections.Counter()
            for rows in pool.map(lambda path: tshark(path, "kafka.api_key && kafka.api_version",
                                                     ["kafka.api_key"]), captures):
                keys.update(key for row in rows for key in row[0].split("|"))
        print("requests of each API key:", dict(sorted(keys.items(), key=lambda row: int(row[0]))),
              file=sys.stderr)
        # Every API that is offered and that it knows was there to be judged: it knows neither
        # DescribeCluster nor DescribeTopicPartitions.
        wanted = {0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 32, 36, 37,
                  42, 47}
        self.assertEqual(wanted - {int(key) for key in keys}, set())


if __name__ == "__main__":
    if shutil.which("tshark") is None:
        print("tshark is not installed", file=sys.stderr)
        raise SystemExit(77)
    if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
        DIRECTORY, SUITES = sys.argv[1], sys.argv[2:]
        sys.argv = sys.argv[:1]
    unittest.main(verbosity=2)
