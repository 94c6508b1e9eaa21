"""Named types of a schema: where they are defined, and under which full names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.avro.lint import full_name
from hub.catalogue.source import Place


def named_types(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Full name → definition of every named type in a sound schema, in order of appearance."""
    return {full: node for full, node, _ in definitions(schema)}


def definitions(node: Any, place: Place = (), space: str = "") -> Iterator[tuple[str, dict[str, Any], Place]]:
    """(full name, definition, place) of the named types that are defined in `node`."""
    if isinstance(node, list):
        for index, branch in enumerate(node):
            yield from definitions(branch, (*place, index), space)
    elif isinstance(node, dict):
        if node.get("type") in ("record", "enum", "fixed"):
            full = full_name(node["name"], node.get("namespace", space))
            yield full, node, place
            space = full.rpartition(".")[0]
        for index, field in enumerate(node.get("fields", ())):
            yield from definitions(field["type"], (*place, "fields", index, "type"), space)
        for inner in ("items", "values"):
            if inner in node:
                yield from definitions(node[inner], (*place, inner), space)
