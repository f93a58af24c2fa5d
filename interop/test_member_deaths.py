#!/usr/bin/env python3
"""Members of groups that die at every step, as followers and as leaders: the others have their
partitions within the session time, and no memory stays behind. Members by hand, which can stop
anywhere; kcat where a real client is to notice."""

import concurrent.futures
import os
import subprocess
import sys
import threading
import time

import harness
import wire

SANITIZED = bool(os.environ.get("DMSD_SANITIZE"))
SESSION_MS = 1500
# A rebalance that waits for the dead, its session, and what survivors need to hear of it; a
# sanitizer makes all of them slow.
STABLE_SECONDS_MAX = 3 * SESSION_MS / 1000 + (30 if SANITIZED else 5)
HEARTBEAT_SECONDS = 0.1
REBALANCING, MEMBER_ID_REQUIRED, FENCED_INSTANCE = 27, 79, 82
RESERVED_IDS = 5000
RSS_MIB_MAX = 24  # what some ten deaths, or RESERVED_IDS members that never came, may leave


class Member:
    """A group member by hand. What sends is named ask_..., the rest waits for the answer."""

    def __init__(self, test, group, topic, instance=None, connection=None):
        self.test, self.group, self.topic, self.instance = test, group, topic, instance
        self.id, self.generation, self.leader, self.assigned = "", -1, "", b""
        self.members = []
        self.connection = connection
        if connection is None:
            self.connection = wire.Connection(test.broker.connect(60))
            test.addCleanup(self.connection.close)

    def ask_to_join(self):
        metadata = wire.i16(0) + wire.array([wire.string(self.topic)]) + wire.data(b"")
        self.connection.send(
            wire.JOIN_GROUP, 5, wire.string(self.group) + wire.i32(SESSION_MS)
            + wire.i32(SESSION_MS) + wire.string(self.id) + wire.string(self.instance)
            + wire.string("consumer")
            + wire.array([wire.string("range") + wire.data(metadata)]))

    def joined(self):
        """The error."""
        answer = self.connection.receive()[1]
        answer.i32()
        error, generation = answer.i16(), answer.i32()
        answer.string()
        leader, member = answer.string(), answer.string()
        members = answer.array(lambda one: (one.string(), one.string(), one.data()))
        answer.end()
        if error in (0, MEMBER_ID_REQUIRED):
            self.id = member
        if error == 0:
            self.generation, self.leader = generation, leader
            self.members = [row[0] for row in members]
        return error

    def reserve(self):
        """Gets an id, as somebody new without an instance must."""
        if self.instance is None and not self.id:
            self.ask_to_join()
            self.test.assertEqual(self.joined(), MEMBER_ID_REQUIRED)
            self.test.assertTrue(self.id)

    def join(self):
        self.reserve()
        self.ask_to_join()
        self.test.assertEqual(self.joined(), 0)

    def leads(self):
        return self.leader == self.id

    def identity(self):
        return (wire.string(self.group) + wire.i32(self.generation) + wire.string(self.id)
                + wire.string(self.instance))

    def ask_to_sync(self):
        """A leader gives everybody its own id."""
        rows = [wire.string(name) + wire.data(name.encode()) for name in self.members]
        self.connection.send(wire.SYNC_GROUP, 3, self.identity() + wire.array(rows))

    def synced(self):
        """The error."""
        answer = self.connection.receive()[1]
        answer.i32()
        error, self.assigned = answer.i16(), answer.data()
        answer.end()
        return error

    def sync(self):
        self.ask_to_sync()
        self.test.assertEqual(self.synced(), 0)

    def heartbeat(self):
        """The error."""
        answer = self.connection.call(wire.HEARTBEAT, 3, self.identity())
        answer.i32()
        return answer.i16()

    def ask_to_fetch(self):
        self.connection.send(wire.FETCH, 4, wire.fetch_body(self.topic, 0, 0, max_wait_ms=30000,
                                                            min_bytes=1 << 20))

    def ask_to_commit(self):
        self.connection.send(
            wire.OFFSET_COMMIT, 7, self.identity() + wire.array([wire.string(self.topic)
            + wire.array([wire.i32(0) + wire.i64(1) + wire.i32(-1) + wire.string("")])]))

    def commit(self):
        """The error."""
        self.ask_to_commit()
        answer = self.connection.receive()[1]
        answer.i32()
        rows = answer.array(lambda one: (one.string(), one.array(
            lambda part: (part.i32(), part.i16()))))
        return rows[0][1][0][1]

    def ask_to_leave(self):
        self.connection.send(wire.LEAVE_GROUP, 1, wire.string(self.group)
                             + wire.string(self.id))

    def die(self, closes):
        """Says nothing more; its connection ends with it or stays."""
        if closes:
            self.connection.close()


