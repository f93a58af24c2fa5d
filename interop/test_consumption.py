#!/usr/bin/env python3
"""Consumption over REST, sentence by sentence: long polls, one partition for each request,
strict order with many consumers, failures that survive. Section numbers are those of the DMS user
guide; API those of the API reference."""

import collections
import concurrent.futures
import random
import statistics
import threading
import time

import harness


class Consumption(harness.BrokerTest):
    def setUp(self):
        self.rest = self.broker.rest()

    def queue(self, mode="NORMAL", name="queue", **fields):
        queue = self.rest.create_queue(name, queue_mode=mode, **fields)["id"]
        return queue, self.rest.create_group(queue)

    def test_long_poll_wakes_at_once(self):
        """API 1.8: time_wait returns at once when a message arrives."""
        queue, group = self.queue()
        delays = []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            for index in range(20):
                poll = pool.submit(lambda: (self.rest.consume(queue, group, time_wait=60),
                                            time.monotonic()))
                # So that as a rule the poll is there first; the test holds either way.
                self.assertFalse(concurrent.futures.wait([poll], 0.05).done)
                started = time.monotonic()
                self.rest.produce(queue, index)
                messages, woken = poll.result()
                delays.append(woken - started)
                self.assertEqual([one["message"]["body"] for one in messages], [index])
                self.rest.ack(queue, group, messages)
        print(f"long poll: median {statistics.median(delays) * 1000:.1f} ms, "
              f"worst {max(delays) * 1000:.1f} ms from produce to answer")
        self.assertLess(statistics.median(delays), 0.1 * harness.slowness())

    def partitions(self, queue):
        """Partition of each body, and how many bodies each has."""
        found = {}
        for partition in range(3):
            rows = self.rest.must(200, "GET",
                                  f"/queues/{queue}/messages?partition={partition}&limit=100")
            found.update({row["message"]["body"]: partition for row in rows["messages"]})
        return found, collections.Counter(found.values())

    def test_each_request_is_served_from_one_partition(self):
        """2.4, second note, and 4.9: one partition for each request, fewer messages than asked
        for; several requests get all of them."""
        queue, group = self.queue()
        for index in range(12):
            self.rest.produce(queue, index)
        found, lengths = self.partitions(queue)
        served = []
        for _ in lengths:
            messages = self.rest.consume(queue, group, max_msgs=10)
            partitions = {found[one["message"]["body"]] for one in messages}
            self.assertEqual(len(partitions), 1)
            served.append(partitions.pop())
            self.assertEqual(len(messages), lengths[served[-1]])
        self.assertEqual(sorted(served), sorted(lengths))
        self.assertEqual(self.rest.consume(queue, group, time_wait=1), [])

    def test_requests_take_the_partitions_in_turn(self):
        """2.4, second note: several requests are spread over the partitions."""
        queue, group = self.queue()
        for index in range(30):
            self.rest.produce(queue, index)
        found, lengths = self.partitions(queue)
        turns = min(lengths.values())
        served = collections.Counter()
        for _ in range(turns * len(lengths)):
            messages = self.rest.consume(queue, group, max_msgs=1)
            served[found[messages[0]["message"]["body"]]] += 1
            self.rest.ack(queue, group, messages)
        self.assertEqual(set(served.values()), {turns})
        self.assertEqual(set(served), set(lengths))

    def test_fifo_is_strict_with_many_consumers(self):
        """2.1, 4.1: strictly in the order of receipt, whoever consumes."""
        queue, group = self.queue("FIFO")
        count = 200
        for first in range(0, count, 10):
            self.rest.produce(queue, *range(first, first + 10))
        done, problems, guard = [], [], threading.Lock()
        in_flight = [0]

        def consume(seed):
            chance = random.Random(seed)
            while len(done) < count and not problems:
                messages = self.rest.consume(queue, group, max_msgs=chance.randint(1, 7),
                                             time_wait=1)
                if not messages:
                    continue
                bodies = [one["message"]["body"] for one in messages]
                with guard:
                    in_flight[0] += 1
                    if in_flight[0] != 1 or bodies != list(range(len(done),
                                                                 len(done) + len(bodies))):
                        problems.append((in_flight[0], bodies, len(done)))
                    good = chance.randint(0, len(messages))
                    done.extend(bodies[:good])
                    in_flight[0] -= 1
                rows = [{"handler": one["handler"], "status": "success" if index < good else "fail"}
                        for index, one in enumerate(messages)]
                answer = self.rest.must(200, "POST", f"/queues/{queue}/groups/{group}/ack",
                                        {"message": rows})
                if answer != {"success": good, "fail": len(messages) - good}:
                    problems.append(answer)

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for task in [pool.submit(consume, seed) for seed in range(6)]:
                task.result()
        self.assertEqual(problems, [])
        self.assertEqual(done, list(range(count)))
        self.assertEqual(self.rest.counters(queue, group), (count, count, 0))

    def test_fifo_messages_are_not_acked_before_those_in_front(self):
        """1.6: messages are acked in the order they came."""
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, *range(5))
        messages = self.rest.consume(queue, group)
        path = f"/queues/{queue}/groups/{group}/ack"

        def rows(*numbers):
            return {"message": [{"handler": messages[number]["handler"], "status": "success"}
                                for number in numbers]}

        answer = self.rest.call("POST", path, rows(2))
        self.assertEqual((answer.status, answer.body["code"]), (400, 10542209))
        self.assertEqual(self.rest.must(200, "POST", path, rows(1, 0, 4)),
                         {"success": 2, "fail": 1})
        answer = self.rest.call("POST", path, rows(3))
        self.assertEqual((answer.status, answer.body["code"]), (400, 10542209))
        self.assertEqual(self.rest.drain(queue, group, 3), [2, 3, 4])
        self.assertEqual(self.rest.counters(queue, group), (5, 5, 0))

    def test_batch_is_acked_in_order_up_to_the_first_failure(self):
        """1.6, batches: at a failure the rest is not processed; what was good is confirmed.
        API 1.9: the first N confirmed, the last M not."""
        queue, group = self.queue("FIFO")
        self.rest.produce(queue, *range(5))
        messages = self.rest.consume(queue, group)
        rows = [{"handler": one["handler"], "status": status} for one, status in
                zip(messages, ["success", "success", "fail", "success", "success"])]
        answer = self.rest.must(200, "POST", f"/queues/{queue}/groups/{group}/ack",
                                {"message": rows})
        self.assertEqual(answer, {"success": 2, "fail": 3})
        self.assertEqual(self.rest.drain(queue, group, 3), [2, 3, 4])

    def test_failures_survive_kill(self):
        """2.1, table 2-1: after max_consume_count failures a message is a dead letter, also when
        the broker was killed between them."""
        broker = self.own_broker()
        rest = broker.rest()
        queue = rest.create_queue("queue", redrive_policy="enable", max_consume_count=3)["id"]
        group = rest.create_group(queue)
        rest.produce(queue, "poison")
        for _ in range(2):
            self.assertEqual(rest.ack(queue, group, rest.consume(queue, group), "fail"),
                             {"success": 0, "fail": 1})
            broker.kill()
            broker.start()
        letters = f"/queues/{queue}/groups/{group}/deadletters?time_wait=1"
        self.assertEqual(rest.must(200, "GET", letters), [])
        rest.ack(queue, group, rest.consume(queue, group), "fail")
        broker.kill()
        broker.start()
        self.assertEqual(rest.consume(queue, group, time_wait=1), [])
        got = rest.must(200, "GET", letters)
        self.assertEqual([one["message"]["body"] for one in got], ["poison"])
        self.assertEqual(rest.counters(queue, group), (1, 1, 0))

    def test_ack_wait_is_15_to_300_seconds_and_time_wait_1_to_60(self):
        """API 1.8, 1.12: what lies outside has its code; the bounds themselves are fine."""
        queue, group = self.queue()
        path = f"/queues/{queue}/groups/{group}/messages"
        for query, code in (("ack_wait=14", 10542206), ("ack_wait=301", 10542206),
                            ("ack_wait=30s", 10542206), ("time_wait=0", 10240021),
                            ("time_wait=61", 10240021), ("max_msgs=0", 10240014),
                            ("max_msgs=11", 10240014)):
            answer = self.rest.call("GET", f"{path}?{query}")
            self.assertEqual((answer.status, answer.body["code"]), (400, code), query)
        self.rest.produce(queue, 1, 2)
        for ack_wait in (15, 300):
            self.assertEqual(len(self.rest.consume(queue, group, max_msgs=1, time_wait=60,
                                                   ack_wait=ack_wait)), 1)

    def test_acked_is_over_and_everything_else_comes_again(self):
        """1.2, 4.2: at least once, whenever the broker dies; 1.3, step 3: what is confirmed is
        not consumed again by the group."""
        broker = self.own_broker()
        rest = broker.rest()
        queue = rest.create_queue("queue")["id"]
        group = rest.create_group(queue)
        for first in range(0, 60, 10):
            rest.produce(queue, *range(first, first + 10))
        acked, seen = set(), set()
        for turn in range(5):
            for _ in range(2):
                messages = rest.consume(queue, group, max_msgs=5, time_wait=1)
                bodies = [one["message"]["body"] for one in messages]
                self.assertFalse(acked & set(bodies))
                seen.update(bodies)
                good = messages[:turn]
                if good:
                    rest.ack(queue, group, good)
                    acked.update(bodies[:turn])
            broker.kill()
            broker.start()
        rest_of_them = rest.drain(queue, group, 60 - len(acked))
        self.assertEqual(sorted(rest_of_them), sorted(set(range(60)) - acked))


if __name__ == "__main__":
    harness.main(threads=4)
