"""What a status shows of an event: the Avro map of some of its fields, cut from the event's bytes like a projection.

A value of the map is a union of null, boolean, long, double and string. An int, a long, a date or a timestamp is the
same bytes in the event and as a long; a string is itself; an enum is its symbol, looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.avro.packer import number, string
from hub.avro.shape import Date, Decimal, Enum, Field, Record, Shape, Timestamp, Union

LONGEST_ENUM = 64
"""Symbols up to this many have an index of one byte."""


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """`names` of top-level fields; `branches` are the types of the union that a value of the map is."""

    names: tuple[str, ...]
    branches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """The Python expression of the map's bytes, the constants in it, and the fields whose offsets it needs."""

    expression: str
    constants: Mapping[str, Any]
    boundaries: frozenset[int]


def shown(record: Record, plan: ShownPlan) -> Shown:
    """Raises ValueError for a field that cannot be shown."""
    fields = [(i, field) for i, field in enumerate(record.fields) if field.name in plan.names]
    fields.sort(key=lambda row: row[1].name)
    constants: dict[str, Any] = {}
    pieces = [repr(number(len(fields)))] if fields else []
    for i, field in fields:
        end = f"b{i + 1}" if i + 1 < len(record.fields) else ""
        pieces += [repr(string(field.name)), _value(field, i, end, plan, constants)]
    boundaries = frozenset(offset for i, _ in fields for offset in (i, i + 1) if offset < len(record.fields))
    return Shown(" + ".join([*pieces, r"b'\0'"]), constants, boundaries)


def _value(field: Field, i: int, end: str, plan: ShownPlan, constants: dict[str, Any]) -> str:
    shape = field.shape
    if not isinstance(shape, Union):
        return _plain(field.name, shape, f"b{i}", end, plan, constants)
    others = [branch for branch in shape.branches if branch.label != "null"]
    if len(others) != 1 or shape.null is None:
        raise ValueError(f"{field.name}: a union of several types cannot be shown in a status")
    value = _plain(field.name, others[0], f"b{i} + 1", end, plan, constants)
    return f"({_branch('null', plan)!r} if v[b{i}] == {2 * shape.null} else {value})"


def _plain(name: str, shape: Shape, start: str, end: str, plan: ShownPlan, constants: dict[str, Any]) -> str:
    if isinstance(shape, Enum) and len(shape.symbols) <= LONGEST_ENUM:
        table = f"shown_{name}"
        constants[table] = tuple(_branch("string", plan) + string(symbol) for symbol in shape.symbols)
        return f"{table}[v[{start}] >> 1]"
    return f"{_branch(_kind(name, shape), plan)!r} + v[{start}:{end}]"


def _kind(name: str, shape: Shape) -> str:
    if isinstance(shape, (Date, Timestamp)) or shape.label in ("int", "long"):
        return "long"
    if shape.label in ("string", "boolean", "double") and not isinstance(shape, (Enum, Decimal)):
        return shape.label
    raise ValueError(f"{name}: {shape.said} cannot be shown in a status")


def _branch(kind: str, plan: ShownPlan) -> bytes:
    return number(plan.branches.index(kind))
