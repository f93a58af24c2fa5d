#!/usr/bin/env python3
"""The checker is proven: each fault that is planted into a good history is found."""

import copy
import unittest

import checker
from history import FAIL, OK, UNKNOWN, Op


def op(kind, start, end, outcome=OK, **fields):
    made = Op(kind, start, **fields)
    made.end = end
    made.outcome = outcome
    return made


def state(**fields):
    return {"tags": {"a": "1"}, "groups": {"one": 0}, **fields}


def catalog():
    """One queue that changes and one that goes."""
    return [op("change", 1, 2, object="stays", value=state(tags={})),
            op("change", 3, 4, object="goes", value=state()),
            op("change", 5, 6, object="stays", value=state()),
            op("change", 7, 8, object="goes", value=None),
            op("change", 9, None, UNKNOWN, object="stays", value=state(groups={})),
            op("crash", 20, 21),
            op("seen", 22, 23, object="stays", value=state()),
            op("seen", 22, 23, object="goes", value=None),
            op("seen", 50, 51, object="stays", value=state()),
            op("topics", 60, 61, names=["s"], wanted=["s"])]


def redriven():
    """m0 is consumed, m1 becomes a dead letter that comes back."""
    ops = [op("send", number, number + 0.5, topic="redrive", value=f"m{number}", producer="r",
              number=number) for number in range(2)]
    for at, value, status in ((30, "m0", "success"), (34, "m1", "fail"), (40, "m1", "success")):
        ops.append(op("lease", at, at + 1, topic="redrive", group="g", values=[value], wait=15))
        ops.append(op("ack", at + 2, at + 3, topic="redrive", group="g", values=[value],
                      status=status, done=int(status == "success")))
    return [*ops, op("redrive", 38, 39, topic="redrive", group="g"),
            op("log", 90, 91, topic="redrive", partition=0,
               records=[(0, "m0"), (1, "m1"), (2, "m1")]),
            op("drained", 92, 93, topic="redrive", group="g"),
            op("counters", 94, 95, topic="redrive", group="g", produced=3, consumed=3,
               available=0)]


def good():
    """Two Kafka producers with a consumer, FIFO and NORMAL queues with their groups, and what
    becomes of a catalog."""
    ops = [*catalog(), *redriven()]
    for number in range(4):
        for producer in ("p", "q"):
            at = number + (0.5 if producer == "q" else 0)
            ops.append(op("send", at, at + 0.4, topic="events", value=f"{producer}{number}",
                          producer=producer, number=number, partition=0,
                          offset=2 * number + (producer == "q")))
    order = [f"{producer}{number}" for number in range(4) for producer in ("p", "q")]
    ops.append(op("log", 90, 91, topic="events", partition=0, records=list(enumerate(order))))
    ops.append(op("read", 10, 11, topic="events", group="g", session=1,
                  records=[(0, offset, value) for offset, value in enumerate(order[:5])]))
    ops.append(op("commit", 11, 12, topic="events", group="g", partition=0, offset=5))
    ops.append(op("committed", 13, 14, topic="events", group="g", partition=0, offset=5))
    ops.append(op("crash", 20, 21))
    ops.append(op("read", 22, 23, topic="events", group="g", session=2,
                  records=[(0, offset + 5, value) for offset, value in enumerate(order[5:])]))
    for topic in ("fifo", "normal"):
        for number in range(4):
            ops.append(op("send", number, number + 0.5, topic=topic, value=f"m{number}",
                          producer="r", number=number))
        ops.append(op("lease", 30, 31, topic=topic, group="g", values=["m0", "m1"], wait=15))
        ops.append(op("ack", 32, 33, topic=topic, group="g", values=["m0", "m1"],
                      status="success", done=2))
        ops.append(op("lease", 34, 35, topic=topic, group="g", values=["m2"], wait=15))
        ops.append(op("crash", 36, 37))
        ops.append(op("lease", 38, 39, topic=topic, group="g", values=["m2", "m3"], wait=15))
        ops.append(op("ack", 40, 41, topic=topic, group="g", values=["m2", "m3"],
                      status="fail", done=0))
        ops.append(op("lease", 42, 43, topic=topic, group="g", values=["m2", "m3"], wait=15))
        ops.append(op("ack", 44, None, UNKNOWN, topic=topic, group="g", values=["m2", "m3"],
                      status="success"))
        ops.append(op("log", 90, 91, topic=topic, partition=0,
                      records=[(number, f"m{number}") for number in range(4)]))
        ops.append(op("drained", 92, 93, topic=topic, group="g"))
        ops.append(op("counters", 94, 95, topic=topic, group="g", produced=4, consumed=4,
                      available=0))
    return ops


