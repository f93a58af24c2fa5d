#!/usr/bin/env python3
"""SASL at the Kafka door: PLAIN with passwords and access keys, SCRAM-SHA-256 and -512, with kcat,
kafka-python and confluent-kafka; and with bytes by hand what no client does: requests out of
turn, frames too large, raw tokens, renewed sessions, credentials that are taken away."""

import concurrent.futures
import struct
import time

import confluent_kafka
import kafka
import kafka.errors

import accounts
import harness
import identity
import wire

HANDSHAKE, AUTHENTICATE = 17, 36
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
UNSUPPORTED_MECHANISM, ILLEGAL_STATE, AUTHENTICATION_FAILED = 33, 34, 58
PROVING_SECONDS_MAX = 5
UNPROVEN_FRAME_MAX = 64 * 1024


class SaslTest(accounts.AccountsTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = cls.accounts.make_user()

    def become_new(self):
        """A user for this test alone: one that may be changed, or fail often."""
        self.user = self.accounts.make_user()

    def connect(self):
        connection = wire.Connection(self.broker.connect())
        self.addCleanup(connection.close)
        return connection

    def handshake(self, connection, mechanism="PLAIN", version=1):
        reader = connection.call(HANDSHAKE, version, wire.string(mechanism))
        error = reader.i16()
        self.assertEqual(reader.array(wire.Reader.string), list(MECHANISMS))
        reader.end()
        return error

    @staticmethod
    def plain(user, password, authzid=""):
        return f"{authzid}\0{user}\0{password}".encode()

    def authenticate(self, connection, token):
        """(error, message, bytes, lifetime) of version 1."""
        reader = connection.call(AUTHENTICATE, 1, wire.data(token))
        answer = (reader.i16(), reader.string(), reader.data(), reader.i64())
        reader.end()
        return answer

    def challenge(self, connection, login, mechanism="SCRAM-SHA-256"):
        """The first message of the client, and the server's."""
        self.assertEqual(self.handshake(connection, mechanism), 0)
        first = f"n={login},r=abcdef"
        error, _, challenge, _ = self.authenticate(connection, f"n,,{first}".encode())
        self.assertEqual(error, 0)
        return first, challenge.decode()

    def scram(self, password):
        """The error of a login with SCRAM-SHA-256, on a connection of its own."""
        connection = self.connect()
        first, challenge = self.challenge(connection, self.user.login)
        final, _ = identity.scram_final(password, first, challenge)
        return self.authenticate(connection, final.encode())[0]

    def open(self, user=None):
        """A connection that has proven itself as user."""
        user = user or self.user
        connection = self.connect()
        self.assertEqual(self.handshake(connection), 0)
        answer = self.authenticate(connection, self.plain(user.login, user.password))
        self.assertEqual(answer, (0, None, b"", 0))
        return connection

    def topics(self, connection):
        answer = wire.read_metadata(connection.call(
            wire.METADATA, 1, wire.metadata_body(None, 1)), 1)
        return answer


class Clients(SaslTest):
    def test_kcat_produces_and_consumes_with_every_mechanism(self):
        for mechanism in MECHANISMS:
            with self.subTest(mechanism):
                topic = self.topic()
                self.user.kcat("-P", "-t", topic, stdin=b"proven\n", mechanism=mechanism)
                got = self.user.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q",
                                     mechanism=mechanism)
                self.assertEqual(got, b"proven\n")

    def test_kafka_python_with_every_mechanism_and_a_group(self):
        for mechanism in MECHANISMS:
            with self.subTest(mechanism):
                topic = self.topic()
                options = {"bootstrap_servers": self.broker.bootstrap,
                           "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism,
                           "sasl_plain_username": self.user.login,
                           "sasl_plain_password": self.user.password,
                           "api_version_auto_timeout_ms": 20000}
                producer = kafka.KafkaProducer(acks="all", **options)
                producer.send(topic, b"x").get(timeout=20)
                producer.close()
                consumer = kafka.KafkaConsumer(topic, group_id=self.topic("group"),
                                               auto_offset_reset="earliest", **options)
                self.assertEqual(next(consumer).value, b"x")
                consumer.close()

    def test_confluent_with_every_mechanism_and_an_idempotent_producer(self):
        for mechanism in MECHANISMS:
            with self.subTest(mechanism):
                errors = []
                producer = confluent_kafka.Producer({
                    "bootstrap.servers": self.broker.bootstrap, "enable.idempotence": True,
                    **self.user.kafka(mechanism)})
                producer.produce(self.topic(), b"x",
                                 on_delivery=lambda error, _: errors.append(error))
                self.assertEqual(producer.flush(20), 0)
                self.assertEqual(errors, [None])

    def test_access_and_secret_key_stand_for_their_user(self):
        access, secret = self.accounts.access_key(self.user)
        for mechanism in MECHANISMS:
            with self.subTest(mechanism):
                key = accounts.User(self.accounts, None, access, self.user.domain, secret,
                                    self.user.project)
                topic = self.topic()
                key.kcat("-P", "-t", topic, stdin=b"x\n", mechanism=mechanism)
                queues = self.user.rest().must(200, "GET", "/queues")["queues"]
                names = [row["name"] for row in queues]
                self.assertIn(topic, names)  # made in the user's project

    def test_wrong_passwords_and_unknown_users_are_refused_with_one_text(self):
        self.become_new()
        for mechanism in MECHANISMS:
            for login, password in ((self.user.login, "not the password"),
                                    ("nobody-" + self.user.login, self.user.password)):
                with self.subTest(mechanism=mechanism, login=login):
                    with self.assertRaisesRegex(AssertionError, "invalid credentials with SASL "
                                                f"mechanism {mechanism}"):
                        accounts.User(self.accounts, None, login, self.user.domain, password,
                                      None).kcat("-P", "-t", "x", stdin=b"x", mechanism=mechanism)

    def test_user_of_another_domain_is_named_with_it(self):
        domain = self.accounts.make_domain("Tenant " + self.topic("x"))
        user = self.accounts.make_user(domain=domain)
        self.assertIn("/", user.login)
        for mechanism in MECHANISMS:
            user.kcat("-L", mechanism=mechanism)


