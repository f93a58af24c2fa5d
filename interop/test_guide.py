#!/usr/bin/env python3
"""Sentences of the user guide that no suite of a subject holds the program to: messages (1.1, 1.2,
2.3), their life (1.3, 4.3, 4.10), practice (1.6), details (2.4, 3.1), security (4.6). Beside it
stand test_guide_queues (2.1, 2.2, 3.1 to 3.3), test_message_rules (2.3), test_quotas (4.7, 4.8),
test_consumption (2.4, 4.1, 4.2, 4.9), test_tags (2.3, 2.4), test_dead_letters, test_reset (3.5),
test_metrics (1.7, 3.4), test_audit (1.7), test_policies and test_sharing (3.6)."""

import concurrent.futures
import time
import unittest

import accounts
import harness
from test_rest import RestTest

try:
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
except ImportError:
    raise SystemExit(77) from None

HOUR_MS = 3600 * 1000
LEASE_DEFAULT = 30  # seconds


class Messages(RestTest):
    def letters(self, queue, group):
        return self.rest.must(200, "GET", f"/queues/{queue}/groups/{group}/deadletters?time_wait=2")

    def test_1_1_a_message_is_json_of_any_kind(self):
        # 消息队列中信息传递的载体，以 JSON 格式存在
        queue, group = self.queue("FIFO")
        bodies = ["text", "", 0, -1.5, True, False, None, [], [1, [2]], {}, {"a": {"b": None}}]
        for body in bodies:
            self.rest.produce(queue, body)
        found = self.rest.drain(queue, group, len(bodies))
        self.assertEqual(found, bodies)
        self.assertEqual([type(one) for one in found], [type(one) for one in bodies])

    def test_1_1_one_message_or_several_are_sent_and_consumed(self):
        # 可以发送或消费一条消息，也可以批量发送或消费
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, 0)
        self.rest.produce(queue, *range(1, 11))
        first = self.rest.consume(queue, group, max_msgs=1)
        self.assertEqual([one["message"]["body"] for one in first], [0])
        self.rest.ack(queue, group, first)
        self.assertEqual(self.rest.drain(queue, group, 10), list(range(1, 11)))

    def test_1_1_each_group_gets_all_messages_once_and_its_members_share_them(self):
        # 消息队列中的所有消息可以被不同消费组分别消费一次，一个消费组消费掉的消息，其它消费组仍然可以消费。
        # 同一个消费组下可以有多个消息消费者并行消费，消费同一个队列里的不同消息。
        queue, one = self.queue()
        two = self.rest.create_group(queue, "two")
        for start in range(0, 60, 10):
            self.rest.produce(queue, *range(start, start + 10))

        def member(group):
            found = []
            while True:
                messages = self.rest.consume(queue, group, max_msgs=3, time_wait=1)
                if not messages:
                    return found
                found += [row["message"]["body"] for row in messages]
                self.rest.ack(queue, group, messages)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            shares = list(pool.map(member, (one, one, one, two)))
        self.assertEqual(sorted(sum(shares[:3], [])), list(range(60)))
        self.assertEqual(sorted(shares[3]), list(range(60)))

    def test_1_6_a_message_is_stored_once_its_success_is_told(self):
        # 如果接收到发送成功的信号，则表明该消息已经被 DMS 可靠存储: that it is synced before the
        # answer is what tests/crash/test_powercut.py holds the program to
        broker = self.own_broker()
        rest = broker.rest()
        queue = rest.create_queue(queue_mode="FIFO")["id"]
        group = rest.create_group(queue)
        for number in range(20):
            rest.produce(queue, number)
        broker.kill()
        broker.start()
        self.assertEqual(rest.drain(queue, group, 20), list(range(20)))

    def test_1_6_a_batch_that_is_not_confirmed_comes_again(self):
        # 没有提交消费确认，该批消息会在后续的消费请求中再次被获取 (1.3 too)
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, "a", "b", "c")
        self.assertEqual(len(self.rest.consume(queue, group, ack_wait=15)), 3)
        again = self.rest.consume(queue, group, time_wait=40)
        self.assertEqual([one["message"]["body"] for one in again], ["a", "b", "c"])

    def test_1_1_only_a_groups_own_dead_letters_are_consumed(self):
        # 消费死信消息时，只能消费该消费组产生的死信消息 (2.1 and 2.4, table 2-3, too)
        queue, one = self.queue("FIFO", redrive_policy="enable", max_consume_count=1)
        two = self.rest.create_group(queue, "two")
        self.rest.produce(queue, "a", "b")
        for group, body in ((one, "a"), (two, "b")):
            messages = self.rest.consume(queue, group)
            good = [row for row in messages if row["message"]["body"] < body]
            if good:
                self.rest.ack(queue, group, good)
            self.rest.ack(queue, group, messages[len(good):], "fail")
        for group, body in ((one, "a"), (two, "b")):
            self.assertEqual([row["message"]["body"] for row in self.letters(queue, group)], [body])

    def test_2_4_normal_and_dead_messages_are_consumed_apart(self):
        # 选择消费普通消息时，只能消费该队列中的普通消息
        queue, group = self.queue("FIFO", redrive_policy="enable", max_consume_count=1)
        self.rest.produce(queue, "dead", "alive")
        self.rest.ack(queue, group, self.rest.consume(queue, group, max_msgs=1), "fail")
        self.assertEqual(self.rest.drain(queue, group, 1), ["alive"])
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])
        self.assertEqual([row["message"]["body"] for row in self.letters(queue, group)], ["dead"])

    def test_2_3_a_message_sent_is_one_more_everywhere(self):
        # 您可以看到消息数量增加了一条 … 消费组所在行看到可消费消息数增加了一条
        queue, group = self.queue()
        for count in (1, 2, 3):
            self.rest.produce(queue, count)
            got = self.rest.must(200, "GET", f"/queues/{queue}")
            self.assertEqual(got["produced_messages"], count)
            self.assertEqual(self.rest.counters(queue, group), (count, 0, count))

    def test_1_2_every_message_reaches_the_queue_with_or_without_tags(self):
        # 发送消息时，无论是否添加消息标签，都可以发送到指定队列中
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, "plain")
        self.rest.produce(queue, "tagged", tags=["t"])
        self.assertEqual(self.rest.drain(queue, group, 2), ["plain", "tagged"])

    def test_1_6_a_new_group_looks_and_disturbs_nobody(self):
        # 用户可以创建一个新的消费组，对队列中的消息进行消费并分析消费过程，这样不会影响其他服务
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, *range(5))
        messages = self.rest.consume(queue, group, max_msgs=2)
        looking = self.rest.create_group(queue, "looking")
        self.assertEqual(self.rest.drain(queue, looking, 5), list(range(5)))
        self.assertEqual(self.rest.counters(queue, group), (5, 0, 5))
        self.rest.must(204, "DELETE", f"/queues/{queue}/groups/{looking}")
        self.assertEqual(self.rest.ack(queue, group, messages), {"success": 2, "fail": 0})
        self.assertEqual(self.rest.drain(queue, group, 3), [2, 3, 4])

    def test_1_6_consuming_is_in_batches_by_default(self):
        # 通常，默认消息消费为批量消费
        queue, group = self.queue("FIFO")
        for _ in range(2):
            self.rest.produce(queue, *range(10))
        got = self.rest.must(200, "GET", f"/queues/{queue}/groups/{group}/messages")
        self.assertEqual([one["message"]["body"] for one in got], list(range(10)))

    def test_1_6_messages_are_stored_and_taken_in_their_order(self):
        # 生产的消息被依次存储在 DMS 的存储介质中。消费时依次获取
        queue, group = self.queue()
        for index in range(30):
            self.rest.produce(queue, index)
        places = {}
        for partition in range(3):
            rows = self.rest.must(200, "GET",
                                  f"/queues/{queue}/messages?partition={partition}&limit=100")
            bodies = [row["message"]["body"] for row in rows["messages"]]
            self.assertEqual(bodies, sorted(bodies))
            places.update(dict.fromkeys(bodies, partition))
        last = {}
        for body in self.rest.drain(queue, group, 30):
            self.assertGreater(body, last.get(places[body], -1))
            last[places[body]] = body

    def test_2_2_there_has_to_be_a_group_before_messages_are_consumed(self):
        # 在消费消息之前，必须先创建消费组
        queue = self.rest.create_queue()["id"]
        self.rest.produce(queue, 1)
        answer = self.rest.call("GET", f"/queues/{queue}/groups/messages")
        self.assertEqual(answer.status, 405)
        self.assert_error(400, 10240016, "GET", f"/queues/{queue}/groups//messages")


