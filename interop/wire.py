"""Kafka's wire format by hand, for tests that must send what no client would."""

import socket
import struct

# API keys
PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, JOIN_GROUP = 8, 9, 10, 11
HEARTBEAT, LEAVE_GROUP, SYNC_GROUP, DESCRIBE_GROUPS = 12, 13, 14, 15
LIST_GROUPS, API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS = 16, 18, 19, 20
INIT_PRODUCER_ID, OFFSET_FOR_LEADER_EPOCH = 22, 23
CREATE_PARTITIONS, DELETE_GROUPS, OFFSET_DELETE = 37, 42, 47
DESCRIBE_CLUSTER, DESCRIBE_TOPIC_PARTITIONS = 60, 75

# Attributes of a batch
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 8, 16, 32


def i8(value):
    return struct.pack(">b", value)


def i16(value):
    return struct.pack(">h", value)


def i32(value):
    return struct.pack(">i", value)


def i64(value):
    return struct.pack(">q", value)


def string(value):
    """STRING, or NULLABLE_STRING for None."""
    if value is None:
        return i16(-1)
    data = value.encode()
    return i16(len(data)) + data


def data(value):
    """BYTES, or NULLABLE_BYTES for None."""
    return i32(-1) if value is None else i32(len(value)) + value


def array(items):
    """ARRAY of what is already encoded; None is the null array."""
    return i32(-1) if items is None else i32(len(items)) + b"".join(items)


def uvarint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(value):
    """Zigzag, as in records."""
    return uvarint(-2 * value - 1 if value < 0 else 2 * value)


def compact(value):
    """COMPACT_STRING, or null for None."""
    if value is None:
        return uvarint(0)
    encoded = value.encode()
    return uvarint(len(encoded) + 1) + encoded


def compact_array(items):
    """COMPACT_ARRAY of what is already encoded; None is the null array."""
    return uvarint(0) if items is None else uvarint(len(items) + 1) + b"".join(items)


def _crc_table():
    table = []
    for index in range(256):
        crc = index
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC_TABLE = _crc_table()


def crc32c(payload):
    crc = 0xFFFFFFFF
    for byte in payload:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def record(delta, value, key=None, timestamp_delta=0, headers=()):
    def part(piece):
        return varint(-1) if piece is None else varint(len(piece)) + piece

    body = (i8(0) + varint(timestamp_delta) + varint(delta) + part(key) + part(value)
            + varint(len(headers)) + b"".join(part(k.encode()) + part(v) for k, v in headers))
    return varint(len(body)) + body


def batch(values, timestamp, *, base_offset=0, attributes=0, producer_id=-1, epoch=-1,
          sequence=-1, count=None, last_delta=None, magic=2, crc=None, records=None,
          max_timestamp=None, first_timestamp=None):
    """A record batch v2 of values (bytes or None). Everything can be told to be wrong."""
    if records is None:
        records = b"".join(record(delta, value) for delta, value in enumerate(values))
    count = len(values) if count is None else count
    last_delta = len(values) - 1 if last_delta is None else last_delta
    body = (i16(attributes) + i32(last_delta)
            + i64(timestamp if first_timestamp is None else first_timestamp)
            + i64(timestamp if max_timestamp is None else max_timestamp)
            + i64(producer_id) + i16(epoch) + i32(sequence) + i32(count) + records)
    checksum = crc32c(body) if crc is None else crc
    rest = i32(-1) + i8(magic) + struct.pack(">I", checksum) + body
    return i64(base_offset) + i32(len(rest)) + rest


def older(log, age_ms):
    """The batches of a segment, as if they had been written so much earlier."""
    out, at = b"", 0
    while log[at + 8:at + 12].strip(b"\0"):  # zeros follow the last batch
        end = at + 12 + int.from_bytes(log[at + 8:at + 12], "big")
        first, most = struct.unpack(">qq", log[at + 27:at + 43])
        body = log[at + 21:at + 27] + i64(first - age_ms) + i64(most - age_ms) + log[at + 43:end]
        out += log[at:at + 17] + struct.pack(">I", crc32c(body)) + body
        at = end
    return out


