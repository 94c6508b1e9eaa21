"""The text of a schema as Confluent's registry compares and returns it: that of Avro's Java library.

White space, the order of Avro's own attributes and longer ways to say the same (`{"type": "string"}`, a full name
where the namespace is clear) make no difference; the order of other attributes does, unless it is normalised.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from hub.avro.lint import PRIMITIVES, full_name

_ORDER = {
    "record": ("doc", "fields"),
    "error": ("doc", "fields"),
    "enum": ("doc", "symbols", "default"),
    "fixed": ("doc", "size"),
    "array": ("items",),
    "map": ("values",),
}
"""Attributes of each kind of type, in Java's order, between its name and what Avro does not know."""
_FIELD = ("name", "type", "doc", "default", "order", "aliases")
_NAMES = ("type", "name", "namespace", "aliases")


def canonical(schema: str, *, normalize: bool = False) -> str:
    """The compact text; `normalize` sorts what Avro does not know as well. A text that is no JSON stays as it is."""
    try:
        return compact(_Writer(normalize=normalize).type(json.loads(schema), ""))
    except (ValueError, RecursionError):
        return schema  # a bare type name, another schema language, or nothing that anybody can read


kept = lru_cache(maxsize=8192)(canonical)
"""The same for what is registered, and for that alone: what anybody sends must not fill the memory."""


def compact(node: Any) -> str:
    return json.dumps(node, ensure_ascii=False, separators=(",", ":"))


class _Writer:
    """Copies a schema in Java's order. What is no Avro is copied as it stands: others say what is wrong with it."""

    def __init__(self, *, normalize: bool) -> None:
        self._normalize = normalize

    def type(self, node: Any, space: str) -> Any:
        """The type `node`, where `space` is the namespace around it."""
        if isinstance(node, str):
            return node if node in PRIMITIVES else _short(full_name(node, space), space)
        if isinstance(node, list):
            return [self.type(branch, space) for branch in node]
        if not isinstance(node, dict) or not isinstance(node.get("type"), str):
            return node
        if node["type"] in _ORDER:
            return self._complex(node, space)
        return node["type"] if len(node) == 1 else {"type": node["type"], **self._others(node, ("type",))}

    def _complex(self, node: dict[str, Any], space: str) -> dict[str, Any]:
        kind, known = node["type"], _ORDER[node["type"]]
        found: dict[str, Any] = {"type": kind}
        inner = space
        if kind not in ("array", "map"):
            full = name_of(node, space)
            inner, _, found["name"] = full.rpartition(".")
            if inner != space:
                found["namespace"] = inner
        found |= {key: self._part(key, node[key], inner) for key in known if key in node}
        found |= self._others(node, (*_NAMES, *known))
        return found | ({"aliases": node["aliases"]} if node.get("aliases") else {})

    def _part(self, key: str, value: Any, space: str) -> Any:
        if key in ("items", "values"):
            return self.type(value, space)
        if key == "fields" and isinstance(value, list):
            return [self._field(field, space) for field in value]
        return value

    def _field(self, field: Any, space: str) -> Any:
        if not isinstance(field, dict):
            return field
        found = {key: field[key] for key in _FIELD if key in field}
        if "type" in found:
            found["type"] = self.type(found["type"], space)
        if found.get("order") == "ascending":
            del found["order"]
        return found | self._others(field, _FIELD)

    def _others(self, node: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
        others = {key: value for key, value in node.items() if key not in known}
        return _sorted(others) if self._normalize else others


def name_of(node: dict[str, Any], space: str) -> str:
    """The full name of a named type, where `space` is the namespace around it: also of one whose namespace is null."""
    said = node.get("namespace")
    return full_name(str(node.get("name", "")), said if isinstance(said, str) else space)


def _sorted(node: Any) -> Any:
    if isinstance(node, list):
        return [_sorted(each) for each in node]
    if isinstance(node, dict):
        return {key: _sorted(node[key]) for key in sorted(node)}
    return node


def _short(full: str, space: str) -> str:
    inner, _, name = full.rpartition(".")
    return name if inner == space else full
