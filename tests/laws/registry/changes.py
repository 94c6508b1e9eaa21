"""Generated changes of schemas, and data that show every corner of the old one."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "string", "bytes")
VALUES: dict[str, tuple[Any, ...]] = {
    "null": (None,),
    "boolean": (True,),
    "int": (0, -7),
    "long": (1 << 40,),
    "float": (0.5,),
    "double": (1e100,),
    "string": ("text", ""),
    "bytes": (b"text",),
}
Node = Any


class Maker:
    """Makes schemas; named types get names of their own, in two namespaces, and are used more than once: written out
    each time until `by_name`."""

    def __init__(self, rng: Random) -> None:
        self.rng, self._count = rng, 0
        self._made: list[Node] = []

    def record(self, depth: int = 3) -> Node:
        name = self._name("R")
        fields = [self.field(f"f{i}", depth - 1) for i in range(self.rng.randint(1, 4))]
        return self._kept({"type": "record", **name, "fields": fields})

    def field(self, name: str, depth: int) -> Node:
        field = {"name": name, "type": self.type(depth)}
        if self.rng.random() < 0.4:
            fill(field)
        return field

    def type(self, depth: int, *, union: bool = True) -> Node:
        if self._made and self.rng.random() < 0.25:
            return self.again()
        roll = self.rng.random()
        if depth <= 0 or roll < 0.45:
            return self.rng.choice(PRIMITIVES[1:])
        if roll < 0.55:
            return self._kept({"type": "enum", **self._name("E"), "symbols": self._symbols()})
        if roll < 0.62:
            return self._kept({"type": "fixed", **self._name("F"), "size": self.rng.randint(1, 3)})
        if roll < 0.72:
            return {"type": "array", "items": self.type(depth - 1)}
        if roll < 0.8:
            return {"type": "map", "values": self.type(depth - 1)}
        if roll < 0.9 and union:
            return self._union(depth)
        return self.record(depth - 1)

    def _union(self, depth: int) -> list[Node]:
        branches = {_kind(each): each for each in (self.type(depth - 1, union=False) for _ in range(3))}
        found = list(branches.values())
        return ["null", *found] if self.rng.random() < 0.6 else found

    def again(self) -> Node:
        """A named type that was made before."""
        return copy.deepcopy(self.rng.choice(self._made))

    def _kept(self, node: Node) -> Node:
        self._made.append(node)
        return node

    def _symbols(self) -> list[str]:
        return self.rng.sample("ABCDE", self.rng.randint(1, 4))

    def _name(self, prefix: str) -> dict[str, str]:
        self._count += 1
        return {"name": f"{prefix}{self._count}", "namespace": self.rng.choice(("t", "t.u"))}


class Changer:
    """Changes one to three things of a schema, as people do."""

    def __init__(self, maker: Maker) -> None:
        self.maker, self.rng = maker, maker.rng

    def change(self, schema: Node) -> Node:
        """Anew where a record would come to contain itself: no data would show it."""
        while True:
            new = self._changed(schema)
            if alike(new):
                return new

    def _changed(self, schema: Node) -> Node:
        new = copy.deepcopy(schema)
        for _ in range(self.rng.randint(1, 3)):
            record = self.rng.choice([node for node in nodes(new) if node.get("type") == "record"])
            ways = (self._add, self._remove, self._retype, self._inner, self._rename, self._order, self._exchange)
            self.rng.choice(ways)(record)
        return new

    def _add(self, record: Node) -> None:
        names = {field["name"] for field in record["fields"]}
        free = [f"f{i}" for i in range(12) if f"f{i}" not in names]
        record["fields"].insert(self.rng.randint(0, len(names)), self.maker.field(free[0], 1))

    def _remove(self, record: Node) -> None:
        if record["fields"]:
            record["fields"].remove(self.rng.choice(record["fields"]))

    def _order(self, record: Node) -> None:
        self.rng.shuffle(record["fields"])

    def _rename(self, record: Node) -> None:
        """A field or the record, with an alias or without."""
        alias = self.rng.random() < 0.6
        if record["fields"] and self.rng.random() < 0.7:
            field = self.rng.choice(record["fields"])
            if alias:
                field["aliases"] = [field["name"]]
            field["name"] = f"g{self.rng.randint(0, 10**6)}"
            return
        if alias:
            record["aliases"] = [f"{record['namespace']}.{record['name']}"]
        record["name"] += "x"

    def _retype(self, record: Node) -> None:
        if not record["fields"]:
            return
        field = self.rng.choice(record["fields"])
        field["type"] = self._other(field["type"])
        if "default" in field:
            fill(field)

    def _exchange(self, record: Node) -> None:
        """One named type by another, wholly or as a branch, wherever the record uses it."""
        used = [field for field in record["fields"] if isinstance(field["type"], dict) and "name" in field["type"]]
        other = self.maker.again()
        for field in used:
            old = field["type"]
            ways = (old, other) if _kind(old) == _kind(other) else (old, other, [other, old], [old, other])
            field["type"] = copy.deepcopy(self.rng.choice(ways))

    def _other(self, node: Node) -> Node:
        roll = self.rng.random()
        if roll < 0.25 and not isinstance(node, list) and node != "null":
            return ["null", node]
        if roll < 0.4 and isinstance(node, list):
            return self.rng.choice(node)
        if roll < 0.6 and isinstance(node, list):
            return self.rng.sample(node, len(node))
        wider = {"int": "long", "long": "double", "float": "double", "string": "bytes", "bytes": "string"}
        if roll < 0.8 and isinstance(node, str) and node in wider:
            return wider[node]
        return self.maker.type(1)

    def _inner(self, record: Node) -> None:
        """Symbols, sizes and defaults of what lies within."""
        found = [node for node in nodes(record) if node.get("type") in ("enum", "fixed")]
        if not found:
            self._add(record)
            return
        node = self.rng.choice(found)
        if node["type"] == "fixed":
            node["size"] += 1
            return
        node.pop("default", None)
        node["symbols"] = self.rng.sample("ABCDEF", self.rng.randint(1, 5))
        if self.rng.random() < 0.4:
            node["default"] = node["symbols"][0]


def alike(schema: Node) -> bool:
    """Make all that bear one name the first of them, and defaults as wide as what has changed within. False: one
    would contain itself."""
    first: dict[str, Node] = {}
    if not _alike(schema, first, ()):
        return False
    for field in [field for each in nodes(schema) for field in each.get("fields", ())]:
        if "default" in field:
            fill(field)
    return True


def _alike(node: Node, first: dict[str, Node], around: tuple[str, ...]) -> bool:
    if isinstance(node, list):
        return all(_alike(branch, first, around) for branch in node)
    if not isinstance(node, dict):
        return True
    full = _full(node)
    if full in around:
        return False
    if full in first:
        node.clear()
        node.update(copy.deepcopy(first[full]))
        return True
    within = (*around, full) if full else around
    inner = [*(field["type"] for field in node.get("fields", ())), node.get("items"), node.get("values")]
    fine = all(_alike(each, first, within) for each in inner)
    if full:
        first[full] = node
    return fine


def by_name(node: Node, known: set[str] | None = None) -> Node:
    """The schema as a parser takes it: a type written out where it is first used, named after that."""
    known = set() if known is None else known
    if isinstance(node, list):
        return [by_name(branch, known) for branch in node]
    if not isinstance(node, dict):
        return node
    full = _full(node)
    if full in known:
        return full
    known |= {full} if full else set()
    found = {key: by_name(value, known) if key in ("items", "values") else value for key, value in node.items()}
    if "fields" in node:
        found["fields"] = [{**field, "type": by_name(field["type"], known)} for field in node["fields"]]
    return found


def _full(node: dict[str, Any]) -> str:
    return f"{node['namespace']}.{node['name']}" if "name" in node else ""


def nodes(node: Node) -> Iterator[dict[str, Any]]:
    """Every complex type in it, itself first."""
    if isinstance(node, list):
        for branch in node:
            yield from nodes(branch)
    elif isinstance(node, dict):
        yield node
        for inner in (*(field["type"] for field in node.get("fields", ())), node.get("items"), node.get("values")):
            yield from nodes(inner)


def fill(field: Node) -> None:
    """Give it a default, or none: the reader that judges leaves bytes as the texts that a schema writes."""
    field.pop("default", None)
    if not any(kind in json.dumps(field["type"]) for kind in ("bytes", "fixed")):
        field["default"] = default(field["type"])


def default(node: Node) -> Any:
    """A default of this type, as a schema writes it."""
    if isinstance(node, list):
        return default(node[0])
    if isinstance(node, str):
        return {"bytes": "b", "string": "s", "boolean": True, "null": None}.get(node, 1)
    match node["type"]:
        case "record":
            return {field["name"]: default(field["type"]) for field in node["fields"]}
        case "enum":
            return node["symbols"][0]
        case "fixed":
            return "x" * node["size"]
        case "array":
            return []
        case _:
            return {}


def data(node: Node) -> list[Any]:
    """Values of this type that together take every branch, symbol and item, each shown alone somewhere."""
    if isinstance(node, list):
        return [_told(branch, value) for branch in node for value in data(branch)]
    if isinstance(node, str):
        return list(VALUES[node])
    match node["type"]:
        case "enum":
            return list(node["symbols"])
        case "fixed":
            return [b"x" * node["size"]]
        case "array":
            return [[], *([value] for value in data(node["items"]))]
        case "map":
            return [{}, *({"k": value} for value in data(node["values"]))]
        case _:
            return _records(node)


def _told(branch: Node, value: Any) -> Any:
    """A record with its name: two records may have the same fields."""
    record = isinstance(branch, dict) and branch["type"] == "record"
    return (f"{branch['namespace']}.{branch['name']}", value) if record else value


def _records(node: Node) -> list[dict[str, Any]]:
    shown = {field["name"]: data(field["type"]) for field in node["fields"]}
    longest = max(map(len, shown.values()), default=1)
    return [{name: values[i % len(values)] for name, values in shown.items()} for i in range(longest)]


def _kind(node: Node) -> str:
    """What a union has once: branches of one kind would not be told apart by the values that show them."""
    kind = node if isinstance(node, str) else node["type"]
    alike = {"fixed": "string", "bytes": "string", "enum": "string", "long": "int", "double": "float"}
    return node["name"] if kind == "record" else alike.get(kind, kind)
