"""A scanner never takes what the careful path refuses, agrees with it on the rest, and takes every canonical body."""

from __future__ import annotations

import random
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.avro.careful import reader_of
from hub.avro.codec import Invalid, codec_of, encode
from hub.avro.cursor import Cursor
from hub.avro.logical import days_of, millis_of
from hub.avro.scanner import MASK, ProjectionPlan, Refused, Scanner, compile_scanner
from hub.avro.scanner_source import raw_want
from hub.avro.shape import Enum, Field, Record, Shape, Union
from hub.avro.union import candidates_of
from hub.avro.writer import writer_of
from tests.laws.avro.strategies import event_schemas, examples, hub_schemas, mutant, schemas, spread, values

HEADER = b"\0\0\0\0\7"
SCHEMAS = event_schemas() | hub_schemas()
luck = st.integers(0, 2**32).map(random.Random)


class Case:
    """A schema with a random choice of wanted fields and projections, compiled."""

    def __init__(self, schema: Any, luck: random.Random) -> None:
        self.schema = schema
        shape = codec_of(schema).shape
        assert isinstance(shape, Record)
        self.fields = {f.name: f for f in shape.fields}
        self.wants = [name for name in self.fields if luck.random() < 0.4]
        self.plans = [self.plan(bytes([0, 0, 0, 1, i]), luck) for i in range(luck.randrange(4))]
        self.scanner: Scanner = compile_scanner(schema, self.wants, self.plans)

    def plan(self, header: bytes, luck: random.Random) -> ProjectionPlan:
        fates = {name: luck.choice(("clear", "clear", "masked", "absent")) for name in self.fields}
        clear = {name for name, fate in fates.items() if fate == "clear"}
        masked = {n for n, fate in fates.items() if fate == "masked" and maskable(self.fields[n].shape)}
        return ProjectionPlan(header, frozenset(clear), frozenset(masked))

    def check(self, data: bytes) -> bool:
        """Whether the scanner accepts; whatever it says is compared with the careful path."""
        try:
            canonical, *results = self.scanner.scan(data)
        except Refused:
            return False
        value, cursor = codec_of(self.schema)._walk(data, 5)
        assert canonical == cursor.canonical
        wanted, bodies = results[: len(self.wants)], results[len(self.wants) :]
        expected = [self.expected(name, value[name]) for name in self.wants]
        assert list(map(repr, wanted)) == list(map(repr, expected))
        for plan, body in zip(self.plans, bodies, strict=True):
            self.check_projection(plan, body, value, canonical)
        return True

    def expected(self, name: str, value: Any) -> Any:
        return raw(value) if raw_want(self.fields[name].shape) else value

    def check_projection(self, plan: ProjectionPlan, body: bytes, value: Any, canonical: bool) -> None:
        shape = projected(self.fields, plan)
        expected = {n: mask(f.shape) if n in plan.masked else value[n] for n, f in self.kept(plan)}
        cursor = Cursor(body, 5)
        assert reader_of(shape)(cursor) == expected and cursor.at == cursor.end
        out = bytearray(plan.header)
        writer_of(shape)(expected, out)
        assert body == bytes(out) or not canonical

    def kept(self, plan: ProjectionPlan) -> list[tuple[str, Field]]:
        return [(n, f) for n, f in self.fields.items() if n in plan.clear | plan.masked]


def projected(fields: dict[str, Field], plan: ProjectionPlan) -> Record:
    kept = tuple(f for name, f in fields.items() if name in plan.clear | plan.masked)
    return Record("View", "an object", 0, kept)


def maskable(shape: Shape) -> bool:
    nullable = isinstance(shape, Union) and shape.null is not None
    return nullable or (shape.label == "string" and not isinstance(shape, Enum))


def mask(shape: Shape) -> Any:
    return None if isinstance(shape, Union) else MASK


def raw(value: Any) -> Any:
    if isinstance(value, datetime):
        return millis_of(value)
    return days_of(value) if isinstance(value, date) else value


def careful_accepts(schema: Any, data: bytes) -> bool:
    try:
        codec_of(schema).decode(data)
    except Invalid:
        return False
    return True


@pytest.mark.parametrize("name", SCHEMAS)
def test_scanner_and_careful_path_agree(name: str) -> None:
    """Over the catalogue the two accept exactly the same bytes: no type of ours has a shadowed branch."""
    schema = SCHEMAS[name]

    @examples(6)
    @given(values(schema), luck)
    def law(value: Any, luck: random.Random) -> None:
        case, data = Case(schema, luck), encode(schema, value, HEADER)
        assert case.check(data)
        assert case.check(HEADER + spread(codec_of(schema).shape, value, luck))
        for _ in range(25):
            wounded = mutant(data, luck)
            assert case.check(wounded) == careful_accepts(schema, wounded)

    law()


@examples(80)
@given(st.data(), luck)
def test_any_schema(data: st.DataObject, luck: random.Random) -> None:
    schema = data.draw(schemas())
    value = data.draw(values(schema))
    case, shape = Case(schema, luck), codec_of(schema).shape
    body = encode(schema, value, HEADER)
    other = HEADER + spread(shape, value, luck)
    certain = not has_shadows(shape)
    assert case.check(body) or not certain
    assert case.check(other) or not certain
    for _ in range(15):
        wounded = mutant(luck.choice((body, other)), luck)
        assert case.check(wounded) == careful_accepts(schema, wounded) or not certain


def has_shadows(shape: Shape) -> bool:
    if isinstance(shape, Union):
        return bool(candidates_of(shape).shadowed) or any(map(has_shadows, shape.branches))
    if isinstance(shape, Record):
        return any(has_shadows(f.shape) for f in shape.fields)
    inner = getattr(shape, "items", None) or getattr(shape, "values", None)
    return inner is not None and has_shadows(inner)


@examples(200)
@given(st.sampled_from(sorted(SCHEMAS)), st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_refused(name: str, body: bytes) -> None:
    scanner = SCANNERS.setdefault(name, compile_scanner(SCHEMAS[name], [], []))
    try:
        scanner.scan(HEADER + body)
    except Refused as refused:
        assert refused.__context__ is None
    else:
        assert careful_accepts(SCHEMAS[name], HEADER + body)


SCANNERS: dict[str, Scanner] = {}
