#!/usr/bin/env python3
"""The REST door with http.client only: queues, groups, produce, consume, acknowledge, leases,
counters and errors. The tests run side by side, each in a project of its own."""

import concurrent.futures
import socket
import time
import uuid

import harness

ACK_WAIT_MIN = 15  # seconds
NO_SUCH = str(uuid.UUID(int=12345))


class RestTest(harness.BrokerTest):
    def setUp(self):
        self.rest = self.broker.rest()

    def queue(self, mode="NORMAL", name="queue", rest=None, **fields):
        """A queue and a group on it: their ids."""
        rest = rest or self.rest
        queue = rest.create_queue(name, queue_mode=mode, **fields)["id"]
        return queue, rest.create_group(queue)

    def assert_error(self, status, code, method, path, value=None, **arguments):
        answer = self.rest.call(method, path, value, **arguments)
        self.check_error(answer, status, code)
        return answer

    def check_error(self, answer, status, code):
        codes = code if isinstance(code, tuple) else (code,)
        self.assertEqual(answer.status, status, answer.raw)
        self.assertIsInstance(answer.body, dict, answer.raw)
        self.assertEqual(set(answer.body), {"code", "message"})
        self.assertIn(answer.body["code"], codes, answer.raw)
        self.assertIsInstance(answer.body["message"], str)
        self.assertTrue(answer.body["message"])


