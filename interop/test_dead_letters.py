#!/usr/bin/env python3
"""Dead letters over REST. Section numbers are those of the DMS user guide; API those of the API
reference. The tests run side by side, each in a project of its own."""

import json
import pathlib
import time

import harness
import wire

ACK_WAIT_MIN = 15  # seconds


def append_letters(broker, group, bodies):
    """Writes records without the headers of letters behind the only one the group has, while the
    broker does not run."""
    (log,) = pathlib.Path(broker.data, f"{group[2:]}-0").glob("*.log")
    letter = log.read_bytes()
    content = letter[:12 + int.from_bytes(letter[8:12], "big")]  # one batch, then zeros
    for first in range(0, len(bodies), 1000):
        batch = wire.batch(bodies[first:first + 1000], int(time.time() * 1000),
                           base_offset=1 + first)
        content += batch[:12] + letter[12:16] + batch[16:]  # of the same epoch
    log.write_bytes(content)


class LettersTest(harness.BrokerTest):
    def setUp(self):
        self.rest = self.broker.rest()

    def queue(self, mode="NORMAL", count=1, groups=1, rest=None):
        """A queue with a redrive policy: its id, and those of its groups."""
        rest = rest or self.rest
        queue = rest.create_queue(queue_mode=mode, redrive_policy="enable",
                                  max_consume_count=count)["id"]
        ids = [rest.create_group(queue, f"group{index}") for index in range(groups)]
        return (queue, *ids)

    def kill(self, queue, group, number, rest=None):
        """Fails messages, one at a time, until so many failures were counted."""
        rest = rest or self.rest
        for _ in range(number):
            messages = rest.consume(queue, group, max_msgs=1)
            self.assertEqual(len(messages), 1)
            self.assertEqual(rest.ack(queue, group, messages, "fail"), {"success": 0, "fail": 1})

    def letter_and_more(self, broker, rest, queue, group, value, more):
        """A dead letter, and behind it what is written to its log while the broker is dead."""
        rest.produce(queue, value)
        self.kill(queue, group, 1, rest)
        self.wait_counters(queue, group, (1, 0, 1, 1), rest)
        broker.kill()
        append_letters(broker, group, more)
        broker.start()

    def letters(self, queue, group, query="", rest=None):
        rest = rest or self.rest
        path = f"/queues/{queue}/groups/{group}/deadletters?time_wait=2" + query
        return rest.must(200, "GET", path)

    def ack_letters(self, queue, group, letters, status="success", rest=None):
        rest = rest or self.rest
        return rest.must(200, "POST", f"/queues/{queue}/groups/{group}/deadletters/ack",
                         {"message": [{"handler": one["handler"], "status": status}
                                      for one in letters]})

    def row(self, queue, group, rest=None):
        rest = rest or self.rest
        listed = rest.must(200, "GET", f"/queues/{queue}/groups?include_deadletter=true")
        self.assertEqual(listed["redrive_policy"], "enable")
        return next(one for one in listed["groups"] if one["id"] == group)

    def counters(self, queue, group, rest=None):
        """(consumed, available, dead letters ever, dead letters available)"""
        row = self.row(queue, group, rest)
        return (row["consumed_messages"], row["available_messages"],
                row["produced_deadletters"], row["available_deadletters"])

    def wait_counters(self, queue, group, wanted, rest=None):
        """A message is moved right after the answer to the ack, not before."""
        harness.wait_for(f"{wanted} of {group}",
                         lambda: self.counters(queue, group, rest) == wanted)

    @staticmethod
    def path(queue, group, end="redrive"):
        return f"/queues/{queue}/groups/{group}/deadletters/{end}"

    def check_error(self, answer, status, code, *words):
        self.assertEqual((answer.status, answer.body["code"]), (status, code), answer.raw)
        for word in words:
            self.assertIn(word, answer.body["message"])


