"""What makes two schemas incompatible, where it is found: named types that are used more than once."""

from __future__ import annotations

import json
from typing import Any

import avro.schema

from hub.registry import change
from hub.registry.ask import Draft
from hub.registry.compatibility import differences
from hub.registry.entry import Entry
from hub.registry.refusals import Refused
from hub.registry.schemas import Schemas


def record(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields.items()]}


def paths(new: Any, old: Any) -> list[tuple[str, str]]:
    found = differences(*(avro.schema.parse(json.dumps(each)) for each in (new, old)))
    return [(each.kind, each.path) for each in found]


def test_a_pair_that_did_not_fit_where_another_branch_did_does_not_fit_elsewhere() -> None:
    was, other = record("W", x="int"), record("X", y="string")
    old, new = record("R", a=was, b="W"), record("R", a=[other, was], b="X")
    assert paths(new, old) == [("NAME_MISMATCH", "/fields/1/type")]
    known = Schemas()
    known.add(Entry("s", 1, 1, json.dumps(old)))
    try:
        change.register(known, "s", Draft(json.dumps(new)))
    except Refused as refused:
        assert refused.code == 409 and "oldSchemaVersion: 1" in str(refused)
    else:
        raise AssertionError("registered")


def test_a_difference_is_told_at_every_place_where_the_type_is_used() -> None:
    def two(*symbols: str) -> dict[str, Any]:
        return record("R", first={"type": "enum", "name": "E", "symbols": list(symbols)}, second="E")

    kind = "MISSING_ENUM_SYMBOLS"
    assert paths(two("A"), two("A", "B")) == [(kind, "/fields/0/type/symbols"), (kind, "/fields/1/type")]


def test_a_type_that_contains_itself_is_compared_once_in_itself() -> None:
    def tree(kind: str) -> dict[str, Any]:
        return record("T", x=kind, left=["null", "T"], right=["null", "T"])

    assert paths(tree("long"), tree("int")) == []
    assert ("TYPE_MISMATCH", "/fields/0/type") in paths(tree("string"), tree("int"))


def test_a_branch_that_takes_any_bytes_saves_no_decimal_whose_digits_moved() -> None:
    def amount(scale: int, *others: str) -> dict[str, Any]:
        decimal = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": scale}
        return record("R", x=[*others, decimal])

    assert paths(amount(4, "string"), amount(2, "null")) != []
    assert paths(amount(4, "null", "string"), amount(2, "null", "string")) == [("TYPE_MISMATCH", "/fields/0/type/2")]
    assert paths(amount(2, "null", "string"), amount(2, "string", "null")) == []
