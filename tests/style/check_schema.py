#!/usr/bin/env python3
"""Compares the rows of kafka-proto/schema/ with Kafka's own message schemas.

    KAFKA_MESSAGE_DIR=<kafka>/clients/src/main/resources/common/message check_schema.py [root]

Exits 77 (skipped) when KAFKA_MESSAGE_DIR is no folder. Compared are names, order, types,
version ranges, nullability, tags and defaults, for the versions that a row file covers;
versions beyond them are ignored on both sides.
"""

import json
import os
import re
import sys

SKIP_CODE = 77
NEVER = LATEST = 32767

# What we have and the schemas of Kafka's trunk have not.
# API -> version below their first that we still read: sarama up to 1.40 commits with it.
OLDER_VERSIONS = {"OffsetCommit": 1}
# Struct, field -> type, versions and default as in Kafka 3.9.
EXTRA_FIELDS = {("offset_commit_request_partition", "commit_timestamp"): ("INT64", 1, 1, -1)}

ROW = re.compile(r"KPROTO_(\w+)\(([^()]*)\)", re.S)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
NUMBERS = {"true": 1, "false": 0, "INT32_MAX": 2**31 - 1, "INT32_MIN": -(2**31),
           "INT64_MAX": 2**63 - 1, "LATEST": LATEST, "NEVER": NEVER}

# Macro -> names of its arguments after S, and what it fixes.
FORMS = {
    "FIELD": ("name type since until nullable", {}),
    "SECRET": ("name type since until nullable", {}),
    "DEFAULT": ("name type since until value", {}),
    "LIST": ("name type since until nullable", {"array": True}),
    "ARRAY": ("name type since until nullable", {"array": True, "inner": True}),
    "OBJECT": ("name type since until nullable", {"inner": True}),
    "TAGGED": ("tag name type since until nullable value", {}),
    "TAGGED_ARRAY": ("tag name type since until", {"array": True, "inner": True}),
    "TAGGED_OBJECT": ("tag name type since until", {"inner": True}),
}


def number(text):
    return NUMBERS[text] if text in NUMBERS else int(str(text), 0)


def parse_row(macro, arguments):
    names, fixed = FORMS[macro]
    row = {"array": False, "inner": False, "nullable": NEVER, "tag": None, "value": 0}
    row.update(fixed)
    row.update(zip(names.split(), arguments))
    for key in ("since", "until", "nullable", "value"):
        row[key] = number(row[key])
    row["tag"] = None if row["tag"] is None else int(row["tag"])
    return row


def parse_def(text):
    """Structs by name, each a list of rows, and the API row of one .def file."""
    structs, api, current = {}, None, None
    text = COMMENT.sub(" ", text)
    for line in re.split(r"(?=#define S |#undef S|KPROTO_)", text):
        if line.startswith("#define S "):
            current = line.split()[2]
            structs[current] = []
            continue
        match = ROW.match(line)
        if not match:
            continue
        macro = match.group(1)
        arguments = [part.strip() for part in match.group(2).split(",")]
        if macro == "API":
            api = arguments
        elif macro in FORMS:
            structs[current].append(parse_row(macro, arguments[1:]))
    return structs, api


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def version_range(text):
    if text == "none":
        return NEVER, -1
    if text.endswith("+"):
        return int(text[:-1]), LATEST
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def load_json(path):
    with open(path, encoding="utf-8") as file:
        return json.loads(re.sub(r"^\s*//.*$", "", file.read(), flags=re.M))


