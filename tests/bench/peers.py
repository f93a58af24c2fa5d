"""Other servers that Debian packages, each started in a directory of its own on the core that
dmsd has. `apt-get install --no-install-recommends nginx-light redis-server nats-server`; the
mock cluster is librdkafka's. The settings are those nearest to what dmsd does in the same case:
page cache means written to a file and not synced, durable means synced before the answer."""

import json
import os
import shutil
import socket
import subprocess
import tempfile

from bench import harness, pinned

NGINX = """daemon off;
master_process off;
worker_processes 1;
pid {directory}/pid;
error_log {directory}/log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_max_body_size 2m;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        default_type application/json;
        return 201 '{{"messages":[{{"state":0,"id":"0123456789abcdef"}}]}}';
    }}
}}
"""


class Peer:
    """Looks to a case as a broker does. command: of its directory and its port."""

    def __init__(self, command):
        self.directory = tempfile.mkdtemp(prefix="dmsd-peer-")
        self.kafka_port = self.http_port = harness.free_port()
        self.process = None
        try:
            with open(os.path.join(self.directory, "output"), "wb") as output:
                self.process = subprocess.Popen(
                    pinned(command(self.directory, self.kafka_port)), cwd=self.directory,
                    stdin=subprocess.PIPE, stdout=output, stderr=output,
                    preexec_fn=harness._die_with_parent)
            self.find_port()
            harness.wait_for("the peer listens", self.listens)
        except BaseException:
            self.close()
            raise

    def find_port(self):
        """For one that chooses its port itself."""

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the peer ended: {self.log_tail()}")
        with socket.socket() as probe:
            return probe.connect_ex((harness.HOST, self.kafka_port)) == 0

    def log_tail(self):
        with open(os.path.join(self.directory, "output"), encoding="utf-8",
                  errors="replace") as file:
            return file.read()[-2000:]

    def close(self, check=False):
        del check
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class MockCluster(Peer):
    """Runs in the load generator, chooses its port, and has one topic."""

    def find_port(self):
        def port():
            return next((json.loads(line)["port"] for line in self.log_tail().splitlines()
                         if '"mock-cluster"' in line), None)
        self.kafka_port = harness.wait_for("the mock cluster says its port", port)


def nginx(directory, port):
    path = os.path.join(directory, "nginx.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(NGINX.format(directory=directory, port=port))
    return ["/usr/sbin/nginx", "-c", path, "-e", os.path.join(directory, "log")]


def redis(fsync):
    return lambda directory, port: [
        "redis-server", "--bind", harness.HOST, "--port", str(port), "--dir", directory,
        "--save", "", "--appendonly", "yes", "--appendfsync", fsync,
        "--auto-aof-rewrite-percentage", "0"]


def nats(directory, port):
    return ["/usr/sbin/nats-server", "-a", harness.HOST, "-p", str(port), "-js", "-sd", directory]


SERVERS = {
    "nginx": lambda bench: Peer(nginx),
    "redis": lambda bench: Peer(redis("no")),
    "redis, fsync always": lambda bench: Peer(redis("always")),
    "nats": lambda bench: Peer(nats),
    "mock cluster": lambda bench: MockCluster(
        lambda directory, port: [bench.loadgen, "mock-cluster"]),
}

PROGRAMS = {"nginx": "/usr/sbin/nginx", "redis": "redis-server",
            "redis, fsync always": "redis-server", "nats": "/usr/sbin/nats-server"}


def missing():
    """Programs that are not installed."""
    return sorted({program for program in PROGRAMS.values() if shutil.which(program) is None})


def load(case, messages, **options):
    return lambda bench: bench.load(case, messages=bench.count(messages), **options)


def produce(size, messages):
    return {"mock cluster": load("produce", messages * 4, record_bytes=size, make_topic=0),
            "redis": load("redis-produce", messages, record_bytes=size),
            "nats": load("nats-produce", messages, record_bytes=size)}


def produce_durable(size, messages):
    return {"redis, fsync always": load("redis-produce", messages, record_bytes=size)}


def roundtrip(size, messages):
    return {"mock cluster": load("roundtrip", messages, record_bytes=size, make_topic=0),
            "redis": load("redis-roundtrip", messages, record_bytes=size),
            "nats": load("nats-roundtrip", messages, record_bytes=size)}


def roundtrip_durable(size, messages):
    return {"redis, fsync always": load("redis-roundtrip", messages, record_bytes=size)}


def consume(size, messages):
    def run(peer):
        def both(bench):
            bench.load(f"{peer}-produce", messages=bench.count(messages), record_bytes=size)
            # Whole batches were sent: as many as a pull asks for are there.
            return bench.load(f"{peer}-consume", messages=bench.count(messages),
                              record_bytes=size)
        return both
    return {"redis": run("redis"), "nats": run("nats")}


def post(size, messages):
    """nginx reads the same requests and answers each with a constant."""
    return {"nginx": load("rest-produce", messages, connections=64, record_bytes=size, http=True,
                          path="/v1.0/bench", queue="bench")}