class Queues(RestTest):
    def test_create_answers_id_and_name(self):
        made = self.rest.create_queue("a-Queue_1")
        self.assertEqual(set(made), {"id", "name"})
        self.assertEqual(made["name"], "a-Queue_1")
        self.assertEqual(str(uuid.UUID(made["id"])), made["id"])

    def test_kafka_queue_has_a_topic_name(self):
        for mode in ("KAFKA_HA", "KAFKA_HT"):
            made = self.rest.create_queue(mode, queue_mode=mode)
            self.assertEqual(made["kafka_topic"], f"k-{self.rest.project}-{made['id']}")
            got = self.rest.must(200, "GET", f"/queues/{made['id']}")
            self.assertEqual(got["kafka_topic"], made["kafka_topic"])

    def test_get_has_the_documented_fields_and_types(self):
        before = int(time.time() * 1000)
        made = self.rest.create_queue("described", queue_mode="FIFO", description="some words")
        got = self.rest.must(200, "GET", f"/queues/{made['id']}")
        self.assertEqual(
            (got["id"], got["name"], got["description"], got["queue_mode"]),
            (made["id"], "described", "some words", "FIFO"))
        self.assertEqual((got["reservation"], got["max_msg_size_byte"]), (4320, 524288))
        self.assertEqual((got["produced_messages"], got["group_count"]), (0, 0))
        self.assertLessEqual(before, got["created"])
        self.assertLessEqual(got["created"], int(time.time() * 1000))
        self.assertEqual(got["eff_date"], got["created"])
        self.assertNotIn("redrive_policy", got)
        self.assertNotIn("kafka_topic", got)

    def test_redrive_policy_is_shown_when_asked_for(self):
        made = self.rest.create_queue(redrive_policy="disable", max_consume_count=7)
        for value in ("true", "True", "TRUE"):
            got = self.rest.must(200, "GET", f"/queues/{made['id']}?include_deadletter={value}")
            self.assertEqual((got["redrive_policy"], got["max_consume_count"]), ("disable", 7))
        for value in ("false", "False"):
            got = self.rest.must(200, "GET", f"/queues/{made['id']}?include_deadletter={value}")
            self.assertNotIn("redrive_policy", got)

    def test_retention_of_a_kafka_queue_is_in_minutes(self):
        made = self.rest.create_queue(queue_mode="KAFKA_HA", retention_hours=36)
        got = self.rest.must(200, "GET", f"/queues/{made['id']}")
        self.assertEqual(got["reservation"], 36 * 60)

    def test_list_holds_what_the_project_has_and_nothing_else(self):
        ids = {self.rest.create_queue(f"queue{index}")["id"] for index in range(3)}
        other = self.broker.rest()
        other.create_queue("other")
        listed = self.rest.must(200, "GET", "/queues")
        self.assertEqual(listed["total"], 3)
        self.assertEqual({row["id"] for row in listed["queues"]}, ids)
        self.check_error(other.call("GET", f"/queues/{sorted(ids)[0]}"), 404, 10240401)

    def test_empty_project_lists_nothing(self):
        self.assertEqual(self.rest.must(200, "GET", "/queues"), {"queues": [], "total": 0})

    def test_delete_answers_204_and_takes_groups_and_messages(self):
        queue, group = self.queue()
        self.rest.produce(queue, "gone")
        answer = self.rest.call("DELETE", f"/queues/{queue}")
        self.assertEqual((answer.status, answer.raw), (204, b""))
        self.assert_error(404, 10240401, "GET", f"/queues/{queue}")
        self.assert_error(404, 10240401, "DELETE", f"/queues/{queue}")
        self.assert_error(404, 10240401, "GET", f"/queues/{queue}/groups/{group}/messages")
        again = self.rest.create_queue("queue")["id"]  # the name is free
        self.assertNotEqual(again, queue)
        group = self.rest.create_group(again)
        self.assertEqual(self.rest.consume(again, group, time_wait=1), [])

    def test_v2_is_the_same_service(self):
        made = self.rest.create_queue("both")
        newer = harness.Rest(self.broker.http_port, self.rest.project, "v2")
        self.assertEqual(newer.must(200, "GET", f"/queues/{made['id']}")["name"], "both")
        group = newer.create_group(made["id"])
        newer.produce(made["id"], "through v2")
        self.assertEqual(self.rest.drain(made["id"], group, 1), ["through v2"])

    def test_names_of_64_characters_and_descriptions_of_160_are_fine(self):
        made = self.rest.create_queue("n" * 64, description="d" * 160)
        self.assertEqual(self.rest.must(200, "GET", f"/queues/{made['id']}")["description"],
                         "d" * 160)


    def test_numbers_of_messages_are_listed_when_asked_for(self):
        queue, _ = self.queue()
        self.rest.produce(queue, 1, 2, 3)
        for query, number in (("", 0), ("?include_messages_num=true", 3)):
            rows = self.rest.must(200, "GET", "/queues" + query)["queues"]
            self.assertEqual([row["produced_messages"] for row in rows], [number])

    def test_quotas_of_both_versions(self):
        self.queue()
        wanted = {"quotas": {"resources": [
            {"type": "queue", "quota": 5, "used": 1, "min": 1, "max": 20},
            {"type": "group", "quota": 3, "used": 1, "min": 1, "max": 20}]}}
        self.assertEqual(self.rest.must(200, "GET", "/quotas/dms"), wanted)
        newer = harness.Rest(self.broker.http_port, self.rest.project, "v2")
        self.assertEqual(newer.must(200, "GET", "/quotas"), wanted)

    def test_topics_made_over_kafka_are_queues_of_the_default_project(self):
        topic = self.topic()
        self.broker.kcat("-P", "-t", topic, stdin=b"from kafka\n")
        default = harness.Rest(self.broker.http_port, "0" * 32)
        rows = {row["name"]: row for row in default.must(200, "GET", "/queues")["queues"]}
        self.assertEqual(rows[topic]["queue_mode"], "KAFKA_HA")
        got = default.must(200, "GET", f"/queues/{rows[topic]['id']}")
        self.assertEqual((got["kafka_topic"], got["produced_messages"]), (topic, 1))
        self.assertFalse([name for name in rows if name.startswith("__")])
        group = default.create_group(got["id"])
        self.assertEqual(len(default.drain(got["id"], group, 1)), 1)


