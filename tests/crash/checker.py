#!/usr/bin/env python3
"""Judges a history (history.py): one pass over sorted operations for each rule.

As a program: checker.py HISTORY, the file that a failed run leaves behind.

Kinds of operations and their fields; every value is sent once only, so that a value is the
name of its message:

  send       topic value producer number [partition offset delay_ms]
             number counts up for one producer and partition; offset once acknowledged
  read       topic group session records: [(partition, offset, value)]
             a Kafka consumer's poll; a session begins at a committed position
  commit     topic group partition offset       a Kafka consumer's, acknowledged or not
  committed  topic group partition offset       read back
  lease      topic group values wait            a REST consume: leased for so many seconds
  ack        topic group values status [done]   so many of values, from the first, succeeded
  letters    topic group values                 a REST consume of dead letters
  log        topic partition records: [(offset, value)]     the whole log, in the end
  drained    topic group                        from here on, nothing was left to consume
  counters   topic group produced consumed available        when drained
  redrive    topic group                        dead letters become messages again
  change     object value                       one client's: what is so if it succeeds
  seen       object value                       what is so; None: it is not there
  topics     names wanted                       queues as Kafka and as REST has them
  crash                                         from the end of the process to its return
  broken     cause                              a client gave up
"""

import collections
import sys

import history as recorded
from history import FAIL, OK, UNKNOWN

CLOCK_MS = 2  # what a clock of milliseconds, and one that is set right, may be off
PROBLEMS_MAX = 20  # of one rule: the first ones tell

# Topics whose queue hands out one batch at a time, in order.
FIFO_PREFIX = "fifo"
# Topics whose consumers send dead letters back: each becomes a message once more.
REDRIVE_PREFIX = "redrive"
# Values that consumers always refuse, and which end as dead letters.
POISON_PREFIX = "poison"


def is_redriven(topic):
    return topic.startswith(REDRIVE_PREFIX)


class Index:
    """A history, sorted for what the rules ask."""

    def __init__(self, ops):
        self.ops = ops
        self.kinds = collections.defaultdict(list)
        for op in ops:
            self.kinds[op.kind].append(op)
        self.sends = {(op.topic, op.value): op for op in self.kinds["send"]}
        self.logs = {(op.topic, op.partition): op.records for op in self.kinds["log"]}
        self.places = collections.defaultdict(list)  # (topic, value): [(partition, offset)]
        for (topic, partition), records in self.logs.items():
            for offset, value in records:
                self.places[topic, value].append((partition, offset))
        self.acks = collections.defaultdict(list)  # (topic, group, value): [(op, acknowledged)]
        for op in self.kinds["ack"]:
            done = len(op.values) if op.status == "success" and op.outcome == UNKNOWN else 0
            if op.outcome == OK and op.status == "success":
                done = op.done
            for position, value in enumerate(op.values):
                self.acks[op.topic, op.group, value].append((op, position < done))
        self.leases = collections.defaultdict(list)  # (topic, group, value): [op]
        for op in self.kinds["lease"]:
            if op.outcome == OK:
                for value in op.values:
                    self.leases[op.topic, op.group, value].append(op)
        self.letters = collections.defaultdict(list)  # (topic, group): [value]
        for op in self.kinds["letters"]:
            self.letters[op.topic, op.group] += op.values

    def crashed(self, start, end):
        return any(op.start <= end and (op.end is None or op.end >= start)
                   for op in self.kinds["crash"])

    def copies(self, topic, value):
        """How often it may be acknowledged."""
        return max(len(self.places.get((topic, value), ())), 1) if is_redriven(topic) else 1

    def copies_max(self, topic, value):
        """How often it may be on the log: a redrive that a crash ends may bring it twice."""
        if not is_redriven(topic):
            return 1
        refused = {op.start for key, acks in self.acks.items() if key[0] == topic and
                   key[2] == value for op, done in acks if not done or op.outcome == UNKNOWN}
        return 1 + len(refused) + len(self.kinds["crash"])

    def in_order(self, topic):
        """The values of a topic of one partition, as its log has them."""
        return [value for (name, _), records in self.logs.items() if name == topic
                for _, value in records]


def lost(index):
    """Acknowledged, and not on the log."""
    for (topic, value), op in index.sends.items():
        if op.outcome == OK and not index.places.get((topic, value)):
            yield f"lost: {value} of {topic} was acknowledged and is not there: {op}"


