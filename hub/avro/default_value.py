"""Defaults in schema JSON as the Python values they stand for (`defaults.py` checks that they fit)."""

from __future__ import annotations

from typing import Any

from hub.avro.logical import date_of, decimal_of, instant_of
from hub.avro.shape import MISSING, Array, Date, Decimal, Fixed, Map, Record, Shape, Timestamp, Union


def default_value(shape: Shape, json: Any) -> Any:
    """Avro's own JSON (bytes as Latin-1 text, dates as days, a union's default in its first branch)."""
    if isinstance(shape, Union):
        return _of_union(shape, json)
    if isinstance(shape, Record):
        return _of_record(shape, json)
    if isinstance(shape, Array):
        return [default_value(shape.items, item) for item in json]
    if isinstance(shape, Map):
        return {key: default_value(shape.values, item) for key, item in json.items()}
    return _of_scalar(shape, json)


def _of_scalar(shape: Shape, json: Any) -> Any:
    if isinstance(shape, Date):
        return date_of(json)
    if isinstance(shape, Timestamp):
        return instant_of(json)
    if isinstance(shape, Decimal):
        return decimal_of(int.from_bytes(json.encode("latin-1"), "big", signed=True), shape)
    if isinstance(shape, Fixed) or shape.label == "bytes":
        return json.encode("latin-1")
    return float(json) if shape.label in ("float", "double") else json


def _of_record(shape: Record, json: Any) -> dict[str, Any]:
    given = {field.name: json.get(field.name, field.default) for field in shape.fields}
    return {
        field.name: default_value(field.shape, given[field.name])
        for field in shape.fields
        if given[field.name] is not MISSING
    }


def _of_union(shape: Union, json: Any) -> Any:
    if json is None and shape.null is not None:
        return None
    first, value = shape.branches[0], default_value(shape.branches[0], json)
    # the first branch is the first of its Python type too, unless it is a float beside a double
    return (first.label, value) if first.label == "float" else value