class Living:
    """Lets a member go on in a thread of its own, as a client would, until its end."""

    def __init__(self, member):
        self.member = member
        self.errors = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        member.test.addCleanup(self.end)
        self.thread.start()

    def run(self):
        try:
            while not self.over.is_set():
                error = self.member.heartbeat()
                if error != 0:
                    self.errors.append(error)
                    self.rejoin()
                self.over.wait(HEARTBEAT_SECONDS)
        except (AssertionError, OSError, TypeError) as error:
            self.errors.append(error)

    def rejoin(self):
        while not self.over.is_set():
            self.member.ask_to_join()
            if self.member.joined() == 0:
                self.member.ask_to_sync()
                if self.member.synced() == 0:
                    return

    def end(self):
        self.over.set()
        self.thread.join()


class DeathsTest(harness.BrokerTest):
    options = {"group_min_session_timeout_ms": SESSION_MS, "num_partitions": 2}

    def setUp(self):
        self.group = self.topic("group")

    def describe(self, group):
        """(state, [ids of members])"""
        with wire.Connection(self.broker.connect()) as connection:
            answer = connection.call(wire.DESCRIBE_GROUPS, 0, wire.array([wire.string(group)]))
        answer.i32()
        answer.i16(), answer.string()
        state, _, _ = answer.string(), answer.string(), answer.string()
        return state, answer.array(lambda one: (one.string(), one.string(), one.string(),
                                                one.data(), one.data())[0])

    def wait_stable(self, count, group=None):
        """Returns the ids of its members."""
        def members():
            state, ids = self.describe(group or self.group)
            return ids if state == "Stable" and len(ids) == count else None
        return harness.wait_for(f"a stable group of {count}", members, STABLE_SECONDS_MAX)

    def wait_state(self, state):
        harness.wait_for(state, lambda: self.describe(self.group)[0] == state,
                         STABLE_SECONDS_MAX)

    def assemble(self, *instances):
        """Members of one generation that has not synced; the first one leads."""
        members = [Member(self, self.group, "topic", one) for one in instances]
        members[0].join()
        for count in range(1, len(members)):
            members[count].reserve()
            members[count].ask_to_join()
            self.wait_state("PreparingRebalance")
            for old in members[:count]:
                old.ask_to_join()
            for one in members[:count + 1]:
                self.assertEqual(one.joined(), 0)
        self.assertEqual({one.generation for one in members}, {members[0].generation})
        self.assertTrue(members[0].leads())
        return members

    def sync(self, members):
        for one in members:
            one.ask_to_sync()
        for one in members:
            self.assertEqual(one.synced(), 0)
            self.assertEqual(one.assigned, one.id.encode())


