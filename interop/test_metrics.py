#!/usr/bin/env python3
"""The eight metrics of guide table 1-2 (names of API §1.13), against traffic counted by hand,
over the query of the monitoring service (Cloud Eye) and in /metrics. A "minute" is half a second
here (dms.metrics.interval.ms)."""

import json
import pathlib
import time
import uuid

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

import harness
import wire

INTERVAL_MS = 500
HOURS_72_MS = 72 * 3600 * 1000
QUEUE_METRICS = ["queued_messages", "message_size", "request_count"]
GROUP_METRICS = ["accumulated_messages", "consumed_messages", "skipped_messages",
                 "dead_avail_messages", "dead_his_messages"]


class MetricsTest(harness.BrokerTest):
    options = {"dms.metrics.interval.ms": INTERVAL_MS}

    def setUp(self):
        self.rest = self.broker.rest()
        self.started = int(time.time() * 1000) - 2 * INTERVAL_MS

    def query(self, rest=None, **parameters):
        rest = rest or self.rest
        text = "&".join(f"{key.replace('_0', '.0').replace('_1', '.1')}={value}"
                        for key, value in parameters.items() if value is not None)
        return rest.raw("GET", f"/V1.0/{rest.project}/metric-data?{text}")

    def points(self, name, queue=None, group=None, rest=None, period=1, filter="average",
               begin=None, end=None):
        """[(timestamp, value)]"""
        answer = self.query(rest, namespace="SYS.DMS", metric_name=name, period=period,
                            dim_0=queue and f"queue_instance_id,{queue}",
                            dim_1=group and f"group_instance_id,{group}", filter=filter,
                            **{"from": begin or self.started,
                               "to": end or int(time.time() * 1000) + 60000})
        self.assertEqual(answer.status, 200, answer.raw)
        self.assertEqual(answer.body["metric_name"], name)
        unit = "Byte" if name == "message_size" else "Count"
        for point in answer.body["datapoints"]:
            self.assertEqual((set(point), point["unit"]), ({filter, "timestamp", "unit"}, unit))
        return [(point["timestamp"], point[filter]) for point in answer.body["datapoints"]]

    def last(self, name, queue, group=None, **arguments):
        points = self.points(name, queue, group, **arguments)
        return points[-1][1] if points else None

    def total(self, name, queue, **arguments):
        return sum(value for _, value in self.points(name, queue, **arguments))

    def settle(self, want, **where):
        """Waits until the newest value of each metric in want is the one given."""
        got = {}

        def right():
            for name in want:
                read = self.total if name in QUEUE_METRICS[1:] else self.last
                group = where.get("group") if name in GROUP_METRICS else None
                rest = {"rest": where["rest"]} if "rest" in where else {}
                got[name] = (read(name, where["queue"], **rest) if group is None
                             else read(name, where["queue"], group, **rest))
            return got == want
        try:
            harness.wait_for("the metrics", right, 10, 0.1)
        except AssertionError:
            self.assertEqual(got, want)

    def samples(self):
        """Values of /metrics by name and labels, and types by name."""
        answer = self.rest.raw("GET", "/metrics")
        self.assertEqual(answer.status, 200)
        found = {}
        types = {}
        for line in answer.raw.decode().splitlines():
            if line.startswith("# TYPE "):
                name, kind = line[7:].split()
                self.assertNotIn(name, types)
                types[name] = kind
            elif not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                self.assertIn(name.partition("{")[0], types)
                found[name] = float(value)
        return found, types


class Interval(MetricsTest):
    def test_a_minute_is_the_default(self):
        """Guide §3.4 and §1.7: 数据更新周期为 1 分钟"""
        text = harness.subprocess.run([harness.binary(), "--help"], capture_output=True, text=True,
                                      check=True).stdout
        line = next(one for one in text.splitlines() if "dms.metrics.interval.ms" in one)
        self.assertRegex(line, r"\b60000\b")