class Policy:
    def test_max_consume_count_is_3_unless_said_otherwise(self):
        """2.1, table 2-1: 最大消费次数 取值范围：1~100 默认值：3; API 1.2, 1.4."""
        for fields, wanted in (({}, 3), ({"max_consume_count": 1}, 1),
                               ({"max_consume_count": 100}, 100)):
            made = self.rest.create_queue(f"queue{wanted}", redrive_policy="enable", **fields)
            got = self.rest.must(200, "GET", f"/queues/{made['id']}?include_deadletter=true")
            self.assertEqual((got["redrive_policy"], got["max_consume_count"]),
                             ("enable", wanted))
            got = self.rest.must(200, "GET", f"/queues/{made['id']}")
            self.assertNotIn("redrive_policy", got)
            self.assertNotIn("max_consume_count", got)
        rows = self.rest.must(200, "GET", "/queues?include_deadletter=true")["queues"]
        self.assertEqual([one["max_consume_count"] for one in rows], [3, 1, 100])

    def test_it_is_off_by_default(self):
        """2.1, table 2-1: 是否开启死信 默认值：关闭."""
        made = self.rest.create_queue()
        got = self.rest.must(200, "GET", f"/queues/{made['id']}?include_deadletter=true")
        self.assertEqual(got["redrive_policy"], "disable")

    def test_counts_out_of_range_are_refused(self):
        """API 1.12: 10240022."""
        for count in (0, 101, -1, 1.5, "3"):
            answer = self.rest.call("POST", "/queues", {
                "name": "refused", "redrive_policy": "enable", "max_consume_count": count})
            self.check_error(answer, 400, 10240022)

    def test_kafka_queues_have_none(self):
        """2.1, table 2-1: Kafka 队列无死信功能."""
        for mode in ("KAFKA_HA", "KAFKA_HT"):
            answer = self.rest.call("POST", "/queues", {
                "name": "refused", "queue_mode": mode, "redrive_policy": "enable"})
            self.check_error(answer, 400, 10540010, "NORMAL and FIFO")
            queue = self.rest.create_queue(mode, queue_mode=mode)["id"]
            group = self.rest.create_group(queue)
            got = self.rest.must(200, "GET", f"/queues/{queue}?include_deadletter=true")
            self.assertNotIn("redrive_policy", got)
            listed = self.rest.must(200, "GET", f"/queues/{queue}/groups?include_deadletter=true")
            self.assertNotIn("redrive_policy", listed)
            self.assertNotIn("produced_deadletters", listed["groups"][0])
            path = f"/queues/{queue}/groups/{group}/deadletters"
            self.check_error(self.rest.call("GET", path), 400, 10540010, "kafka")
            answer = self.rest.call("POST", path + "/ack", {
                "message": [{"handler": "x", "status": "success"}]})
            self.check_error(answer, 400, 10540010, "kafka")

    def test_queues_without_the_policy_have_none_and_say_so(self):
        """2.4, table 2-3: 创建队列时关闭死信，则消费类型只有普通消息."""
        queue = self.rest.create_queue()["id"]
        group = self.rest.create_group(queue)
        answer = self.rest.call("GET", f"/queues/{queue}/groups/{group}/deadletters")
        self.check_error(answer, 400, 10540010, "redrive_policy")
        self.rest.produce(queue, "m")
        self.kill(queue, group, 5)  # delivered again for ever
        self.assertEqual(self.rest.counters(queue, group), (1, 0, 1))

    def test_their_topics_are_no_queues_and_take_no_quota(self):
        """4.7: five queues; three groups with dead letters each do not count."""
        for index in range(5):
            queue = self.rest.create_queue(f"queue{index}", redrive_policy="enable")["id"]
            names = [{"name": f"group{number}"} for number in range(3)]
            self.rest.must(201, "POST", f"/queues/{queue}/groups", {"groups": names})
        self.assertEqual(self.rest.must(200, "GET", "/queues")["total"], 5)
        resources = self.rest.must(200, "GET", "/quotas/dms")["quotas"]["resources"]
        self.assertEqual(resources[0]["used"], 5)
        letters = self.rest.must(200, "GET", f"/queues/{queue}/groups")["groups"][0]["id"][2:]
        self.check_error(self.rest.call("GET", f"/queues/{letters}"), 404, 10240401)
        self.check_error(self.rest.call("DELETE", f"/queues/{letters}"), 404, 10240401)