class QueueErrors(RestTest):
    def refuse(self, code, **fields):
        self.assert_error(400, code, "POST", "/queues", {"name": "refused", **fields})

    def test_bad_fields_have_their_codes(self):
        for code, fields in (
                (10240011, {"name": ""}),
                (10240011, {"name": "n" * 65}),
                (10240007, {"name": "a b"}),
                (10240007, {"name": "ä"}),
                (10240013, {"description": "d" * 161}),
                (10240010, {"description": "<b>"}),
                (10240022, {"redrive_policy": "enable", "max_consume_count": 0}),
                (10240022, {"redrive_policy": "enable", "max_consume_count": 101}),
                (10240027, {"queue_mode": "KAFKA_HA", "retention_hours": 0}),
                (10240027, {"queue_mode": "KAFKA_HA", "retention_hours": 73}),
                (10240027, {"queue_mode": "KAFKA_HA", "retention_hours": 1.5}),
                (10240028, {"queue_mode": "NORMAL", "retention_hours": 5}),
                (10240028, {"queue_mode": "FIFO", "retention_hours": 5})):
            with self.subTest(fields):
                self.refuse(code, **fields)
        self.assertEqual(self.rest.must(200, "GET", "/queues")["total"], 0)

    def test_unknown_mode_or_policy_is_refused(self):
        for fields in ({"queue_mode": "AMQPX"}, {"redrive_policy": "maybe"}, {"name": 5}):
            with self.subTest(fields):
                answer = self.rest.call("POST", "/queues", {"name": "refused", **fields})
                self.assertEqual(answer.status, 400, answer.raw)
                self.assertIsInstance(answer.body["code"], int)

    def test_same_name_twice_is_10240017(self):
        self.rest.create_queue("twice")
        self.refuse(10240017, name="twice")
        self.broker.rest().create_queue("twice")  # another project

    def test_sixth_queue_is_over_the_quota(self):
        for index in range(5):
            self.rest.create_queue(f"queue{index}")
        self.refuse((10240002, 10240020), name="sixth")
        queue = self.rest.must(200, "GET", "/queues")["queues"][0]["id"]
        self.rest.must(204, "DELETE", f"/queues/{queue}")
        self.rest.create_queue("sixth")

    def test_body_that_is_no_json_is_10240009(self):
        for body in (b"", b"{", b"[1,", b"\xff\xfe", b'{"name":"x"} trailing', b'{"name":"\x01"}'):
            with self.subTest(body):
                answer = self.rest.raw("POST", self.rest.prefix + "/queues", body)
                self.check_error(answer, 400, 10240009)

    def test_project_id_that_is_no_id_is_10240005(self):
        for project in ("short", "x" * 32, "0" * 33):
            with self.subTest(project):
                answer = self.rest.raw("GET", f"/v1.0/{project}/queues")
                self.check_error(answer, 400, 10240005)

    def test_queue_id_that_is_no_id_is_10240015_and_unknown_is_10240401(self):
        self.assert_error(400, 10240015, "GET", "/queues/not-a-uuid")
        self.assert_error(404, 10240401, "GET", f"/queues/{NO_SUCH}")
        self.assert_error(404, 10240401, "DELETE", f"/queues/{NO_SUCH}")

    def test_unknown_urls_are_10240406(self):
        for target in ("/v1.0", "/v9/x", "/nothing", self.rest.prefix + "/nothing",
                       self.rest.prefix):
            with self.subTest(target):
                self.check_error(self.rest.raw("GET", target), 404, 10240406)

    def test_wrong_method_is_refused(self):
        answer = self.rest.call("PUT", "/queues", {})
        self.assertIn(answer.status, (404, 405))
        self.assertEqual(answer.body["code"], 10240406)


