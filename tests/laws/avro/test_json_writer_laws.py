"""What the generated writer of plain JSON writes, the careful way writes too; what it does not take is left to that."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import catalogue, rules

from hub.avro.codec import encode, from_json
from hub.avro.invalid import Invalid
from hub.avro.json_writer import Unusual, compile_json_writer
from hub.handbook.example import example

TYPES = sorted(catalogue().types)
HEADER = b"\0\0\0\0\7"
READERS = {reader.type.name: reader for reader in rules().gate_readers.values() if not reader.older}
WRITERS = {name: compile_json_writer(catalogue().types[name].schema, HEADER, READERS[name].wants) for name in TYPES}
EXAMPLES = {name: example(catalogue(), catalogue().types[name])["data"] for name in TYPES}
ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["2026-11-22", "2026-02-30", "12.50", "2026-11-22T09:30:00.125Z", "YQ==", "WAR", "\ud800", 1 << 63]
    ),
    st.lists(st.none() | st.text(max_size=3) | st.integers(), max_size=3),
    st.dictionaries(
        st.sampled_from(["string", "int", "null", "fin", "k"]), st.none() | st.text(max_size=3), max_size=2
    ),
)


def carefully(name: str, data: Any) -> bytes | None:
    schema = catalogue().types[name].schema
    try:
        return encode(schema, from_json(schema, data), HEADER)
    except Invalid:
        return None


def quickly(name: str, data: Any) -> bytes | None:
    """What is written; beside it stands what the gate's scanner reads in that, or nothing."""
    try:
        written, values = WRITERS[name](data)
    except Unusual:
        return None
    if values is not None:
        canonical, *read = READERS[name].scanner.scan(written)
        assert canonical and [*map(repr, values)] == [*map(repr, read)]
    return written


def test_most_types_need_no_scan() -> None:
    assert sum(WRITERS[name](EXAMPLES[name])[1] is not None for name in TYPES) > len(TYPES) / 2


@pytest.mark.parametrize("name", TYPES)
def test_an_ordinary_event_goes_the_quick_way(name: str) -> None:
    data = EXAMPLES[name]
    assert quickly(name, data) == carefully(name, data) is not None


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    data = copy.deepcopy(data)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(TYPES), data=st.data())
def test_what_it_writes_the_careful_way_writes_too(name: str, data: st.DataObject) -> None:
    body = EXAMPLES[name]
    for _ in range(data.draw(st.integers(0, 2))):
        path = data.draw(st.sampled_from(places(body)))
        body = put(body, path, data.draw(ODD))
    written = quickly(name, body)
    assert written is None or written == carefully(name, body)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(TYPES), data=st.data())
def test_a_field_that_is_missing_or_unknown_is_for_the_careful_way(name: str, data: st.DataObject) -> None:
    body = dict(EXAMPLES[name])
    if data.draw(st.booleans()):
        del body[data.draw(st.sampled_from(sorted(body)))]
    else:
        body["another"] = None
    assert quickly(name, body) is None


def test_what_is_unusual_is_not_quoted() -> None:
    body = EXAMPLES["az.zefer.veteran.VeteranStatusGranted"] | {"category": "CANARY"}
    with pytest.raises(Unusual) as told:
        WRITERS["az.zefer.veteran.VeteranStatusGranted"](body)
    assert "CANARY" not in json.dumps(repr(told.value)) and told.value.__context__ is None
