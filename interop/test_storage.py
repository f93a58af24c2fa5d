#!/usr/bin/env python3
"""What happens to a real dmsd when storage fails: a full disk, a sync that fails, files that
were damaged or torn. Nothing acknowledged is lost, and nothing is lost in silence."""

import os
import re
import resource
import shutil
import signal
import struct
import subprocess

import harness
import test_kafka_rules
import wire

NOT_COORDINATOR = 16
STORAGE_ERROR = 56
FILE_SIZE_LIMIT = 300000
ADDRESS_SANITIZED = "asan" in os.environ.get("DMSD_BINARY", "")


class StorageTest(test_kafka_rules.RulesTest):
    """One broker a test: they break it."""

    def setUp(self):
        self.broker = self.own_broker(num_partitions=1)
        super().setUp()

    def reconnect(self):
        self.connection = self.connect(self.broker)

    def log_file(self):
        """The segment of the topic under test: the newest one that is no internal topic's."""
        found = []
        for folder, _, names in os.walk(self.broker.data):
            found += [os.path.join(folder, name) for name in names
                      if name.endswith(".log") and "__" not in os.path.basename(folder)]
        return max(found, key=os.path.getsize)

    def log_end(self):
        """Where the batches of that segment end: zeros may follow."""
        with open(self.log_file(), "rb") as file:
            data = file.read()
        position = 0
        while position + 12 <= len(data) and struct.unpack_from(">i", data, position + 8)[0] > 0:
            position += 12 + struct.unpack_from(">i", data, position + 8)[0]
        return position

    def flip(self, position):
        path = self.log_file()
        with open(path, "r+b") as file:
            file.seek(position)
            byte = file.read(1)[0]
            file.seek(position)
            file.write(bytes([byte ^ 0x10]))
        return path

    def offsets_read(self, at_end=(0,)):
        """Base offset of every batch that can be read, in order; at_end: the errors that may
        come behind the last one."""
        found, offset = [], 0
        while True:
            part = self.fetch(offset, max_bytes=1 << 20, partition_max_bytes=1 << 20).parts[0]
            self.assertIn(part["error"], (0, *at_end))
            if not part["records"]:
                self.assertIn(part["error"], at_end)
                return found
            data = part["records"]
            while data:
                base, length = struct.unpack_from(">qi", data)
                found.append(base)
                offset = base + struct.unpack_from(">i", data, 23)[0] + 1
                data = data[12 + length:]


class FullDisk(StorageTest):
    def limit(self, size):
        resource.prlimit(self.broker.process.pid, resource.RLIMIT_FSIZE,
                         (size, resource.RLIM_INFINITY))

    def test_produce_is_refused_reading_goes_on_and_service_resumes(self):
        self.limit(FILE_SIZE_LIMIT)
        acknowledged = []
        for _ in range(100):
            error, offset, _, _ = self.produce(self.batch(b"x" * 10000))
            if error != 0:
                break
            acknowledged.append(offset)
        self.assertEqual(error, STORAGE_ERROR)
        self.assertGreater(len(acknowledged), 10)
        self.assertEqual(self.produce(self.batch(b"x" * 10000))[0], STORAGE_ERROR)
        self.assertEqual(self.offsets_read(), acknowledged)
        self.limit(resource.RLIM_INFINITY)

        def resumed():
            error, offset, _, _ = self.produce(self.batch(b"x" * 10000))
            if error == 0:
                acknowledged.append(offset)
            return error == 0

        harness.wait_for("produce works again", resumed)
        self.assertEqual(self.offsets_read(), acknowledged)
        self.broker.kill()
        self.broker.restart()
        self.reconnect()
        self.assertEqual(self.offsets_read(), acknowledged)


class FailedSync(StorageTest):
    def start_long_fetch(self):
        connection = self.connect(self.broker)
        connection.send(wire.FETCH, 4, wire.fetch_body(self.name, 0, 0, max_wait_ms=600000,
                                                       min_bytes=1 << 20, max_bytes=2 << 20))
        return connection

    def test_partition_stops_and_stays_stopped_until_restart(self):
        strace = shutil.which("strace")
        if strace is None or ADDRESS_SANITIZED:
            self.skipTest("needs strace, which the leak checker does not bear")
        acknowledged = [self.produce(self.batch())[1] for _ in range(3)]
        waiting = self.start_long_fetch()
        tracer = subprocess.Popen(
            [strace, "-f", "-p", str(self.broker.process.pid), "-e", "trace=fdatasync",
             "-e", "inject=fdatasync:error=EIO"], stderr=subprocess.PIPE, text=True)
        try:
            line = tracer.stderr.readline()
            if "attached" not in line:
                self.skipTest(f"strace cannot attach here: {line.strip()}")
            harness.wait_for("the sync fails",
                             lambda: self.produce(self.batch())[0] == STORAGE_ERROR)
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate()
        # The disk works again, but what it lost is not known: never retried and believed.
        self.assertEqual(self.produce(self.batch())[0], STORAGE_ERROR)
        self.assertIn("LOG_OFFLINE", self.broker.log())
        # Who waits for more than there is gets what there is: no more will come.
        for connection in (waiting, self.start_long_fetch()):
            self.assertTrue(wire.FetchAnswer(connection.receive()[1]).parts[0]["records"])
        self.assertEqual(self.offsets_read(at_end=(6, STORAGE_ERROR)), acknowledged)
        self.broker.kill()
        self.broker.restart()
        self.reconnect()
        self.assertEqual(self.offsets_read()[:3], acknowledged)
        self.assertEqual(self.produce(self.batch())[0], 0)