class Groups(RestTest):
    def test_create_several_list_and_delete(self):
        queue = self.rest.create_queue()["id"]
        made = self.rest.must(201, "POST", f"/queues/{queue}/groups",
                              {"groups": [{"name": "one"}, {"name": "two"}]})["groups"]
        self.assertEqual([row["name"] for row in made], ["one", "two"])
        for row in made:
            self.assertTrue(row["id"].startswith("g-"))
            uuid.UUID(row["id"][2:])
        listed = self.rest.must(200, "GET", f"/queues/{queue}/groups")
        self.assertEqual((listed["queue_id"], listed["queue_name"]), (queue, "queue"))
        self.assertNotIn("redrive_policy", listed)
        for row in listed["groups"]:
            self.assertEqual(
                (row["produced_messages"], row["consumed_messages"], row["available_messages"]),
                (0, 0, 0))
        self.assertEqual({row["id"] for row in listed["groups"]}, {row["id"] for row in made})
        self.assertEqual(self.rest.must(200, "GET", f"/queues/{queue}")["group_count"], 2)
        answer = self.rest.call("DELETE", f"/queues/{queue}/groups/{made[0]['id']}")
        self.assertEqual((answer.status, answer.raw), (204, b""))
        listed = self.rest.must(200, "GET", f"/queues/{queue}/groups")
        self.assertEqual([row["id"] for row in listed["groups"]], [made[1]["id"]])
        self.assert_error(404, 10240405, "GET",
                          f"/queues/{queue}/groups/{made[0]['id']}/messages")

    def test_bad_groups_have_their_codes(self):
        queue = self.rest.create_queue()["id"]
        path = f"/queues/{queue}/groups"
        self.rest.create_group(queue, "taken")
        for code, names in ((10240012, [""]), (10240012, ["g" * 33]), (10240007, ["a b"]),
                            (10240018, ["taken"]), (10240019, ["a", "b", "c"])):
            with self.subTest(code):
                self.assert_error(400, code, "POST", path,
                                  {"groups": [{"name": name} for name in names]})
        # Refused as a whole: nothing was made.
        self.assertEqual(len(self.rest.must(200, "GET", path)["groups"]), 1)
        self.assert_error(404, 10240401, "POST", f"/queues/{NO_SUCH}/groups",
                          {"groups": [{"name": "x"}]})
        self.assert_error(400, 10240016, "DELETE", path + "/no-group-id")
        self.assert_error(404, 10240405, "DELETE", f"{path}/g-{NO_SUCH}")
        answer = self.rest.raw("POST", self.rest.prefix + path, b"{")
        self.check_error(answer, 400, 10240009)

    def test_new_group_starts_at_the_earliest_message(self):
        queue, _ = self.queue("FIFO")
        self.rest.produce(queue, 1, 2, 3)
        late = self.rest.create_group(queue, "late")
        self.assertEqual(self.rest.drain(queue, late, 3), [1, 2, 3])

    def test_pages(self):
        queue = self.rest.create_queue()["id"]
        self.rest.must(201, "POST", f"/queues/{queue}/groups",
                       {"groups": [{"name": name} for name in "abc"]})
        path = f"/queues/{queue}/groups"
        first = self.rest.must(200, "GET", path + "?page_size=2&current_page=1")["groups"]
        second = self.rest.must(200, "GET", path + "?page_size=2&current_page=2")["groups"]
        self.assertEqual((len(first), len(second)), (2, 1))
        self.assertEqual({row["name"] for row in first + second}, set("abc"))

    def test_impossible_pages_hold_nothing_and_invalid_ones_everything(self):
        queue, _ = self.queue()
        path = f"/queues/{queue}/groups"
        for query, count in (("page_size=1&current_page=2", 0),
                             (f"page_size=2&current_page={2 ** 63 - 1}", 0),
                             (f"page_size={2 ** 63 - 1}&current_page=1", 1),
                             (f"page_size={2 ** 63 - 1}&current_page=2", 0),
                             ("page_size=0&current_page=1", 1), ("page_size=x&current_page=5", 1),
                             ("page_size=1&current_page=0", 1), ("current_page=7", 1)):
            with self.subTest(query):
                rows = self.rest.must(200, "GET", f"{path}?{query}")["groups"]
                self.assertEqual(len(rows), count)

    def test_counts_are_left_away_when_not_asked_for(self):
        queue, group = self.queue()
        self.rest.produce(queue, "x")
        path = f"/queues/{queue}/groups?include_messages_num=false"
        row = self.rest.must(200, "GET", path)["groups"][0]
        self.assertEqual((row["id"], row["produced_messages"], row["available_messages"]),
                         (group, 0, 0))