class Dying:
    def test_message_that_fails_too_often_counts_as_consumed(self):
        """2.1: 当达到最大消费次数仍然消费失败后，DMS 会将该条消息转存到死信队列中; table 1-2:
        已消费消息数包含死信消息数, 消息堆积数不包含死信消息数, 队列消息数 is not changed."""
        queue, group, other = self.queue(count=3, groups=2)
        self.rest.produce(queue, {"n": 1}, attributes={"a": [1, "x"]})
        self.kill(queue, group, 2)
        self.assertEqual(self.counters(queue, group), (0, 1, 0, 0))
        self.kill(queue, group, 1)
        self.wait_counters(queue, group, (1, 0, 1, 1))
        self.assertEqual(self.row(queue, group)["produced_messages"], 1)
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])
        # 1.1: 只能消费该消费组产生的死信消息; the other group has the message still.
        self.assertEqual(self.counters(queue, other), (0, 1, 0, 0))
        self.assertEqual(self.letters(queue, other), [])
        got = self.letters(queue, group)
        self.assertEqual([one["message"] for one in got],
                         [{"body": {"n": 1}, "attributes": {"a": [1, "x"]}}])
        self.assertEqual(set(got[0]), {"message", "handler"})
        self.assertEqual(self.ack_letters(queue, group, got), {"success": 1, "fail": 0})
        self.assertEqual(self.counters(queue, group), (1, 0, 1, 0))
        self.assertEqual(self.letters(queue, group), [])

    def test_ended_leases_count_too(self):
        """1.3, step 2: 若在这 30 秒内没有被消费者确认消费完成，则 DMS 认为消息 M 未消费成功."""
        queue, group = self.queue(count=1)
        self.rest.produce(queue, "slow")
        got = self.rest.consume(queue, group, ack_wait=ACK_WAIT_MIN)
        self.assertEqual(len(got), 1)
        started = time.monotonic()
        answer = self.rest.must(  # waits for it, and nobody else has to do anything
            200, "GET", f"/queues/{queue}/groups/{group}/deadletters?time_wait=30")
        self.assertEqual([one["message"]["body"] for one in answer], ["slow"])
        self.assertGreater(time.monotonic() - started, ACK_WAIT_MIN - 1)
        self.wait_counters(queue, group, (1, 0, 1, 1))

    def test_fifo_keeps_its_order(self):
        """1.1: 有序队列的死信消息依然按照先入先出（FIFO）的顺序存储在死信队列中."""
        queue, group = self.queue("FIFO", count=1)
        self.rest.produce(queue, *range(6))
        self.kill(queue, group, 6)
        self.wait_counters(queue, group, (6, 0, 6, 6))
        got = self.letters(queue, group, "&max_msgs=4")
        self.assertEqual([one["message"]["body"] for one in got], [0, 1, 2, 3])
        self.assertEqual(self.letters(queue, group), [])  # one batch in flight
        self.assertEqual(self.ack_letters(queue, group, got[:1]), {"success": 1, "fail": 0})
        self.assertEqual(self.ack_letters(queue, group, got[1:2], "fail"),
                         {"success": 0, "fail": 1})
        got = self.letters(queue, group)
        self.assertEqual([one["message"]["body"] for one in got], [1, 2, 3, 4, 5])

    def test_failed_letter_is_available_again(self):
        """Their own lease and ack; API 1.9."""
        queue, group = self.queue()
        self.rest.produce(queue, "m")
        self.kill(queue, group, 1)
        for _ in range(5):
            got = self.letters(queue, group)
            self.assertEqual([one["message"]["body"] for one in got], ["m"])
            self.assertEqual(self.letters(queue, group, "&max_msgs=1"), [])
            self.assertEqual(self.ack_letters(queue, group, got, "fail"),
                             {"success": 0, "fail": 1})
        self.assertEqual(self.counters(queue, group), (1, 0, 1, 1))

    def test_handlers_of_the_one_are_refused_by_the_other(self):
        """API 1.12: 10542205; 10540004 for another group, 10542209 for one that is used up."""
        queue, group, other = self.queue(groups=2)
        self.rest.produce(queue, "dead")
        self.kill(queue, group, 1)
        self.wait_counters(queue, group, (1, 0, 1, 1))
        self.rest.produce(queue, "alive")
        path = f"/queues/{queue}/groups/{group}"
        ordinary = self.rest.consume(queue, group)
        dead = self.letters(queue, group)

        def ack(where, messages):
            return self.rest.call("POST", where, {
                "message": [{"handler": one["handler"], "status": "success"}
                            for one in messages]})

        self.check_error(ack(path + "/ack", dead), 400, 10542205)
        self.check_error(ack(path + "/deadletters/ack", ordinary), 400, 10542205)
        elsewhere = f"/queues/{queue}/groups/{other}"
        self.check_error(ack(elsewhere + "/deadletters/ack", dead), 400, 10540004)
        self.assertEqual(ack(path + "/deadletters/ack", dead).body, {"success": 1, "fail": 0})
        self.check_error(ack(path + "/deadletters/ack", dead), 400, 10542209)
        self.check_error(ack(path + "/deadletters/ack", [{"handler": "forged"}]), 400, 10542209)
        self.assertEqual(ack(path + "/ack", ordinary).status, 200)

    def test_parameters_are_those_of_consumption(self):
        """API 1.9: same query; 1.12."""
        queue, group = self.queue()
        for query, code in (("max_msgs=11", 10240014), ("max_msgs=0", 10240014),
                            ("time_wait=61", 10240021), ("ack_wait=14", 10542206),
                            ("ack_wait=301", 10542206)):
            answer = self.rest.call("GET", f"/queues/{queue}/groups/{group}/deadletters?{query}")
            self.check_error(answer, 400, code)
        path = f"/queues/{queue}/groups/{group}/deadletters/ack"
        for body, code in (({}, 10540010), ({"message": []}, 10540010),
                           ({"message": [{"handler": "x"}]}, 10540010),
                           ({"message": [{"handler": "x", "status": "done"}]}, 10540003)):
            self.check_error(self.rest.call("POST", path, body), 400, code)
        nobody = "g-00000000-0000-4000-8000-000000000000"
        answer = self.rest.call("GET", f"/queues/{queue}/groups/{nobody}/deadletters")
        self.check_error(answer, 404, 10240405)
        answer = self.rest.call("GET", f"/queues/{queue}/groups/d{group[1:]}/deadletters")
        self.check_error(answer, 400, 10240016)


