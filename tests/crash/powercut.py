"""What a power cut leaves of a directory: read from the journal that the disk layer (disk.c)
writes, and from what was there before.

A file has the bytes of its last sync; every sector written since may be there or not, each on
its own, and the size is that after any of the changes since. What a failed sync was to write may
be lost for ever, whatever later syncs say. A directory has the entries of its last sync, and of
the changes since either the first few, in the order they were made (a file system with a journal
of its metadata), or any (one without). Files and directories that lost their entry are gone.
"""

import os
import shutil
import struct

SECTOR = 512
ENTRY = struct.Struct("=IIQQqd")  # struct entry of disk.c
WRITE, TRUNCATE, SYNC, CREATE, MKDIR, RENAME, REMOVE = range(1, 8)

# How much of what was not synced reaches the disk: nothing, all, or some of it.
SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)


def entries(path):
    """(kind, inode, position, error, time, payload) of each whole entry."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at + ENTRY.size <= len(data):
        kind, length, inode, position, error, time = ENTRY.unpack_from(data, at)
        at += ENTRY.size
        if at + length > len(data):
            return
        yield kind, inode, position, error, time, data[at:at + length]
        at += length


class File:
    """Its bytes on the disk, and changes that are not: (entry, position, bytes), or
    (entry, size, None) for a truncation."""

    def __init__(self, content=b""):
        self.durable = bytearray(content)
        self.pending = []

    def apply(self, changes, source, share, sizes):
        """Writes each sector of changes with a probability of share; the first `sizes` changes
        also set the size."""
        content, size = self.durable, len(self.durable)
        for index, (_, position, data) in enumerate(changes):
            if data is None:
                if index < sizes:
                    size = position
                    del content[size:]
                continue
            for start in range(position - position % SECTOR, position + len(data), SECTOR):
                if share >= 1 or (share > 0 and source.random() < share):
                    low, high = max(start, position), min(start + SECTOR, position + len(data))
                    put(content, low, data[low - position:high - position])
            if index < sizes:
                size = max(size, position + len(data))
        put(content, size, b"")
        del content[size:]

    def sync(self, before, source):
        """source: None if it succeeded; else what it was to write is lost in part."""
        covered = [one for one in self.pending if one[0] < before]
        self.pending = self.pending[len(covered):]
        share = 1.0 if source is None else source.choice(SHARES)
        self.apply(covered, source, share, len(covered))

    def cut(self, source, shares):
        share = source.choice(shares)
        sizes = round(min(source.uniform(0, 2 * share), 1) * len(self.pending))
        self.apply(self.pending, source, share, sizes)
        self.pending = []


def put(content, position, data):
    """Zeros fill what lies between."""
    if position > len(content):
        content.extend(bytes(position - len(content)))
    content[position:position + len(data)] = data


class Folder:
    """Its entries on the disk, those that running programs see, and the changes between:
    (entry, {name: node, or None when it goes})."""

    def __init__(self):
        self.durable = {}
        self.live = {}
        self.pending = []

    def change(self, entry, names):
        self.pending.append((entry, names))
        merge(self.live, names)

    def sync(self, before, source):
        covered = [one for one in self.pending if one[0] < before]
        self.pending = self.pending[len(covered):]
        for _, names in covered:
            if source is None or source.random() < 0.5:
                merge(self.durable, names)

    def cut(self, source, shares):
        share = source.choice(shares)
        if source.random() < 0.5:
            kept = self.pending[:round(source.uniform(0, 2 * share) * len(self.pending))]
        else:
            kept = [one for one in self.pending if source.random() < share]
        for _, names in kept:
            merge(self.durable, names)
        self.pending = []
        self.live = dict(self.durable)
        for node in self.durable.values():
            node.cut(source, shares)


def merge(entries_of_folder, names):
    for name, node in names.items():
        if node is None:
            entries_of_folder.pop(name, None)
        else:
            entries_of_folder[name] = node


class Disk:
    """A directory and everything below it."""

    def __init__(self, path, lies=False):
        """lies: syncs do nothing, and a cut takes all that came since: some disks are so."""
        self.lies = lies
        self.nodes = {}  # inode: node
        self.root = self.scan(path)

    def scan(self, path):
        folder = Folder()
        self.nodes[os.stat(path).st_ino] = folder
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                node = self.scan(entry.path)
            else:
                with open(entry.path, "rb") as file:
                    node = File(file.read())
                self.nodes[entry.inode()] = node
            folder.durable[entry.name] = folder.live[entry.name] = node
        return folder

    def folder(self, name):
        """The folder that has name, and the last part of name."""
        *parents, last = name.decode().split("/")
        folder = self.root
        for parent in parents:
            folder = folder.live[parent]
        return folder, last

    def replay(self, journal, source):
        """Everything the journal tells."""
        for index, (kind, inode, position, error, _, data) in enumerate(entries(journal)):
            if kind == WRITE:
                self.nodes[inode].pending.append((index, position, data))
            elif kind == TRUNCATE:
                self.nodes[inode].pending.append((index, position, None))
            elif kind == SYNC:
                if not self.lies or error:
                    self.nodes[inode].sync(position, source if error else None)
            elif kind == RENAME:
                old, new = data.split(b"\0")
                (folder, last), (target, name) = self.folder(old), self.folder(new)
                assert folder is target
                folder.change(index, {name: folder.live[last], last: None})
            else:
                folder, last = self.folder(data)
                node = {CREATE: File, MKDIR: Folder, REMOVE: lambda: None}[kind]()
                if node is not None:
                    self.nodes[inode] = node
                folder.change(index, {last: node})

    def cut(self, source):
        self.root.cut(source, (0.0,) if self.lies else SHARES)

    def write(self, path):
        """Makes path what the disk has."""
        shutil.rmtree(path, ignore_errors=True)
        write_folder(self.root, path)


def private(path, flags):
    """Opens a file that is its owner's only, as there are some whose mode counts."""
    return os.open(path, flags, 0o600)


def write_folder(folder, path):
    os.mkdir(path)
    for name, node in folder.durable.items():
        target = os.path.join(path, name)
        if isinstance(node, Folder):
            write_folder(node, target)
        else:
            with open(target, "wb", opener=private) as file:
                file.write(node.durable)
