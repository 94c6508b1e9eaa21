"""Schemas that cannot be walked safely never become codecs."""

from __future__ import annotations

from typing import Any

import fastavro
import pytest

from hub.avro.codec import codec_of, decode
from hub.errors import SchemaError
from tests.unit.avro.kinds import HEADER, MILLIS, of

LOOP = {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}
EMPTY = {"type": "record", "name": "E", "fields": []}


@pytest.mark.parametrize(
    "schema",
    [
        LOOP,
        of({"type": "array", "items": "null"}),
        of({"type": "array", "items": EMPTY}),
        of({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}),
        of("Unknown"),
        of([]),
        of(["int", {"type": "int", "logicalType": "date"}]),
        of(["null", ["int"]]),
        of({"type": "string", "logicalType": "uuid"}),
        of({"type": "long", "logicalType": "timestamp-micros"}),
        of({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}),
        of({"type": "fixed", "name": "F", "size": 1, "logicalType": "decimal", "precision": 5}),
        of({"type": "enum", "name": "E", "symbols": ["A'\nimport os"]}),
        {"type": "record", "name": "T", "fields": [{"name": "a\n", "type": "int"}]},
        {"type": "record", "name": "T", "fields": [{"name": "a", "type": "int", "default": "5"}]},
        of({"name": "no type"}),
        of(5),
    ],
)
def test_refused(schema: Any) -> None:
    with pytest.raises(SchemaError):
        codec_of(schema)


def test_names_are_found_in_their_namespace() -> None:
    colour = {"type": "enum", "name": "Colour", "symbols": ["RED"]}
    inner = {"type": "record", "name": "b.Inner", "fields": [{"name": "x", "type": colour}]}
    schema = {"namespace": "a", **of(inner, "b.Colour", "b.Inner")}
    value = {"a": {"x": "RED"}, "b": "RED", "c": {"x": "RED"}}
    assert decode(schema, HEADER + b"\0\0\0") == value
    assert decode(fastavro.parse_schema(schema), HEADER + b"\0\0\0") == value


def test_types_may_be_wrapped() -> None:
    assert decode(of({"type": MILLIS}, {"type": {"type": "string"}}), HEADER + b"\0\0")["b"] == ""


def test_a_codec_is_made_once() -> None:
    schema = of("int")
    assert codec_of(schema) is codec_of(schema)
    assert codec_of(schema) is not codec_of(of("int"))
