"""Schemas made whole: a type that another subject defines is written out where it is first used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hub.avro.lint import PRIMITIVES, full_name
from hub.registry.entry import Reference
from hub.registry.refusals import schema_invalid
from hub.registry.schemas import Schemas

NAMED = ("record", "error", "enum", "fixed")
DEPTH = 32


def whole(schemas: Schemas, schema: str, references: Iterable[Reference]) -> Any:
    """The schema as JSON, complete in itself. Raises `Refused` (42201) for JSON or references that are wrong."""
    return _whole(schemas, schema, tuple(references), DEPTH)


def _whole(schemas: Schemas, schema: str, references: tuple[Reference, ...], left: int) -> Any:
    node = parsed(schema)
    if not references:
        return node
    if not left:
        raise schema_invalid("references lead to one another without an end")
    known: dict[str, Any] = {}
    for reference in references:
        known |= _defined(schemas, reference, left)
    return _Inliner(known).type(node, "")


def parsed(schema: str) -> Any:
    try:
        return json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise schema_invalid(f"it is no JSON: {getattr(error, 'msg', 'nested too deeply')}") from None


def _defined(schemas: Schemas, reference: Reference, left: int) -> dict[str, Any]:
    entry = schemas.version(reference.subject, reference.version)
    if entry is None or entry.deleted:
        raise schema_invalid(
            f'No schema reference found for subject "{reference.subject}" and version {reference.version}'
        )
    found = definitions(_whole(schemas, entry.schema, entry.references, left - 1))
    if reference.name not in found:
        raise schema_invalid(
            f"the reference named {reference.name} leads to {reference.subject} version {reference.version}, "
            f"which defines {', '.join(sorted(found)) or 'no named type'}"
        )
    return found


def definitions(node: Any, space: str = "") -> dict[str, Any]:
    """Full name → definition, for every named type in it, each with its namespace said."""
    if isinstance(node, list):
        return _merged(definitions(branch, space) for branch in node)
    if not isinstance(node, dict):
        return {}
    inner = [node.get(key) for key in ("items", "values") if key in node]
    if node.get("type") not in NAMED:
        return _merged(definitions(each, space) for each in inner)
    full = full_name(str(node.get("name")), str(node.get("namespace", space)))
    space, _, name = full.rpartition(".")
    fields = [each.get("type") for each in node.get("fields") or () if isinstance(each, dict)]
    return {full: {**node, "name": name, "namespace": space}} | _merged(definitions(each, space) for each in fields)


def _merged(found: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: node for each in found for name, node in each.items()}


class _Inliner:
    """Copies a schema; `known` are definitions that it may refer to, each written once."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known, self._done = known, set[str]()

    def type(self, node: Any, space: str) -> Any:
        if isinstance(node, str):
            return self._name(node, space)
        if isinstance(node, list):
            return [self.type(branch, space) for branch in node]
        if not isinstance(node, dict):
            return node
        copied = {key: self.type(value, space) if key in ("items", "values") else value for key, value in node.items()}
        return self._named(copied, space) if node.get("type") in NAMED else copied

    def _name(self, name: str, space: str) -> Any:
        full = full_name(name, space)
        if name in PRIMITIVES or full in self._done or full not in self._known:
            return name
        return self.type(self._known[full], "")

    def _named(self, node: dict[str, Any], space: str) -> dict[str, Any]:
        full = full_name(str(node.get("name")), str(node.get("namespace", space)))
        self._done.add(full)
        inner, _, name = full.rpartition(".")
        node |= {"name": name, "namespace": inner}
        if isinstance(node.get("fields"), list):
            node["fields"] = [self._field(field, inner) for field in node["fields"]]
        return node

    def _field(self, field: Any, space: str) -> Any:
        return {**field, "type": self.type(field["type"], space)} if _is_field(field) else field


def _is_field(field: object) -> bool:
    return isinstance(field, dict) and "type" in field