class Queue(MetricsTest):
    def test_queued_messages(self):
        """队列消息数：该指标用于统计队列中当前的消息总数量: acked ones are still in the queue."""
        queue = self.rest.create_queue()["id"]
        group = self.rest.create_group(queue)
        self.rest.produce(queue, "one", "two", "three")
        self.settle({"queued_messages": 3}, queue=queue)
        self.rest.drain(queue, group, 3)
        self.rest.produce(queue, "four")
        self.settle({"queued_messages": 4}, queue=queue)

    def test_message_size_and_request_count(self):
        """队列消息大小: 一分钟内生产的消息的总大小，单位为 Bytes; 消息请求数: 一分钟内生产消息的
        请求总数: a batch is one request; bodies count as their JSON, attributes as the limit counts
        them."""
        queue = self.rest.create_queue()["id"]
        self.rest.produce(queue, "a" * 98)  # 100 with its quotes
        self.rest.produce(queue, "b" * 48, "c" * 48)
        self.settle({"message_size": 200, "request_count": 2, "queued_messages": 3}, queue=queue)

    def test_what_was_refused_is_not_counted(self):
        queue = self.rest.create_queue()["id"]
        self.rest.call("POST", f"/queues/{queue}/messages", {"messages": []})
        self.rest.produce(queue, "x")
        self.settle({"request_count": 1, "message_size": 3, "queued_messages": 1}, queue=queue)

    def test_each_interval_has_its_own(self):
        """A rate is of its interval; a state stays until it changes; timestamps are aligned."""
        queue = self.rest.create_queue()["id"]
        self.rest.produce(queue, "x")
        self.settle({"request_count": 1}, queue=queue)
        first = int(time.time() * 1000)
        harness.wait_for("a quiet interval",
                         lambda: self.points("request_count", queue)[-1][0] > first)
        requests = self.points("request_count", queue)
        queued = self.points("queued_messages", queue)
        self.assertEqual(sum(value for _, value in requests), 1)
        self.assertEqual(requests[-1][1], 0)
        self.assertEqual(queued[-1][1], 1)
        for points in (requests, queued):
            times = [when for when, _ in points]
            self.assertEqual([when % INTERVAL_MS for when in times], [0] * len(times))
            self.assertEqual(times, list(range(times[0], times[-1] + 1, INTERVAL_MS)))

    def test_questions_at_once_over_one_connection(self):
        queue = self.rest.create_queue()["id"]
        self.rest.produce(queue, "x")
        self.settle({"request_count": 1}, queue=queue)
        target = (f"/V1.0/{self.rest.project}/metric-data?namespace=SYS.DMS&period=1&filter=sum"
                  f"&metric_name=request_count&dim.0=queue_instance_id,{queue}"
                  f"&from={self.started}&to={int(time.time() * 1000) + 1}")
        for answer in self.rest.pipeline([target] * 4):
            self.assertEqual(answer.status, 200, answer.raw)
            self.assertEqual(sum(point["sum"] for point in answer.body["datapoints"]), 1)


