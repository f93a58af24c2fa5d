#!/usr/bin/env python3
"""Queues and groups, sentence by sentence of the user guide (2.1, 2.2, 3.1 to 3.3, 4.7, 4.8) and
of the API reference (1.2 to 1.6). What other suites test is not repeated."""

import string
import uuid

import harness
from test_rest import NO_SUCH, RestTest

LETTERS = string.ascii_letters + string.digits + "-_"


class Queues(RestTest):
    def made(self, **fields):
        queue = self.rest.create_queue(**fields)["id"]
        return self.rest.must(200, "GET", f"/queues/{queue}?include_deadletter=true")

    def test_2_1_each_project_may_have_five_queues_by_default(self):
        # 每个项目默认最多可以创建 5 个队列
        for index in range(5):
            self.rest.create_queue(f"queue{index}")
        self.assert_error(400, 10240002, "POST", "/queues", {"name": "sixth"})

    def test_2_1_name_is_of_letters_digits_hyphen_underscore_and_1_to_64_long(self):
        # 队列名称只能包含 a~z，A~Z，0-9，-，_，长度是[1，64]
        for name in ("q", "-", "_", LETTERS):
            self.assertEqual(self.made(name=name)["name"], name)
        for char in set(map(chr, range(32, 127))) - set(LETTERS):
            self.assert_error(400, 10240007, "POST", "/queues", {"name": "a" + char})
        for name in (None, "", "n" * 65):
            self.assert_error(400, 10240011, "POST", "/queues", {"name": name})

    def test_2_1_name_is_unique_in_the_project_and_case_counts(self):
        # 队列的名称，必须唯一
        self.rest.create_queue("name")
        for mode in ("NORMAL", "KAFKA_HA"):
            self.assert_error(400, 10240017, "POST", "/queues",
                              {"name": "name", "queue_mode": mode})
        self.rest.create_queue("Name")

    def test_2_1_name_cannot_be_changed(self):
        # 创建队列后不能修改名称
        queue = self.rest.create_queue()["id"]
        for method in ("PUT", "PATCH", "POST"):
            answer = self.rest.call(method, f"/queues/{queue}", {"name": "other"})
            self.assertIn(answer.status, (404, 405))

    def test_2_1_normal_is_the_default_and_dead_letters_are_off(self):
        # 默认为普通队列 … 是否开启死信 默认值：关闭
        made = self.made()
        self.assertEqual((made["queue_mode"], made["redrive_policy"], made["reservation"]),
                         ("NORMAL", "disable", 72 * 60))

    def test_2_1_all_four_modes(self):
        for mode in ("NORMAL", "FIFO", "KAFKA_HA", "KAFKA_HT"):
            self.assertEqual(self.made(name=mode, queue_mode=mode)["queue_mode"], mode)
        for mode in ("normal", "AMQP", "INTERNAL", "", 1):
            self.assert_error(400, 10540010, "POST", "/queues", {"name": "x", "queue_mode": mode})

    def test_2_1_retention_is_an_integer_of_1_to_72_hours_for_kafka_queues_only(self):
        # 仅 Kafka 队列才有该参数 … 取值范围：1-72，必须为整数
        for hours in (1, 72):
            made = self.made(name=f"h{hours}", queue_mode="KAFKA_HT", retention_hours=hours)
            self.assertEqual(made["reservation"], hours * 60)
        self.assertEqual(self.made(name="default", queue_mode="KAFKA_HA")["reservation"], 72 * 60)
        for hours in (0, 73, -1, 1.5, "5", True, 2 ** 40):
            self.assert_error(400, 10240027, "POST", "/queues", {
                "name": "x", "queue_mode": "KAFKA_HA", "retention_hours": hours})
        for mode in ("NORMAL", "FIFO"):
            self.assert_error(400, 10240028, "POST", "/queues", {
                "name": "x", "queue_mode": mode, "retention_hours": 72})

    def test_2_1_max_consume_count_is_1_to_100_and_3_by_default(self):
        # 最大消费次数 取值范围：1~100 默认值：3
        self.assertEqual(self.made(name="a", redrive_policy="enable")["max_consume_count"], 3)
        for count in (1, 100):
            made = self.made(name=f"c{count}", redrive_policy="enable", max_consume_count=count)
            self.assertEqual((made["redrive_policy"], made["max_consume_count"]),
                             ("enable", count))
        for count in (0, 101, -1, 1.5, "3", 2 ** 40):
            self.assert_error(400, 10240022, "POST", "/queues", {
                "name": "x", "redrive_policy": "enable", "max_consume_count": count})

    def test_2_1_kafka_queues_have_no_dead_letters(self):
        # Kafka 队列无死信功能
        for mode in ("KAFKA_HA", "KAFKA_HT"):
            self.assert_error(400, 10540010, "POST", "/queues", {
                "name": "x", "queue_mode": mode, "redrive_policy": "enable"})
        made = self.made(queue_mode="KAFKA_HA", redrive_policy="disable")
        self.assertNotIn("redrive_policy", made)

    def test_2_1_description_has_0_to_160_characters_without_angle_brackets(self):
        # 队列描述不能包含<>，长度是[0，160]
        for index, text in enumerate(("", "ü" * 160, "a\nb & \"c\" 描述", None)):
            self.assertEqual(self.made(name=f"d{index}", description=text)["description"],
                             text or "")
        self.assert_error(400, 10240013, "POST", "/queues", {"name": "x", "description": "d" * 161})
        for text in ("<", ">", "a<b>"):
            self.assert_error(400, 10240010, "POST", "/queues", {"name": "x", "description": text})

    def test_3_1_details_hold_the_messages_and_the_groups(self):
        # 查看队列的基本信息、队列中总消息数、可消费的消息数、… 消费组列表
        queue, group = self.queue()
        self.rest.produce(queue, 1, 2, 3)
        got = self.rest.must(200, "GET", f"/queues/{queue}")
        self.assertEqual((got["produced_messages"], got["group_count"]), (3, 1))
        self.assertEqual(self.rest.counters(queue, group), (3, 0, 3))

    def test_3_1_details_hold_the_dead_letters_to_consume(self):
        # 可消费死信消息数
        queue, group = self.queue("FIFO", redrive_policy="enable", max_consume_count=1)
        self.rest.produce(queue, "bad")

        def numbers():
            row = self.rest.must(200, "GET", f"/queues/{queue}/groups?include_deadletter=true")[
                "groups"][0]
            return row["produced_deadletters"], row["available_deadletters"]
        self.assertEqual(numbers(), (0, 0))
        self.rest.ack(queue, group, self.rest.consume(queue, group), "fail")
        harness.wait_for("the dead letter", lambda: numbers() == (1, 1))
        path = f"/queues/{queue}/groups/{group}/deadletters"
        letters = self.rest.must(200, "GET", path + "?time_wait=5")
        self.rest.must(200, "POST", path + "/ack", {"message": [
            {"handler": one["handler"], "status": "success"} for one in letters]})
        self.assertEqual(numbers(), (1, 0))

    def test_3_2_deleting_a_queue_loses_everything_in_it(self):
        # 删除队列会丢失队列中的所有消息
        queue, group = self.queue(redrive_policy="enable", max_consume_count=1)
        self.rest.produce(queue, "dead", "alive")
        self.rest.ack(queue, group, self.rest.consume(queue, group, max_msgs=1), "fail")
        self.rest.must(204, "DELETE", f"/queues/{queue}")
        for path in ("", "/groups", f"/groups/{group}/messages", f"/groups/{group}/deadletters"):
            self.assert_error(404, 10240401, "GET", f"/queues/{queue}{path}")
        self.assertEqual(self.rest.must(200, "GET", "/queues"), {"queues": [], "total": 0})


