"""Requests of all kinds at both doors, for allocations that fail. Each kind is a generator in three
parts: what it needs; behind the first yield, the requests that may be refused; behind the second,
the test that what was answered is so. What can only be seen after a restart is for later."""

import functools
import itertools
import time
import uuid

import harness
import identity
import scenario_identities
import wire
from scenario_identities import PASSWORD, SASL_AUTHENTICATE, SASL_HANDSHAKE

DESCRIBE_CONFIGS = 32
TOPIC_RESOURCE = 2
OPTIONS = {"dms_authentication": "builtin", "dms_queues_per_project": 100000,
           "dms_groups_per_queue": 10000}


class Requests(scenario_identities.Scenario):
    """All kinds, for one broker with authentication."""

    def __init__(self, broker):
        super().__init__(broker, None)
        self.later = []  # called after a restart
        self.special = None  # headers of the next request
        self.numbers = itertools.count(1)

    def begin(self):
        """Who asks, and what all kinds use."""
        self.password = identity.read_admin(self.broker)["OS_PASSWORD"]
        self.token = self.log_in("admin", self.password)
        self.key = self.iam("POST", "/v3.0/OS-CREDENTIAL/credentials",
                            {"credential": {}})["credential"]
        assert self.make_topic()
        self.admin_id = self.iam("GET", "/v3/auth/tokens",
                                 subject=self.token)["token"]["user"]["id"]

    def headers(self):
        """For one request what was set for it."""
        special, self.special = self.special, None
        return super().headers() if special is None else special

    @staticmethod
    def fresh(what):
        return f"{what}-{uuid.uuid4().hex[:12]}"

    def refused(self, what, how):
        super().refused(what, how)
        # The client did nothing wrong, and is not to be told so.
        assert not how.startswith("4") and "login:" not in how, f"{what}: {how}"

    def iam(self, method, path, body=None, subject=None):
        if subject is not None:
            self.special = {**self.headers(), "X-Subject-Token": subject}
        answer = self.request(method, path, body)
        return answer and (answer.body if answer.body is not None else {})

    def signed(self, method, target):
        self.special = identity.sign(self.key["access"], self.key["secret"], method, target,
                                     {"Host": f"{harness.HOST}:{self.broker.http_port}"})
        return self.request(method, target)

    def good(self, what, error):
        """Whether it was done; refused otherwise."""
        if error != 0:
            self.refused(what, f"error {error}")
        return error == 0

    def reader(self, what, key, version, body, **options):
        """The reader of an answer that says no error in front."""
        reader = self.call(key, version, body, **options)
        return reader if reader is not None and self.good(what, reader.i16()) else None

    def make_queue(self, **fields):
        """(id, id of its group)"""
        queue = self.rest("POST", "/queues", {"name": self.fresh("queue"), **fields})["id"]
        group = self.rest("POST", f"/queues/{queue}/groups", {"groups": [{"name": "g"}]})
        return queue, group["groups"][0]["id"]

    def send(self, queue, *bodies, **fields):
        return self.rest("POST", f"/queues/{queue}/messages",
                         {"messages": [{"body": body, **fields} for body in bodies]})

    def take(self, queue, group, letters="messages", **query):
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self.rest("GET", f"/queues/{queue}/groups/{group}/{letters}?max_msgs=10&{text}")

    def confirm(self, queue, group, messages, status="success", letters=""):
        return self.rest("POST", f"/queues/{queue}/groups/{group}{letters}/ack", {"message": [
            {"handler": one["handler"], "status": status} for one in messages]})

    def drain(self, queue, group, **query):
        """Bodies of all that the group gets, acknowledged."""
        bodies = []
        while self.available(queue, group) > 0:
            got = self.take(queue, group, time_wait=1, **query)
            if not got:
                break
            bodies += [one["message"]["body"] for one in got]
            assert self.confirm(queue, group, got)["success"] == len(got)
        return bodies

    def available(self, queue, group):
        groups = self.rest("GET", f"/queues/{queue}/groups")["groups"]
        return next(one["available_messages"] for one in groups if one["id"] == group)

    # REST.

    def queues(self):
        name = self.fresh("queue")
        yield
        made = self.rest("POST", "/queues", {"name": name, "queue_mode": "KAFKA_HA"})
        tagged = group = None
        if made is not None:
            path = f"/queue/{made['id']}/tags"
            tagged = self.rest("POST", path, {"tag": {"key": "k", "value": "v"}})
            self.rest("GET", path)
            group = self.rest("POST", f"/queues/{made['id']}/groups", {"groups": [{"name": "g"}]})
            self.rest("GET", f"/queues/{made['id']}/groups")
        self.rest("GET", "/queue/tags")
        self.rest("POST", "/queue/resource_instances/action",
                  {"action": "filter", "tags": [{"key": "k", "values": ["v"]}]})
        self.rest("GET", "/queues")
        yield

        def there():
            found = self.rest("GET", f"/queues/{made['id']}")
            assert found["name"] == name, found
            tags = self.rest("GET", f"/queue/{made['id']}/tags")["tags"]
            assert tagged is None or tags == [{"key": "k", "value": "v"}], tags
            groups = self.rest("GET", f"/queues/{made['id']}/groups")["groups"]
            assert group is None or len(groups) == 1, groups
        if made is not None:
            there()
            self.later.append(there)

    def deletion(self):
        queue, group = self.make_queue(redrive_policy="enable", max_consume_count=1)
        yield
        path = f"/queues/{queue}"
        group_gone = self.rest("DELETE", f"{path}/groups/{group}")
        gone = self.rest("DELETE", path)
        yield
        found = queue in {one["id"] for one in self.rest("GET", "/queues?limit=10000")["queues"]}
        assert not (found and gone is not None), "deleted, and there"
        if found and group_gone is not None:
            assert self.rest("GET", f"{path}/groups")["groups"] == []
        if found:
            self.rest("DELETE", path)

    def messages(self):
        queue, group = self.make_queue(queue_mode="FIFO")
        yield
        kept = set()
        for body in ("a", "b", "c"):
            if self.send(queue, body, tags=["t"], attributes={"x": 1}) is not None:
                kept.add(body)
        self.maybe_leased = False
        got = self.take(queue, group, tag="t", time_wait=1) if kept else None
        acked = self.confirm(queue, group, got) if got else None
        yield
        if kept and got is None and not self.maybe_leased:
            got = self.take(queue, group, tag="t", time_wait=1)
            assert got, "what an error was answered for is leased"
        consumed = {one["message"]["body"] for one in got or ()}
        assert consumed <= {"a", "b", "c"}, got
        assert acked is None or acked["success"] == len(got), acked

        def left():
            bodies = self.drain(queue, group, tag="t")
            assert kept - consumed <= set(bodies), (kept, consumed, bodies)
            assert len(set(bodies)) == len(bodies), bodies
            assert acked is None or not consumed & set(bodies), (consumed, bodies)
        self.later.append(left)

    def letters(self):
        queue, group = self.make_queue(queue_mode="FIFO", redrive_policy="enable",
                                       max_consume_count=1)
        path = f"/queues/{queue}/groups/{group}/deadletters"
        for body in ("a", "b"):
            self.send(queue, body)
            self.confirm(queue, group, self.take(queue, group, time_wait=3), "fail")
        harness.wait_for("both are dead", lambda: len(
            self.rest("GET", path + "/list")["deadletters"]) == 2)
        yield
        listed = self.rest("GET", path + "/list")
        exported = self.request("GET", f"/v1.0/{self.project}{path}/export")
        got = self.take(queue, group, "deadletters")
        acked = self.confirm(queue, group, got[:1], letters="/deadletters") if got else None
        self.rest("POST", path + "/redrive", {"messages_per_second": 10000})
        self.rest("GET", path + "/redrive")
        yield
        if listed is not None:
            assert len(listed["deadletters"]) == 2, listed
        if exported is not None:
            assert len(exported.raw.splitlines()) == 2, exported.raw
        consumed = {got[0]["message"]["body"]} if got else set()

        def there():
            """In the queue again or still dead."""
            found = set()

            def look():
                found.update(self.drain(queue, group))
                found.update(one["message"]["body"]
                             for one in self.rest("GET", path + "/list")["deadletters"])
                return found >= {"a", "b"} - consumed
            harness.wait_for("what is not consumed", look)
            assert acked is None or not consumed & found, (consumed, found)
        self.later.append(there)

    def positions(self):
        queue, group = self.make_queue(queue_mode="FIFO")
        self.send(queue, "a", "b")
        assert sorted(self.drain_some(queue, group)) == ["a", "b"]
        yield
        browsed = self.rest("GET", f"/queues/{queue}/messages?partition=0&offset=0")
        reset = self.rest("POST", f"/queues/{queue}/groups/{group}/reset",
                          {"position": "earliest"})
        self.rest("GET", f"/queues/{queue}/groups")
        yield
        if browsed is not None:
            assert len(browsed["messages"]) == 2, browsed
        if reset is not None:
            assert sorted(self.drain_some(queue, group)) == ["a", "b"]

    def drain_some(self, queue, group):
        got = self.take(queue, group, time_wait=1) or []
        if got:
            self.confirm(queue, group, got)
        return [one["message"]["body"] for one in got]

    def policies(self):
        queue, _ = self.make_queue()
        path = f"/queues/{queue}/policies"
        policy = {"users": ["*"], "actions": ["GetQueue"]}
        yield
        made = self.rest("POST", path, policy)
        other = self.rest("POST", path, policy)
        removed = other and self.rest("DELETE", f"{path}/{other['id']}")
        self.rest("GET", path)
        yield
        found = {one["id"] for one in self.rest("GET", path)["policies"]}
        assert made is None or made["id"] in found, found
        if removed is not None:
            assert other["id"] not in found, found

    def watching(self):
        queue, _ = self.make_queue()
        now = int(time.time() * 1000)
        yield
        for path in (f"/V1.0/{self.project}/metric-data?namespace=SYS.DMS"
                     "&metric_name=queued_messages&period=1&filter=sum"
                     f"&dim.0=queue_instance_id,{queue}&from={now - 600000}&to={now}",
                     f"/V1.0/{self.project}/metrics", f"/v3/{self.project}/traces",
                     f"/v1.0/{self.project}/quotas/dms", "/metrics"):
            self.request("GET", path)
        yield

    # Identities.

    def accounts(self):
        name = self.fresh("user")
        yield
        made = self.iam("POST", "/v3/users", {"user": {"name": name}})
        domain = self.iam("POST", "/v3/domains", {"domain": {"name": name}})
        project = self.iam("POST", "/v3/projects", {"project": {"name": name}})
        roles = self.iam("GET", "/v3/roles")
        if made is not None and project is not None and roles is not None:
            self.iam("PUT", f"/v3/projects/{project['project']['id']}/users/"
                     f"{made['user']['id']}/roles/{roles['roles'][0]['id']}")
        self.iam("GET", "/v3/users")
        yield

        def there():
            for kind, one in (("user", made), ("domain", domain), ("project", project)):
                if one is not None:
                    found = self.iam("GET", f"/v3/{kind}s/{one[kind]['id']}")
                    assert found[kind]["name"] == name, found
        there()
        self.later.append(there)

    def passwords(self):
        name = self.fresh("user")
        yield
        made = self.iam("POST", "/v3/users", {"user": {"name": name, "password": PASSWORD}})
        self.log_in("admin", self.password)
        yield
        if made is not None:
            assert self.log_in(name, PASSWORD), f"{name} cannot log in"

    def tokens(self):
        yield
        made = self.request("POST", "/v3/auth/tokens", {"auth": {
            "identity": {"methods": ["token"], "token": {"id": self.token}}}})
        token = made and made.headers["X-Subject-Token"]
        gone = None
        if token is not None:
            self.iam("GET", "/v3/auth/tokens", subject=token)
            gone = self.iam("DELETE", "/v3/auth/tokens", subject=token)
        yield
        if token is not None:
            status = identity.Rest(self.broker, token, self.project).call("GET", "/queues").status
            assert status == 401 or gone is None and status == 200, (status, gone)

    def keys(self):
        yield
        path = "/v3.0/OS-CREDENTIAL/credentials"
        made = self.iam("POST", path, {"credential": {}})
        temporary = self.iam("POST", "/v3.0/OS-CREDENTIAL/securitytokens", {"auth": {
            "identity": {"methods": ["token"], "token": {"id": self.token}}}})
        self.iam("GET", path)
        target = f"/v1.0/{self.project}/queues"
        self.signed("GET", f"{target}?limit={next(self.numbers)}")
        yield
        for one in (made, temporary):
            if one is not None:
                key = one["credential"]
                headers = {"X-Security-Token": key["securitytoken"]} if one is temporary else {}
                answer = identity.Rest(self.broker).signed(key, "GET", target, headers=headers)
                assert answer.status == 200, answer
        if made is not None:
            self.iam("DELETE", f"{path}/{made['credential']['access']}")

    # Kafka.

    def topics(self):
        name = self.fresh("topic")
        body = wire.string(name) + wire.i32(1) + wire.i16(1) + wire.array([]) + wire.array([])
        yield
        reader = self.call(wire.CREATE_TOPICS, 2, wire.array([body]) + wire.i32(9999) + wire.i8(0))
        made = reader is not None and self.good("create", error_of_topic(reader))
        reader = self.call(DESCRIBE_CONFIGS, 1, wire.array([
            wire.i8(TOPIC_RESOURCE) + wire.string(self.topic) + wire.array(None)]) + wire.i8(1))
        if reader is not None:
            reader.i32(), reader.i32()
            self.good("describe configs", reader.i16())
        grown = False
        if made:
            reader = self.call(wire.CREATE_PARTITIONS, 0, wire.array([
                wire.string(name) + wire.i32(2) + wire.array(None)]) + wire.i32(9999) + wire.i8(0))
            grown = reader is not None and self.good("grow", error_of_topic(reader))
        self.call(wire.DESCRIBE_CLUSTER, 0, wire.i8(1) + b"\0", flexible=True)
        self.call(wire.DESCRIBE_TOPIC_PARTITIONS, 0, wire.compact_array(
            [wire.compact(self.topic) + b"\0"]) + wire.i32(10) + wire.i8(-1) + b"\0",
            flexible=True)
        yield
        if made:
            count = 2 if grown else None
            self.see(name, count)
            self.later.append(functools.partial(self.see, name, count))

    def see(self, name, count):
        """The topic has so many partitions (None: any). One that found no memory to be opened is
        offline until that is tried again: LEADER_NOT_AVAILABLE."""
        reader = self.call(wire.METADATA, 4, wire.metadata_body([name], 4, auto_create=False))
        error, partitions = wire.read_metadata(reader, 4)[name]
        assert error in (0, 5) and count in (None, partitions), (name, error, partitions)

    def topic_deletion(self):
        name = self.fresh("topic")
        reader = self.call(wire.METADATA, 4, wire.metadata_body([name], 4))
        assert wire.read_metadata(reader, 4)[name][0] == 0
        yield
        reader = self.call(wire.DELETE_TOPICS, 1, wire.array([wire.string(name)]) + wire.i32(9999))
        gone = reader is not None and self.good("delete", error_of_topic(reader))
        yield
        reader = self.call(wire.METADATA, 4, wire.metadata_body([name], 4, auto_create=False))
        found = wire.read_metadata(reader, 4)[name][0]
        assert found == 3 or not gone and found == 0, (found, gone)

    def members(self):
        group = self.fresh("group")
        self.make_topic()
        yield
        self.reader("find", wire.FIND_COORDINATOR, 0, wire.string(group))
        reader = self.reader("join", wire.JOIN_GROUP, 0, wire.string(group) + wire.i32(10000)
                             + wire.string("") + wire.string("consumer")
                             + wire.array([wire.string("range") + wire.data(b"")]))
        member = None
        if reader is not None:
            generation, _, _, member = (reader.i32(), reader.string(), reader.string(),
                                        reader.string())
            us = wire.string(group) + wire.i32(generation) + wire.string(member)
            reader = self.reader("sync", wire.SYNC_GROUP, 0, us + wire.array(
                [wire.string(member) + wire.data(b"mine")]))
            assert reader is None or reader.data() == b"mine"
            self.reader("heartbeat", wire.HEARTBEAT, 0, us)
            committed = self.commit_as(us, 7)
        self.call(wire.DESCRIBE_GROUPS, 0, wire.array([wire.string(group)]))
        self.reader("list", wire.LIST_GROUPS, 0, b"")
        if member is not None:
            self.reader("leave", wire.LEAVE_GROUP, 0, wire.string(group) + wire.string(member))
        yield
        if member is not None and committed:
            self.committed_is(group, 7)
            self.later.append(functools.partial(self.committed_is, group, 7))

    def commit_as(self, us, offset):
        reader = self.call(wire.OFFSET_COMMIT, 2, us + wire.i64(-1) + wire.array(
            [wire.string(self.topic) + wire.array(
                [wire.i32(0) + wire.i64(offset) + wire.string("")])]))
        if reader is None:
            return False
        rows = reader.array(lambda one: (one.string(), one.array(
            lambda row: (row.i32(), row.i16()))))
        return self.good("commit", rows[0][1][0][1])

    def committed_is(self, group, wanted):
        reader = self.call(wire.OFFSET_FETCH, 2, wire.string(group) + wire.array(
            [wire.string(self.topic) + wire.array([wire.i32(0)])]))
        rows = reader.array(lambda one: (one.string(), one.array(
            lambda row: (row.i32(), row.i64(), row.string(), row.i16()))))
        assert rows[0][1][0][1::2] == (wanted, 0), rows

    def offsets(self):
        """Of a group without members."""
        group = self.fresh("group")
        assert self.commit_as(wire.string(group) + wire.i32(-1) + wire.string(""), 5)
        yield
        gone = self.reader("delete offsets", wire.OFFSET_DELETE, 0, wire.string(group) + wire.array(
            [wire.string(self.topic) + wire.array([wire.i32(0)])]))
        if gone is not None:
            gone.i32()
            rows = gone.array(lambda one: (one.string(), one.array(
                lambda row: (row.i32(), row.i16()))))
            gone = self.good("delete offset", rows[0][1][0][1])
        reader = self.call(wire.DELETE_GROUPS, 0, wire.array([wire.string(group)]))
        yield
        if gone:
            self.committed_is(group, -1)
        elif reader is None:
            reader = self.call(wire.DELETE_GROUPS, 0, wire.array([wire.string(group)]))
            assert reader is not None

    def producer(self):
        topic = self.fresh("topic")
        reader = self.call(wire.METADATA, 4, wire.metadata_body([topic], 4))
        assert wire.read_metadata(reader, 4)[topic][0] == 0
        yield
        reader = self.call(wire.INIT_PRODUCER_ID, 0, wire.string(None) + wire.i32(60000))
        batches = []
        if reader is not None:
            reader.i32()
            if self.good("producer id", reader.i16()):
                one, epoch = reader.i64(), reader.i16()
                batches = [wire.batch([b"%d" % index], int(time.time() * 1000), producer_id=one,
                                      epoch=epoch, sequence=index) for index in range(4)]
        told = {}
        done = 0
        while done < len(batches) and len(self.refusals) < 20:
            reader = self.call(wire.PRODUCE, 7, wire.produce_body(topic, 0, batches[done]))
            if reader is None:
                continue  # the client tries the same again
            error, base, _, _ = wire.read_produce(reader, 7)
            if self.good("produce", error):
                told[base] = batches[done]
                done += 1
        yield

        def once():
            kept, self.topic = self.topic, topic
            try:
                found = self.fetch_all()
            finally:
                self.topic = kept
            assert found == {index: b"%d" % index for index in range(done)}, (found, told)
        once()
        self.later.append(once)

    def reads(self):
        self.produce(self.fresh("value"))
        topic_id = self.topic_id()
        yield
        body = (wire.i32(-1) + wire.i32(0) + wire.i32(1) + wire.i32(1 << 20) + wire.i8(0)
                + wire.i32(0) + wire.i32(0) + wire.compact_array([
                    topic_id + wire.compact_array([
                        wire.i32(0) + wire.i32(-1) + wire.i64(0) + wire.i32(-1) + wire.i64(-1)
                        + wire.i32(1 << 20) + b"\0"]) + b"\0"])
                + wire.compact_array([]) + wire.compact("") + b"\0")
        reader = self.call(wire.FETCH, 13, body, flexible=True)
        if reader is not None:
            reader.tags(), reader.i32()
            self.good("fetch by id", reader.i16())
        reader = self.call(wire.LIST_OFFSETS, 1, wire.i32(-1) + wire.array(
            [wire.string(self.topic) + wire.array([wire.i32(0) + wire.i64(-1)])]))
        self.call(wire.OFFSET_FOR_LEADER_EPOCH, 2, wire.array(
            [wire.string(self.topic) + wire.array([wire.i32(0) + wire.i32(-1) + wire.i32(1)])]))
        self.call(wire.API_VERSIONS, 3, wire.compact("x") + wire.compact("1") + b"\0",
                  flexible=True)
        self.fetch(0)
        yield

    def topic_id(self):
        reader = self.call(wire.METADATA, 10, wire.compact_array(
            [bytes(16) + wire.compact(self.topic) + b"\0"]) + wire.i8(0) * 3 + b"\0", flexible=True)
        reader.tags(), reader.i32()
        reader.compact_array(lambda one: (one.i32(), one.compact(), one.i32(), one.compact(),
                                          one.tags()))
        reader.compact(), reader.i32()
        assert reader.uvarint() == 2 and reader.i16() == 0 and reader.compact() == self.topic
        return reader.take(16)

    def logins(self):
        """With PLAIN, as on every connection, and with SCRAM."""
        yield
        self.disconnect()
        self.call(wire.API_VERSIONS, 0, b"")
        self.disconnect()
        self.prove = self.prove_by_scram
        try:
            self.call(wire.API_VERSIONS, 0, b"")
        finally:
            del self.prove
        yield

    def prove_by_scram(self, kafka):
        def say(text):
            reader = kafka.call(SASL_AUTHENTICATE, 1, wire.data(text.encode()))
            error, message = reader.i16(), reader.string()
            assert error == 0, f"login: {error} {message}"
            return reader.data().decode()

        assert kafka.call(SASL_HANDSHAKE, 1, wire.string("SCRAM-SHA-256")).i16() == 0
        first = f"n={self.key['access']},r=nonce"
        final, server = identity.scram_final(self.key["secret"], first, say("n,," + first))
        assert say(final) == server

    KINDS = ("queues", "deletion", "messages", "letters", "positions", "policies", "watching",
             "accounts", "tokens", "keys", "topics", "topic_deletion", "members", "offsets",
             "producer", "reads", "logins", "passwords")
    SLOW = {"passwords"}  # they are hashed


def error_of_topic(reader):
    """Of the only topic in an answer that has the time of throttling in front."""
    reader.i32(), reader.i32(), reader.string()
    return reader.i16()
