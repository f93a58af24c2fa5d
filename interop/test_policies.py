#!/usr/bin/env python3
"""Policies of queues as they are kept (guide 3.6, table 3-2). What they allow and deny is tested
where there is authentication; without it they are stored and wait."""

import harness
from test_rest import NO_SUCH, RestTest

DOMAIN = "0123456789abcdefghijklmnopqrstuv"
ACTIONS = ["GetQueue", "CreateGroup", "GetGroups", "DeleteGroup", "ProduceMessages",
           "ConsumeMessages"]


def policy(**fields):
    return {"users": ["*"], "actions": ["ProduceMessages"], **fields}


class PoliciesTest(RestTest):
    def setUp(self):
        super().setUp()
        self.queue_id = self.rest.create_queue("shared")["id"]
        self.path = f"/queues/{self.queue_id}/policies"

    def add(self, **fields):
        return self.rest.must(201, "POST", self.path, policy(**fields))

    def policies(self):
        got = self.rest.must(200, "GET", self.path)
        self.assertEqual((got["queue_id"], got["queue_name"]), (self.queue_id, "shared"))
        return got["policies"]


class Policies(PoliciesTest):
    def test_defaults_are_allow_and_user(self):
        # Table 3-2: 权限 默认值：允许; 权限类型 默认值：用户.
        made = self.add()
        self.assertEqual(made, {"id": made["id"], "effect": "allow", "type": "user",
                                "users": ["*"], "services": [], "actions": ["ProduceMessages"]})
        self.assertEqual(self.policies(), [made])

    def test_every_field_is_kept(self):
        users = [DOMAIN, "a domain-name_1", f"urn:csp:iam::{DOMAIN}:root",
                 f"urn:csp:iam:region1:{DOMAIN}:user:alice"]
        first = self.add(effect="deny", users=users, actions=ACTIONS)
        self.assertEqual((first["effect"], first["users"], first["actions"]),
                         ("deny", users, ACTIONS))
        second = self.add(type="service", users=[], services=["FunctionStage", "SMN"],
                          actions=["DMS:ConsumeMessages"])
        self.assertEqual((second["type"], second["services"], second["actions"]),
                         ("service", ["FunctionStage", "SMN"], ["ConsumeMessages"]))
        self.assertEqual(self.policies(), [first, second])

    def test_one_is_shown_replaced_and_removed(self):
        first, second = self.add(), self.add(actions=["GetQueue"])
        one = f"{self.path}/{first['id']}"
        self.assertEqual(self.rest.must(200, "GET", one), first)
        changed = self.rest.must(200, "PUT", one, policy(effect="deny", actions=["GetGroups"]))
        self.assertEqual(changed, {**first, "effect": "deny", "actions": ["GetGroups"]})
        self.assertEqual(self.policies(), [changed, second])
        answer = self.rest.call("DELETE", one)
        self.assertEqual((answer.status, answer.raw), (204, b""))
        self.assertEqual(self.policies(), [second])
        for method, body in (("GET", None), ("PUT", policy()), ("DELETE", None)):
            self.assert_error(404, 10240406, method, one, body)

    def test_all_are_replaced_and_removed_at_once(self):
        self.add()
        listed = self.rest.must(200, "PUT", self.path, {"policies": [
            policy(actions=["GetQueue"]), policy(effect="deny", users=["Other Tenant"])]})
        self.assertEqual([row["users"] for row in listed["policies"]], [["*"], ["Other Tenant"]])
        self.assertEqual(self.policies(), listed["policies"])
        answer = self.rest.call("DELETE", self.path)
        self.assertEqual((answer.status, answer.raw), (204, b""))
        self.assertEqual(self.policies(), [])

    def test_rules_of_table_3_2(self):
        good = [["abcde"], ["a" * 32], ["A" * 31 + "1"], ["1" * 32], ["_a b-c"],
                [f"urn:csp:iam::{DOMAIN}:root"]]
        bad = [["abcd"], ["a" * 33], ["1abcde"], ["1" * 31], ["1" * 33], ["a.bcd"], ["ü" * 32],
               ["a,bcde"], ["urn:csp:iam::a-b:root"], ["urn:csp:dms::x:root"], ["*", "abcde"], [],
               [5], "*", None]
        for users in good:
            with self.subTest(users):
                self.assertEqual(self.add(users=users)["users"], users)
        for users in bad:
            with self.subTest(users):
                self.assert_error(400, 10540010, "POST", self.path, policy(users=users))
        self.assertEqual(len(self.policies()), len(good))

    def test_other_bad_fields_are_10540010(self):
        for fields in ({"effect": "maybe"}, {"effect": 1}, {"type": "group"}, {"actions": []},
                       {"actions": ["Purge"]}, {"actions": ["ProduceMessages", 1]},
                       {"actions": None}, {"services": ["SMN"]},
                       {"type": "service"}, {"type": "service", "services": ["SMN"]},
                       {"type": "service", "users": []},
                       {"type": "service", "users": [], "services": ["OBS"]},
                       {"users": ["abcde"] * 101}):
            with self.subTest(fields):
                self.assert_error(400, 10540010, "POST", self.path, policy(**fields))
        for body in ({}, {"policies": {}}, {"policies": [policy(), {}]}):
            self.assert_error(400, 10540010, "PUT", self.path, body)
        self.check_error(self.rest.raw("POST", self.rest.prefix + self.path, b"["), 400, 10240009)
        self.assertEqual(self.policies(), [])

    def test_twenty_fit_and_one_more_is_refused(self):
        for _ in range(20):
            self.add()
        self.assert_error(400, 10240020, "POST", self.path, policy())
        self.assert_error(400, 10240020, "PUT", self.path, {"policies": [policy()] * 21})
        self.rest.must(200, "PUT", f"{self.path}/{self.policies()[7]['id']}", policy())
        self.assertEqual(len(self.policies()), 20)

    def test_wrong_queues_have_their_codes(self):
        for method, body in (("GET", None), ("POST", policy()), ("PUT", {"policies": []}),
                             ("DELETE", None)):
            self.assert_error(404, 10240401, method, f"/queues/{NO_SUCH}/policies", body)
        self.check_error(self.broker.rest().call("GET", self.path), 404, 10240401)

    def test_without_authentication_they_deny_nothing(self):
        self.add(effect="deny", actions=ACTIONS)
        group = self.rest.create_group(self.queue_id)
        self.rest.produce(self.queue_id, "x")
        self.assertEqual(self.rest.drain(self.queue_id, group, 1), ["x"])

    def test_policies_survive_kill_9_and_changes_of_the_queue(self):
        own = self.own_broker()
        self.rest = own.rest()
        self.queue_id = self.rest.create_queue("shared")["id"]
        self.path = f"/queues/{self.queue_id}/policies"
        made = [self.add(users=[DOMAIN, "Some Tenant"], actions=ACTIONS, effect="deny"),
                self.add(type="service", users=[], services=["SMN"])]
        self.rest.create_group(self.queue_id)
        own.kill()
        own.start()
        self.assertEqual(self.policies(), made)


if __name__ == "__main__":
    harness.main(threads=8)
