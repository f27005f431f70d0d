#!/usr/bin/env python3
"""Checks OCSF events with code that is not ours.

usage: ocsf_validate.py [--limit N] < events.ndjson

Neither `ocsf-lib` nor `pydantic-ocsf` checks events well by itself: the first compares schemas,
the second lets unknown attributes and wrong types pass. Together they do:

1. `pydantic-ocsf` (Apache-2.0) brings the source files of OCSF 1.7.
2. `crates/weft-model/schema/ocsf-1.8.toml`, read as facts only, brings the profiles, what 1.8
   adds and the Windows, Linux and macOS parts. None of our Rust is used.
3. `ocsf-lib` (Apache-2.0) compiles that: parents, includes, datetime siblings, types, enums.
4. The walk below checks each event against what `ocsf-lib` compiled, with the regular
   expressions, ranges and lengths that the schema itself states.

So it validates against 1.8 with the Windows extension; what comes from our own declaration (2) is
checked for form, but its truth is only as good as the declaration. Prints one line a violation and
a total; exits 1 if there is any, 2 if it cannot run. Needs no network after

    python3 -m venv venv && venv/bin/pip install ocsf-lib==0.10.4 pydantic-ocsf==3.0.0
"""

import argparse
import json
import re
import sys
import tempfile
import tomllib
from pathlib import Path

DECLARATION = Path(__file__).resolve().parents[2] / "crates/weft-model/schema/ocsf-1.8.toml"
BASE_FILE = "schemas/v1_7_0.json"
OFFSET = 900  # uids of extension classes while ocsf-lib compiles them as if they were core


def attribute(written):
    result = {}
    for word in written.split():
        if word in ("required", "recommended", "optional"):
            result["requirement"] = word
        elif word == "deprecated":
            result["@deprecated"] = {"message": "", "since": ""}
        elif word == "open":
            result["open"] = True
        elif word.startswith("#"):
            result["observable"] = int(word[1:])
        elif word.startswith("profile="):
            result["profile"] = word.removeprefix("profile=")
        else:
            result["type"] = word
    return result


def enum(values):
    return {value: {"caption": caption} for value, caption in values.items()}


def extend(source, declared):
    """Folds the declaration into the source schema. Returns classes with a full uid, open enums."""
    dictionary, full_uids, opened = source["dictionary"], {}, set()
    for name, item in declared["types"].items():
        dictionary["types"]["attributes"][name] = item | {"type": "string_t", "type_name": "String"}
    for name, written in declared["dictionary"].items():
        entry = {"caption": name, "description": "", "type": written.removesuffix("[]")}
        dictionary["attributes"][name] = entry | ({"is_array": True} if written.endswith("[]") else {})
    for name, sibling in declared["siblings"].items():
        dictionary["attributes"][name]["sibling"] = sibling
    for name, values in declared["enums"].items():
        dictionary["attributes"][name].setdefault("enum", {}).update(enum(values))
    for kind, key in (("objects", "objects"), ("classes", "events")):
        for name, item in declared[kind].items():
            target = source[key].setdefault(name, {"name": name, "description": "", "attributes": {}})
            target |= {k: item[k] for k in ("caption", "extends", "observable", "constraints") if k in item}
            if "uid" in item:
                full_uids[name] = item["uid"]
                target["uid"] = OFFSET + len(full_uids)
            for rule, names in item.get("also", {}).items():
                target["constraints"][rule] += names
            includes = [f"profiles/{profile}.json" for profile in item.get("profiles", [])]
            if includes:
                target["attributes"]["$include"] = target["attributes"].get("$include", []) + includes
            for member, written in item.get("attributes", {}).items():
                target["attributes"].setdefault(member, {}).update(attribute(written))
                if target["attributes"][member].pop("open", False):
                    opened.add((key, name, member))
            for member, values in item.get("enums", {}).items():
                target["attributes"].setdefault(member, {}).setdefault("enum", {}).update(enum(values))
    return full_uids, opened


def compile_schema():
    import ocsf
    from ocsf.compile import Compilation, CompilationOptions
    from ocsf.repository import read_repo

    base = next(Path(folder) / BASE_FILE for folder in ocsf.__path__ if (Path(folder) / BASE_FILE).exists())
    source, declared = json.loads(base.read_text()), tomllib.loads(DECLARATION.read_text())
    full_uids, opened = extend(source, declared)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)

        def write(path, content):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(json.dumps(content))

        write("version.json", {"version": declared["version"]})
        write("categories.json", source["categories_meta"])
        write("dictionary.json", source["dictionary"])
        for name, attributes in declared["profiles"].items():
            members = {member: attribute(written) for member, written in attributes.items()}
            write(f"profiles/{name}.json", {"caption": name, "name": name, "meta": "profile", "description": "", "attributes": members})
        for key in ("events", "objects"):
            for name, item in source[key].items():
                write(f"{key}/{name}.json", item)
        schema = Compilation(read_repo(root), CompilationOptions()).build()
    classes = {}
    for name, item in schema.classes.items():
        uid = full_uids.get(name, item.uid)
        if uid is not None or name == "base_event":
            classes[uid or 0] = item
    # Where ocsf-lib 0.10.4 differs from the OCSF server: the server takes the nearest parent's
    # constraints, and `"profile": null` makes a profile's attribute the class's own.
    for key, compiled in (("events", schema.classes), ("objects", schema.objects)):
        for name, item in compiled.items():
            chain = list(parents(source[key], name))
            item.constraints = next((link["constraints"] for link in chain if "constraints" in link), None)
            for member in (member for link in chain for member, own in link["attributes"].items() if isinstance(own, dict) and own.get("profile", "") is None):
                item.attributes[member].profile = None
    for key, name, member in opened:
        (schema.objects if key == "objects" else schema.classes)[name].attributes[member].enum = None
    return schema, classes