def doubled(index):
    """More than once on the log, refused and yet there, or never sent at all."""
    for (topic, value), places in index.places.items():
        op = index.sends.get((topic, value))
        if op is None:
            yield f"invented: {value} of {topic} at {places} was never sent"
        elif op.outcome == FAIL:
            yield f"refused and yet there: {value} of {topic} at {places}: {op}"
        elif len(places) > index.copies_max(topic, value):
            yield f"doubled: {value} of {topic} at {places}"


def moved(index):
    """Acknowledged at one offset, found at another."""
    for (topic, value), op in index.sends.items():
        offset = getattr(op, "offset", None)
        places = index.places.get((topic, value))
        if op.outcome == OK and offset is not None and places:
            if (op.partition, offset) not in places:
                yield f"moved: {value} of {topic}: told {op.partition}:{offset}, is at {places}"


def reordered(index):
    """Against the numbers of its producer, or against real time: whatever was acknowledged
    before another began stands in front of it. Delayed messages come when they are due."""
    for (topic, partition), records in index.logs.items():
        numbers, offsets, latest = {}, -1, None
        for offset, value in records:
            if offset <= offsets:
                yield f"reordered: {topic}:{partition} has {offset} behind {offsets}"
            offsets = offset
            op = index.sends.get((topic, value))
            if op is None or getattr(op, "delay_ms", 0) or is_redriven(topic):
                continue
            if op.number <= numbers.get(op.producer, -1):
                yield (f"reordered: {value} of {topic}:{partition} stands behind number "
                       f"{numbers[op.producer]} of {op.producer}")
            numbers[op.producer] = op.number
            if latest is not None and op.outcome == OK and op.end < latest.start:
                yield (f"reordered: {value} of {topic}:{partition} was acknowledged before "
                       f"{latest.value} began, and stands behind it")
            if latest is None or op.start > latest.start:
                latest = op


def misread(index):
    """What a consumer of Kafka was given differs from the log, or leaves something out."""
    logs = {key: dict(records) for key, records in index.logs.items()}
    following = {}
    for op in index.kinds["read"]:
        for partition, offset, value in op.records:
            log = logs.get((op.topic, partition), {})
            if log.get(offset) != value:
                yield (f"misread: {op.topic}:{partition}:{offset} gave {value} to {op.group}, "
                       f"the log has {log.get(offset)}")
            key = (op.topic, op.group, op.session, partition)
            wanted = following.get(key, offset)
            if offset != wanted:
                yield (f"skipped: {op.group} was given {offset} of {op.topic}:{partition}, "
                       f"due was {wanted}")
            following[key] = offset + 1


def uncommitted(index):
    """A committed offset that went back, or that nobody committed."""
    tried = collections.defaultdict(list)
    for op in index.kinds["commit"]:
        tried[op.topic, op.group, op.partition].append(op)
    for op in index.kinds["committed"]:
        commits = tried[op.topic, op.group, op.partition]
        known = max((one.offset for one in commits
                     if one.outcome == OK and one.end < op.start), default=-1)
        if op.offset < known:
            yield (f"commit lost: {op.group} of {op.topic}:{op.partition} is at {op.offset}, "
                   f"{known} was acknowledged")
        if op.offset >= 0 and all(one.offset != op.offset for one in commits):
            yield f"invented commit: {op.group} of {op.topic}:{op.partition} is at {op.offset}"


def leased_again(index):
    """Acknowledged, and given to the same group again."""
    for key, leases in index.leases.items():
        topic, group, value = key
        ends = sorted(op.end for op, done in index.acks.get(key, ())
                      if done and op.outcome == OK)
        last = index.copies(topic, value) - 1
        for op in leases:
            if len(ends) > last and op.start > ends[last]:
                yield f"re-leased: {value} of {topic} came to {group} after its ack: {op}"


def leased_twice(index):
    """Given out a second time inside a lease, and neither failed, nor was there a crash."""
    for key, leases in index.leases.items():
        topic, group, value = key
        if index.copies(topic, value) > 1:
            continue
        for op in leases:
            if op.values.count(value) > 1:
                yield f"leased twice: {value} of {topic} is in one answer to {group} twice: {op}"
        ordered = sorted(leases, key=lambda op: op.end)
        for first, second in zip(ordered, ordered[1:]):
            if second.end >= first.start + first.wait:
                continue
            if any(op.start <= second.end and (op.end is None or op.end >= first.start)
                   for op, _ in index.acks.get(key, ())):
                continue
            if not index.crashed(first.start, second.end):
                yield (f"leased twice: {value} of {topic} came to {group} inside its lease: "
                       f"{first} {second}")


