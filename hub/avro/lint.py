"""Is a schema sound, and can no datum of it hurt the process that reads it?

Avro allows schemas whose data kill a reader: 5 KB of a recursive type end the process, seven bytes of an
array of null fill the memory. These are refused here, next to everything that is plainly wrong, each with
the line of the file and what mends it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import fastavro

from hub.errors import Problem

Place = tuple[str | int, ...]
Lines = Callable[[Place], int]

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "string", "bytes"})
LOGICAL = {"date": "int", "timestamp-millis": "long", "decimal": "bytes"}
DEPTH = 8
PRECISION = 38
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPACE = re.compile(rf"({_NAME.pattern}(\.{_NAME.pattern})*)?")
_NAMED = frozenset({"name", "namespace", "doc", "aliases"})
_ATTRIBUTES = {
    "record": _NAMED | {"fields"},
    "enum": _NAMED | {"symbols", "default"},
    "fixed": _NAMED | {"size"},
    "array": frozenset({"items"}),
    "map": frozenset({"values"}),
}
_FIELD = frozenset({"name", "type", "doc", "default", "aliases", "order"})


def lint(
    schema: object,
    file: str,
    line: Lines,
    *,
    root: frozenset[str] = frozenset(),
    field: frozenset[str] = frozenset(),
) -> list[Problem]:
    """Everything wrong with one record schema. `line` gives the line of a place in the file; `root` and
    `field` are attributes that the record and its fields may carry beyond Avro's own."""
    linter = _Linter(file, line, root, field)
    if not isinstance(schema, dict) or schema.get("type") != "record":
        linter.wrong((), "a schema file holds one record", 'write {"type": "record", …}')
        return linter.problems
    linter.complex(schema, (), "", 1)
    return linter.problems


def refused(schema: object, file: str) -> list[Problem]:
    """What fastavro, the product's own parser, has against a schema that lint found sound."""
    try:
        fastavro.parse_schema(copy.deepcopy(schema), named_schemas={})  # type: ignore[arg-type]
    except Exception as error:
        return [Problem(file, 1, f"fastavro refuses it: {error}", "follow the Avro specification")]
    return []


def full_name(name: str, space: str) -> str:
    """The full name of `name`, used where the enclosing namespace is `space`."""
    return name if "." in name or not space else f"{space}.{name}"