class OfSeveral(DeathsTest):
    """Both ways to die: the connection ends, or it stays and is silent."""

    def both(self, case):
        for closes in (True, False):
            with self.subTest(closes=closes):
                self.group = self.topic("group")
                case(closes)

    def test_the_leader_before_it_has_synced(self):
        def case(closes):
            leader, one, other = self.assemble(None, None, None)
            one.ask_to_sync()
            other.ask_to_sync()
            leader.die(closes)
            self.assertEqual((one.synced(), other.synced()), (REBALANCING, REBALANCING))
            living = [Living(one), Living(other)]
            self.assertEqual(set(self.wait_stable(2)), {one.id, other.id})
            for each in living:
                each.end()
                self.assertTrue(set(each.errors) <= {REBALANCING}, each.errors)
            self.assertEqual([one.assigned, other.assigned],
                             [one.id.encode(), other.id.encode()])

        self.both(case)

    def test_the_leader_that_has_synced(self):
        def case(closes):
            members = self.assemble(None, None)
            self.sync(members)
            members[0].die(closes)
            living = Living(members[1])
            self.assertEqual(self.wait_stable(1), [members[1].id])
            living.end()
            self.assertTrue(members[1].leads())

        self.both(case)

    def test_a_follower_whose_sync_waits(self):
        def case(closes):
            leader, follower = self.assemble(None, None)
            follower.ask_to_sync()
            self.wait_state("CompletingRebalance")
            follower.die(closes)
            leader.sync()
            living = Living(leader)
            self.assertEqual(self.wait_stable(1), [leader.id])
            living.end()

        self.both(case)

    def test_one_whose_join_waits(self):
        def case(closes):
            leader, follower = self.assemble(None, None)
            self.sync([leader, follower])
            new = Member(self, self.group, "topic")
            new.reserve()
            new.ask_to_join()
            self.wait_state("PreparingRebalance")
            new.die(closes)
            living = [Living(leader), Living(follower)]
            self.assertEqual(set(self.wait_stable(2)), {leader.id, follower.id})
            for one in living:
                one.end()

        self.both(case)

    def test_one_that_never_joins_with_the_id_it_was_given(self):
        def case(closes):
            leader, = self.assemble(None)
            leader.sync()
            living = Living(leader)
            generation = leader.generation
            pending = Member(self, self.group, "topic")
            pending.reserve()
            pending.die(closes)
            self.assertEqual(leader.generation, generation)  # nobody had to rebalance for it
            new = Member(self, self.group, "topic")
            new.join()  # waits until the id is forgotten
            new.sync()
            living_too = Living(new)
            self.assertEqual(set(self.wait_stable(2)), {leader.id, new.id})
            for one in (living, living_too):
                one.end()

        self.both(case)

    def test_many_that_never_join_with_their_ids_cost_no_memory(self):
        before = self.broker.rss_mib()
        with wire.Connection(self.broker.connect()) as connection:
            for _ in range(RESERVED_IDS):
                Member(self, self.group, "topic", connection=connection).reserve()
        self.assertEqual(self.describe(self.group)[1], [])
        after = self.broker.rss_mib()
        print(f"{RESERVED_IDS} reserved ids: {before:.0f} MiB, then {after:.0f}",
              file=sys.stderr)
        if not SANITIZED:
            self.assertLess(after - before, RSS_MIB_MAX)
        # And they are in nobody's way once their time is over.
        member = Member(self, self.group, "topic")
        member.join()
        member.sync()
        self.assertEqual(self.wait_stable(1), [member.id])