class Group(MetricsTest):
    def test_accumulated_and_consumed(self):
        """消息堆积数: 消费组当前未消费的消息数量; 已消费消息数: 从创建消费组开始统计并持续累计.
        Another group is not concerned."""
        queue = self.rest.create_queue()["id"]
        made = self.rest.must(201, "POST", f"/queues/{queue}/groups",
                              {"groups": [{"name": "one"}, {"name": "two"}]})["groups"]
        one, two = (row["id"] for row in made)
        for number in range(5):
            self.rest.produce(queue, number)
        self.rest.drain(queue, one, 5)
        self.rest.produce(queue, "more", "still more")
        self.settle({"accumulated_messages": 2, "consumed_messages": 5, "skipped_messages": 0,
                     "dead_avail_messages": 0, "dead_his_messages": 0}, queue=queue, group=one)
        self.settle({"accumulated_messages": 7, "consumed_messages": 0}, queue=queue, group=two)

    def test_leased_messages_have_not_been_consumed(self):
        queue = self.rest.create_queue(queue_mode="FIFO")["id"]
        group = self.rest.create_group(queue)
        self.rest.produce(queue, "one", "two")
        leased = self.rest.consume(queue, group)
        self.settle({"accumulated_messages": 2, "consumed_messages": 0}, queue=queue, group=group)
        self.rest.ack(queue, group, leased[:1])
        self.settle({"accumulated_messages": 1, "consumed_messages": 1}, queue=queue, group=group)

    def test_dead_letters(self):
        """死信消息堆积数: 当前未消费的死信消息数量; 死信历史消息数: 累计, 包含已消费和未消费;
        如果消息进入死信队列，会标记为已消费，所以消息堆积数不包含死信消息数，已消费消息数包含死信消息数;
        死信消息的产生与消亡，不影响当前队列消息数."""
        queue = self.rest.create_queue(queue_mode="FIFO", redrive_policy="enable",
                                       max_consume_count=1)["id"]
        group = self.rest.create_group(queue)
        self.rest.produce(queue, "bad", "good")
        leased = self.rest.consume(queue, group)
        self.rest.ack(queue, group, leased[:1], "fail")
        self.settle({"queued_messages": 2, "accumulated_messages": 1, "consumed_messages": 1,
                     "dead_avail_messages": 1, "dead_his_messages": 1}, queue=queue, group=group)
        path = f"/queues/{queue}/groups/{group}/deadletters"
        dead = self.rest.must(200, "GET", path)
        self.rest.must(200, "POST", path + "/ack",
                       {"message": [{"handler": dead[0]["handler"], "status": "success"}]})
        self.settle({"queued_messages": 2, "accumulated_messages": 1, "consumed_messages": 1,
                     "dead_avail_messages": 0, "dead_his_messages": 1}, queue=queue, group=group)

    def test_reset(self):
        """如果执行了消费重置，则重置位置之前的消息都变成已消费消息数，不管重置之前是否已消费;
        消费重置后，跳跃的消息数归 0."""
        queue = self.rest.create_queue()["id"]
        group = self.rest.create_group(queue)
        for number in range(4):
            self.rest.produce(queue, number)
        self.rest.drain(queue, group, 1)
        path = f"/queues/{queue}/groups/{group}/reset"
        self.rest.must(200, "POST", path, {"position": "latest"})
        self.settle({"accumulated_messages": 0, "consumed_messages": 4, "skipped_messages": 0},
                    queue=queue, group=group)
        self.rest.must(200, "POST", path, {"position": "earliest"})
        self.settle({"accumulated_messages": 4, "consumed_messages": 0, "skipped_messages": 0},
                    queue=queue, group=group)

    def test_dimension_of_the_group_alone(self):
        """API §1.13: the dimension of a group's metric is group_instance_id."""
        queue = self.rest.create_queue()["id"]
        group = self.rest.create_group(queue)
        self.settle({"accumulated_messages": 0}, queue=queue, group=group)
        self.assertTrue(self.points("accumulated_messages", None, group))


class Kafka(MetricsTest):
    def setUp(self):
        super().setUp()
        made = self.rest.create_queue(queue_mode="KAFKA_HA")
        self.queue, self.topic_name = made["id"], made["kafka_topic"]
        self.group = self.rest.create_group(self.queue)

    def test_both_doors_count(self):
        """REST- and Kafka-produced messages are counted alike."""
        self.rest.produce(self.queue, "over REST")
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap, acks="all")
        self.addCleanup(producer.close)
        for _ in range(2):
            producer.send(self.topic_name, b"k" * 100, partition=0).get(10)
        # A record is its value, a null key and six small fields: 100 + 2 + 6 bytes and its length.
        self.settle({"queued_messages": 3, "request_count": 3, "message_size": 11 + 2 * 109},
                    queue=self.queue)

    def test_groups_have_no_other_metric(self):
        for name in GROUP_METRICS:
            answer = self.query(namespace="SYS.DMS", metric_name=name, period=1, filter="max",
                                dim_0=f"queue_instance_id,{self.queue}",
                                dim_1=f"group_instance_id,{self.group}",
                                **{"from": self.started, "to": self.started + 60000})
            if name == "accumulated_messages":
                self.assertEqual(answer.status, 200, answer.raw)
            else:
                self.assertEqual((answer.status, answer.body["code"]), (400, 10540014), name)

    def test_accumulated_from_committed_offsets(self):
        """Kafka queues: of groups only what has accumulated; here from what a client committed."""
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap, acks="all")
        self.addCleanup(producer.close)
        for number in range(6):
            producer.send(self.topic_name, b"%d" % number, partition=0).get(10)
        self.settle({"accumulated_messages": 6}, queue=self.queue, group=self.group)
        consumer = KafkaConsumer(bootstrap_servers=self.broker.bootstrap, group_id=self.group,
                                 enable_auto_commit=False, auto_offset_reset="earliest")
        self.addCleanup(consumer.close)
        partition = TopicPartition(self.topic_name, 0)
        consumer.assign([partition])
        seen = 0
        while seen < 4:
            seen += sum(map(len, consumer.poll(1000, max_records=4 - seen).values()))
        consumer.commit()
        self.settle({"accumulated_messages": 2}, queue=self.queue, group=self.group)