class Deleting:
    def test_group_takes_its_letters_and_nothing_else(self):
        """3.3: 该消费组产生的死信消息也将被删除; 对队列中的正常消息没有任何影响."""
        queue, group, other = self.queue(groups=2)
        self.rest.produce(queue, "m")
        self.kill(queue, group, 1)
        self.kill(queue, other, 1)
        self.wait_counters(queue, group, (1, 0, 1, 1))
        self.wait_counters(queue, other, (1, 0, 1, 1))
        answer = self.rest.call("DELETE", f"/queues/{queue}/groups/{group}")
        self.assertEqual((answer.status, answer.raw), (204, b""))
        answer = self.rest.call("GET", f"/queues/{queue}/groups/{group}/deadletters")
        self.check_error(answer, 404, 10240405)
        self.assertEqual(self.counters(queue, other), (1, 0, 1, 1))
        again = self.rest.create_group(queue, "group0")
        self.assertEqual(self.counters(queue, again), (0, 1, 0, 0))
        self.assertEqual(self.rest.call("DELETE", f"/queues/{queue}").status, 204)
        answer = self.rest.call("GET", f"/queues/{queue}/groups/{other}/deadletters")
        self.check_error(answer, 404, 10240401)


class Listing:
    """Beyond the guide: what is there, why, and after how many attempts."""

    def test_letters_are_listed_without_being_consumed(self):
        queue, group = self.queue("FIFO", count=2)
        before = int(time.time() * 1000)
        messages = [{"body": {"n": index}, "tags": ["t"], "attributes": {"a": index}}
                    for index in range(5)]
        ids = self.rest.must(201, "POST", f"/queues/{queue}/messages",
                             {"messages": messages, "returnId": True})["messages"]
        self.kill(queue, group, 10)
        self.wait_counters(queue, group, (5, 0, 5, 5))
        listed = self.rest.must(200, "GET", self.path(queue, group, "list"))
        self.assertEqual((listed["start_offset"], listed["end_offset"], listed["next_offset"],
                          listed["has_more"]), (0, 5, 5, False))
        rows = listed["deadletters"]
        self.assertEqual([one["offset"] for one in rows], list(range(5)))
        for index, one in enumerate(rows):
            self.assertEqual((one["reason"], one["attempts"], one["state"]),
                             ("ack_fail", 2, "available"))
            self.assertEqual(one["origin"], {"partition": 0, "offset": index})
            self.assertEqual(one["id"], ids[index]["id"])
            self.assertEqual(one["message"], {"body": {"n": index}, "attributes": {"a": index},
                                              "tags": ["t"]})
            self.assertTrue(before <= one["produced"] <= one["time"] <= time.time() * 1000)
        self.assertEqual(self.counters(queue, group), (5, 0, 5, 5))
        # Pages; what is leased says so, what was acknowledged is gone.
        got = self.letters(queue, group, "&max_msgs=2")
        self.ack_letters(queue, group, got[:1])
        page = self.rest.must(200, "GET", self.path(queue, group, "list?limit=2"))
        self.assertEqual([(one["offset"], one["state"]) for one in page["deadletters"]],
                         [(1, "leased")])
        self.assertTrue(page["has_more"])
        page = self.rest.must(200, "GET", self.path(
            queue, group, f"list?limit=2&offset={page['next_offset']}"))
        self.assertEqual([(one["offset"], one["state"]) for one in page["deadletters"]],
                         [(2, "available"), (3, "available")])

    def test_all_letters_are_exported_as_json_lines(self):
        """An answer holds some megabytes, so that memory is bounded: the header says where to go
        on."""
        queue, group = self.queue()
        body = "x" * 100000
        for _ in range(24):
            self.rest.produce(queue, *[body] * 5)
        for _ in range(120):
            got = self.rest.consume(queue, group, max_msgs=1)
            self.rest.ack(queue, group, got, "fail")
        self.wait_counters(queue, group, (120, 0, 120, 120))
        lines, answers, offset = [], 0, 0
        while offset is not None:
            answer = self.rest.call("GET", self.path(queue, group, f"export?offset={offset}"))
            self.assertEqual((answer.status, answer.headers["Content-Type"]),
                             (200, "application/x-ndjson"))
            lines += [json.loads(line) for line in answer.raw.splitlines()]
            offset = answer.headers.get("X-Next-Offset")
            answers += 1
        self.assertEqual([one["offset"] for one in lines], list(range(120)))
        self.assertEqual({one["message"]["body"] for one in lines}, {body})
        self.assertGreater(answers, 1)
        self.assertEqual(self.counters(queue, group), (120, 0, 120, 120))

    def test_parameters_are_checked(self):
        queue, group = self.queue()
        for end in ("list?limit=0", "list?limit=101", "list?offset=-1", "list?offset=x",
                    "export?offset=-1"):
            answer = self.rest.call("GET", self.path(queue, group, end))
            self.check_error(answer, 400, 10540014)
        plain = self.rest.create_queue("plain")["id"]
        other = self.rest.create_group(plain)
        for end in ("list", "export", "redrive"):
            self.check_error(self.rest.call("GET", self.path(plain, other, end)), 400, 10540010)
        self.assertEqual(self.rest.must(200, "GET", self.path(queue, group, "list")),
                         {"deadletters": [], "start_offset": 0, "end_offset": 0,
                          "next_offset": 0, "has_more": False})