class Produce(RestTest):
    def path(self, queue):
        return f"/queues/{queue}/messages"

    def test_answer_has_one_row_a_message(self):
        queue, _ = self.queue()
        rows = self.rest.produce(queue, "a", "b", "c")
        self.assertEqual(rows, [{"error": None, "error_code": None, "state": 0}] * 3)

    def test_return_id_in_both_spellings(self):
        queue, _ = self.queue()
        ids = []
        for spelling in ("returnId", "return_id"):
            rows = self.rest.must(201, "POST", self.path(queue), {
                "messages": [{"body": 1}, {"body": 2}], spelling: True})["messages"]
            ids += [row["id"] for row in rows]
        self.assertEqual(len(set(ids)), 4)
        for one in ids:
            self.assertRegex(one, r"^[A-Za-z0-9_.~-]+$")

    def test_bodies_and_attributes_come_back_with_their_json_types(self):
        bodies = ["text", "", "üñí\u0000\U0001f600", 42, -1.5, True, False, [1, [2]], {"a": {}},
                  {"nested": {"list": [1, "2", None]}}]
        attributes = {"name": "value", "number": 1, "flag": False}
        queue, group = self.queue("FIFO")
        self.rest.must(201, "POST", self.path(queue), {
            "messages": [{"body": body, "attributes": attributes} for body in bodies]})
        messages = self.rest.consume(queue, group)
        found = [one["message"]["body"] for one in messages]
        self.assertEqual(found, bodies)
        self.assertEqual([type(one) for one in found], [type(one) for one in bodies])
        for one in messages:
            self.assertEqual(one["message"]["attributes"], attributes)
            self.assertIsInstance(one["handler"], str)

    def test_limits_are_refused(self):
        queue, group = self.queue()
        for value in ({}, {"messages": []}, {"messages": [{"body": 1}] * 11},
                      {"messages": [{"attributes": {}}]}, {"messages": "x"}, []):
            with self.subTest(str(value)[:40]):
                answer = self.rest.call("POST", self.path(queue), value)
                self.assertEqual(answer.status, 400, answer.raw)
                self.assertIn(answer.body["code"], (10540001, 10540010, 10540202))
        too_big = {"messages": [{"body": "x" * 300000}, {"body": "y" * 300000}]}
        self.assert_error(400, 10540011, "POST", self.path(queue), too_big)
        answer = self.rest.raw("POST", self.rest.prefix + self.path(queue), b'{"messages":')
        self.check_error(answer, 400, 10540012)
        self.assertEqual(self.rest.counters(queue, group), (0, 0, 0))

    def test_body_just_under_512_kib_passes(self):
        queue, group = self.queue("FIFO")
        body = "x" * (524288 - 200)
        self.rest.produce(queue, body)
        self.assertEqual(self.rest.drain(queue, group, 1), [body])

    def test_kafka_queue_takes_no_delay_and_no_attributes(self):
        queue, _ = self.queue("KAFKA_HA")
        answer = self.assert_error(400, 10540010, "POST", self.path(queue),
                                   {"messages": [{"body": 1, "delay_time": 1000}]})
        self.assertIn("delayTime", answer.body["message"])
        answer = self.rest.call("POST", self.path(queue),
                                {"messages": [{"body": 1, "attributes": {"a": 1}}]})
        self.assertEqual(answer.status, 400, answer.raw)

    def test_empty_fields_are_as_none(self):
        queue, _ = self.queue()
        self.rest.must(201, "POST", self.path(queue), {
            "messages": [{"body": 1, "tags": [], "delay_time": 0, "attributes": {}}]})

    def test_body_is_returned_as_it_was_written(self):
        queue, group = self.queue("FIFO")
        body = b'{"big":123456789012345678901234567890,"e":1E2,"s":"\\u00e9\\/",  "n":null}'
        text = (b'{"messages":[{"attributes":{"a":1,"b":2,"a":[ 3 ]},"body":' + body +
                b'},{"body":null}]}')
        answer = self.rest.raw("POST", self.rest.prefix + self.path(queue), text)
        self.assertEqual(answer.status, 201, answer.raw)
        answer = self.rest.call("GET", f"/queues/{queue}/groups/{group}/messages")
        self.assertIn(b'"body":' + body + b',"attributes":{"b":2,"a":[ 3 ]}', answer.raw)
        self.assertEqual(answer.body[1]["message"], {"body": None, "attributes": {},
                                                     "tags": []})

    def test_unknown_queue_is_10240401(self):
        self.assert_error(404, 10240401, "POST", self.path(NO_SUCH), {"messages": [{"body": 1}]})

    def test_many_producers_lose_nothing(self):
        queue, group = self.queue()

        def produce(number):
            for index in range(20):
                self.rest.produce(queue, f"{number} {index} a", f"{number} {index} b")

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(produce, range(8)))
        self.assertEqual(self.rest.counters(queue, group), (320, 0, 320))
        bodies = self.rest.drain(queue, group, 320)
        self.assertEqual(len(set(bodies)), 320)
        self.assertEqual(self.rest.counters(queue, group), (320, 320, 0))


