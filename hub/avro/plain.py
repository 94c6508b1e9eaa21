"""Plain JSON to values and back: what `hub publish FILE` and the HTTP gateway take, and what people read.

| Avro                 | JSON                                                                           |
|----------------------|--------------------------------------------------------------------------------|
| int, long            | integer (no 5.0)                                                               |
| float, double        | number                                                                         |
| string, enum         | string                                                                         |
| bytes, fixed         | string, base64 (standard alphabet, padded)                                     |
| date                 | "2026-11-22"                                                                   |
| timestamp-millis     | "2026-11-22T09:30:00.125Z": RFC 3339, offset required, whole milliseconds      |
| decimal              | "120.50", or an integer; written with exactly `scale` digits after the point   |
| array, map, record   | array, object, object; a field that is absent takes its default                |
| union                | null, else the value as it is (the first branch that takes it), or tagged as   |
|                      | Avro's JSON does: {"string": "x"}, {"az.zefer.veteran.Rank": {...}}            |

A tagged reading wins over an untagged one. `to_json` tags only where the plain form would come back otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.avro.default_value import default_value
from hub.avro.invalid import Invalid, invalid, mismatch
from hub.avro.plain_scalar import scalar_from_json, scalar_to_json
from hub.avro.scalar import utf8
from hub.avro.shape import MISSING, Array, Field, Map, Record, Shape, Union
from hub.avro.writer import branch_of, unknown_fields


def from_json(shape: Shape, json: Any) -> Any:
    """The value that this JSON stands for; raises Invalid."""
    if isinstance(shape, Record):
        return _record(shape, json)
    if isinstance(shape, Union):
        return _union(shape, json)
    if isinstance(shape, Array):
        return _array(shape, json)
    if isinstance(shape, Map):
        return _map(shape, json)
    return scalar_from_json(shape, json)


def _record(shape: Record, json: Any) -> dict[str, Any]:
    if not isinstance(json, Mapping):
        raise mismatch(shape.said, json)
    names = {field.name for field in shape.fields}
    if any(name not in names for name in json):
        raise unknown_fields(shape, json)  # before a field that is missing: that one may be misspelt
    return {field.name: _field(field, json.get(field.name, MISSING)) for field in shape.fields}


def _field(field: Field, json: Any) -> Any:
    try:
        if json is not MISSING:
            return from_json(field.shape, json)
        if field.default is MISSING:
            raise invalid(field.shape.said, "nothing: the field is missing and has no default")
    except Invalid as problem:
        problem.within(field.name)
        raise
    return default_value(field.shape, field.default)


def _array(shape: Array, json: Any) -> list[Any]:
    if not isinstance(json, list):
        raise mismatch(shape.said, json)
    items: list[Any] = []
    try:
        for item in json:
            items.append(from_json(shape.items, item))
    except Invalid as problem:
        problem.within(len(items))
        raise
    return items


def _map(shape: Map, json: Any) -> dict[str, Any]:
    if not isinstance(json, Mapping):
        raise mismatch(shape.said, json)
    entries: dict[str, Any] = {}
    try:
        for key, item in json.items():
            utf8(key)
            entries[key] = from_json(shape.values, item)
    except Invalid as problem:
        problem.within("*")
        raise
    return entries


def _union(shape: Union, json: Any) -> Any:
    if json is None:
        if shape.null is None:
            raise mismatch(shape.said, json)
        return None
    tagged = _tagged(shape, json)
    attempts = ([tagged] if tagged else []) + [
        (i, json) for i, branch in enumerate(shape.branches) if branch.label != "null"
    ]
    problems: list[Invalid] = []
    for index, content in attempts:
        try:
            return _held(shape, index, from_json(shape.branches[index], content))
        except Invalid as problem:
            problems.append(problem)
    raise _best(shape, problems, json)


def _tagged(shape: Union, json: Any) -> tuple[int, Any] | None:
    if isinstance(json, Mapping) and len(json) == 1:
        ((tag, content),) = json.items()
        for index, branch in enumerate(shape.branches):
            if branch.label == tag != "null":
                return index, content
    return None


def _held(shape: Union, index: int, value: Any) -> Any:
    """The value alone where that is enough to find its branch again, else with the branch's label."""
    return value if branch_of(shape, value) == index else (shape.branches[index].label, value)


def _best(shape: Union, problems: list[Invalid], json: Any) -> Invalid:
    """The branch that got furthest explains best; a lone branch is explained as if there were no union."""
    deepest = max(problems, key=lambda problem: problem.pointer.count("/"), default=None)
    if deepest is not None and (deepest.pointer or len(problems) == 1):
        return deepest
    return mismatch(shape.said, json)


def to_json(shape: Shape, value: Any) -> Any:
    """Plain JSON of a value that `encode` takes (the caller has made sure that it does)."""
    if isinstance(shape, Record):
        return {field.name: _field_to_json(field, value.get(field.name, MISSING)) for field in shape.fields}
    if isinstance(shape, Array):
        return [to_json(shape.items, item) for item in value]
    if isinstance(shape, Map):
        return {key: to_json(shape.values, item) for key, item in value.items()}
    if isinstance(shape, Union):
        return _union_to_json(shape, value)
    return scalar_to_json(shape, value)


def _field_to_json(field: Field, value: Any) -> Any:
    return to_json(field.shape, default_value(field.shape, field.default) if value is MISSING else value)


def _union_to_json(shape: Union, value: Any) -> Any:
    index = branch_of(shape, value)
    branch = shape.branches[index]
    json = to_json(branch, value[1] if isinstance(value, tuple) else value)
    if json is None or (len(shape.branches) == 2 and shape.null is not None and not isinstance(json, dict)):
        return json
    return json if branch_of(shape, _union(shape, json)) == index else {branch.label: json}