class _Linter:
    """One pass over a schema. `named` are the types defined so far, `open` those that enclose this place."""

    def __init__(self, file: str, line: Lines, root: frozenset[str], field: frozenset[str]) -> None:
        self.file, self.line = file, line
        self.extra = {"root": root, "field": field}
        self.problems: list[Problem] = []
        self.named: dict[str, dict[str, Any]] = {}
        self.open: list[str] = []

    def wrong(self, place: Place, message: str, fix: str) -> None:
        self.problems.append(Problem(self.file, self.line(place), message, fix))

    def type(self, node: Any, place: Place, space: str, level: int) -> None:
        """Check the type at `place`; `level` counts the records, arrays and maps around it."""
        if isinstance(node, str):
            self._reference(node, place, space, level)
        elif isinstance(node, list):
            self._union(node, place, space, level)
        elif isinstance(node, dict) and isinstance(node.get("type"), str) and node["type"] in PRIMITIVES:
            self._logical(node, place)
        elif isinstance(node, dict) and node.get("type") in tuple(_ATTRIBUTES):
            self.complex(node, place, space, level + (node["type"] not in ("enum", "fixed")))
        else:
            self.wrong(place, "this is no Avro type", "use a primitive, record, enum, fixed, array, map or union")

    def complex(self, node: dict[str, Any], place: Place, space: str, level: int) -> None:
        """Check a record, enum, fixed, array or map."""
        if level > DEPTH:
            self.wrong(place, f"nested deeper than {DEPTH} levels", "flatten the type")
            return
        kind = node["type"]
        extra = self.extra["root"] if not place else frozenset()
        self._attributes(node, place, _ATTRIBUTES[kind] | extra | {"type"}, f"{kind}'s")
        if kind in ("array", "map"):
            self._items(node, place, space, level, "items" if kind == "array" else "values")
        else:
            self._named_type(node, place, space, level)

    def _named_type(self, node: dict[str, Any], place: Place, space: str, level: int) -> None:
        name = node.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.wrong(
                (*place, "name"),
                "a named type needs a simple name",
                "use letters, digits and _, and `namespace`",
            )
            return
        if not _SPACE.fullmatch(str(node.get("namespace", space))):
            self.wrong((*place, "namespace"), "a namespace is names joined by dots", "correct or remove it")
        full = full_name(name, str(node.get("namespace", space)))
        if full in self.named or full in self.open:
            self.wrong((*place, "name"), f"{full!r} is defined twice", "refer to it by its name, or rename one")
        if not _said(node.get("doc")):
            self.wrong(place, f"{node['type']} {name!r} has no doc", "say in `doc` what it is")
        check = {"record": self._record, "enum": self._enum, "fixed": self._fixed}[node["type"]]
        check(node, place, full, level)
        self.named[full] = node

    def _record(self, node: dict[str, Any], place: Place, full: str, level: int) -> None:
        fields = node.get("fields")
        if not isinstance(fields, list) or not fields:
            self.wrong((*place, "fields"), "a record needs at least one field", "list its fields")
            return
        self.open.append(full)
        names: set[str] = set()
        for index, field in enumerate(fields):
            self._field(field, (*place, "fields", index), full.rpartition(".")[0], level, names)
        self.open.pop()

    def _field(self, field: Any, place: Place, space: str, level: int, names: set[str]) -> None:
        if not isinstance(field, dict) or not isinstance(field.get("name"), str) or "type" not in field:
            self.wrong(place, "a field needs a name and a type", 'write {"name": …, "type": …, "doc": …}')
            return
        name = field["name"]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            self.wrong((*place, "name"), f"field name {name!r} is not lower_snake_case", "rename it")
        if name in names:
            self.wrong((*place, "name"), f"field {name!r} stands twice", "keep one")
        names.add(name)
        if not _said(field.get("doc")):
            self.wrong(place, f"field {name!r} has no doc", "say in `doc` what it is, with its unit")
        self._attributes(field, place, _FIELD | self.extra["field"], "field's")
        self.type(field["type"], (*place, "type"), space, level)

    def _enum(self, node: dict[str, Any], place: Place, full: str, level: int) -> None:
        symbols = node.get("symbols")
        if not isinstance(symbols, list) or not symbols or not all(_is_name(s) for s in symbols):
            self.wrong((*place, "symbols"), "an enum needs symbols, each a name", "list them")
        elif len(set(symbols)) < len(symbols):
            self.wrong((*place, "symbols"), f"a symbol of {full!r} stands twice", "keep one")
        elif "default" in node and node["default"] not in symbols:
            self.wrong(
                (*place, "default"),
                f"default {node['default']!r} is no symbol of {full!r}",
                "use one of its symbols",
            )

    def _fixed(self, node: dict[str, Any], place: Place, full: str, level: int) -> None:
        size = node.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            self.wrong((*place, "size"), f"fixed {full!r} has no size above 0", "give the number of bytes")

    def _items(self, node: dict[str, Any], place: Place, space: str, level: int, key: str) -> None:
        if key not in node:
            self.wrong(
                place,
                f"an {node['type']} needs {key!r}" if key == "items" else f"a map needs {key!r}",
                f"add {key!r}",
            )
            return
        self.type(node[key], (*place, key), space, level)
        if self._empty(node[key], space):
            self.wrong(
                (*place, key),
                f"an item of this {node['type']} takes no bytes",
                "a few bytes could claim millions of them: give the item a value",
            )

    def _union(self, node: list[Any], place: Place, space: str, level: int) -> None:
        if not node:
            self.wrong(place, "a union needs branches", "list them")
        kinds: set[str] = set()
        for index, branch in enumerate(node):
            at = (*place, index)
            if isinstance(branch, list):
                self.wrong(at, "a union directly inside a union", "merge the branches")
                continue
            kind = self._branch(branch, space)
            if kind in kinds:
                self.wrong(at, f"the union has {kind!r} twice", "keep one")
            kinds.add(kind)
            self.type(branch, at, space, level)

    def _branch(self, branch: Any, space: str) -> str:
        kind = branch.get("type") if isinstance(branch, dict) else branch
        if isinstance(branch, dict) and kind in ("record", "enum", "fixed"):
            return full_name(str(branch.get("name")), str(branch.get("namespace", space)))
        return str(kind) if kind in PRIMITIVES or not isinstance(kind, str) else full_name(kind, space)

    def _reference(self, name: str, place: Place, space: str, level: int) -> None:
        if name in PRIMITIVES:
            return
        full = full_name(name, space)
        if full in self.open:
            self.wrong(
                place,
                f"{full!r} contains itself",
                "a recursive type can kill its reader: use an array of flat records",
            )
        elif full not in self.named:
            self.wrong(place, f"unknown type {name!r}", "define it where it is first used, or correct the name")
        elif self._deeper(full, space, DEPTH - level):
            self.wrong(place, f"nested deeper than {DEPTH} levels", "flatten the type")

    def _logical(self, node: dict[str, Any], place: Place) -> None:
        logical = node.get("logicalType")
        decimal = logical == "decimal"
        self._attributes(
            node,
            place,
            frozenset({"type", "logicalType"} | ({"precision", "scale"} if decimal else set())),
            "type's",
        )
        if logical is not None and LOGICAL.get(str(logical)) != node["type"]:
            known = ", ".join(f"{name} ({base})" for name, base in LOGICAL.items())
            self.wrong((*place, "logicalType"), f"logicalType {logical!r} on {node['type']}", f"use one of {known}")
        elif decimal and not _is_decimal(node.get("precision"), node.get("scale", 0)):
            self.wrong(place, "a decimal of no use", f"give 1 ≤ precision ≤ {PRECISION} and 0 ≤ scale ≤ precision")

    def _attributes(self, node: dict[str, Any], place: Place, allowed: frozenset[str], whose: str) -> None:
        for key in node:
            if key not in allowed:
                self.wrong((*place, key), f"unknown key {key!r}", f"a {whose} keys are {', '.join(sorted(allowed))}")

    def _deeper(self, node: Any, space: str, left: int) -> bool:
        """Whether records, arrays and maps nest deeper than `left` in this type, names followed."""
        if isinstance(node, list):
            return any(self._deeper(branch, space, left) for branch in node)
        node = self._resolved(node, space)
        if not isinstance(node, dict) or node.get("type") not in ("record", "array", "map"):
            return False
        inner = [*_field_types(node), *(node[key] for key in ("items", "values") if key in node)]
        return left < 1 or any(self._deeper(part, space, left - 1) for part in inner)

    def _empty(self, node: Any, space: str, left: int = DEPTH) -> bool:
        """Whether every value of this type is encoded in no bytes at all."""
        node = self._resolved(node, space)
        if not isinstance(node, dict):
            return bool(node == "null")
        if node.get("type") == "record":
            return left > 0 and all(self._empty(t, space, left - 1) for t in _field_types(node))
        return node.get("type") == "null" or (node.get("type") == "fixed" and node.get("size") == 0)

    def _resolved(self, node: Any, space: str) -> Any:
        return self.named.get(full_name(node, space), node) if isinstance(node, str) else node


def _field_types(node: dict[str, Any]) -> list[Any]:
    fields = node.get("fields")
    return [f.get("type") for f in fields if isinstance(f, dict)] if isinstance(fields, list) else []


def _said(doc: object) -> bool:
    return isinstance(doc, str) and bool(doc.strip())


def _is_name(symbol: object) -> bool:
    return isinstance(symbol, str) and _NAME.fullmatch(symbol) is not None


def _is_decimal(precision: object, scale: object) -> bool:
    return (
        isinstance(precision, int)
        and isinstance(scale, int)
        and 0 <= scale <= precision
        and 1 <= precision <= PRECISION
    )