class Redriving:
    """Beyond the guide: 用户可以根据需要对死信消息进行重新消费 (2.1), without a program of one's own."""

    def wait_state(self, queue, group, state, rest=None):
        rest = rest or self.rest
        return harness.wait_for(state, lambda: (
            lambda one: one if one["state"] == state else None)(
                rest.must(200, "GET", self.path(queue, group))))

    def test_letters_come_back_to_their_group_and_to_no_other(self):
        queue, group, other = self.queue("FIFO", groups=2)
        self.rest.produce(queue, 0, 1, 2, tags=["t"], attributes={"a": 1})
        self.assertEqual(self.rest.must(200, "GET", self.path(queue, group)), {"state": "none"})
        self.kill(queue, group, 3)
        self.wait_counters(queue, group, (3, 0, 3, 3))
        begun = self.rest.must(202, "POST", self.path(queue, group), {})
        self.assertEqual(begun["messages_per_second"], 100)
        done = self.wait_state(queue, group, "completed")
        self.assertEqual((done["moved"], done["remaining"]), (3, 0))
        self.assertEqual(self.counters(queue, group), (3, 3, 3, 0))
        got = self.rest.consume(queue, group)
        self.assertEqual([one["message"] for one in got],
                         [{"body": n, "attributes": {"a": 1}, "tags": ["t"]} for n in range(3)])
        self.rest.ack(queue, group, got)
        self.assertEqual(self.rest.drain(queue, other, 3), [0, 1, 2])
        self.assertEqual(self.rest.consume(queue, other, time_wait=1), [])
        self.wait_counters(queue, other, (6, 0, 0, 0))
        self.assertEqual(self.counters(queue, group), (6, 0, 3, 0))

    def test_one_letter_and_what_is_wrong_with_a_request(self):
        queue, group = self.queue()
        self.rest.produce(queue, "a", "b")
        self.kill(queue, group, 2)
        self.wait_counters(queue, group, (2, 0, 2, 2))
        for value in ({"offsets": []}, {"offsets": [-1]}, {"offsets": ["1"]},
                      {"offsets": [1] * 101}, {"offsets": 1}, {"messages_per_second": 0},
                      {"messages_per_second": 10001}, {"messages_per_second": "fast"}):
            answer = self.rest.call("POST", self.path(queue, group), value)
            self.check_error(answer, 400, 10540010)
        answer = self.rest.raw("POST", self.rest.prefix + self.path(queue, group), b"{")
        self.check_error(answer, 400, 10240009)
        answer = self.rest.call("POST", self.path(queue, group), {"offsets": [2, 999]})
        self.check_error(answer, 400, 10540010, "no dead letter")
        self.assertEqual(self.rest.must(200, "GET", self.path(queue, group)), {"state": "none"})
        begun = self.rest.must(202, "POST", self.path(queue, group), {"offsets": [7, 1, 999]})
        self.assertEqual(begun["not_found"], [7, 999])
        done = self.wait_state(queue, group, "completed")
        self.assertEqual(done["moved"], 1)
        self.assertNotIn("not_found", done)
        answer = self.rest.call("POST", self.path(queue, group), {"offsets": [1]})  # it was moved
        self.check_error(answer, 400, 10540010, "no dead letter")
        self.assertEqual(self.rest.drain(queue, group, 1), ["b"])
        self.assertEqual(self.counters(queue, group), (3, 0, 2, 1))

    def test_rate_cancel_and_restart(self):
        broker = self.own_broker()
        rest = broker.rest()
        queue, group = self.queue(rest=rest)
        for _ in range(2):
            rest.produce(queue, *range(10))
        self.kill(queue, group, 20, rest)
        self.wait_counters(queue, group, (20, 0, 20, 20), rest)
        rest.must(202, "POST", self.path(queue, group), {"messages_per_second": 2})
        answer = rest.call("POST", self.path(queue, group), {})
        self.check_error(answer, 400, 10540010, "under way")
        harness.wait_for("the first", lambda: rest.must(
            200, "GET", self.path(queue, group))["moved"] >= 1)
        broker.kill()
        broker.start()
        status = rest.must(200, "GET", self.path(queue, group))
        self.assertEqual(status["state"], "running")
        self.assertLess(status["moved"], 20)
        harness.wait_for("it goes on", lambda: rest.must(
            200, "GET", self.path(queue, group))["moved"] > status["moved"])
        ended = rest.must(200, "DELETE", self.path(queue, group))
        self.assertEqual(ended["state"], "cancelled")
        rest.must(202, "POST", self.path(queue, group), {"messages_per_second": 10000})
        self.wait_state(queue, group, "completed", rest)
        row = self.row(queue, group, rest)
        self.assertEqual((row["produced_deadletters"], row["available_deadletters"]), (20, 0))
        self.assertGreaterEqual(row["available_messages"], 20)  # a crash may bring one twice


    def test_it_says_what_it_waits_for(self):
        queue, group = self.queue()
        self.rest.produce(queue, "a", "b")
        self.kill(queue, group, 2)
        self.wait_counters(queue, group, (2, 0, 2, 2))
        held = self.letters(queue, group, "&max_msgs=1")
        begun = self.rest.must(202, "POST", self.path(queue, group), {"offsets": [0]})
        self.assertEqual(begun["waits_because"], "letters are leased")
        self.assertEqual(self.ack_letters(queue, group, held, "fail"), {"success": 0, "fail": 1})
        done = self.wait_state(queue, group, "completed")
        self.assertNotIn("waits_because", done)

    def test_letter_behind_100000_others_waits_until_some_are_acknowledged(self):
        """README: 100,000 messages of a partition not done are the most there may be."""
        broker = self.own_broker()
        rest = broker.rest()
        queue, group = self.queue(rest=rest)
        self.letter_and_more(broker, rest, queue, group, "first", [b'"more"'] * 99999 + [b'"last"'])
        begun = rest.must(202, "POST", self.path(queue, group), {"offsets": [100000]})
        for status in (begun, rest.must(200, "GET", self.path(queue, group))):
            self.assertEqual((status["state"], status["moved"], status["remaining"],
                              status["waits_because"]),
                             ("running", 0, 1, "too many letters in front are not acknowledged"))
        self.ack_letters(queue, group, self.letters(queue, group, "&max_msgs=1", rest), rest=rest)
        done = self.wait_state(queue, group, "completed", rest)
        self.assertEqual(done["moved"], 1)
        self.assertNotIn("waits_because", done)
        self.assertEqual(rest.drain(queue, group, 1), ["last"])
        broker.kill()  # the cursor that this made is one that can be read again
        broker.start()
        self.wait_counters(queue, group, (2, 0, 100001, 99999), rest)


