#!/usr/bin/env python3
"""Resource tags of queues (API reference 1.10; the paths say `queue`, not `queues`): set, taken
away, listed and searched by. Each test has a project of its own."""

import harness
from test_rest import NO_SUCH, RestTest


def tag(key, value=""):
    return {"key": key, "value": value}


def keys(first, count):
    return [tag(f"key{index}", str(index)) for index in range(first, first + count)]


class TagsTest(RestTest):
    def setUp(self):
        super().setUp()
        self.queue_id = self.rest.create_queue("tagged")["id"]
        self.path = f"/queue/{self.queue_id}/tags"

    def add(self, key, value="", path=None):
        answer = self.rest.call("POST", path or self.path, {"tag": tag(key, value)})
        self.assertEqual((answer.status, answer.raw), (204, b""))

    def act(self, action, tags):
        answer = self.rest.call("POST", self.path + "/action", {"action": action, "tags": tags})
        self.assertEqual((answer.status, answer.raw), (204, b""))

    def tags(self):
        got = self.rest.must(200, "GET", self.path)
        self.assertEqual(set(got), {"tags"})
        return got["tags"]


class Change(TagsTest):
    def test_new_queue_has_no_tags(self):
        self.assertEqual(self.tags(), [])

    def test_tag_is_added_and_the_same_key_overwrites(self):
        self.add("key", "value")
        self.add("key", "value")  # idempotent
        self.assertEqual(self.tags(), [tag("key", "value")])
        self.add("key", "other")
        self.assertEqual(self.tags(), [tag("key", "other")])

    def test_action_creates_and_deletes_several(self):
        self.act("create", [tag("a", "1"), tag("b"), tag("c", "3")])
        self.assertEqual(self.tags(), [tag("a", "1"), tag("b"), tag("c", "3")])
        # On delete the value may be left away; given, it must match. What is absent is fine.
        self.act("delete", [{"key": "a"}, tag("b", "not its value"), {"key": "nothing"}])
        self.assertEqual(self.tags(), [tag("b"), tag("c", "3")])
        self.act("delete", [tag("c", "3"), tag("b")])
        self.assertEqual(self.tags(), [])

    def test_one_key_is_deleted_by_its_path(self):
        self.add("Ключ + %", "v")
        answer = self.rest.call("DELETE", self.path + "/%D0%9A%D0%BB%D1%8E%D1%87%20%2B%20%25")
        self.assertEqual((answer.status, answer.raw), (204, b""))
        self.assertEqual(self.tags(), [])
        self.assert_error(404, 10240426, "DELETE", self.path + "/absent")
        self.assert_error(400, 10240035, "DELETE", self.path + "/")

    def test_limits_of_lengths_are_in_characters(self):
        self.add("ü" * 36, "\U0001f600" * 43)
        self.assertEqual(self.tags(), [tag("ü" * 36, "\U0001f600" * 43)])

    def test_ten_tags_fit_and_an_eleventh_is_refused_as_a_whole(self):
        self.act("create", keys(0, 9))
        self.assert_error(400, 10240044, "POST", self.path + "/action",
                          {"action": "create", "tags": keys(9, 2)})
        self.assertEqual(self.tags(), keys(0, 9))
        self.act("create", keys(8, 2))  # one of them is there
        self.assertEqual(self.tags(), keys(0, 10))
        self.assert_error(400, 10240044, "POST", self.path, {"tag": tag("eleventh")})
        self.assert_error(400, 10240044, "POST", self.path + "/action",
                          {"action": "create", "tags": keys(0, 11)})
        self.add("key0", "changed")

    def test_tags_go_with_their_queue(self):
        self.add("key")
        self.rest.must(204, "DELETE", f"/queues/{self.queue_id}")
        self.assert_error(404, 10240401, "GET", self.path)
        self.assertEqual(self.rest.must(200, "GET", "/queue/tags"), {"tags": []})

    def test_tags_stay_when_groups_come_and_go(self):
        self.add("key", "value")
        self.rest.create_group(self.queue_id)
        self.assertEqual(self.tags(), [tag("key", "value")])

    def test_v2_is_the_same_service(self):
        newer = harness.Rest(self.broker.http_port, self.rest.project, "v2")
        newer.must(204, "POST", self.path + "/action", {"action": "create", "tags": [tag("k")]})
        self.assertEqual(newer.must(200, "GET", self.path), {"tags": [tag("k")]})