class Expiry(MetricsTest):
    """Messages live for 72 hours: after that the broker is started on logs that say so."""

    def setUp(self):
        super().setUp()
        self.expiring = self.own_broker(**{"dms.metrics.interval.ms": INTERVAL_MS,
                                           "log.retention.check.interval.ms": 200})
        self.rest = self.expiring.rest()

    def pass_72_hours(self, topic_id):
        """For the messages that one topic of a single partition has now."""
        self.expiring.kill()
        (log,) = pathlib.Path(self.expiring.data, f"{topic_id}-0").glob("*.log")
        log.write_bytes(wire.older(log.read_bytes(), HOURS_72_MS))
        self.expiring.start()

    def check_prometheus(self, want, queue, group):
        found, _ = self.samples()
        for name, value in want.items():
            labels = f'queue_id="{queue}",queue="queue"' + (
                f',group_id="{group}",group="group"' if name in GROUP_METRICS else "")
            labels = f'project_id="{self.rest.project}",{labels}'
            self.assertEqual(found[f"dmsd_{name}{{{labels}}}"], value, name)

    def test_table_1_2_skipped_messages(self):
        """跳跃消费消息数: 消费组中未消费且被删除的消息数. 队列消息数 and 消息堆积数:
        删除的消息不在此统计项内. What was consumed in time is not skipped; 消费重置后，跳跃的消息数归 0."""
        queue = self.rest.create_queue(queue_mode="FIFO")["id"]
        group = self.rest.create_group(queue)
        self.rest.produce(queue, *range(5))
        self.assertEqual(self.rest.ack(queue, group, self.rest.consume(queue, group, max_msgs=2)),
                         {"success": 2, "fail": 0})
        self.settle({"queued_messages": 5, "accumulated_messages": 3, "consumed_messages": 2,
                     "skipped_messages": 0}, queue=queue, group=group)
        self.pass_72_hours(queue)
        self.rest.produce(queue, "young")
        want = {"queued_messages": 1, "accumulated_messages": 1, "consumed_messages": 2,
                "skipped_messages": 3}
        self.settle(want, queue=queue, group=group)
        self.check_prometheus(want, queue, group)
        self.assertEqual(self.rest.drain(queue, group, 1), ["young"])
        self.rest.must(200, "POST", f"/queues/{queue}/groups/{group}/reset",
                       {"position": "latest"})
        want = {"accumulated_messages": 0, "consumed_messages": 6, "skipped_messages": 0}
        self.settle(want, queue=queue, group=group)
        self.check_prometheus(want, queue, group)

    def test_table_1_2_expired_dead_letters(self):
        """死信消息堆积数: 删除的消息不在此统计项内; 死信历史消息数: 包含已消费和未消费，以及因超期未消费被删除的
        所有消息. 队列消息数: 死信消息的产生与消亡，不影响; 已消费消息数包含死信消息数."""
        queue = self.rest.create_queue(queue_mode="FIFO", redrive_policy="enable",
                                       max_consume_count=1)["id"]
        group = self.rest.create_group(queue)
        self.rest.produce(queue, *range(4))
        for _ in range(3):
            self.rest.ack(queue, group, self.rest.consume(queue, group, max_msgs=1), "fail")
        path = f"/queues/{queue}/groups/{group}/deadletters"
        self.settle({"dead_his_messages": 3}, queue=queue, group=group)
        dead = self.rest.must(200, "GET", path + "?max_msgs=1")
        self.rest.must(200, "POST", path + "/ack",
                       {"message": [{"handler": dead[0]["handler"], "status": "success"}]})
        want = {"queued_messages": 4, "accumulated_messages": 1, "consumed_messages": 3,
                "skipped_messages": 0, "dead_avail_messages": 2, "dead_his_messages": 3}
        self.settle(want, queue=queue, group=group)
        self.pass_72_hours(group[2:])
        want["dead_avail_messages"] = 0
        self.settle(want, queue=queue, group=group)
        self.check_prometheus(want, queue, group)
        self.assertEqual(self.rest.must(200, "GET", path + "?time_wait=1"), [])