class OverKafka:
    """Beyond the guide: dead letters are read with any Kafka client, and written with none."""

    def test_letters_are_read_and_not_written(self):
        queue, group = self.queue()
        self.rest.produce(queue, {"n": 1}, attributes={"a": 1})
        self.kill(queue, group, 1)
        self.wait_counters(queue, group, (1, 0, 1, 1))
        topic = f"d-{self.rest.project}-{group}"
        line = self.broker.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-f", "%s\t%h\n")
        body, headers = line.decode().strip().split("\t")
        self.assertEqual(json.loads(body), {"n": 1})
        headers = dict(one.split("=", 1) for one in headers.split(","))
        self.assertEqual(headers["dms.attr.a"], "1")
        self.assertEqual((headers["dms.dead.reason"], headers["dms.dead.attempts"],
                          headers["dms.dead.partition"].isdigit(),
                          headers["dms.dead.offset"]), ("ack_fail", "1", True, "0"))
        with self.assertRaises(AssertionError):
            self.broker.kcat("-P", "-t", topic, "-X", "message.timeout.ms=2000", stdin=b"no\n")
        self.assertEqual(self.counters(queue, group), (1, 0, 1, 1))


class Restart:
    def test_kill_in_the_middle_loses_and_doubles_nothing(self):
        """Each message is in the queue or among the dead letters, in one of them only."""
        broker = self.own_broker()
        rest = broker.rest()
        queue, group = self.queue(rest=rest)
        count = 60
        for first in range(0, count, 10):
            rest.produce(queue, *range(first, first + 10))
        dead = 0
        while dead < 30:
            got = rest.consume(queue, group, max_msgs=1)
            self.assertEqual(rest.ack(queue, group, got, "fail")["fail"], 1)
            dead += 1
            if dead % 6 == 0:
                broker.kill()  # moves may be half-way
                broker.start()
        self.wait_counters(queue, group, (30, 30, 30, 30), rest)
        bodies = []
        while len(bodies) < 30:
            got = self.letters(queue, group, rest=rest)
            self.assertTrue(got)
            bodies += [one["message"]["body"] for one in got]
        self.assertEqual(self.letters(queue, group, rest=rest), [])
        bodies += rest.drain(queue, group, 30)
        self.assertEqual(sorted(bodies), list(range(count)))
        broker.kill()
        broker.start()
        self.assertEqual(self.counters(queue, group, rest), (60, 0, 30, 30))