class Consume(RestTest):
    def path(self, queue, group, query=""):
        return f"/queues/{queue}/groups/{group}/messages{query}"

    def test_nothing_there_is_an_empty_list_after_time_wait(self):
        queue, group = self.queue()
        started = time.monotonic()
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])
        self.assertGreaterEqual(time.monotonic() - started, 0.9)

    def test_waiting_consumer_gets_a_message_at_once(self):
        for mode in ("NORMAL", "FIFO", "KAFKA_HA"):
            with self.subTest(mode):
                queue, group = self.queue(mode, name=mode)
                started = time.monotonic()
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    waiting = pool.submit(self.rest.consume, queue, group, time_wait=30)
                    self.rest.produce(queue, "now")
                    self.assertEqual(len(waiting.result()), 1)
                self.assertLess(time.monotonic() - started, 10)

    def test_max_msgs_bounds_the_answer(self):
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, *range(10))
        messages = self.rest.consume(queue, group, max_msgs=3)
        self.assertEqual([one["message"]["body"] for one in messages], [0, 1, 2])

    def test_bad_parameters_have_their_codes(self):
        queue, group = self.queue()
        for code, query in ((10240014, "max_msgs=0"), (10240014, "max_msgs=11"),
                            (10240021, "time_wait=0"), (10240021, "time_wait=61"),
                            (10542206, "ack_wait=14"), (10542206, "ack_wait=301")):
            with self.subTest(query):
                self.assert_error(400, code, "GET", self.path(queue, group, "?" + query))

    def test_empty_parameters_are_the_defaults(self):
        queue, group = self.queue()
        self.rest.produce(queue, "x")
        path = self.path(queue, group, "?time_wait=&ack_wait=&max_msgs=10")
        self.assertEqual(len(self.rest.must(200, "GET", path)), 1)

    def test_unknown_queue_and_group(self):
        queue, group = self.queue()
        self.assert_error(404, 10240401, "GET", self.path(NO_SUCH, group))
        self.assert_error(404, 10240405, "GET", self.path(queue, f"g-{NO_SUCH}"))
        self.assert_error(400, 10240016, "GET", self.path(queue, "nonsense"))
        self.assert_error(400, 10240015, "GET", self.path("nonsense", group))

    def test_leased_message_is_hidden_from_its_group_and_not_from_others(self):
        queue, group = self.queue()
        other = self.rest.create_group(queue, "other")
        self.rest.produce(queue, "only")
        self.assertEqual(len(self.rest.consume(queue, group)), 1)
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])
        self.assertEqual(self.rest.drain(queue, other, 1), ["only"])

    def test_message_is_not_given_to_a_client_that_left(self):
        queue, group = self.queue()
        target = f"{self.rest.prefix}{self.path(queue, group)}?time_wait=60&ack_wait=300"
        for _ in range(5):
            with socket.create_connection((harness.HOST, self.broker.http_port)) as sock:
                sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                time.sleep(0.2)  # it waits by then; if not, the test passes all the same
        self.rest.produce(queue, "for the living")
        self.assertEqual(self.rest.drain(queue, group, 1), ["for the living"])

    def test_groups_each_get_everything_and_members_share(self):
        queue, group = self.queue()
        other = self.rest.create_group(queue, "other")
        for _ in range(10):
            self.rest.produce(queue, *range(10))
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            jobs = [pool.submit(self.rest.drain, queue, other, 100)]
            taken = []

            def member():
                while len(taken) < 100:
                    messages = self.rest.consume(queue, group, time_wait=1)
                    if messages:
                        self.rest.ack(queue, group, messages)
                    taken.extend(messages)

            jobs += [pool.submit(member) for _ in range(4)]
            for job in jobs:
                job.result()
        self.assertEqual(len(taken), 100)
        self.assertEqual(self.rest.counters(queue, group), (100, 100, 0))
        self.assertEqual(self.rest.counters(queue, other), (100, 100, 0))


class Leases(RestTest):
    """Few and side by side: the shortest lease is 15 s."""

    def check_expiry(self, mode, name="queue"):
        queue, group = self.queue(mode, name=name)
        self.rest.produce(queue, "again")
        first = self.rest.consume(queue, group, ack_wait=ACK_WAIT_MIN)
        leased = time.monotonic()
        second = self.rest.consume(queue, group, time_wait=40)
        waited = time.monotonic() - leased
        self.assertEqual(len(second), 1)
        self.assertEqual(second[0]["message"], first[0]["message"])
        self.assertGreaterEqual(waited, ACK_WAIT_MIN - 1)
        self.assertLess(waited, ACK_WAIT_MIN + 10)
        # The handler named the first lease, which is over.
        path = f"/queues/{queue}/groups/{group}/ack"
        late = {"message": [{"handler": first[0]["handler"], "status": "success"}]}
        self.assert_error(400, (10542205, 10542209), "POST", path, late)
        self.assertEqual(self.rest.ack(queue, group, second), {"success": 1, "fail": 0})
        self.assertEqual(self.rest.counters(queue, group), (1, 1, 0))

    def test_message_not_acked_in_time_comes_again_normal(self):
        self.check_expiry("NORMAL")

    def test_message_not_acked_in_time_comes_again_fifo(self):
        self.check_expiry("FIFO")

    def test_message_not_acked_in_time_comes_again_kafka(self):
        self.check_expiry("KAFKA_HA")

    def test_fifo_blocks_until_the_lease_ends_and_keeps_order(self):
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, *range(6))
        self.assertEqual(len(self.rest.consume(queue, group, max_msgs=2,
                                               ack_wait=ACK_WAIT_MIN)), 2)
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])
        messages = self.rest.consume(queue, group, time_wait=40)
        self.assertEqual([one["message"]["body"] for one in messages], list(range(6)))