class Periods(MetricsTest):
    def test_rolled_up_values_follow_from_the_raw_ones(self):
        queue = self.rest.create_queue()["id"]
        for _ in range(3):
            self.rest.produce(queue, "x", "y")
            before = int(time.time() * 1000)
            harness.wait_for("the next interval", lambda: (
                self.points("queued_messages", queue) or [(0, 0)])[-1][0] > before)
        day = 86400
        begin = self.started // 1000 // day * day * 1000
        end = int(time.time() * 1000) // INTERVAL_MS * INTERVAL_MS - INTERVAL_MS
        values = [value for _, value in self.points("queued_messages", queue, end=end)]
        mean = sum(values) / len(values)
        want = {"max": max(values), "min": min(values), "sum": sum(values), "average": mean,
                "variance": sum((value - mean) ** 2 for value in values) / len(values)}
        for name, value in want.items():
            # The first day begins at midnight: values of days in between stay apart.
            points = self.points("queued_messages", queue, period=day, filter=name, begin=begin,
                                 end=end)
            self.assertEqual(len(points), 1, points)
            self.assertEqual(points[0][0], begin)
            self.assertAlmostEqual(points[0][1], value, places=2, msg=name)

    def test_a_range_within_a_period_is_empty(self):
        """Cloud Eye: from is rounded up to the period."""
        queue = self.rest.create_queue()["id"]
        self.settle({"queued_messages": 0}, queue=queue)
        hour = 3600 * 1000
        begin = self.started // hour * hour
        self.assertEqual(self.points("queued_messages", queue, period=3600, begin=begin + 1,
                                     end=begin + hour), [])


class Refusals(MetricsTest):
    def test_bad_parameters(self):
        queue = self.rest.create_queue()["id"]
        group = self.rest.create_group(queue)
        good = {"namespace": "SYS.DMS", "metric_name": "queued_messages",
                "dim_0": f"queue_instance_id,{queue}", "from": 0, "to": 60000, "period": 1,
                "filter": "max"}
        self.assertEqual(self.query(**good).status, 200)
        for change in ({"namespace": "SYS.ECS"}, {"namespace": None}, {"metric_name": "cpu"},
                       {"metric_name": None}, {"dim_0": None}, {"dim_0": "queue_instance_id"},
                       {"dim_0": f"instance_id,{queue}"}, {"from": 60000}, {"from": None},
                       {"to": None}, {"to": "x"}, {"period": 2}, {"period": None},
                       {"filter": "mean"}, {"filter": None},
                       {"dim_1": f"group_instance_id,{group}"},
                       {"metric_name": "consumed_messages"}):
            answer = self.query(**{**good, **change})
            self.assertEqual((answer.status, answer.body["code"]), (400, 10540014), change)
        for change, code in (({"dim_0": "queue_instance_id,short"}, 10240015),
                             ({"dim_0": f"queue_instance_id,{uuid.UUID(int=1)}"}, 10240401)):
            self.assertEqual(self.query(**{**good, **change}).body["code"], code)
        answer = self.query(**{**good, "metric_name": "consumed_messages",
                               "dim_1": "group_instance_id,g-x"})
        self.assertEqual(answer.body["code"], 10240405)
        other = self.query(self.broker.rest(), **good)
        self.assertEqual((other.status, other.body["code"]), (404, 10240401))

    def test_at_most_4320_periods(self):
        queue = self.rest.create_queue()["id"]
        for period, seconds in ((1, INTERVAL_MS / 1000), (300, 300), (86400, 86400)):
            for count, status in ((4320, 200), (4321, 400)):
                answer = self.query(**{
                    "namespace": "SYS.DMS", "metric_name": "queued_messages",
                    "dim_0": f"queue_instance_id,{queue}", "from": 0,
                    "to": int(count * seconds * 1000), "period": period, "filter": "sum"})
                self.assertEqual(answer.status, status, (period, count, answer.raw))