class Groups(RestTest):
    def setUp(self):
        super().setUp()
        self.queue_id = self.rest.create_queue()["id"]
        self.path = f"/queues/{self.queue_id}/groups"

    def test_2_2_each_queue_may_have_three_groups(self):
        # 每个队列最多可以创建 3 个消费组 (4.8 too); over it the whole request is refused (1.6)
        self.rest.create_group(self.queue_id, "first")
        self.assert_error(400, 10240019, "POST", self.path,
                          {"groups": [{"name": name} for name in "abc"]})
        self.rest.must(201, "POST", self.path, {"groups": [{"name": "a"}, {"name": "b"}]})
        self.assert_error(400, 10240019, "POST", self.path, {"groups": [{"name": "c"}]})
        groups = self.rest.must(200, "GET", self.path)["groups"]
        self.assertEqual([row["name"] for row in groups], ["first", "a", "b"])

    def test_2_2_name_is_of_letters_digits_hyphen_underscore_and_1_to_32_long(self):
        # 消费组的名称只能包含 a~z，A~Z，0~9，-，_，长度是[1，32]
        for name in ("-", LETTERS[:32], LETTERS[-32:]):
            self.rest.create_group(self.queue_id, name)
        for char in set(map(chr, range(32, 127))) - set(LETTERS):
            self.assert_error(400, 10240007, "POST", self.path, {"groups": [{"name": "a" + char}]})
        for name in (None, "", "n" * 33):
            self.assert_error(400, 10240012, "POST", self.path, {"groups": [{"name": name}]})

    def test_2_2_name_is_unique_in_the_queue(self):
        # 同个队列的消费组名称不能重复
        self.rest.create_group(self.queue_id, "name")
        self.assert_error(400, 10240018, "POST", self.path, {"groups": [{"name": "name"}]})
        self.assert_error(400, 10240018, "POST", self.path,
                          {"groups": [{"name": "same"}, {"name": "same"}]})
        other = self.rest.create_queue("other")["id"]
        self.rest.create_group(other, "name")
        self.assertEqual(len(self.rest.must(200, "GET", self.path)["groups"]), 1)

    def test_2_2_new_group_sees_all_messages_of_the_queue(self):
        # 消费组创建后，队列中存在的所有消息对消费组可见
        self.rest.produce(self.queue_id, 1, 2, 3)
        group = self.rest.create_group(self.queue_id)
        self.assertEqual(self.rest.counters(self.queue_id, group), (3, 0, 3))
        self.assertEqual(sorted(self.rest.drain(self.queue_id, group, 3)), [1, 2, 3])

    def test_3_3_deleting_a_group_leaves_messages_and_other_groups_alone(self):
        # 删除消费组对队列中的正常消息没有任何影响
        self.rest.produce(self.queue_id, "kept")
        first = self.rest.create_group(self.queue_id, "first")
        second = self.rest.create_group(self.queue_id, "second")
        self.rest.must(204, "DELETE", f"{self.path}/{first}")
        self.assertEqual(self.rest.drain(self.queue_id, second, 1), ["kept"])
        self.assert_error(404, 10240405, "GET", f"{self.path}/{first}/messages")
        again = self.rest.create_group(self.queue_id, "first")  # the name is free, the id is new
        self.assertNotEqual(again, first)
        self.assertEqual(self.rest.drain(self.queue_id, again, 1), ["kept"])

    def test_3_3_deleting_a_group_deletes_its_dead_letters(self):
        # 该消费组产生的死信消息也将被删除（不管是否消费过）
        queue, first = self.queue(name="letters", redrive_policy="enable", max_consume_count=1)
        second = self.rest.create_group(queue, "second")
        self.rest.produce(queue, "poison")
        for group in (first, second):
            self.rest.ack(queue, group, self.rest.consume(queue, group), "fail")
        self.rest.must(204, "DELETE", f"/queues/{queue}/groups/{first}")
        self.assert_error(404, 10240405, "GET", f"/queues/{queue}/groups/{first}/deadletters")
        letters = self.rest.must(200, "GET", f"/queues/{queue}/groups/{second}/deadletters")
        self.assertEqual([one["message"]["body"] for one in letters], ["poison"])

    def test_1_6_bad_shapes_are_refused(self):
        for body in ({}, {"groups": []}, {"groups": {}}, {"groups": "x"}, {"groups": [5]},
                     {"groups": [{"name": 5}]}):
            answer = self.rest.call("POST", self.path, body)
            self.assertEqual(answer.status, 400, answer.raw)
            self.assertIn(answer.body["code"], (10540010, 10240012))

    def test_1_5_missing_queues_and_groups_are_404_when_deleted(self):
        self.assert_error(404, 10240401, "DELETE", f"/queues/{uuid.uuid4()}")
        self.assert_error(404, 10240405, "DELETE", f"{self.path}/g-{NO_SUCH}")


if __name__ == "__main__":
    harness.main(threads=8)