class Damage:
    def test_record_that_is_no_letter_is_shown_as_what_it_is(self):
        """What is read from the disk is input: a record without the headers of a letter ends
        nothing."""
        broker = self.own_broker()
        rest = broker.rest()
        queue, group = self.queue(rest=rest)
        self.letter_and_more(broker, rest, queue, group, "letter", [b'"alien"'])
        rows = rest.must(200, "GET", self.path(queue, group, "list"))["deadletters"]
        self.assertEqual([one["message"]["body"] for one in rows], ["letter", "alien"])
        self.assertIsInstance(rows[0]["id"], str)
        self.assertEqual((rows[1]["id"], rows[1]["origin"], rows[1]["attempts"]),
                         (None, {"partition": -1, "offset": -1}, -1))
        exported = rest.call("GET", self.path(queue, group, "export"))
        self.assertEqual([json.loads(line)["id"] for line in exported.raw.splitlines()],
                         [rows[0]["id"], None])
        got = self.letters(queue, group, rest=rest)
        self.assertEqual([one["message"]["body"] for one in got], ["letter", "alien"])


class DeadLetters(Policy, Dying, Deleting, Listing, Redriving, OverKafka, Restart,
                  Damage, LettersTest):
    """All of them at once: most wait most of the time."""


if __name__ == "__main__":
    harness.main(threads=10)