class WithInstances(DeathsTest):
    """Static members (KIP-345): who comes with the same group.instance.id takes over, and the
    one before is fenced."""

    def test_a_replacement_of_one_that_is_stable(self):
        self.broker.kcat("-P", "-t", "topic", "-p", "0", stdin=b"first\n")
        leader, old = self.assemble(None, "instance")
        self.sync([leader, old])
        generation = leader.generation
        new = Member(self, self.group, "topic", "instance")
        new.join()
        self.assertNotEqual(new.id, old.id)
        self.assertEqual(new.generation, generation)
        new.sync()
        self.assertEqual(new.assigned, old.id.encode())  # what its instance had
        self.assertEqual((leader.heartbeat(), new.heartbeat()), (0, 0))
        self.assertEqual(new.commit(), 0)
        for error in (old.heartbeat(), old.commit()):
            self.assertEqual(error, FENCED_INSTANCE)
        old.ask_to_sync()
        self.assertEqual(old.synced(), FENCED_INSTANCE)
        old.ask_to_join()
        self.assertEqual(old.joined(), FENCED_INSTANCE)
        self.assertEqual(set(self.wait_stable(2)), {leader.id, new.id})

    def test_a_replacement_whose_predecessor_has_closed(self):
        leader, old = self.assemble(None, "instance")
        self.sync([leader, old])
        old.die(closes=True)
        new = Member(self, self.group, "topic", "instance")
        new.join()
        new.sync()
        self.assertEqual((new.generation, new.assigned), (old.generation, old.id.encode()))
        self.assertEqual((leader.heartbeat(), new.heartbeat()), (0, 0))

    def test_a_replacement_of_one_whose_join_waits(self):
        leader, old = self.assemble(None, "instance")
        self.sync([leader, old])
        third = Member(self, self.group, "topic")
        third.reserve()
        third.ask_to_join()
        self.wait_state("PreparingRebalance")
        old.ask_to_join()
        new = Member(self, self.group, "topic", "instance")
        new.ask_to_join()
        self.assertEqual(old.joined(), FENCED_INSTANCE)
        leader.ask_to_join()
        members = [leader, third, new]
        self.assertEqual([one.joined() for one in members], [0, 0, 0])
        self.sync(members)
        self.assertEqual(set(self.wait_stable(3)), {one.id for one in members})

    def test_a_replacement_of_one_whose_sync_waits(self):
        leader, old = self.assemble(None, "instance")
        old.ask_to_sync()
        self.wait_state("CompletingRebalance")
        new = Member(self, self.group, "topic", "instance")
        new.ask_to_join()
        self.assertEqual(old.synced(), FENCED_INSTANCE)
        leader.ask_to_join()
        self.assertEqual((leader.joined(), new.joined()), (0, 0))
        self.sync([leader, new])
        self.assertEqual(set(self.wait_stable(2)), {leader.id, new.id})

    def test_a_replacement_of_the_leader(self):
        old, follower = self.assemble("instance", None)
        self.sync([old, follower])
        old.die(closes=True)
        new = Member(self, self.group, "topic", "instance")
        new.join()
        new.sync()
        living = [Living(new), Living(follower)]
        self.assertEqual(set(self.wait_stable(2)), {new.id, follower.id})
        for one in living:
            one.end()

    def test_nobody_comes_instead(self):
        leader, old = self.assemble(None, "instance")
        self.sync([leader, old])
        old.die(closes=True)
        living = Living(leader)
        self.assertEqual(self.wait_stable(1), [leader.id])
        living.end()


# What it does before it dies.
DEATHS = {"reserve": ["reserve"], "ask_to_join": ["reserve", "ask_to_join"], "join": ["join"],
          "sync": ["join", "sync"], "heartbeat": ["join", "sync", "heartbeat"],
          "fetch": ["join", "sync", "ask_to_fetch"], "commit": ["join", "sync", "ask_to_commit"],
          "leave": ["join", "sync", "ask_to_leave"]}


class BesideKcat(DeathsTest):
    """A follower dies at every step: the leader, a real client, gets its partitions."""

    def die(self, step, closes):
        topic, group = self.topic(step), self.topic("group")
        self.broker.kcat("-P", "-t", topic, "-p", "0", stdin=b"first\n")
        survivor = subprocess.Popen(
            ["kcat", "-b", self.broker.bootstrap, "-q", "-u", "-X",
             f"session.timeout.ms={SESSION_MS}", "-X", "heartbeat.interval.ms=200",
             "-X", "auto.offset.reset=earliest", "-G", group, topic],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self.assertEqual(survivor.stdout.readline(), b"first\n")
            dying = Member(self, group, topic)
            for one in DEATHS[step]:
                getattr(dying, one)()
            dying.die(closes)
            died = time.monotonic()
            self.wait_stable(1, group)
            for partition in ("0", "1"):
                self.broker.kcat("-P", "-t", topic, "-p", partition, stdin=b"after\n")
            for _ in range(2):
                self.assertEqual(survivor.stdout.readline(), b"after\n")
            self.assertLess(time.monotonic() - died, STABLE_SECONDS_MAX + 5)
        finally:
            survivor.kill()
            survivor.wait()
            survivor.stdout.close()

    def test_at_every_step(self):
        before = self.broker.rss_mib()
        deaths = [(step, closes) for step in DEATHS for closes in (True, False)]
        with concurrent.futures.ThreadPoolExecutor(len(deaths)) as pool:
            for death, done in [(one, pool.submit(self.die, *one)) for one in deaths]:
                with self.subTest(death):
                    done.result()
        after = self.broker.rss_mib()
        print(f"{len(deaths)} deaths: {before:.0f} MiB, then {after:.0f}", file=sys.stderr)
        if not SANITIZED:
            self.assertLess(after - before, RSS_MIB_MAX)


if __name__ == "__main__":
    harness.main(threads=4)