class Reader:
    """Reads one response; running over its end is a failure of the test."""

    def __init__(self, payload):
        self.payload = payload
        self.at = 0

    def take(self, size):
        if size < 0 or self.at + size > len(self.payload):
            raise AssertionError(f"response ends early: {size} bytes at {self.at} "
                                 f"of {len(self.payload)}")
        piece = self.payload[self.at:self.at + size]
        self.at += size
        return piece

    def _number(self, form, size):
        return struct.unpack(form, self.take(size))[0]

    def i8(self):
        return self._number(">b", 1)

    def i16(self):
        return self._number(">h", 2)

    def i32(self):
        return self._number(">i", 4)

    def u32(self):
        return self._number(">I", 4)

    def i64(self):
        return self._number(">q", 8)

    def string(self):
        size = self.i16()
        return None if size < 0 else self.take(size).decode()

    def data(self):
        size = self.i32()
        return None if size < 0 else self.take(size)

    def array(self, item):
        """item(reader) for each element; None for the null array."""
        size = self.i32()
        return None if size < 0 else [item(self) for _ in range(size)]

    def uvarint(self):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    def compact(self):
        """COMPACT_STRING, None for null."""
        size = self.uvarint()
        return None if size == 0 else self.take(size - 1).decode()

    def compact_array(self, item):
        """item(reader) for each element; None for the null array."""
        size = self.uvarint()
        return None if size == 0 else [item(self) for _ in range(size - 1)]

    def varint(self):
        value = self.uvarint()
        return value >> 1 ^ -(value & 1)

    def tags(self):
        for _ in range(self.uvarint()):
            self.uvarint()
            self.take(self.uvarint())

    def end(self):
        if self.at != len(self.payload):
            raise AssertionError(f"{len(self.payload) - self.at} bytes left over")


def request(key, version, correlation, body, client_id="wire", flexible=False):
    """A whole frame with its header; flexible = header version 2."""
    header = i16(key) + i16(version) + i32(correlation) + string(client_id)
    if flexible:
        header += b"\0"
    return i32(len(header) + len(body)) + header + body


class Connection:
    """One raw connection: frames out, frames in."""

    def __init__(self, sock):
        self.sock = sock
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, key, version, body, **options):
        """Returns the correlation id."""
        self.correlation += 1
        self.sock.sendall(request(key, version, self.correlation, body, **options))
        return self.correlation

    def read(self, size):
        """Exactly size bytes; b"" if the peer closed before the first."""
        got = b""
        while len(got) < size:
            try:
                piece = self.sock.recv(size - len(got))
            except ConnectionResetError:
                piece = b""
            if not piece:
                if got:
                    raise AssertionError("closed in the middle of a response")
                return b""
            got += piece
        return got

    def receive(self):
        """(correlation id, Reader behind it); None when the peer closed."""
        head = self.read(4)
        if not head:
            return None
        reader = Reader(self.read(struct.unpack(">i", head)[0]))
        return reader.i32(), reader

    def call(self, key, version, body, **options):
        """One request and its answer, header v0 (see flexible_response)."""
        sent = self.send(key, version, body, **options)
        answer = self.receive()
        if answer is None:
            raise AssertionError(f"closed on API {key} version {version}")
        if answer[0] != sent:
            raise AssertionError(f"answer to {answer[0]}, asked {sent}")
        return answer[1]

    def is_closed_by_peer(self):
        """Waits for the end of the stream; any byte before it is a failure."""
        try:
            piece = self.sock.recv(4096)
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False
        if piece:
            raise AssertionError(f"bytes instead of the end: {piece[:64]!r}")
        return True


# Bodies of requests in the versions the tests use.

def produce_body(topic, partition, records, acks=-1, timeout_ms=10000, transactional_id=None):
    """Versions 3 to 8."""
    return (string(transactional_id) + i16(acks) + i32(timeout_ms)
            + array([string(topic) + array([i32(partition) + data(records)])]))


