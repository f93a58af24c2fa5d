"""Clients of the REST door that change what queues are, beside those that use them.

  catalog  the only one who works in a project of its own: it makes and deletes queues, groups,
           resource tags and policies, and resets groups; whatever it was told must be so
  redrive  a NORMAL queue whose consumer refuses most of what it gets, and sends the dead
           letters back
"""

import copy

import confluent_kafka

import history
import workers

QUEUES_MAX = 3
GROUPS_MAX = 2
TAG_KEYS = ("a", "b", "c")
ACTIONS = ("GetQueue", "ProduceMessages", "ConsumeMessages")


class Catalog(workers.RestClient):
    """Knows its queues, name: (id, value), with what `change` and `seen` have in the history as
    the value. After an operation without an answer it looks before it goes on."""

    def __init__(self, load, name):
        super().__init__(load, name, None)
        self.rest = load.broker.rest()
        self.queues = {}
        self.group_ids = {}  # (queue, group)
        self.policy_ids = {}  # (queue, action)
        self.count = 0
        self.is_unsure = False

    def step(self):
        if self.is_unsure or self.random.random() < 0.1:
            self.look()
        elif not self.queues or (len(self.queues) < QUEUES_MAX and self.random.random() < 0.2):
            self.make_queue()
        else:
            name = self.random.choice(sorted(self.queues))
            action = self.random.choices(
                (self.delete_queue, self.change_groups, self.change_tags, self.change_policies,
                 self.produce, self.reset), (1, 4, 3, 3, 3, 4))[0]
            action(name)
        self.pause(0.02)

    def change(self, name, value, status, method, path, body=None):
        """The answer's body; None when nothing is known, and then somebody has to look."""
        op = self.history.begin("change", object=name, value=value)
        answer = self.call(method, path, body)
        if answer is None or answer[0] >= 500:
            self.is_unsure = True
            self.queues.setdefault(name, (None, None))
            return None
        if answer[0] != status:
            self.history.end(op, history.FAIL)
            self.history.note("broken", cause=f"{self.name}: {method} {path}: {answer}")
            raise workers.Stopped
        self.history.end(op, history.OK)
        if value is None:
            del self.queues[name]
        else:
            self.queues[name] = (self.queues[name][0] if name in self.queues else
                                 answer[1]["id"], value)
        return answer[1] or {}

    def value(self, name):
        """To be changed."""
        return copy.deepcopy(self.queues[name][1])

    def path(self, name, end=""):
        return f"/queues/{self.queues[name][0]}{end}"

    def make_queue(self):
        name = f"queue{self.count}"
        self.count += 1
        fields = {"queue_mode": self.random.choice(("NORMAL", "FIFO")),
                  "description": f"text of {name}",
                  "redrive_policy": "enable", "max_consume_count": self.random.randint(1, 5)}
        self.change(name, {**fields, "messages": 0, "groups": {}, "tags": {}, "policies": []},
                    201, "POST", "/queues", {"name": name, **fields})

    def delete_queue(self, name):
        self.change(name, None, 204, "DELETE", self.path(name))

    def change_groups(self, name):
        value = self.value(name)
        if len(value["groups"]) < GROUPS_MAX:
            group = f"group{self.count}"
            self.count += 1
            value["groups"][group] = value["messages"]  # all in front of it
            made = self.change(name, value, 201, "POST", self.path(name, "/groups"),
                               {"groups": [{"name": group}]})
            if made is not None:
                self.group_ids[name, group] = made["groups"][0]["id"]
        else:
            group = self.random.choice(sorted(value["groups"]))
            del value["groups"][group]
            self.change(name, value, 204, "DELETE",
                        self.path(name, f"/groups/{self.group_ids[name, group]}"))

    def change_tags(self, name):
        value = self.value(name)
        keys = self.random.sample(TAG_KEYS, 2)  # both or none
        action = self.random.choice(("create", "create", "delete"))
        self.count += 1
        for key in keys:
            if action == "create":
                value["tags"][key] = str(self.count)
            else:
                value["tags"].pop(key, None)
        self.change(name, value, 204, "POST", f"/queue/{self.queues[name][0]}/tags/action",
                    {"action": action, "tags": [
                        {"key": key, **({"value": value["tags"][key]} if action == "create"
                                        else {})} for key in keys]})

    def change_policies(self, name):
        value = self.value(name)
        action = self.random.choice(ACTIONS)
        if action in value["policies"]:
            value["policies"].remove(action)
            self.change(name, value, 204, "DELETE",
                        self.path(name, f"/policies/{self.policy_ids[name, action]}"))
        else:
            value["policies"] = sorted([*value["policies"], action])
            made = self.change(name, value, 201, "POST", self.path(name, "/policies"),
                               {"users": ["*"], "actions": [action]})
            if made is not None:
                self.policy_ids[name, action] = made["id"]

    def produce(self, name):
        value = self.value(name)
        value["messages"] += 1
        for group in value["groups"]:
            value["groups"][group] += 1
        self.change(name, value, 201, "POST", self.path(name, "/messages"),
                    {"messages": [{"body": name}]})

    def reset(self, name):
        value = self.value(name)
        if not value["groups"]:
            return
        group = self.random.choice(sorted(value["groups"]))
        position = self.random.choice(("earliest", "latest"))
        value["groups"][group] = value["messages"] if position == "earliest" else 0
        self.change(name, value, 200, "POST",
                    self.path(name, f"/groups/{self.group_ids[name, group]}/reset"),
                    {"position": position})

    def get(self, path):
        answer = self.call("GET", path)
        if answer is None or answer[0] >= 500:
            self.pause(0.02)
            raise workers.Unanswered
        if answer[0] != 200:
            self.history.note("broken", cause=f"{self.name}: GET {path}: {answer}")
            raise workers.Stopped
        return answer[1]

    def look(self):
        """Takes note of all there is, and of what is not, if every question is answered."""
        try:
            rows = self.get("/queues?include_deadletter=true&include_messages_num=true")["queues"]
            found = {row["name"]: (row["id"], self.read(row)) for row in rows}
        except workers.Unanswered:
            return
        for name in sorted({*found, *self.queues}):
            self.history.note("seen", object=name, value=found.get(name, (None, None))[1])
        self.queues = found
        self.is_unsure = False

    def read(self, row):
        name, id = row["name"], row["id"]
        value = {field: row[field] for field in ("queue_mode", "description", "redrive_policy",
                                                 "max_consume_count")}
        tags = self.get(f"/queue/{id}/tags")["tags"]
        value.update(messages=row["produced_messages"], groups={}, policies=[],
                     tags={one["key"]: one["value"] for one in tags})
        for one in self.get(f"/queues/{id}/policies")["policies"]:
            value["policies"] = sorted([*value["policies"], *one["actions"]])
            self.policy_ids[name, one["actions"][0]] = one["id"]
        for one in self.get(f"/queues/{id}/groups")["groups"]:
            value["groups"][one["name"]] = one["available_messages"]
            self.group_ids[name, one["name"]] = one["id"]
        return value

    def settle(self):
        """A last look, at the Kafka door too: a queue is there at both or at none."""
        self.look()
        reader = confluent_kafka.Consumer({"bootstrap.servers": self.load.broker.bootstrap,
                                           "group.id": "judge", "log_level": 0})
        prefix = f"q-{self.rest.project}-"
        topics = [name[len(prefix):] for name in reader.list_topics(timeout=10).topics
                  if name.startswith(prefix)]
        reader.close()
        self.disconnect()
        self.history.note("topics", names=sorted(topics),
                          wanted=sorted(id for id, _ in self.queues.values()))


