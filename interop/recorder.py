#!/usr/bin/env python3
"""Stands between Kafka clients and a broker and records what passes, as a capture that
Wireshark reads. Needs no privilege, and nothing is lost or torn as in a capture of an
interface: each connection becomes a TCP stream of its own to port 9092.

recorder.py PORT TARGET_PORT FILE      until SIGTERM
"""

import asyncio
import signal
import socket
import struct
import sys
import time

HOST = "127.0.0.1"
KAFKA_PORT = 9092  # where a dissector expects Kafka
# Bytes of one packet: with its headers it must fit the 16 bits of IPv4's total length.
PACKET_BYTES_MAX = 32 * 1024
LINKTYPE_RAW = 101  # IPv4 without a link layer
FIN, SYN, PUSH, ACK = 0x01, 0x02, 0x08, 0x10
WINDOW = 0xFFFF


class Capture:
    """A pcap file (draft-ietf-opsawg-pcap)."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.streams = 0
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, LINKTYPE_RAW))

    def packet(self, packet):
        now = time.time_ns() // 1000
        self.file.write(struct.pack("<IIII", now // 1000000, now % 1000000, len(packet),
                                    len(packet)) + packet)

    def close(self):
        self.file.close()


class Stream:
    """One TCP connection as packets: as if nothing was ever lost or late."""

    def __init__(self, capture):
        capture.streams += 1
        self.capture = capture
        # The client's address counts, so that no two streams are one.
        self.client = (struct.pack(">I", 0x0A000000 + capture.streams), 40000)
        self.broker = (socket.inet_aton(HOST), KAFKA_PORT)
        self.sent = {self.client: 1, self.broker: 1}
        self.open = {self.client, self.broker}
        self.segment(self.client, SYN, sequence=0, acknowledged=0)
        self.segment(self.broker, SYN | ACK, sequence=0)
        self.segment(self.client, ACK)

    def segment(self, source, flags, payload=b"", sequence=None, acknowledged=None):
        target = self.broker if source is self.client else self.client
        sequence = self.sent[source] if sequence is None else sequence
        acknowledged = self.sent[target] if acknowledged is None else acknowledged
        # Checksums stay 0, which says "not made" where hardware makes them.
        tcp = struct.pack(">HHIIBBHHH", source[1], target[1], sequence & 0xFFFFFFFF,
                          acknowledged & 0xFFFFFFFF, 5 << 4, flags, WINDOW, 0, 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp) + len(payload), 0, 0, 64,
                         socket.IPPROTO_TCP, 0, source[0], target[0])
        self.capture.packet(ip + tcp + payload)
        self.sent[source] += len(payload)

    def data(self, source, payload):
        for at in range(0, len(payload), PACKET_BYTES_MAX):
            self.segment(source, PUSH | ACK, payload[at:at + PACKET_BYTES_MAX])

    def end(self, source):
        if source in self.open:
            self.open.remove(source)
            self.segment(source, FIN | ACK)
            self.sent[source] += 1


async def pump(reader, writer, stream, source):
    """One direction, until its end."""
    try:
        while True:
            payload = await reader.read(256 * 1024)
            if not payload:
                break
            stream.data(source, payload)
            writer.write(payload)
            await writer.drain()
        stream.end(source)
        writer.write_eof()
    except OSError:
        writer.transport.abort()


async def serve(reader, writer, capture, target_port):
    try:
        far_reader, far_writer = await asyncio.open_connection(HOST, target_port)
    except OSError:
        writer.transport.abort()  # as near as it comes to a port where nothing listens
        return
    stream = Stream(capture)
    await asyncio.gather(pump(reader, far_writer, stream, stream.client),
                         pump(far_reader, writer, stream, stream.broker))
    stream.end(stream.client)
    stream.end(stream.broker)
    for one in (writer, far_writer):
        one.close()


async def record(port, target_port, path):
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    capture = Capture(path)
    tasks = set()  # the loop itself holds a task only weakly

    def accepted(reader, writer):
        task = loop.create_task(serve(reader, writer, capture, target_port))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, HOST, port)
    await stop.wait()
    server.close()
    capture.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    asyncio.run(record(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
