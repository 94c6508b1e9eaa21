"""Cuts the schema of a projection out of an event's: fewer fields, the same order, names of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub.avro.lint import PRIMITIVES, full_name
from hub.catalogue.model import Entitlement, EventType, Mask, Projection
from hub.catalogue.named import named_types

_MASKED_DROPS = frozenset({"pattern", "maxLength", "catalogue", "minimum", "maximum", "default"})


def project_all(entitlements: Iterable[Entitlement], types: Mapping[str, EventType]) -> dict[Mask, Projection]:
    """One projection per distinct mask, in order of (type, digest)."""
    masks = sorted({e.mask for e in entitlements}, key=lambda mask: (mask.type, mask.digest))
    return {mask: project(types[mask.type], mask) for mask in masks}


def project(type: EventType, mask: Mask) -> Projection:
    """The projection of `type` under `mask`. Named types within it get the mask's digest as a suffix, so
    that any two schemas of the catalogue can be loaded side by side."""
    source = type.schema
    name = f"{source['name']}View_{mask.digest}"
    cut = _Cut(named_types(source), mask.digest)
    schema = {
        "type": "record",
        "namespace": source["namespace"],
        "name": name,
        "doc": _doc(source, mask),
        "stream": type.stream,
        "projects": type.name,
        "fields": [
            cut.field(field, source["namespace"], field["name"] in mask.masked)
            for field in source["fields"]
            if field["name"] in mask.clear or field["name"] in mask.masked
        ],
    }
    return Projection(f"{source['namespace']}.{name}", schema, mask)


def _doc(source: Mapping[str, Any], mask: Mask) -> str:
    total = len(source["fields"])
    absent = total - len(mask.clear) - len(mask.masked)
    masked = f"; masked: {', '.join(sorted(mask.masked))}" if mask.masked else ""
    seen = f"{source['name']} as entitled receivers see it, {absent} of {total} fields absent{masked}."
    return f"{seen} {source['doc']}"


class _Cut:
    """Copies types; a name is defined where it first appears in the copy and referred to afterwards."""

    def __init__(self, named: Mapping[str, dict[str, Any]], digest: str) -> None:
        self.named, self.digest = named, digest
        self.done: set[str] = set()

    def field(self, field: Mapping[str, Any], space: str, masked: bool = False) -> dict[str, Any]:
        drop = _MASKED_DROPS if masked else frozenset[str]()
        copied = {key: value for key, value in field.items() if key not in drop}
        copied["type"] = self.type(field["type"], space)
        return {**copied, "masked": True} if masked else copied

    def type(self, node: Any, space: str) -> Any:
        if isinstance(node, list):
            return [self.type(branch, space) for branch in node]
        if isinstance(node, str):
            return node if node in PRIMITIVES else self._name(full_name(node, space))
        if node["type"] in ("record", "enum", "fixed"):
            return self._name(full_name(node["name"], node.get("namespace", space)))
        inner = {key: self.type(node[key], space) for key in ("items", "values") if key in node}
        return {**node, **inner}

    def _name(self, full: str) -> Any:
        """The renamed definition of `full`, or its new name where that was given before."""
        renamed = f"{full}_{self.digest}"
        if full in self.done:
            return renamed
        self.done.add(full)
        space, _, name = renamed.rpartition(".")
        copied = {**self.named[full], "namespace": space, "name": name}
        copied.pop("aliases", None)
        if "fields" in copied:
            copied["fields"] = [self.field(field, space) for field in copied["fields"]]
        return copied
