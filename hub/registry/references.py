"""Schemas made whole: a type that another subject defines is written out where it is first used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hub.avro.lint import PRIMITIVES, full_name
from hub.registry.canonical import name_of
from hub.registry.entry import Entry, Reference
from hub.registry.refusals import schema_invalid
from hub.registry.schemas import Schemas

NAMED = ("record", "error", "enum", "fixed")
MOST = 100
"""Schemas that references lead to: they are read while others wait."""


def whole(schemas: Schemas, schema: str, references: Iterable[Reference], *, new: bool = False) -> Any:
    """The schema as JSON, complete in itself. Raises `Refused` (42201) for JSON or references that are wrong.

    What is `new` refers to versions that are offered; what was registered stays whole, whatever was deleted since.
    """
    try:
        return _whole(schemas, schema, tuple(references), new)
    except RecursionError:
        raise schema_invalid("nested too deeply") from None


def _whole(schemas: Schemas, schema: str, references: tuple[Reference, ...], new: bool) -> Any:
    node = parsed(schema)
    if not references:
        return node
    known = _known(schemas, references, new)
    for reference in references:
        if reference.name not in known:
            raise schema_invalid(
                f"the reference named {reference.name} leads to {reference.subject} version {reference.version}, "
                "which defines no such type"
            )
    for name in definitions(node):
        if name in known:
            raise schema_invalid(f"{name} is defined here and by what a reference leads to")
    return _Inliner(known).type(node, "")


def parsed(schema: str) -> Any:
    try:
        return json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise schema_invalid(f"it is no JSON: {getattr(error, 'msg', 'nested too deeply')}") from None


def _known(schemas: Schemas, references: Iterable[Reference], new: bool) -> dict[str, Any]:
    """Full name → definition, for every type of every schema that they lead to; each schema is read once.

    A type in two versions is refused, where Confluent's registry takes the first: the other's user would be read as
    what it does not say.
    """
    known, where = dict[str, Any](), dict[str, str]()
    left, seen = list(references), set[tuple[str, int]]()
    while left:
        reference = left.pop()
        if reference[1:] in seen:
            continue
        seen.add(reference[1:])
        if len(seen) > MOST:
            raise schema_invalid(f"references lead to more than {MOST} schemas")
        entry, here = _referred(schemas, reference, new), f"{reference.subject} version {reference.version}"
        left += entry.references
        for name, node in definitions(parsed(entry.schema)).items():
            if name in known:
                places = " and ".join(sorted((where[name], here)))
                raise schema_invalid(f"references lead to two definitions of {name}: {places}")
            known[name], where[name] = node, here
    return known


def _referred(schemas: Schemas, reference: Reference, new: bool) -> Entry:
    entry = schemas.version(reference.subject, reference.version)
    if entry is None or (new and entry.deleted):
        raise schema_invalid(
            f'No schema reference found for subject "{reference.subject}" and version {reference.version}'
        )
    return entry


def definitions(node: Any, space: str = "") -> dict[str, Any]:
    """Full name → definition, for every named type in it, each with its namespace said."""
    if isinstance(node, list):
        return _merged(definitions(branch, space) for branch in node)
    if not isinstance(node, dict):
        return {}
    inner = [node.get(key) for key in ("items", "values") if key in node]
    if node.get("type") not in NAMED:
        return _merged(definitions(each, space) for each in inner)
    full = name_of(node, space)
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

    def _named(self, node: dict[str, Any], space: str) -> Any:
        full = name_of(node, space)
        if full in self._done and full in self._known:
            return full  # within a definition whose neighbour has brought it
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
