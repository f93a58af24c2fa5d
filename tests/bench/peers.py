"""Other servers that Debian packages, each started in a directory of its own on the core that
dmsd has; README.md names the packages. The mock cluster is librdkafka's. The settings are those
nearest to what dmsd does in the same case: page cache means written to a file and not synced,
durable means synced before the answer."""

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
        set $id '{{"state":0,"id":"0123456789abcdef"}}';
        set $message '{{"message":{{"body":"{body}"}},"handler":"{handler}"}}';
        set $ten_ids '$id,$id,$id,$id,$id,$id,$id,$id,$id,$id';
        set $five '$message,$message,$message,$message,$message';
        location ~ /ack$ {{
            return 200 '{{"success":10,"fail":0}}';
        }}
        location ~ ^/ten/.*/messages$ {{
            if ($request_method = GET) {{
                return 200 '[$five,$five]';
            }}
            return 201 '{{"messages":[$ten_ids]}}';
        }}
        location / {{
            return 201 '{{"messages":[$id]}}';
        }}
    }}
}}
"""
NGINX_BODY = "b" * 1024
NGINX_HANDLER = "h" * 60  # about as long as those of dmsd

MOCK_PARTITIONS = 1000

RABBIT_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
RABBIT = """listeners.tcp = none
stream.listeners.tcp.bench = {host}:{port}
"""
RABBIT_ERLANG = "+S 1:1 -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
RABBIT_SECONDS_MAX = 180  # to start, where much else runs


class Peer:
    """Looks to a case as a broker does. command: of its directory and its port."""

    start_seconds = 20.0

    def __init__(self, command):
        self.directory = tempfile.mkdtemp(prefix="dmsd-peer-")
        self.kafka_port = self.http_port = harness.free_port()
        self.environment = dict(os.environ)
        self.process = None
        try:
            self.prepare()
            self.process = self.spawn(command(self.directory, self.kafka_port))
            self.find_port()
            harness.wait_for("the peer listens", self.listens, self.start_seconds)
        except BaseException:
            self.close()
            raise

    def prepare(self):
        """For one that needs more than its command."""

    def spawn(self, command):
        with open(os.path.join(self.directory, "output"), "ab") as output:
            return subprocess.Popen(
                pinned(command), cwd=self.directory, env=self.environment, stdin=subprocess.PIPE,
                stdout=output, stderr=output, preexec_fn=harness._die_with_parent)

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


class Rabbit(Peer):
    """With a port mapper (epmd) of its own; nothing of the machine's RabbitMQ is touched."""

    start_seconds = RABBIT_SECONDS_MAX

    def prepare(self):
        self.epmd = None
        epmd_port = harness.free_port()
        plugins, config, settings = (os.path.join(self.directory, name)
                                     for name in ("plugins", "rabbitmq.conf", "environment"))
        for path, text in [(plugins, "[rabbitmq_stream].\n"), (settings, ""),
                           (config, RABBIT.format(host=harness.HOST, port=self.kafka_port))]:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        self.environment.update({
            "HOME": self.directory,
            "ERL_EPMD_ADDRESS": harness.HOST,
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_DIST_PORT": str(harness.free_port()),
            "RABBITMQ_CONF_ENV_FILE": settings,
            "RABBITMQ_CONFIG_FILE": config,
            "RABBITMQ_ENABLED_PLUGINS_FILE": plugins,
            "RABBITMQ_MNESIA_BASE": os.path.join(self.directory, "mnesia"),
            "RABBITMQ_LOG_BASE": os.path.join(self.directory, "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": RABBIT_ERLANG,
            "RUNNING_UNDER_SYSTEMD": "1",  # the shell becomes the server, so that its id is known
        })
        self.epmd = self.spawn(["epmd", "-address", harness.HOST, "-port", str(epmd_port)])

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex((harness.HOST, epmd_port)) == 0
        harness.wait_for("epmd listens", listens)

    def close(self, check=False):
        if self.epmd is not None:
            self.epmd.kill()
            self.epmd.wait()
            self.epmd.stdin.close()
        super().close(check)


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
        file.write(NGINX.format(directory=directory, port=port, body=NGINX_BODY,
                                handler=NGINX_HANDLER))
    return ["/usr/sbin/nginx", "-c", path, "-e", os.path.join(directory, "log")]


def redis(fsync):
    return lambda directory, port: [
        "redis-server", "--bind", harness.HOST, "--port", str(port), "--dir", directory,
        "--save", "", "--appendonly", "yes", "--appendfsync", fsync,
        "--auto-aof-rewrite-percentage", "0"]


def nats(directory, port):
    return ["/usr/sbin/nats-server", "-a", harness.HOST, "-p", str(port), "-js", "-sd", directory]


def rabbit(directory, port):
    del directory, port  # in its environment
    return [RABBIT_SERVER]


SERVERS = {
    "nginx": lambda bench: Peer(nginx),
    "redis": lambda bench: Peer(redis("no")),
    "redis, fsync always": lambda bench: Peer(redis("always")),
    "nats": lambda bench: Peer(nats),
    "rabbitmq": lambda bench: Rabbit(rabbit),
    "mock cluster": lambda bench: MockCluster(
        lambda directory, port: [bench.loadgen, "mock-cluster", f"partitions={MOCK_PARTITIONS}"]),
}

PROGRAMS = {  # and the package that has it
    "nginx": ("/usr/sbin/nginx", "nginx-light"), "redis": ("redis-server", "redis-server"),
    "nats": ("/usr/sbin/nats-server", "nats-server"),
    "rabbitmq": (RABBIT_SERVER, "rabbitmq-server"), "epmd": ("epmd", "erlang-base")}


def missing():
    """Packages that are not installed."""
    return sorted({package for program, package in PROGRAMS.values()
                   if shutil.which(program) is None})


def load(case, messages, **options):
    return lambda bench: bench.load(case, messages=bench.count(messages), **options)


def streams(case, messages, names=("redis", "nats", "rabbitmq"), **options):
    """The same against each of those: `loadgen <peer>-<case>`."""
    return {name: load(f"{name.removesuffix('mq')}-{case}", messages, **options)
            for name in names}


def produce(size, messages):
    return {"mock cluster": load("produce", messages * 4, record_bytes=size, make_topic=0),
            **streams("produce", messages, record_bytes=size)}


def mock_produce(size, messages, case="produce", **options):
    """What the other servers do not have: partitions, batches, compressed by the client."""
    return {"mock cluster": load(case, messages, record_bytes=size, make_topic=0, **options)}


def many_connections(size, messages, **options):
    """Each sends batches, one in flight."""
    return {"mock cluster": load("produce", messages, record_bytes=size, make_topic=0, **options),
            **streams("produce", messages // 4, record_bytes=size, **options)}


def produce_durable(size, messages):
    return {"redis, fsync always": load("redis-produce", messages, record_bytes=size)}


def roundtrip(size, messages):
    return {"mock cluster": load("roundtrip", messages, record_bytes=size, make_topic=0),
            **streams("roundtrip", messages, record_bytes=size)}


def roundtrip_durable(size, messages):
    return {"redis, fsync always": load("redis-roundtrip", messages, record_bytes=size)}


def end_to_end(size, messages, **options):
    """Without the mock cluster, which answers a Fetch when its wait is over."""
    return streams("e2e", messages, record_bytes=size, **options)


def end_to_end_durable(size, messages, **options):
    return {"redis, fsync always": load("redis-e2e", messages, record_bytes=size, **options)}


def consume(size, messages):
    def run(peer):
        def both(bench):
            bench.load(f"{peer}-produce", messages=bench.count(messages), record_bytes=size)
            # Whole batches were sent: as many as a pull asks for are there.
            return bench.load(f"{peer}-consume", messages=bench.count(messages),
                              record_bytes=size)
        return both
    return {"redis": run("redis"), "nats": run("nats"), "rabbitmq": run("rabbit")}


def post(size, messages, batch=1):
    """nginx reads the same requests and answers each with a constant."""
    return {"nginx": load("rest-produce", messages * batch, connections=64, record_bytes=size,
                          batch_records=batch, http=True, queue="bench",
                          path="/v1.0/bench" if batch == 1 else "/ten/bench")}


def get_and_ack(messages):
    """The same: ten messages of a KiB, and the answer to their acknowledgement."""
    return {"nginx": load("rest-consume", messages, connections=16, record_bytes=1024, http=True,
                          path="/ten/bench", queue="bench", group="bench")}
