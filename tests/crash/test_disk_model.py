#!/usr/bin/env python3
"""What powercut.py may and may not lose, with journals by hand."""

import os
import random
import shutil
import tempfile
import unittest

import powercut
from powercut import CREATE, MKDIR, REMOVE, RENAME, SYNC, TRUNCATE, WRITE

SEEDS = range(60)


class Model(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="dmsd-crash-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.data = os.path.join(self.directory, "data")
        os.mkdir(self.data)
        with open(os.path.join(self.data, "old"), "wb") as file:
            file.write(b"o" * 1024)
        self.old = os.stat(os.path.join(self.data, "old")).st_ino
        self.root = os.stat(self.data).st_ino

    def after(self, *entries, lies=False):
        """What is there after a cut, one set of {name: content} for each seed."""
        journal = os.path.join(self.directory, "journal")
        with open(journal, "wb") as file:
            for kind, inode, position, error, payload in entries:
                file.write(powercut.ENTRY.pack(kind, len(payload), inode, position, error, 0.0))
                file.write(payload)
            file.write(b"\0" * 7)  # half an entry counts for nothing
        found = set()
        for seed in SEEDS:
            disk = powercut.Disk(self.data, lies)
            source = random.Random(seed)
            disk.replay(journal, source)
            disk.cut(source)
            target = os.path.join(self.directory, "target")
            disk.write(target)
            found.add(frozenset(self.content(target)))
        return found

    @staticmethod
    def content(path):
        for folder, _, names in os.walk(path):
            for name in names:
                full = os.path.join(folder, name)
                with open(full, "rb") as file:
                    yield os.path.relpath(full, path), file.read()

    def expect(self, found, *wanted):
        self.assertEqual(found, {frozenset(one.items()) for one in wanted})

    def test_sectors_not_synced_are_there_or_not_each_on_its_own(self):
        found = self.after((WRITE, self.old, 0, 0, b"n" * 1024))
        self.expect(found, *({"old": first * 512 + second * 512}
                             for first in (b"o", b"n") for second in (b"o", b"n")))

    def test_what_was_synced_stays(self):
        found = self.after((WRITE, self.old, 0, 0, b"n" * 600), (SYNC, self.old, 1, 0, b""))
        self.expect(found, {"old": b"n" * 600 + b"o" * 424})

    def test_sync_covers_only_what_was_there_when_it_began(self):
        found = self.after((WRITE, self.old, 0, 0, b"n" * 512), (SYNC, self.old, 0, 0, b""))
        self.expect(found, {"old": b"o" * 1024}, {"old": b"n" * 512 + b"o" * 512})

    def test_failed_sync_is_not_made_good_by_the_next(self):
        found = self.after((WRITE, self.old, 0, 0, b"n" * 512), (SYNC, self.old, 1, 5, b""),
                           (SYNC, self.old, 2, 0, b""))
        self.expect(found, {"old": b"o" * 1024}, {"old": b"n" * 512 + b"o" * 512})

    def test_size_and_bytes_are_lost_apart(self):
        found = self.after((WRITE, self.old, 1024, 0, b"n" * 512))
        self.expect(found, {"old": b"o" * 1024}, {"old": b"o" * 1024 + b"n" * 512},
                    {"old": b"o" * 1024 + bytes(512)})

    def test_truncation_may_be_lost(self):
        found = self.after((TRUNCATE, self.old, 10, 0, b""))
        self.expect(found, {"old": b"o" * 1024}, {"old": b"o" * 10})

    def test_names_not_synced_may_be_lost_and_a_rename_is_whole(self):
        new = 1 << 40
        entries = [(CREATE, new, 0, 0, b"new"), (WRITE, new, 0, 0, b"n"), (SYNC, new, 2, 0, b""),
                   (SYNC, self.root, 3, 0, b""), (RENAME, 0, 0, 0, b"new\0old")]
        old, both = {"old": b"n"}, {"old": b"o" * 1024, "new": b"n"}
        self.expect(self.after(*entries), old, both)
        self.expect(self.after(*entries, (SYNC, self.root, 5, 0, b"")), old)

    def test_directory_without_its_entry_is_gone_with_all_in_it(self):
        folder, new = 1 << 40, 1 << 41
        entries = [(MKDIR, folder, 0, 0, b"folder"), (CREATE, new, 0, 0, b"folder/new"),
                   (SYNC, folder, 2, 0, b"")]
        rest = {"old": b"o" * 1024}
        self.expect(self.after(*entries), rest, {**rest, "folder/new": b""})

    def test_removed_file_may_be_back(self):
        found = self.after((REMOVE, 0, 0, 0, b"old"))
        self.expect(found, {}, {"old": b"o" * 1024})

    def test_disk_that_lies_keeps_nothing(self):
        found = self.after((WRITE, self.old, 0, 0, b"n" * 512), (SYNC, self.old, 1, 0, b""),
                           lies=True)
        self.expect(found, {"old": b"o" * 1024})


if __name__ == "__main__":
    unittest.main()
