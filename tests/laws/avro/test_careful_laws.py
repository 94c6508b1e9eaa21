"""The careful path agrees with fastavro on what both take, takes every valid encoding, and never quotes a value."""

from __future__ import annotations

import io
import random
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.avro.codec import Invalid, canonical, codec_of, decode, encode, from_json, to_json
from tests.laws.avro.strategies import event_schemas, examples, hub_schemas, mutant, schemas, spread, values

HEADER = b"\0\0\0\0\7"
SCHEMAS = event_schemas() | hub_schemas()
luck = st.integers(0, 2**32).map(random.Random)


_parsed: dict[int, tuple[Any, Any]] = {}


def parsed(schema: Any) -> Any:
    """Parsed once; the schema is kept, so that its identity stays its own."""
    if id(schema) not in _parsed:
        _parsed[id(schema)] = (schema, fastavro.parse_schema(schema))
    return _parsed[id(schema)][1]


def by_fastavro(schema: Any, data: bytes) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(data[5:]), parsed(schema), None)


def written_by_fastavro(schema: Any, value: Any) -> bytes:
    out = io.BytesIO(HEADER)
    out.seek(5)
    fastavro.schemaless_writer(out, parsed(schema), value)
    return out.getvalue()


def check_agreement(schema: Any, value: Any, luck: random.Random) -> None:
    data = encode(schema, value, HEADER)
    assert decode(schema, data) == value == by_fastavro(schema, data)
    assert canonical(schema, data)
    assert decode(schema, written_by_fastavro(schema, value)) == value
    other = HEADER + spread(codec_of(schema).shape, value, luck)
    assert decode(schema, other) == value == by_fastavro(schema, other)
    assert canonical(schema, other) == (other == data)


@pytest.mark.parametrize("name", SCHEMAS)
def test_events_are_read_and_written_as_fastavro_does(name: str) -> None:
    schema = SCHEMAS[name]

    @examples(6)
    @given(values(schema), luck)
    def law(value: Any, luck: random.Random) -> None:
        check_agreement(schema, value, luck)

    law()


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_accepted_of_mutants_reads_the_same_in_fastavro(name: str) -> None:
    schema = SCHEMAS[name]

    @examples(6)
    @given(values(schema), luck)
    def law(value: Any, luck: random.Random) -> None:
        data = encode(schema, value, HEADER)
        for _ in range(20):
            check_mutant(schema, mutant(data, luck))

    law()


def check_mutant(schema: Any, data: bytes) -> None:
    try:
        value = decode(schema, data)
    except Invalid:
        return
    assert value == by_fastavro(schema, data)
    assert canonical(schema, data) == (encode(schema, value, HEADER) == data)


@examples(60)
@given(st.data(), luck)
def test_any_schema(data: st.DataObject, luck: random.Random) -> None:
    schema = data.draw(schemas())
    value = data.draw(values(schema))
    body = encode(schema, value, HEADER)
    assert same(decode(schema, body), value)
    assert canonical(schema, body)
    other = HEADER + spread(codec_of(schema).shape, value, luck)
    assert same(decode(schema, other), by_fastavro(schema, other))
    assert same(decode(schema, other), value)
    for _ in range(10):
        check_mutant(schema, mutant(body, luck))


def same(one: Any, two: Any) -> bool:
    """Equal, and of the same types (True is not 1, 1.0 is not 1)."""
    return repr(one) == repr(two) or bool(one == two)


@pytest.mark.parametrize("name", SCHEMAS)
def test_json_there_and_back(name: str) -> None:
    schema = SCHEMAS[name]

    @examples(6)
    @given(values(schema))
    def law(value: Any) -> None:
        assert from_json(schema, to_json(schema, value)) == value

    law()


@examples(50)
@given(st.data())
def test_json_there_and_back_for_any_schema(data: st.DataObject) -> None:
    """A value in a shadowed branch may come back as (label, value): the bytes are what must not change."""
    schema = data.draw(schemas())
    value = data.draw(values(schema))
    assert encode(schema, from_json(schema, to_json(schema, value)), b"") == encode(schema, value, b"")


@examples(200)
@given(st.sampled_from(sorted(SCHEMAS)), st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_invalid(name: str, body: bytes) -> None:
    try:
        decode(SCHEMAS[name], HEADER + body)
    except Invalid as problem:
        assert problem.expected and problem.found and problem.__cause__ is None and problem.__context__ is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@examples(50)
@given(st.data())
def test_wrong_json_is_explained_without_its_values(data: st.DataObject) -> None:
    """One field of a valid event replaced by anything: accepted, or refused naming that field and not its value."""
    schema = SCHEMAS[data.draw(st.sampled_from(sorted(SCHEMAS)))]
    good = to_json(schema, data.draw(values(schema)))
    field = data.draw(st.sampled_from(sorted(good)))
    secret = "QQ" + "".join(data.draw(st.lists(st.sampled_from("XYZW"), min_size=6, max_size=9)))
    wrong = data.draw(JSON | st.just(secret) | st.just({secret: secret}) | st.just([secret]))
    try:
        encode(schema, from_json(schema, good | {field: wrong}), HEADER)
    except Invalid as problem:
        assert problem.pointer.startswith(f"/{field}")
        assert secret not in str(problem) and problem.__context__ is None