class Refusals(TagsTest):
    def test_bad_tags_have_their_codes(self):
        for code, key, value in ((10240035, "", "v"), (10240035, "k" * 37, "v"),
                                 (10240038, "k", "v" * 44),
                                 *((10240036, f"k{c}", "v") for c in "=*<>\\,|/\x00\x1f\n"),
                                 *((10240039, "k", f"v{c}") for c in "=*<>\\,|/\x00\x1f\n")):
            with self.subTest(key=key, value=value):
                self.assert_error(400, code, "POST", self.path, {"tag": tag(key, value)})
                self.assert_error(400, code, "POST", self.path + "/action",
                                  {"action": "create", "tags": [tag(key, value)]})
        self.assertEqual(self.tags(), [])

    def test_bad_actions_have_their_codes(self):
        path = self.path + "/action"
        for action in ("Create", "", "filter", None, 5):
            with self.subTest(action):
                self.assert_error(400, 10240040, "POST", path,
                                  {"action": action, "tags": [tag("k")]})
        self.assert_error(400, 10240045, "POST", path,
                          {"action": "create", "tags": [tag("k", "1"), tag("k", "2")]})

    def test_bad_shapes_are_10540010(self):
        for body in ({}, {"tag": "k"}, {"tag": {}}, {"tag": {"key": "k"}}, {"tag": {"value": "v"}},
                     {"tag": {"key": 1, "value": "v"}}, {"tag": {"key": "k", "value": 1}}):
            with self.subTest(body):
                self.assert_error(400, 10540010, "POST", self.path, body)
        for tags in (None, [], {}, "k", [[]], [{"value": "v"}], [{"key": "k"}]):
            with self.subTest(tags):
                self.assert_error(400, 10540010, "POST", self.path + "/action",
                                  {"action": "create", "tags": tags})
        answer = self.rest.raw("POST", self.rest.prefix + self.path, b"{")
        self.check_error(answer, 400, 10240009)

    def test_wrong_queues_have_their_codes(self):
        for method, path, body in (("GET", "/tags", None), ("POST", "/tags", {"tag": tag("k")}),
                                   ("POST", "/tags/action", {"action": "create", "tags": []}),
                                   ("DELETE", "/tags/k", None)):
            with self.subTest(path):
                self.assert_error(404, 10240401, method, f"/queue/{NO_SUCH}{path}", body)
                self.assert_error(400, 10240015, method, f"/queue/no-id{path}", body)
        self.check_error(self.broker.rest().call("GET", self.path), 404, 10240401)
        self.assert_error(404, 10240406, "GET", f"/queues/{self.queue_id}/tags")  # the plural