class Planted(unittest.TestCase):
    def setUp(self):
        self.ops = good()

    def find(self, kind, topic=None, nth=0):
        return [one for one in self.ops if one.kind == kind and
                topic in (None, getattr(one, "topic", None), getattr(one, "object", None))][nth]

    def caught(self, *words):
        problems = checker.check(self.ops)
        for word in words:
            self.assertTrue([one for one in problems if one.startswith(word)],
                            f"{word} not in {problems}")

    def test_good_history_is_good(self):
        self.assertEqual(checker.check(self.ops), [])

    def test_drop_one(self):
        self.find("log", "events").records.pop(3)
        self.caught("lost: q1", "misread")

    def test_drop_the_last_one(self):
        del self.find("log", "fifo").records[3:]
        self.caught("lost: m3", "counters")

    def test_swap_two(self):
        records = self.find("log", "events").records
        records[2], records[4] = (2, records[4][1]), (4, records[2][1])
        self.caught("reordered", "moved", "misread")

    def test_swap_two_that_only_time_tells_apart(self):
        records = self.find("log", "events").records
        records[2], records[3] = (2, records[3][1]), (3, records[2][1])
        self.caught("reordered: p1")

    def test_store_twice(self):
        self.find("log", "events").records.append((8, "p0"))
        self.caught("doubled: p0", "reordered")

    def test_store_what_was_refused(self):
        self.find("send", "events").outcome = FAIL
        self.caught("refused and yet there: p0")

    def test_store_what_was_never_sent(self):
        self.find("log", "normal").records.append((4, "strange"))
        self.caught("invented: strange", "counters")

    def test_ack_early(self):
        """Acknowledged, then a crash took it: the log and the reader know it no more."""
        self.ops.insert(0, op("send", 19, 19.9, topic="events", value="p9", producer="p",
                              number=9, partition=0, offset=8))
        self.caught("lost: p9")

    def test_commit_early(self):
        self.find("committed").offset = 3
        self.caught("commit lost", "invented commit")

    def test_skip_one_in_a_read(self):
        self.find("read").records.pop(2)
        self.caught("skipped")

    def test_deliver_twice_inside_a_lease(self):
        self.ops.append(op("lease", 31.2, 31.5, topic="normal", group="g", values=["m1"],
                           wait=15))
        self.caught("leased twice: m1")

    def test_deliver_twice_in_one_answer(self):
        self.find("lease", "normal").values.append("m0")
        self.caught("leased twice: m0")

    def test_deliver_twice_across_a_crash_or_after_the_lease_is_right(self):
        self.ops.append(op("lease", 50.0, 50.5, topic="normal", group="g", values=["m2"],
                           wait=15))
        self.assertEqual(checker.check(self.ops), [])

    def test_deliver_after_the_ack(self):
        self.ops.append(op("lease", 60, 61, topic="normal", group="g", values=["m0"], wait=15))
        self.caught("re-leased: m0")

    def test_deliver_behind_what_is_not_acknowledged(self):
        self.ops.append(op("lease", 31.2, 31.5, topic="fifo", group="g", values=["m2"],
                           wait=15))
        self.caught("overtaken: m2")

    def test_deliver_out_of_order(self):
        self.find("lease", "fifo").values.reverse()
        self.caught("overtaken: not in the order")

    def test_deliver_before_its_time(self):
        self.find("send", "normal").delay_ms = 31500
        self.caught("early: m0")

    def test_never_deliver(self):
        for one in self.ops:
            if one.kind in ("lease", "ack") and "m3" in one.values and one.topic == "normal":
                one.values = [value for value in one.values if value != "m3"]
        self.caught("undelivered: m3")

    def test_refuse_without_reason(self):
        self.ops.append(op("letters", 60, 61, topic="normal", group="g", values=["m1"]))
        self.caught("letters: m1")

    def test_lose_a_dead_letter(self):
        for one in self.ops:
            rename(one, "normal", "m1", "poison1")
        self.caught("letters: poison1")
        self.ops.append(op("letters", 60, 61, topic="normal", group="g", values=["poison1"]))
        self.assertEqual(checker.check(self.ops), [])

    def test_miscount(self):
        for field in ("produced", "consumed", "available"):
            with self.subTest(field):
                before = copy.copy(self.find("counters").__dict__)
                setattr(self.find("counters"), field, 1)
                self.caught("counters")
                self.find("counters").__dict__.update(before)

    def test_lose_a_queue(self):
        self.find("seen", "stays").value = None
        self.caught("catalog: stays is None")

    def test_bring_a_queue_back(self):
        self.find("seen", "goes").value = state()
        self.caught("catalog: goes is {")

    def test_bring_back_half_a_queue(self):
        self.find("seen", "goes").value = {"tags": {}, "groups": {}}
        self.caught("catalog: goes is {")

    def test_lose_a_tag(self):
        self.find("seen", "stays").value = state(tags={})
        self.caught("catalog: stays is {")

    def test_undo_a_reset(self):
        self.find("change", "stays", 1).value = state(groups={"one": 5})
        self.caught("catalog: stays is {")

    def test_make_what_was_refused(self):
        self.find("change", "stays", 2).outcome = FAIL
        self.assertEqual(checker.check(self.ops), [])
        self.find("seen", "stays").value = state(groups={})
        self.caught("catalog: stays is {")

    def test_change_without_an_answer_is_made_or_not(self):
        self.find("seen", "stays").value = state(groups={})
        self.caught("catalog: stays is {")  # and then it stays so
        self.find("seen", "stays", 1).value = state(groups={})
        self.assertEqual(checker.check(self.ops), [])

    def test_keep_the_topic_of_a_queue_that_is_gone(self):
        self.find("topics").names.append("t")
        self.caught("catalog: Kafka has")

    def test_lose_a_letter_that_is_sent_back(self):
        self.ops = [one for one in self.ops if one.start not in (40, 42)
                    or one.topic != "redrive"]
        self.caught("undelivered: m1 of redrive")

    def test_send_a_letter_back_twice(self):
        log = self.find("log", "redrive").records
        for offset in (3, 4):
            log.append((offset, "m1"))
        self.find("counters", "redrive").produced = self.find("counters", "redrive").consumed = 5
        self.assertEqual(checker.check(self.ops), [])  # there were crashes
        self.ops = [one for one in self.ops if one.kind != "crash"]
        self.caught("doubled: m1 of redrive")

    def test_deliver_more_often_than_it_was_sent_back(self):
        for at in (50, 60):
            self.ops.append(op("lease", at, at + 1, topic="redrive", group="g", values=["m1"],
                               wait=15))
            self.ops.append(op("ack", at + 2, at + 3, topic="redrive", group="g",
                               values=["m1"], status="success", done=1))
        self.caught("re-leased: m1 of redrive")

    def test_client_that_gave_up(self):
        self.ops.append(op("broken", 60, 61, cause="fatal"))
        self.caught("broken: fatal")


def rename(one, topic, old, new):
    if getattr(one, "topic", None) != topic:
        return
    if one.kind == "send" and one.value == old:
        one.value = new
    elif one.kind == "log":
        one.records = [(offset, new if value == old else value) for offset, value in one.records]
    elif one.kind in ("lease", "ack"):
        one.values = [new if value == old else value for value in one.values]


if __name__ == "__main__":
    unittest.main()