def read_produce(reader, version):
    """(error, base offset, append time, log start) of the only partition."""
    def part(one):
        index, error, base, time = one.i32(), one.i16(), one.i64(), one.i64()
        start = one.i64() if version >= 5 else None
        if version >= 8:
            one.array(lambda row: (row.i32(), row.string()))
            one.string()
        return index, error, base, time, start

    topics = reader.array(lambda one: (one.string(), one.array(part)))
    reader.i32()  # throttle
    reader.end()
    return topics[0][1][0][1:]


def fetch_body(topic, partition, offset, version=4, max_wait_ms=0, min_bytes=1,
               max_bytes=1 << 20, partition_max_bytes=1 << 20, isolation=0, session=0,
               session_epoch=-1, forgotten=(), current_epoch=-1, partitions=None):
    """Versions 4 to 11. partitions: list of (partition, offset) instead of the one."""
    rows = []
    for index, start in partitions if partitions is not None else [(partition, offset)]:
        row = i32(index)
        if version >= 9:
            row += i32(current_epoch)
        row += i64(start)
        if version >= 5:
            row += i64(-1)
        rows.append(row + i32(partition_max_bytes))
    body = i32(-1) + i32(max_wait_ms) + i32(min_bytes) + i32(max_bytes) + i8(isolation)
    if version >= 7:
        body += i32(session) + i32(session_epoch)
    body += array([string(topic) + array(rows)] if rows else [])
    if version >= 7:
        body += array(list(forgotten))
    if version >= 11:
        body += string("")
    return body


class FetchAnswer:
    """A Fetch response of versions 4 to 11; .parts has one row per partition."""

    def __init__(self, reader, version=4):
        reader.i32()  # throttle
        self.error = self.session = 0
        if version >= 7:
            self.error, self.session = reader.i16(), reader.i32()
        self.parts = []

        def part(one):
            row = {"partition": one.i32(), "error": one.i16(), "high_watermark": one.i64(),
                   "last_stable": one.i64()}
            row["log_start"] = one.i64() if version >= 5 else None
            row["aborted"] = one.array(lambda r: (r.i64(), r.i64()))
            if version >= 11:
                row["preferred"] = one.i32()
            row["records"] = one.data()
            self.parts.append(row)

        reader.array(lambda one: (one.string(), one.array(part)))
        reader.end()


def batches(records):
    """(base offset, last offset, count, leader epoch) of each whole batch."""
    found, at = [], 0
    while at + 61 <= len(records):
        base, size = struct.unpack_from(">qi", records, at)
        if at + 12 + size > len(records):
            break
        epoch = struct.unpack_from(">i", records, at + 12)[0]
        last = struct.unpack_from(">i", records, at + 23)[0]
        count = struct.unpack_from(">i", records, at + 57)[0]
        crc = struct.unpack_from(">I", records, at + 17)[0]
        if crc32c(records[at + 21:at + 12 + size]) != crc:
            raise AssertionError(f"bad CRC in the batch at {base}")
        found.append((base, base + last, count, epoch))
        at += 12 + size
    return found


def metadata_body(topics, version, auto_create=True):
    """Versions 0 to 8. topics: list of names, or None for the null array."""
    body = array(None if topics is None else [string(topic) for topic in topics])
    if version >= 4:
        body += i8(1 if auto_create else 0)
    if version >= 8:
        body += i8(0) + i8(0)
    return body


def read_metadata(reader, version):
    """{topic: (error, partition count)} for versions 0 to 7; the error is the topic's, or else
    one of its partitions'."""
    if version >= 3:
        reader.i32()
    reader.array(lambda one: (one.i32(), one.string(), one.i32(),
                              one.string() if version >= 1 else None))
    if version >= 2:
        reader.string()
    if version >= 1:
        reader.i32()

    def part(one):
        error, _, _ = one.i16(), one.i32(), one.i32()
        if version >= 7:
            one.i32()
        one.array(Reader.i32), one.array(Reader.i32)
        if version >= 5:
            one.array(Reader.i32)
        return error

    def topic(one):
        error, name = one.i16(), one.string()
        if version >= 1:
            one.i8()
        parts = one.array(part)
        return name, (error or max(parts, default=0), len(parts))

    rows = dict(reader.array(topic))
    reader.end()
    return rows