class Leases(RestTest):
    def hidden(self, seconds):
        queue, group = self.queue()
        self.rest.produce(queue, "M")
        self.rest.must(200, "GET", f"/queues/{queue}/groups/{group}/messages")  # no ack_wait
        started = time.monotonic()
        return queue, group, self.rest.consume(queue, group, time_wait=seconds), started

    def test_1_3_nobody_of_the_group_gets_the_message_while_one_has_it(self):
        # 消息 M 从被消费开始的 30 秒内不能被该消费组再次消费: here, for longer than the least lease
        queue, group, messages, _ = self.hidden(17)
        self.assertEqual(messages, [])
        other = self.rest.create_group(queue, "other")
        self.assertEqual(self.rest.drain(queue, other, 1), ["M"])
        self.assertEqual(self.rest.counters(queue, group), (1, 0, 1))

    @unittest.skipUnless(harness.SOAK, "takes half a minute")
    def test_4_10_thirty_seconds_are_the_default(self):
        # 若在这 30 秒后没有被消费者确认消费完成，则 DMS 认为消息 M 未消费成功，将可以被继续消费
        _, _, messages, started = self.hidden(50)
        self.assertEqual([one["message"]["body"] for one in messages], ["M"])
        self.assertAlmostEqual(time.monotonic() - started, LEASE_DEFAULT, delta=3)


