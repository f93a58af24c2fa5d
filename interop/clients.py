"""Builds the client programs of kafkajs/, sarama/ and kafka-go/ and makes a test of each of
their cases.

A program called with --list prints the names of its cases; called with BOOTSTRAP CASE TOPIC
it passes that one, or says what is wrong and ends with another status than 0. DMSD_SASL tells it
how to prove who it is: JSON with mechanism, username and password.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import accounts
import harness

HERE = os.path.dirname(os.path.abspath(__file__))
# What was built once stays here: compiling a Go client takes longer than all its tests.
CACHE = os.environ.get("DMSD_CACHE") or os.path.join(HERE, "..", "build", "interop-cache")
CASE_SECONDS_MAX = 90
BUILD_SECONDS_MAX = 240


def need(program):
    if shutil.which(program) is None:
        print(f"{program} is not installed", file=sys.stderr)
        raise SystemExit(77)


def run_or_fail(what, command, **options):
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         timeout=BUILD_SECONDS_MAX, **options)
    if run.returncode != 0:
        sys.exit(f"{what}: {' '.join(command)} gave {run.returncode}\n{run.stdout}")


def node(directory):
    """Installs what directory's lock file names; returns the command that runs client.js."""
    need("node")
    need("npm")
    source = os.path.join(HERE, directory)
    lock = os.path.join(source, "package-lock.json")
    with open(lock, "rb") as file:
        version = hashlib.sha256(file.read()).hexdigest()[:16]
    target = os.path.abspath(os.path.join(CACHE, f"{directory}-{version}"))
    if not os.path.exists(os.path.join(target, "node_modules", ".package-lock.json")):
        os.makedirs(target, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(source, name), target)
        run_or_fail(f"{directory} cannot be installed (no network and not in npm's cache?)",
                    ["npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit",
                     "--no-fund"], cwd=target)
    os.environ["NODE_PATH"] = os.path.join(target, "node_modules")
    return ["node", os.path.join(source, "client.js")]


def go(directory):
    """Compiles directory's program against Debian's Go packages; returns its command."""
    need("go")
    cache = os.path.abspath(CACHE)
    os.makedirs(cache, exist_ok=True)
    binary = os.path.join(cache, directory)
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode",
                   "GOFLAGS": "-trimpath", "GOCACHE": os.path.join(cache, "go")}
    run_or_fail(f"{directory} cannot be compiled",
                ["go", "build", "-p", "2", "-o", binary, "."],
                cwd=os.path.join(HERE, directory), env=environment)
    return [binary]


class Cases(harness.BrokerTest):
    """One broker for all cases of a program; each has a topic name of its own."""

    options = {"num_partitions": 4}
    command = None

    def prepare(self, topic):
        """Called before each case."""

    def case(self, name, sasl=None):
        topic = self.topic(name)
        self.prepare(topic)
        environment = {**os.environ, "DMSD_SASL": json.dumps(sasl) if sasl else ""}
        try:
            run = subprocess.run([*self.command, self.broker.bootstrap, name, topic],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 timeout=CASE_SECONDS_MAX, env=environment)
        except subprocess.TimeoutExpired as error:
            self.fail(f"{name}: not done in {CASE_SECONDS_MAX} s\n{error.stdout}")
        self.assertEqual(run.returncode, 0, run.stdout)


class ProvenCases(Cases):
    """The same with users and passwords; a subclass says which case it passes how."""

    options = {"num_partitions": 4, "dms_authentication": "builtin"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = accounts.Accounts(cls.broker).make_user()

    def proven(self, name, mechanism, password=None):
        self.case(name, {"mechanism": mechanism, "username": self.user.login,
                         "password": password or self.user.password})

    def refused(self, name, mechanism):
        with self.assertRaises(self.failureException):
            self.proven(name, mechanism, "not the password")


def add_cases(cls, command):
    """Gives cls a test for each case of the program."""
    cls.command = command
    listed = subprocess.run([*command, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    names = listed.stdout.split()
    assert names, f"{command} has no cases"
    for name in names:
        setattr(cls, f"test_{name}", lambda self, name=name: self.case(name))