class Lists(MetricsTest):
    def test_metrics_of_the_project(self):
        queue = self.rest.create_queue()["id"]
        group = self.rest.create_group(queue)
        kafka = self.rest.create_queue("kafka", queue_mode="KAFKA_HT")["id"]
        kafka_group = self.rest.create_group(kafka)
        body = self.rest.raw("GET", f"/V1.0/{self.rest.project}/metrics").body
        got = {(row["metric_name"], *(one["value"] for one in row["dimensions"]))
               for row in body["metrics"]}
        want = {(name, one) for one in (queue, kafka) for name in QUEUE_METRICS}
        want |= {(name, queue, group) for name in GROUP_METRICS}
        want |= {("accumulated_messages", kafka, kafka_group)}
        self.assertEqual(got, want)
        self.assertEqual(body["meta_data"], {"count": 12, "marker": "12", "total": 12})
        page = self.rest.raw("GET", f"/V1.0/{self.rest.project}/metrics?limit=5&start=10").body
        self.assertEqual(page["metrics"], body["metrics"][10:])
        page = self.rest.raw("GET", f"/V1.0/{self.rest.project}/metrics"
                                    f"?dim.0=queue_instance_id,{kafka}"
                                    "&metric_name=request_count&namespace=SYS.DMS").body
        self.assertEqual(page["meta_data"]["total"], 1)


class Prometheus(MetricsTest):
    def test_the_eight_with_labels(self):
        queue = self.rest.create_queue("shown")["id"]
        group = self.rest.create_group(queue, "readers")
        self.rest.produce(queue, "x")
        self.rest.drain(queue, group, 1)
        self.rest.produce(queue, "y")
        found, types = self.samples()
        labels = f'project_id="{self.rest.project}",queue_id="{queue}",queue="shown"'
        want = {"queued_messages": 2, "message_size_total": 6, "request_count_total": 2}
        for name, value in want.items():
            self.assertEqual(found[f"dmsd_{name}{{{labels}}}"], value, name)
            self.assertEqual(types[f"dmsd_{name}"],
                             "counter" if name.endswith("_total") else "gauge")
        labels += f',group_id="{group}",group="readers"'
        for name, value in zip(GROUP_METRICS, (1, 1, 0, 0, 0)):
            self.assertEqual(found[f"dmsd_{name}{{{labels}}}"], value, name)

    def test_at_most_so_many_queues_those_of_rest_first(self):
        broker = self.own_broker(**{"dms.metrics.topics.max": 2})
        rest = broker.rest()
        broker.kcat("-P", "-t", "over-kafka", stdin=b"x")
        rest.create_queue("one")
        text = rest.raw("GET", "/metrics").raw.decode()
        self.assertIn('queue="over-kafka"', text)
        rest.create_queue("two")
        text = rest.raw("GET", "/metrics").raw.decode()
        self.assertNotIn('queue="over-kafka"', text)
        self.assertIn('queue="two"', text)
        self.assertNotIn('queue="__', text)


class Durability(MetricsTest):
    def test_series_survive_restart_and_kill(self):
        broker = self.own_broker(**{"dms.metrics.interval.ms": INTERVAL_MS})
        rest = broker.rest()
        queue = rest.create_queue()["id"]
        group = rest.create_group(queue)
        rest.produce(queue, "x", "y")
        self.assertEqual(len(rest.drain(queue, group, 2)), 2)
        broker.restart()  # at once: the running interval is recorded as far as it has come
        self.settle({"message_size": 6, "request_count": 1, "queued_messages": 2}, queue=queue,
                    rest=rest)
        rest.produce(queue, "z")
        self.settle({"message_size": 9, "request_count": 2, "queued_messages": 3}, queue=queue,
                    rest=rest)
        broker.kill()
        broker.start()
        self.settle({"message_size": 9, "request_count": 2, "queued_messages": 3,
                     "consumed_messages": 2, "accumulated_messages": 1}, queue=queue, group=group,
                    rest=rest)
        consumed = [value for _, value in self.points("consumed_messages", queue, group,
                                                      rest=rest)]
        self.assertEqual(consumed, sorted(consumed))  # totals never go back


if __name__ == "__main__":
    harness.main(threads=4)
