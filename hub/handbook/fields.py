"""The fields of an event type as a table shows them, nested ones too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hub.avro.lint import full_name
from hub.catalogue.named import named_types

LOGICAL = {
    "date": "date (2026-10-28)",
    "timestamp-millis": "time (2026-10-28T09:00:00Z)",
    "decimal": 'decimal ("12.50")',
}


@dataclass(frozen=True, slots=True)
class Field:
    """`path` with dots, `[]` after an array's name; `kind` as one writes it in JSON."""

    path: str
    kind: str
    nullable: bool
    symbols: tuple[str, ...]
    classification: str
    doc: str
    pattern: str
    longest: int
    listed: str


def fields(schema: dict[str, Any]) -> list[Field]:
    """In the order of the schema, what lies within a field after it."""
    return list(_fields(schema, named_types(schema), "", ""))


def _fields(node: dict[str, Any], named: dict[str, Any], space: str, path: str) -> Iterator[Field]:
    space = full_name(node["name"], node.get("namespace", space)).rpartition(".")[0]
    for field in node["fields"]:
        seen, nullable = _without_null(field["type"])
        kind, inner, many = _kind(seen, named, space)
        yield Field(
            f"{path}{field['name']}",
            kind,
            nullable,
            tuple(inner.get("symbols", ())) if inner else (),
            field["classification"],
            field["doc"],
            field.get("pattern", ""),
            field.get("maxLength", 0),
            field.get("catalogue", ""),
        )
        if inner and inner["type"] == "record":
            yield from _fields(inner, named, space, f"{path}{field['name']}{'[]' if many else ''}.")


def _without_null(node: Any) -> tuple[Any, bool]:
    if not isinstance(node, list):
        return node, False
    left = [branch for branch in node if branch != "null"]
    return (left[0] if len(left) == 1 else left), len(left) < len(node)


def _kind(node: Any, named: dict[str, Any], space: str) -> tuple[str, dict[str, Any] | None, bool]:
    """In a word, the named type within, and whether there are many of it."""
    if isinstance(node, list):
        return " or ".join(_kind(branch, named, space)[0] for branch in node), None, False
    if isinstance(node, str):
        node = named.get(full_name(node, space), node)
    if isinstance(node, str):
        return node, None, False
    if node["type"] in ("array", "map"):
        inner, found, _ = _kind(node.get("items", node.get("values")), named, space)
        return ("list of " if node["type"] == "array" else "map of ") + inner, found, True
    if "name" in node:
        return ("object" if node["type"] == "record" else node["type"]), node, False
    return LOGICAL.get(node.get("logicalType", ""), node["type"]), None, False