class Damage(StorageTest):
    def setUp(self):
        super().setUp()
        self.acknowledged = [self.produce(self.batch(b"v" * 1000))[1] for _ in range(5)]

    def expect_offline(self, position):
        size = os.path.getsize(self.log_file())
        path = self.flip(position)
        self.broker.restart()
        self.reconnect()
        error = self.produce(self.batch())[0]
        self.assertIn(error, (5, 6, STORAGE_ERROR))
        said = self.broker.log()
        name = re.escape(os.path.join(os.path.basename(os.path.dirname(path)),
                                      os.path.basename(path)))
        self.assertRegex(said, rf"file={name} position=\d+")
        self.assertEqual(os.path.getsize(path), size)
        # Others are not disturbed.
        self.name = self.make_topic(self.connection)
        self.assertEqual(self.produce(self.batch())[0], 0)

    def test_damage_in_the_middle_stops_the_partition_and_names_the_place(self):
        self.broker.kill()
        self.expect_offline(1500)

    def test_damage_of_the_last_acknowledged_batch_is_no_torn_tail(self):
        self.broker.kill()
        self.expect_offline(self.log_end() - 20)

    def test_torn_tail_is_cut_with_a_warning(self):
        self.broker.kill()
        position = self.log_end()
        with open(self.log_file(), "r+b") as file:
            file.seek(position)
            file.write(self.batch(b"t" * 1000)[:-1])
        self.broker.restart()
        self.reconnect()
        self.assertIn("LOG_TAIL_CUT", self.broker.log())
        self.assertEqual(self.offsets_read(), self.acknowledged)
        self.assertEqual(self.produce(self.batch())[:2], (0, 5))

    def test_zeros_behind_the_last_batch_are_nothing(self):
        self.assertGreater(os.path.getsize(self.log_file()), self.log_end())
        self.broker.kill()
        self.broker.restart()
        self.reconnect()
        self.assertNotIn("LOG_TAIL_CUT", self.broker.log())
        self.assertEqual(self.offsets_read(), self.acknowledged)
        self.assertEqual(self.produce(self.batch())[:2], (0, 5))


class DamagedOffsets(StorageTest):
    GROUP = "group-of-damaged-offsets"

    def setUp(self):
        self.broker = self.own_broker(num_partitions=1, offsets_topic_num_partitions=1)
        test_kafka_rules.RulesTest.setUp(self)

    def commit(self, offset):
        part = wire.i32(0) + wire.i64(offset) + wire.string("")
        reader = self.connection.call(
            wire.OFFSET_COMMIT, 2, wire.string(self.GROUP) + wire.i32(-1) + wire.string("")
            + wire.i64(-1) + wire.array([wire.string(self.name) + wire.array([part])]))
        self.assertEqual(reader.array(lambda one: (one.string(), one.array(
            lambda row: (row.i32(), row.i16())))), [(self.name, [(0, 0)])])

    def log_file(self):
        """That of the committed offsets: it has the name of the group in it."""
        for folder, _, names in os.walk(self.broker.data):
            for path in (os.path.join(folder, name) for name in names if name.endswith(".log")):
                with open(path, "rb") as file:
                    if self.GROUP.encode() in file.read():
                        return path
        raise AssertionError("there is none")

    def committed(self, version):
        """(offset, its error), error of the group"""
        reader = self.connection.call(
            wire.OFFSET_FETCH, version, wire.string(self.GROUP)
            + wire.array([wire.string(self.name) + wire.array([wire.i32(0)])]))
        rows = reader.array(lambda one: (one.string(), one.array(
            lambda row: (row.i32(), row.i64(), row.string(), row.i16()))))
        return ([(offset, error) for _, parts in rows for _, offset, _, error in parts],
                reader.i16() if version >= 2 else None)

    def test_offsets_that_cannot_be_read_are_somebody_elses_and_not_none(self):
        for offset in range(5):
            self.commit(offset)
        self.assertEqual(self.committed(2), ([(4, 0)], 0))
        self.broker.kill()
        self.flip(100)
        self.broker.restart()
        self.reconnect()
        self.assertIn("GROUP_OFFSETS_OFFLINE", self.broker.log())
        self.assertEqual(self.committed(1), ([(-1, NOT_COORDINATOR)], None))
        self.assertEqual(self.committed(2), ([], NOT_COORDINATOR))


if __name__ == "__main__":
    harness.main()