class States(SaslTest):
    def test_api_versions_tell_of_sasl_before_authentication(self):
        reader = self.connect().call(wire.API_VERSIONS, 0, b"")
        self.assertEqual(reader.i16(), 0)
        rows = {one[0]: one[1:] for one in
                reader.array(lambda r: (r.i16(), r.i16(), r.i16()))}
        self.assertEqual((rows[HANDSHAKE], rows[AUTHENTICATE]), ((0, 1), (0, 2)))

    def test_without_authentication_sasl_is_not_offered(self):
        broker = self.own_broker()
        connection = wire.Connection(broker.connect())
        self.addCleanup(connection.close)
        reader = connection.call(wire.API_VERSIONS, 0, b"")
        reader.i16()
        keys = [one[0] for one in reader.array(lambda r: (r.i16(), r.i16(), r.i16()))]
        self.assertFalse({HANDSHAKE, AUTHENTICATE} & set(keys))
        connection.send(HANDSHAKE, 1, wire.string("PLAIN"))
        self.assertTrue(connection.is_closed_by_peer())

    def test_anything_else_before_authentication_ends_the_connection(self):
        for key, version, body in ((wire.METADATA, 1, wire.metadata_body(None, 1)),
                                   (wire.PRODUCE, 3, b""), (wire.FETCH, 4, b"\0" * 10)):
            with self.subTest(key):
                connection = self.connect()
                connection.send(key, version, body)
                self.assertTrue(connection.is_closed_by_peer())
                connection = self.connect()
                self.handshake(connection)
                connection.send(key, version, body)
                self.assertTrue(connection.is_closed_by_peer())

    def test_requests_behind_the_last_token_wait_for_its_end(self):
        self.become_new()
        connection = self.connect()
        self.handshake(connection)
        connection.send(AUTHENTICATE, 0, wire.data(self.plain(self.user.login,
                                                              self.user.password)))
        connection.send(wire.METADATA, 1, wire.metadata_body(None, 1))
        self.assertEqual(connection.receive()[1].i16(), 0)
        self.assertIsNotNone(connection.receive())
        connection = self.connect()
        self.handshake(connection)
        connection.send(AUTHENTICATE, 0, wire.data(self.plain(self.user.login, "wrong")))
        connection.send(wire.METADATA, 1, wire.metadata_body(None, 1))
        self.assertEqual(connection.receive()[1].i16(), AUTHENTICATION_FAILED)
        self.assertTrue(connection.is_closed_by_peer())

    def test_unknown_mechanism_is_33_and_the_end(self):
        connection = self.connect()
        self.assertEqual(self.handshake(connection, "DMS"), UNSUPPORTED_MECHANISM)
        self.assertTrue(connection.is_closed_by_peer())

    def test_out_of_turn_is_34_and_the_end(self):
        connection = self.connect()
        self.assertEqual(self.authenticate(connection, b"x")[0], ILLEGAL_STATE)
        self.assertTrue(connection.is_closed_by_peer())
        connection = self.connect()
        self.handshake(connection)
        self.assertEqual(self.handshake(connection), ILLEGAL_STATE)
        self.assertTrue(connection.is_closed_by_peer())

    def test_failure_is_58_after_a_delay_and_the_end(self):
        self.become_new()
        login, password = self.user.login, self.user.password
        for token in (self.plain(login, password + "x"), self.plain("", password),
                      self.plain(login, ""), b"", b"\0", login.encode(),
                      self.plain(login, password) + b"\0",
                      self.plain(login, password, "admin"),  # CVE-2017-12610
                      b"\0" + b"u" * 60000 + b"\0p"):
            with self.subTest(token[:40]):
                connection = self.connect()
                self.handshake(connection)
                started = time.monotonic()
                error, text, answer, _ = self.authenticate(connection, token)
                self.assertGreaterEqual(time.monotonic() - started, 0.1)
                self.assertEqual((error, answer), (AUTHENTICATION_FAILED, b""))
                self.assertIn("invalid credentials", text)
                self.assertTrue(connection.is_closed_by_peer())

    def test_failed_logins_leave_a_trace(self):
        """In the default project, as those over REST do: whose they are is not known."""
        self.become_new()
        login = self.user.login
        connection = self.connect()
        self.handshake(connection)
        self.authenticate(connection, self.plain(login, "wrong"))
        connection = self.connect()
        self.handshake(connection, "SCRAM-SHA-256")
        self.authenticate(connection, f"n,,n={login},r=abc".encode())
        self.authenticate(connection, b"c=biws,r=abc,p=AAAA")
        traces = self.accounts.root.raw(
            "GET", f"/v3/{accounts.DEFAULT_PROJECT}/traces?trace_name=login"
            f"&resource_name={login}").body["traces"]
        self.assertEqual(len(traces), 2, traces)
        for one in traces:
            self.assertEqual((one["resource_type"], one["code"], one["api_version"],
                              one["trace_rating"], one["source_ip"]),
                             ("user", str(AUTHENTICATION_FAILED), "kafka", "warning",
                              harness.HOST))
            self.assertTrue(one["message"])

    def test_authzid_may_be_the_user(self):
        connection = self.connect()
        self.handshake(connection)
        token = self.plain(self.user.login, self.user.password, self.user.login)
        self.assertEqual(self.authenticate(connection, token)[0], 0)

    def test_raw_tokens_of_old_clients(self):
        self.become_new()
        def exchange(password):
            connection = self.connect()
            self.assertEqual(self.handshake(connection, version=0), 0)
            token = self.plain(self.user.login, password)
            connection.sock.sendall(wire.i32(len(token)) + token)
            return connection

        connection = exchange(self.user.password)
        self.assertEqual(connection.read(4), b"\0\0\0\0")
        self.assertIsNotNone(self.topics(connection))
        connection = exchange("wrong")
        self.assertTrue(connection.is_closed_by_peer())

    def test_raw_scram(self):
        connection = self.connect()
        self.assertEqual(self.handshake(connection, "SCRAM-SHA-256", 0), 0)

        def send(text):
            connection.sock.sendall(wire.i32(len(text)) + text.encode())
            return connection.read(struct.unpack(">i", connection.read(4))[0]).decode()

        first = f"n={self.user.login},r=abcdef"
        challenge = send("n,," + first)
        final, server = identity.scram_final(self.user.password, first, challenge)
        self.assertEqual(send(final), server)
        self.assertIsNotNone(self.topics(connection))

    def test_salts_do_not_tell_who_exists(self):
        def salt(login, mechanism="SCRAM-SHA-256"):
            return self.challenge(self.connect(), login, mechanism)[1].split(",")[1]
        domain = self.accounts.domain
        for name in (self.accounts.admin.name, "nobody"):
            one = {salt(login) for login in (name, name, f"{domain['name']}/{name}",
                                             f"{domain['id']}/{name}")}
            self.assertEqual(len(one), 1, name)
            self.assertNotIn(salt(name, "SCRAM-SHA-512"), one)
            self.assertNotIn(salt(f"nowhere/{name}"), one)