def overtaken(index):
    """FIFO: something behind a message that nobody had acknowledged."""
    for topic, group in {(op.topic, op.group) for op in index.kinds["lease"]}:
        if not topic.startswith(FIFO_PREFIX):
            continue
        order = index.in_order(topic)
        place = {value: position for position, value in enumerate(order)}
        # When each message was first said to be acknowledged; from there on, the next may go.
        freed = [min((op.start for op, done in index.acks.get((topic, group, value), ())
                      if done), default=float("inf")) for value in order]
        reach = []
        for moment in freed:
            reach.append(max(moment, reach[-1]) if reach else moment)
        for op in index.kinds["lease"]:
            if (op.topic, op.group) != (topic, group) or op.outcome != OK or not op.values:
                continue
            places = [place.get(value, -1) for value in op.values]
            if places != list(range(places[0], places[0] + len(places))):
                yield f"overtaken: not in the order of {topic}: {op}"
            elif places[0] > 0 and reach[places[0] - 1] > op.end:
                yield (f"overtaken: {op.values[0]} of {topic} came before an ack of what is in "
                       f"front of it: {op}")


def early(index):
    """Delayed, and delivered before its time."""
    for (topic, group, value), leases in index.leases.items():
        send = index.sends.get((topic, value))
        delay = getattr(send, "delay_ms", 0) if send is not None else 0
        for op in leases:
            if delay and op.end < send.start + (delay - CLOCK_MS) / 1000:
                yield f"early: {value} of {topic}, due {delay} ms after {send.start:.3f}: {op}"


def undelivered(index):
    """On the log and drained, but neither acknowledged nor a dead letter; or both; or a dead
    letter that nobody refused."""
    for drained in index.kinds["drained"]:
        topic, group = drained.topic, drained.group
        letters = collections.Counter(index.letters[topic, group])
        for value in [value for (name, value) in index.places if name == topic]:
            acks = index.acks.get((topic, group, value), ())
            is_poison = value.startswith(POISON_PREFIX)
            if is_poison and letters[value] != 1:
                yield f"letters: {value} of {topic} is {letters[value]} dead letters of {group}"
            if not is_poison and letters[value] > 0:
                yield f"letters: {value} of {topic} is a dead letter of {group}: nobody refused it"
            if not is_poison and not any(done for _, done in acks):
                yield f"undelivered: {value} of {topic} was never acknowledged by {group}"
        for value in letters:
            if not index.places.get((topic, value)):
                yield f"invented letter: {value} of {topic} and {group}"


def miscounted(index):
    """The counters of a drained group are its history."""
    for op in index.kinds["counters"]:
        there = len(index.in_order(op.topic))
        if (op.produced, op.consumed, op.available) != (there, there, 0):
            yield (f"counters: {op.group} of {op.topic} says {op.produced} produced, "
                   f"{op.consumed} consumed, {op.available} available; the log has {there}")


def unstable(index):
    """Something that is not as the last change left it: gone, there again, or half there. A
    change without an answer was made or was not, and from the next look on that is settled."""
    may_be = collections.defaultdict(lambda: [None])
    for op in sorted(index.kinds["change"] + index.kinds["seen"], key=lambda op: op.start):
        if op.kind == "seen":
            if op.value not in may_be[op.object]:
                yield (f"catalog: {op.object} is {op.value} at {op.start:.6f}, "
                       f"should be {' or '.join(map(str, may_be[op.object]))}")
            may_be[op.object] = [op.value]
        elif op.outcome == OK:
            may_be[op.object] = [op.value]
        elif op.outcome == UNKNOWN:
            may_be[op.object] = [*may_be[op.object], op.value]
    for op in index.kinds["topics"]:
        if op.names != op.wanted:
            yield f"catalog: Kafka has the queues {op.names}, REST has {op.wanted}"


def broken(index):
    """A client that could not go on."""
    for op in index.kinds["broken"]:
        yield f"broken: {op.cause}"


RULES = (lost, doubled, moved, reordered, misread, uncommitted, leased_again, leased_twice,
         overtaken, early, undelivered, miscounted, unstable, broken)


def check(ops):
    """What is wrong with a history, in words; nothing is good."""
    index = Index(ops)
    problems = []
    for rule in RULES:
        found = list(rule(index))
        problems += found[:PROBLEMS_MAX]
        if len(found) > PROBLEMS_MAX:
            problems.append(f"... and {len(found) - PROBLEMS_MAX} more of {rule.__name__}")
    return problems


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    PROBLEMS = check(recorded.load(sys.argv[1]))
    print("\n".join(PROBLEMS) or "nothing wrong")
    sys.exit(1 if PROBLEMS else 0)