class Retention(RestTest):
    options = {"log_retention_check_interval_ms": 200}

    def retention_ms(self, topic):
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        self.addCleanup(admin.close)
        answers = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return next(int(row[1]) for answer in answers for one in answer.resources
                    for row in one[4] if row[0] == "retention.ms")

    def test_4_3_messages_are_kept_for_72_hours(self):
        # 保存至少 72 小时，超过 72 小时的消息将会被删除 (1.2, 1.3 and 2.4 too)
        for mode in ("NORMAL", "FIFO"):
            queue = self.rest.create_queue(mode, queue_mode=mode)["id"]
            self.assertEqual(self.retention_ms(f"q-{self.rest.project}-{queue}"), 72 * HOUR_MS)

    def test_1_1_dead_letters_are_kept_for_72_hours(self):
        # DMS 会将该条消息转存到死信队列中，有效期为 72 小时
        _, group = self.queue(redrive_policy="enable")
        self.assertEqual(self.retention_ms(f"d-{self.rest.project}-{group}"), 72 * HOUR_MS)

    def test_2_1_messages_older_than_the_hours_chosen_are_deleted(self):
        # 指定 kafka 队列的消息保存时间，超过该时长的消息将会被删除，删除的消息无法被消费
        made = self.rest.create_queue(queue_mode="KAFKA_HA", retention_hours=2)
        queue, group = made["id"], self.rest.create_group(made["id"])
        self.assertEqual(self.retention_ms(made["kafka_topic"]), 2 * HOUR_MS)
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap, acks="all")
        now = int(time.time() * 1000)
        for index, age in enumerate((3 * HOUR_MS, 2 * HOUR_MS + 60000, HOUR_MS, 0)):
            producer.send(made["kafka_topic"], b"%d" % index, partition=0, timestamp_ms=now - age)
            producer.flush()
        producer.close()
        harness.wait_for("the old ones are deleted", lambda: self.rest.must(
            200, "GET", f"/queues/{queue}")["produced_messages"] == 2)
        self.assertEqual(self.rest.counters(queue, group), (2, 0, 2))
        self.assertEqual(self.rest.drain(queue, group, 2), ["Mg==", "Mw=="])

    def one_batch(self, *ages_ms):
        """A queue of two hours with one batch of messages of these ages; its queue and group."""
        made = self.rest.create_queue(f"ages-{len(ages_ms)}", queue_mode="KAFKA_HA",
                                      retention_hours=2)
        group = self.rest.create_group(made["id"])
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap, acks="all",
                                 linger_ms=1000)
        now = int(time.time() * 1000)
        for index, age in enumerate(ages_ms):
            producer.send(made["kafka_topic"], b"%d" % index, partition=0, timestamp_ms=now - age)
        producer.flush()
        producer.close()
        return made, group

    def browsed(self, queue):
        found = self.rest.must(200, "GET", f"/queues/{queue}/messages?partition=0&limit=100")
        return found["start_offset"], [one["offset"] for one in found["messages"]]

    def test_2_1_messages_of_one_batch_are_deleted_one_by_one(self):
        made, group = self.one_batch(30 * HOUR_MS, 3 * HOUR_MS, HOUR_MS, 0)
        queue = made["id"]
        harness.wait_for("the old ones are deleted", lambda: self.rest.counters(queue, group)
                         == (2, 0, 2))
        self.assertEqual(self.browsed(queue), (2, [2, 3]))
        consumer = KafkaConsumer(made["kafka_topic"], auto_offset_reset="earliest",
                                 bootstrap_servers=self.broker.bootstrap, consumer_timeout_ms=2000)
        self.assertEqual([one.offset for one in consumer], [2, 3])
        consumer.close()
        self.assertEqual(self.rest.drain(queue, group, 2), ["Mg==", "Mw=="])

    def test_2_1_a_message_that_is_too_old_is_not_seen_behind_a_young_one(self):
        # 删除的消息无法被消费
        made, group = self.one_batch(0, 3 * HOUR_MS, -HOUR_MS, 30 * HOUR_MS, HOUR_MS)
        self.assertEqual(self.browsed(made["id"]), (0, [0, 2, 4]))
        self.assertEqual(self.rest.drain(made["id"], group, 3), ["MA==", "Mg==", "NA=="])
        self.assertEqual(self.rest.consume(made["id"], group, time_wait=1), [])
        self.assertEqual(self.rest.counters(made["id"], group)[2], 0)