class Limits(SaslTest):
    def test_failed_logins_by_scram_are_throttled(self):
        self.become_new()
        self.assertEqual(self.scram(self.user.password), 0)
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            errors = list(pool.map(self.scram, ["wrong"] * 10))
        self.assertEqual(errors, [AUTHENTICATION_FAILED] * 10)
        self.assertEqual(self.scram(self.user.password), AUTHENTICATION_FAILED)
        self.become_new()
        for _ in range(12):  # right ones are no failures
            self.assertEqual(self.scram(self.user.password), 0)

    def test_frame_before_authentication_is_at_most_64_kib(self):
        for size in (UNPROVEN_FRAME_MAX + 1, 2 ** 31 - 1, 100 * 1024 * 1024):
            connection = self.connect()
            connection.sock.sendall(wire.i32(size))
            self.assertTrue(connection.is_closed_by_peer())
        connection = self.open()
        body = wire.produce_body(self.topic(), 0, wire.batch([b"x" * 200000], 0))
        connection.call(wire.PRODUCE, 3, body)  # afterwards it may be larger

    def test_who_proves_nothing_in_time_is_sent_away(self):
        started = time.monotonic()
        silent, slow = self.connect(), self.connect()
        self.handshake(slow)
        for connection in (silent, slow):
            connection.sock.settimeout(PROVING_SECONDS_MAX * 4)
            self.assertTrue(connection.is_closed_by_peer())
        self.assertGreaterEqual(time.monotonic() - started, PROVING_SECONDS_MAX - 1)

    def test_who_is_proven_may_be_silent(self):
        connection = self.open()
        time.sleep(PROVING_SECONDS_MAX + 1)  # what must not happen cannot be waited for
        self.assertIsNotNone(self.topics(connection))