class Comparison:
    """One message of Kafka's against our structs."""

    def __init__(self, schema, structs, version_min, version_max, problems):
        self.structs = structs
        self.version_min = version_min
        self.version_max = version_max
        self.problems = problems
        self.common = {}
        self.collect(schema.get("commonStructs", []) + schema["fields"])

    def collect(self, fields):
        for field in fields:
            if "fields" in field:
                kind = field.get("type", field["name"]).lstrip("[]")
                self.common[kind] = field["fields"]
                self.collect(field["fields"])

    def clip(self, since, until):
        """The versions of a range that we cover; None when there is none."""
        since, until = max(since, self.version_min), min(until, self.version_max)
        return (since, until) if since <= until else None

    def theirs(self, fields):
        """Kafka's fields that our versions have: plain ones in wire order, then by tag."""
        shown = [f for f in fields if self.clip(*version_range(f["versions"]))]
        plain = [f for f in shown if "tag" not in f]
        return plain + sorted((f for f in shown if "tag" in f), key=lambda f: f["tag"])

    def compare_struct(self, name, fields):
        if name not in self.structs:
            self.problems.append(f"{name}: no such struct")
            return
        ours = []
        extras = {field: extra for (struct, field), extra in EXTRA_FIELDS.items() if struct == name}
        for row in self.structs[name]:
            if row["name"] not in extras:
                ours.append(row)
            elif extras.pop(row["name"]) != (row["type"], row["since"], row["until"],
                                             row["value"]):
                self.problems.append(f"{name}.{row['name']}: is not as Kafka 3.9 had it")
        self.problems += [f"{name}.{field}: is missing" for field in extras]
        theirs = self.theirs(fields)
        if [row["name"] for row in ours] != [snake(f["name"]) for f in theirs]:
            self.problems.append(f"{name}: fields {[row['name'] for row in ours]}, "
                                 f"Kafka has {[snake(f['name']) for f in theirs]}")
            return
        for row, field in zip(ours, theirs):
            self.compare_field(f"{name}.{row['name']}", row, field)

    def expect(self, where, what, ours, theirs):
        if ours != theirs:
            self.problems.append(f"{where}: {what} {ours}, Kafka has {theirs}")

    def compare_field(self, where, row, field):
        kind = field["type"]
        self.expect(where, "array", row["array"], kind.startswith("[]"))
        kind = kind.lstrip("[]")
        self.expect(where, "struct", row["inner"], kind[0].isupper())
        versions = version_range(field["versions"])
        self.expect(where, "versions", self.clip(row["since"], row["until"]),
                    self.clip(*versions))
        self.compare_nullable(where, row, field, versions)
        self.expect(where, "tag", row["tag"], field.get("tag"))
        if "tag" in field:
            self.expect(where, "tagged versions", self.clip(row["since"], row["until"]),
                        self.clip(*version_range(field["taggedVersions"])))
        if row["inner"] and kind[0].isupper():
            self.compare_struct(row["type"], self.common[kind])
        else:
            self.expect(where, "type", row["type"], kind.upper())
        self.compare_default(where, row, field)

    def compare_nullable(self, where, row, field, versions):
        theirs = version_range(field.get("nullableVersions", "none"))
        theirs = self.clip(max(theirs[0], versions[0]), min(theirs[1], versions[1]))
        ours = self.clip(max(row["nullable"], row["since"]), row["until"])
        self.expect(where, "nullable", None if row["nullable"] == NEVER else ours, theirs)

    def compare_default(self, where, row, field):
        """Ours is null wherever null is allowed at all; Kafka says so field by field, but it
        can only be told from the wire where a field is tagged or missing from a version."""
        default = str(field.get("default", ""))
        if default == "null":
            self.expect(where, "nullable", row["nullable"] != NEVER, True)
        elif row["array"] or row["inner"] or field["type"] in ("string", "bytes", "uuid",
                                                               "records"):
            self.expect(where, "default", "", default)
            if "tag" in field:
                self.expect(where, "nullable", row["nullable"], NEVER)
        else:
            self.expect(where, "default", row["value"], number(default or "0"))


def check_message(directory, name, direction, structs, api, problems):
    title = f"{name}{direction.capitalize()}"
    path = os.path.join(directory, title + ".json")
    if not os.path.isfile(path):
        problems.append(f"{title}: Kafka has no such message")
        return
    schema = load_json(path)
    version_min, version_max = int(api[3]), int(api[4])
    first, last = version_range(schema["validVersions"])
    first = min(first, OLDER_VERSIONS.get(name, first))
    if int(api[2]) != schema["apiKey"]:
        problems.append(f"{title}: key {api[2]}, Kafka has {schema['apiKey']}")
    if version_min < first or version_max > last:
        problems.append(f"{title}: versions {version_min}-{version_max}, Kafka has {first}-{last}")
    flexible = version_range(schema["flexibleVersions"])[0]
    if number(api[5]) != flexible:
        problems.append(f"{title}: flexible from {api[5]}, Kafka from {flexible}")
    comparison = Comparison(schema, structs, version_min, version_max, problems)
    comparison.compare_struct(f"{api[0]}_{direction}", schema["fields"])


def check(root, directory):
    """The differences, as lines of text."""
    problems = []
    folder = os.path.join(root, "kafka-proto", "schema")
    names = sorted(n for n in os.listdir(folder) if n.endswith(".def") and n != "all.def")
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            structs, api = parse_def(file.read())
        if api is None or api[0] + ".def" != name:
            problems.append(f"{name}: no KPROTO_API row of that name")
            continue
        for direction in ("request", "response"):
            check_message(directory, api[1], direction, structs, api, problems)
    with open(os.path.join(folder, "all.def"), encoding="utf-8") as file:
        included = re.findall(r'#include "kafka-proto/schema/(\w+\.def)"', file.read())
    if sorted(included) != names:
        problems.append(f"all.def: does not include {sorted(set(names) ^ set(included))}")
    return problems


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    directory = os.environ.get("KAFKA_MESSAGE_DIR", "")
    if not os.path.isdir(directory):
        print("skipped: KAFKA_MESSAGE_DIR is not a folder")
        return SKIP_CODE
    problems = check(root, directory)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