class Redriver(workers.RestConsumer):
    """Refuses most of what it gets, and sends it back once it is a dead letter."""

    def statuses(self, values):
        refuse = not self.is_calm and self.random.random() < 0.6
        return ["fail" if refuse else "success"] * len(values)

    def step(self):
        if self.random.random() < 0.2:
            self.redrive()
        return super().step()

    def redrive(self):
        op = self.history.begin("redrive", topic=self.queue.name, group=workers.GROUP)
        answer = self.call("POST", f"{self.path}/deadletters/redrive",
                           {"messages_per_second": 10000})
        if answer is None or answer[0] >= 500:
            self.pause(0.02)
        else:
            self.history.end(op, history.OK if answer[0] == 202 else history.FAIL)

    def settle(self):
        """Until nothing is left, of which the waiting of an empty consume makes sure."""
        self.is_calm = True
        rest, calm = self.load.rest, 0
        for _ in range(workers.CALM_SECONDS):
            self.redrive()
            is_empty = self.step() == 0 and self.load.available(self.queue) == 0
            letters = rest.must(200, "GET", f"{self.path}/deadletters/list")["deadletters"]
            calm = calm + 1 if is_empty and not letters else 0
            if calm == 2:
                break
        self.disconnect()
        self.load.note_drained(self.queue)