class Search(TagsTest):
    """Three queues: red (color=red, size=1), blue (color=blue, size=2), plain (none)."""

    def setUp(self):
        self.rest = self.broker.rest()
        self.ids = {}
        for name, tags in (("red-queue", [tag("color", "red"), tag("size", "1")]),
                           ("blue-queue", [tag("color", "blue"), tag("size", "2")]),
                           ("plain", [])):
            queue = self.rest.create_queue(name)["id"]
            self.ids[name] = queue
            if tags:
                self.rest.must(204, "POST", f"/queue/{queue}/tags/action",
                               {"action": "create", "tags": tags})

    def find(self, **fields):
        return self.rest.must(200, "POST", "/queue/resource_instances/action",
                              {"action": "filter", **fields})

    def names(self, **fields):
        found = self.find(**fields)
        counted = self.rest.must(200, "POST", "/queue/resource_instances/action",
                                 {"action": "count", **fields})
        names = [row["resource_name"] for row in found["resources"]]
        self.assertEqual(counted, {"total_count": len(names)})
        self.assertEqual(found["total_count"], len(names))
        return set(names)

    def test_project_tags_are_the_union(self):
        self.rest.must(204, "POST", f"/queue/{self.ids['plain']}/tags",
                       {"tag": tag("color", "red")})
        self.assertEqual(self.rest.must(200, "GET", "/queue/tags"), {"tags": [
            {"key": "color", "values": ["blue", "red"]}, {"key": "size", "values": ["1", "2"]}]})
        self.assertEqual(self.broker.rest().must(200, "GET", "/queue/tags"), {"tags": []})

    def test_rows_have_the_documented_fields(self):
        found = self.find(tags=[{"key": "color", "values": ["red"]}])
        self.assertEqual(found, {"resources": [{
            "resource_id": self.ids["red-queue"], "resource_name": "red-queue",
            "resource_detail": None, "tags": [tag("color", "red"), tag("size", "1")]}],
            "total_count": 1})

    def test_each_list_means_what_it_says(self):
        red = {"key": "color", "values": ["red"]}
        both = {"key": "color", "values": ["red", "blue"]}
        any_color = {"key": "color", "values": []}
        two = {"key": "size", "values": ["2"]}
        none = {"key": "nothing", "values": []}
        every = {"red-queue", "blue-queue", "plain"}
        for wanted, fields in (
                (every, {}),
                ({"red-queue"}, {"tags": [red]}),
                ({"red-queue", "blue-queue"}, {"tags": [both]}),
                ({"red-queue", "blue-queue"}, {"tags": [any_color]}),
                ({"red-queue", "blue-queue"}, {"tags": [{"key": "color"}]}),
                (set(), {"tags": [red, two]}),
                ({"blue-queue"}, {"tags": [both, two]}),
                ({"red-queue", "blue-queue"}, {"tags_any": [red, two]}),
                (set(), {"tags_any": [none]}),
                (every, {"not_tags": [red, two]}),
                ({"blue-queue", "plain"}, {"not_tags": [red]}),
                ({"plain"}, {"not_tags_any": [red, two]}),
                ({"plain"}, {"not_tags": [any_color]}),
                ({"blue-queue"}, {"tags": [any_color], "not_tags_any": [red]}),
                (every, {"tags": [], "matches": []})):
            with self.subTest(fields):
                self.assertEqual(self.names(**fields), wanted)

    def test_names_match_in_part(self):
        def match(value):
            return self.names(matches=[{"key": "resource_name", "value": value}])

        self.assertEqual(match("queue"), {"red-queue", "blue-queue"})
        self.assertEqual(match("plain"), {"plain"})
        self.assertEqual(match("nowhere"), set())

    def test_pages(self):
        names = []
        for offset in range(4):
            # Numbers come as text (the reference) and as numbers.
            for limit, start in (("1", str(offset)), (1, offset)):
                found = self.find(limit=limit, offset=start)
                self.assertEqual(found["total_count"], 3)
                rows = [row["resource_name"] for row in found["resources"]]
            names += rows
        self.assertEqual(names, ["red-queue", "blue-queue", "plain"])
        self.assertEqual(self.find(offset=2 ** 63 - 1)["resources"], [])

    def test_bad_searches_have_their_codes(self):
        condition = {"key": "k", "values": []}
        for code, fields in (
                (10240041, {"action": "create"}), (10240041, {"action": None}),
                (10240042, {"limit": "1001"}), (10240042, {"limit": 0}), (10240042, {"limit": "x"}),
                (10240043, {"offset": "-1"}), (10240043, {"offset": 2 ** 63}),
                (10240044, {"tags": [{"key": f"k{i}"} for i in range(11)]}),
                (10240045, {"tags_any": [condition, condition]}),
                (10240035, {"not_tags": [{"key": "k" * 128}]}),
                (10240035, {"not_tags": [{"key": ""}]}),
                (10240036, {"tags": [{"key": "a=b"}]}),
                (10240038, {"tags": [{"key": "k", "values": ["v" * 256]}]}),
                (10240039, {"tags": [{"key": "k", "values": ["a*"]}]}),
                (10540010, {"tags": [{"key": "k", "values": ["v", "v"]}]}),
                (10540010, {"tags": [{"key": "k", "values": [str(i) for i in range(11)]}]}),
                (10540010, {"tags": [{"key": "k", "values": [1]}]}),
                (10540010, {"tags": [{"key": "k", "values": "v"}]}),
                (10540010, {"tags": {}}), (10540010, {"tags": [{}]}),
                (10540010, {"matches": [{"key": "id", "value": "v"}]}),
                (10540010, {"matches": [{"key": "resource_name"}]}),
                (10540010, {"matches": [{"key": "resource_name", "value": "v"}] * 2})):
            with self.subTest(fields):
                if code == 10240043 and fields["offset"] == 2 ** 63:
                    code = (10240043, 10240009)  # jansson holds 64 bits
                self.assert_error(400, code, "POST", "/queue/resource_instances/action",
                                  {"action": "filter", **fields})
        long = {"key": "k" * 127, "values": ["v" * 255]}
        self.assertEqual(self.names(tags=[long] + [{"key": f"k{i}"} for i in range(9)]), set())


class Restart(TagsTest):
    def setUp(self):
        self.own = self.own_broker()
        self.rest = self.own.rest()
        self.queue_id = self.rest.create_queue("tagged")["id"]
        self.path = f"/queue/{self.queue_id}/tags"

    def test_tags_survive_kill_9(self):
        self.act("create", keys(0, 10))
        self.rest.must(204, "DELETE", self.path + "/key3")
        self.own.kill()
        self.own.start()
        self.assertEqual(self.tags(), keys(0, 3) + keys(4, 6))


if __name__ == "__main__":
    harness.main(threads=8)