class Acks(RestTest):
    def path(self, queue, group):
        return f"/queues/{queue}/groups/{group}/ack"

    def rows(self, messages, *statuses):
        return {"message": [{"handler": one["handler"], "status": status}
                            for one, status in zip(messages, statuses)]}

    def bodies(self, messages):
        return [one["message"]["body"] for one in messages]

    def test_success_ends_the_message_for_its_group(self):
        queue, group = self.queue()
        self.rest.produce(queue, "x")
        messages = self.rest.consume(queue, group)
        self.assertEqual(self.rest.ack(queue, group, messages), {"success": 1, "fail": 0})
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])
        self.assertEqual(self.rest.counters(queue, group), (1, 1, 0))

    def test_failed_message_is_deliverable_again_at_once(self):
        queue, group = self.queue()
        self.rest.produce(queue, "x")
        messages = self.rest.consume(queue, group)
        self.assertEqual(self.rest.ack(queue, group, messages, "fail"), {"success": 0, "fail": 1})
        started = time.monotonic()
        self.assertEqual(self.bodies(self.rest.consume(queue, group, time_wait=20)), ["x"])
        self.assertLess(time.monotonic() - started, 5)

    def test_ack_stops_at_the_first_failure(self):
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, 0, 1, 2, 3)
        messages = self.rest.consume(queue, group)
        answer = self.rest.must(200, "POST", self.path(queue, group),
                                self.rows(messages, "success", "fail", "success", "success"))
        self.assertEqual(answer, {"success": 1, "fail": 3})
        self.assertEqual(self.rest.counters(queue, group), (4, 1, 3))
        self.assertEqual(self.bodies(self.rest.consume(queue, group)), [1, 2, 3])

    def test_partial_ack_leaves_the_rest_leased(self):
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, 0, 1, 2)
        messages = self.rest.consume(queue, group)
        self.assertEqual(self.rest.ack(queue, group, messages[:1]), {"success": 1, "fail": 0})
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])  # FIFO: blocked
        self.assertEqual(self.rest.ack(queue, group, messages[1:]), {"success": 2, "fail": 0})
        self.assertEqual(self.rest.counters(queue, group), (3, 3, 0))

    def test_fifo_has_one_batch_in_flight_a_group(self):
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, *range(5))
        messages = self.rest.consume(queue, group, max_msgs=2)
        self.assertEqual(self.bodies(messages), [0, 1])
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.rest.consume, queue, group, time_wait=30)
            self.rest.ack(queue, group, messages)
            self.assertEqual(self.bodies(waiting.result()), [2, 3, 4])

    def test_fifo_order_holds_through_failures(self):
        queue, group = self.queue("FIFO")
        for first in range(0, 40, 10):
            self.rest.produce(queue, *range(first, first + 10))
        done = []
        for turn in range(100):
            messages = self.rest.consume(queue, group, max_msgs=1 + turn % 7)
            good = len(messages) if turn % 3 else len(messages) // 2
            if good < len(messages):
                statuses = ["success"] * good + ["fail"] * (len(messages) - good)
                self.rest.must(200, "POST", self.path(queue, group),
                               self.rows(messages, *statuses))
            else:
                self.rest.ack(queue, group, messages)
            self.assertEqual(self.bodies(messages),
                             list(range(len(done), len(done) + len(messages))))
            done += self.bodies(messages)[:good]
            if len(done) == 40:
                break
        self.assertEqual(done, list(range(40)))

    def test_redrive_disabled_redelivers_for_ever(self):
        queue, group = self.queue("NORMAL")
        self.rest.produce(queue, "poison")
        for _ in range(12):
            messages = self.rest.consume(queue, group)
            self.assertEqual(self.bodies(messages), ["poison"])
            self.rest.ack(queue, group, messages, "fail")

    def test_handlers_that_name_no_lease_are_refused(self):
        queue, group = self.queue()
        path = self.path(queue, group)
        self.rest.produce(queue, "x")
        messages = self.rest.consume(queue, group)
        self.rest.ack(queue, group, messages)
        with self.subTest("acked twice"):
            self.assert_error(400, 10542209, "POST", path, self.rows(messages, "success"))
        for fake in ("nonsense", "bm9uc2Vuc2U=", messages[0]["handler"] + "A"):
            with self.subTest(fake):
                self.assert_error(400, 10542209, "POST", path,
                                  {"message": [{"handler": fake, "status": "success"}]})

    def test_handler_of_another_group_is_10540004(self):
        queue, group = self.queue()
        other = self.rest.create_group(queue, "other")
        self.rest.produce(queue, "x")
        messages = self.rest.consume(queue, group)
        self.assert_error(400, 10540004, "POST", self.path(queue, other),
                          self.rows(messages, "success"))
        self.assertEqual(self.rest.ack(queue, group, messages), {"success": 1, "fail": 0})

    def test_bad_requests_have_their_codes(self):
        queue, group = self.queue()
        path = self.path(queue, group)
        self.rest.produce(queue, "x")
        messages = self.rest.consume(queue, group)
        answer = self.assert_error(400, 10540003, "POST", path, self.rows(messages, "perhaps"))
        self.assertEqual(answer.body["message"],
                         "Message ack status must be either 'success' or 'fail'. "
                         "It should not be 'perhaps'.")
        self.assert_error(400, 10540010, "POST", path,
                          {"message": [{"handler": messages[0]["handler"]}]})
        for value in ({}, {"message": []}, {"message": [{}]}, []):
            answer = self.rest.call("POST", path, value)
            self.assertEqual(answer.status, 400, answer.raw)
        self.assert_error(404, 10240401, "POST", self.path(NO_SUCH, group),
                          self.rows(messages, "success"))
        self.assert_error(404, 10240405, "POST", self.path(queue, f"g-{NO_SUCH}"),
                          self.rows(messages, "success"))
        self.assertEqual(self.rest.ack(queue, group, messages), {"success": 1, "fail": 0})


