"""Whether a schema file can be used at all: sound Avro, defaults that are values, no word from fastavro."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.avro.lint import full_name, lint, refused
from hub.catalogue.named import definitions, named_types
from hub.catalogue.source import Document
from hub.errors import Problem

Named = Callable[[str], dict[str, Any] | None]
FIX = "of a union, the first branch counts; of an enum, a symbol"


def check_schema(
    document: Document,
    problems: list[Problem],
    *,
    root: frozenset[str] = frozenset(),
    field: frozenset[str] = frozenset(),
) -> bool:
    """Whether the schema is sound; if not, `problems` has why. For `root` and `field` see `lint`."""
    schema, file = document.value, document.file
    found = lint(schema, file, document.line, root=root, field=field)
    found = found or _wrong_defaults(document) or refused(schema, file)
    problems += found
    return not found


def _wrong_defaults(document: Document) -> list[Problem]:
    found: list[Problem] = []
    types = named_types(document.value)
    for full, node, place in definitions(document.value):
        named = _within(full.rpartition(".")[0], types)
        for index, field in enumerate(node.get("fields", ())):
            if "default" in field and not is_default(field["type"], field["default"], named):
                line = document.line((*place, "fields", index, "default"))
                message = f"the default of {field['name']!r} is no value of its type"
                found.append(Problem(document.file, line, message, FIX))
    return found


def _within(space: str, types: dict[str, dict[str, Any]]) -> Named:
    return lambda name: types.get(full_name(name, space))


def is_default(node: Any, value: Any, named: Named) -> bool:
    """Whether `value` is a default of this (sound) type; `named` looks a name up. Of a union the first
    branch counts; bytes and fixed are written as texts."""
    if isinstance(node, list):
        return is_default(node[0], value, named)
    if isinstance(node, str):
        found = named(node)
        return is_default(found, value, named) if found else _is_primitive(node, value)
    kind = node["type"]
    if kind in ("array", "map"):
        return _is_collection(kind, node, value, named)
    if kind == "record":
        return isinstance(value, dict) and all(_is_filled(field, value, named) for field in node["fields"])
    if kind == "enum":
        return value in node["symbols"]
    return _is_primitive("bytes" if kind == "fixed" else kind, value)


def _is_collection(kind: str, node: dict[str, Any], value: Any, named: Named) -> bool:
    if kind == "array":
        return isinstance(value, list) and all(is_default(node["items"], item, named) for item in value)
    return isinstance(value, dict) and all(is_default(node["values"], v, named) for v in value.values())


def _is_filled(field: dict[str, Any], value: dict[str, Any], named: Named) -> bool:
    if field["name"] not in value:
        return "default" in field
    return is_default(field["type"], value[field["name"]], named)


def _is_primitive(kind: str, value: object) -> bool:
    if kind == "null" or value is None:
        return kind == "null" and value is None
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    if kind in ("int", "long"):
        bits = 31 if kind == "int" else 63
        return isinstance(value, int) and -(2**bits) <= value < 2**bits
    return isinstance(value, (int, float) if kind in ("float", "double") else str)