class Throughput(RestTest):
    def test_2_1_both_kinds_of_kafka_queues_keep_what_they_acknowledged(self):
        # 支持高吞吐和高可靠两种模式: a crash of the program takes nothing from either
        own = self.own_broker()
        rest = own.rest()
        queues = {mode: self.queue(mode, mode, rest) for mode in ("KAFKA_HA", "KAFKA_HT")}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for queue, _ in queues.values():
                list(pool.map(lambda index, queue=queue: rest.produce(queue, str(index)),
                              range(40)))
        own.kill()
        own.start()
        for queue, group in queues.values():
            self.assertEqual(len(set(rest.drain(queue, group, 40))), 40)


class Security(accounts.AccountsTest):
    def test_4_6_without_a_token_nothing_is_done(self):
        # 使用 API 接口进行消息发送与消费，需先完成 token 认证
        rest = self.accounts.make_user().rest()
        queue = rest.create_queue()["id"]
        group = rest.create_group(queue)
        rest.produce(queue, "M")
        rest.token = None
        for method, path in (("GET", "/queues"), ("POST", f"/queues/{queue}/messages"),
                             ("GET", f"/queues/{queue}/groups/{group}/messages"),
                             ("POST", f"/queues/{queue}/groups/{group}/ack"),
                             ("DELETE", f"/queues/{queue}")):
            answer = rest.call(method, path, {} if method == "POST" else None)
            self.assertEqual((answer.status, answer.body["code"]), (401, 10240103), path)

    def test_4_6_domain_and_project_are_limits(self):
        # 必须完成口令认证，并受到 domain 以及 project 限制
        mine = self.accounts.make_user().rest()
        queue = mine.create_queue()["id"]
        domain = self.accounts.make_domain("Another")
        for user in (self.accounts.make_user(), self.accounts.make_user(domain=domain)):
            theirs = user.rest()
            self.assertEqual(theirs.must(200, "GET", "/queues"), {"queues": [], "total": 0})
            answer = theirs.call("GET", f"/queues/{queue}")
            self.assertEqual((answer.status, answer.body["code"]), (404, 10240401))
            theirs.prefix = mine.prefix
            answer = theirs.call("GET", f"/queues/{queue}")
            self.assertEqual((answer.status, answer.body["code"]), (401, 10240104))


if __name__ == "__main__":
    harness.main(threads=8)