class Revoked(SaslTest):
    def setUp(self):
        self.become_new()

    def assert_ended(self, connection):
        connection.send(wire.METADATA, 1, wire.metadata_body(None, 1))
        self.assertTrue(connection.is_closed_by_peer())

    def test_disabled_user_loses_live_sessions(self):
        connection = self.open()
        self.topics(connection)
        self.accounts.change_user(self.user, enabled=False)
        self.assert_ended(connection)
        with self.assertRaises(AssertionError):
            self.user.kcat("-P", "-t", "x", stdin=b"x", mechanism="PLAIN")

    def test_new_password_ends_sessions_of_the_old_one(self):
        connection = self.open()
        self.accounts.change_user(self.user, password="another password")
        self.assert_ended(connection)

    def test_deleted_access_key_ends_its_sessions_only(self):
        access, secret = self.accounts.access_key(self.user)
        key = accounts.User(self.accounts, None, access, self.user.domain, secret, None)
        by_key, by_password = self.open(key), self.open()
        self.accounts.delete_access_key(access)
        self.assert_ended(by_key)
        self.topics(by_password)

    def test_fetch_that_waits_gets_nothing_after_it(self):
        # CVE-2021-34434: data that comes after the revocation is not delivered.
        topic = self.topic()
        other = self.accounts.make_user(project=self.user.project)
        other.kcat("-P", "-t", topic, stdin=b"first\n")
        connection = self.open()
        connection.send(wire.FETCH, 4, wire.fetch_body(topic, 0, 1, max_wait_ms=15000))
        self.accounts.change_user(self.user, enabled=False)
        other.kcat("-P", "-t", topic, stdin=b"secret\n")
        self.assertTrue(connection.is_closed_by_peer())


class Renewed(SaslTest):
    options = {"dms_authentication": "builtin", "connections_max_reauth_ms": 2000}

    def open(self, user=None):
        user = user or self.user
        connection = self.connect()
        self.handshake(connection)
        answer = self.authenticate(connection, self.plain(user.login, user.password))
        self.assertEqual(answer, (0, None, b"", 2000))
        return connection

    def test_session_that_is_not_renewed_ends(self):
        connection = self.open()
        self.topics(connection)
        time.sleep(2.1)
        connection.send(wire.METADATA, 1, wire.metadata_body(None, 1))
        self.assertTrue(connection.is_closed_by_peer())

    def test_session_is_renewed_on_the_live_connection(self):
        connection = self.open()
        for _ in range(3):
            time.sleep(1)
            self.assertEqual(self.handshake(connection), 0)
            self.topics(connection)  # others may come in between
            token = self.plain(self.user.login, self.user.password)
            self.assertEqual(self.authenticate(connection, token), (0, None, b"", 2000))
        self.topics(connection)

    def test_user_may_not_change(self):
        other = self.accounts.make_user(project=self.user.project)
        connection = self.open()
        self.handshake(connection)
        error = self.authenticate(connection, self.plain(other.login, other.password))[0]
        self.assertEqual(error, AUTHENTICATION_FAILED)
        self.assertTrue(connection.is_closed_by_peer())


if __name__ == "__main__":
    harness.main(threads=8)