class Restart(RestTest):
    def setUp(self):
        self.own = self.own_broker()
        self.rest = self.own.rest()

    def check(self, fault):
        queues = {}
        for mode in ("NORMAL", "FIFO", "KAFKA_HA"):
            queue, group = self.queue(mode, name=mode)
            self.rest.produce(queue, *range(10))
            messages = self.rest.consume(queue, group, max_msgs=1)
            self.rest.ack(queue, group, messages)
            self.rest.consume(queue, group, max_msgs=3)  # leased when it happens
            queues[queue] = (mode, group, self.rest.must(200, "GET", f"/queues/{queue}"))
        fault()
        for queue, (mode, group, described) in queues.items():
            with self.subTest(mode):
                self.assertEqual(self.rest.must(200, "GET", f"/queues/{queue}"), described)
                self.assertEqual(self.rest.counters(queue, group), (10, 1, 9))
                # A crash is nobody's failure: the leases are over, nothing acked comes again.
                bodies = self.rest.drain(queue, group, 9)
                self.assertEqual(len(set(map(str, bodies))), 9)
                if mode == "FIFO":
                    self.assertEqual(bodies, list(range(1, 10)))
                self.assertEqual(self.rest.counters(queue, group), (10, 10, 0))

    def test_everything_stays_across_a_restart(self):
        self.check(self.own.restart)

    def test_everything_acknowledged_stays_across_kill_9(self):
        def fault():
            self.own.kill()
            self.own.start()

        self.check(fault)

    def test_deleted_stays_deleted(self):
        queue, group = self.queue()
        kept = self.rest.create_queue("kept")["id"]
        self.rest.produce(queue, "x")
        self.rest.must(204, "DELETE", f"/queues/{queue}")
        self.own.kill()
        self.own.start()
        self.assert_error(404, 10240401, "GET", f"/queues/{queue}/groups/{group}/messages")
        rows = self.rest.must(200, "GET", "/queues")["queues"]
        self.assertEqual([row["id"] for row in rows], [kept])


if __name__ == "__main__":
    harness.main(threads=8)