def parents(sources, name):
    while name in sources:
        yield sources[name]
        name = sources[name].get("extends")


class Check:
    def __init__(self):
        self.schema, self.classes = compile_schema()
        self.regexes = {name: re.compile(type_.regex) for name, type_ in self.schema.types.items() if type_.regex and name != "file_hash_t"}

    def event(self, event):
        if not isinstance(event, dict):
            return ["an event is an object"]
        item = self.classes.get(event.get("class_uid"))
        if item is None:
            return [f"class_uid: {event.get('class_uid')!r} is not known"]
        found = []
        profiles = (event.get("metadata") or {}).get("profiles") or []
        self.members(item, event, "", set(profiles) | {profile.rsplit("/", 1)[-1] for profile in profiles}, found)
        uid, activity = event.get("class_uid"), event.get("activity_id")
        if isinstance(activity, int) and event.get("type_uid") not in (None, uid * 100 + activity):
            found.append(f"type_uid: {event['type_uid']} is not {uid * 100 + activity}")
        return found

    def members(self, item, members, path, profiles, found):
        for name, value in members.items():
            attr = item.attributes.get(name)
            here = f"{path}.{name}" if path else name
            if attr is None:
                found.append(f"{here}: is not an attribute of {item.name}")
            elif value is not None:
                self.attribute(attr, name, value, here, profiles, found)
        for name, attr in item.attributes.items():
            of = [attr.profile] if isinstance(attr.profile, str) else (attr.profile or [])
            if attr.requirement == "required" and members.get(name) is None and (not of or profiles & set(of)):
                found.append(f"{path}.{name}".lstrip(".") + f": is required in {item.name}")
        for rule, names in (item.constraints or {}).items():
            there = sum(present(members, name) for name in names)
            if names and (there < 1 or (rule == "just_one" and there > 1)):
                found.append(f"{path or item.name}: {rule} of {', '.join(names)}, has {there}")

    def attribute(self, attr, name, value, here, profiles, found):
        if attr.is_array:
            if not isinstance(value, list):
                found.append(f"{here}: is not a list")
                return
            for place, element in enumerate(value):
                self.value(attr, name, element, f"{here}[{place}]", profiles, found)
        else:
            self.value(attr, name, value, here, profiles, found)

    def value(self, attr, name, value, here, profiles, found):
        object_type = attr.object_type or (attr.type if attr.type in self.schema.objects else None)
        if object_type:
            item = self.schema.objects[object_type]
            if not isinstance(value, dict):
                found.append(f"{here}: is not an object {object_type}")
            elif item.attributes:
                self.members(item, value, here, profiles, found)
            return
        if attr.type == "json_t":
            return
        fault = self.scalar(attr.type, value)
        if fault:
            found.append(f"{here}: {value!r} {fault}")
        elif attr.enum and name not in ("class_uid", "category_uid", "type_uid") and str(value) not in attr.enum:
            found.append(f"{here}: {value!r} is not in the enum")

    def scalar(self, name, value):
        type_ = self.schema.types[name]
        base = type_.type or name
        kinds = {"string_t": str, "boolean_t": bool, "integer_t": int, "long_t": int, "float_t": (int, float)}
        if not isinstance(value, kinds[base]) or (isinstance(value, bool) and base != "boolean_t"):
            return f"is not {name}"
        if type_.range and not type_.range[0] <= value <= type_.range[1]:
            return f"is outside of {type_.range}"
        if base in ("integer_t", "long_t") and not -(2**63) <= value < 2**63:
            return "is outside of 64 bits"
        if type_.max_len and len(value) > type_.max_len:
            return f"is longer than {type_.max_len}"
        regex = self.regexes.get(name)
        return f"is not {name}" if regex and not regex.search(value) else None


def present(members, path):
    for name in path.split("."):
        members = members.get(name) if isinstance(members, dict) else None
    return members is not None


def main():
    parser = argparse.ArgumentParser(description="OCSF 1.8 events as NDJSON on stdin")
    parser.add_argument("--limit", type=int, default=1000, help="violations printed, all are counted")
    limit = parser.parse_args().limit
    try:
        check = Check()
    except ImportError as error:
        print(f"cannot run: {error}; install ocsf-lib and pydantic-ocsf", file=sys.stderr)
        return 2
    events = bad = total = 0
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            continue
        events += 1
        try:
            found = check.event(json.loads(line))
        except ValueError as error:
            found = [f"is not JSON: {error}"]
        bad += bool(found)
        for violation in found:
            total += 1
            if total <= limit:
                print(f"event {number}: {violation}")
    print(f"{events} events, {bad} with violations, {total} violations")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
