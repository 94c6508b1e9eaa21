"""What to generate for Avro laws: values of a schema, other valid encodings of them, broken bytes, whole schemas.

`values(schema)` is for any test that needs events: it honours the catalogue's constraints (pattern, minimum,
maximum, maxLength, `catalogue` where its codes are given), so that what it gives passes the gate's checks too.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from hub.avro.codec import codec_of
from hub.avro.logical import decimal_of
from hub.avro.scalar import INT, LONG, put_number, utf8
from hub.avro.shape import Array, Date, Decimal, Enum, Fixed, Map, Record, Shape, Timestamp, Union
from hub.avro.writer import branch_of, writer_of

SCHEMAS = Path(__file__).parents[3] / "schemas"
NAMES = ("Əli", "Məmmədova", "Şuşa", "İçərişəhər", "O'Nil", "Ad 1", "", "ğüöç" * 20, "A" * 63, "B" * 64, "🎖")


def event_schemas() -> dict[str, Any]:
    """Schema JSON of every event type, by full name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("events/*.avsc"))}


def hub_schemas() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("hub/*.avsc"))}


def examples(count: int) -> settings:
    """So many examples, times HUB_TEST_EFFORT for a long search."""
    return settings(max_examples=count * int(os.environ.get("HUB_TEST_EFFORT", "1")), deadline=None)


# ---- values


def values(schema: Any, codes: Mapping[str, Sequence[str]] | None = None) -> st.SearchStrategy[Any]:
    """Values as `decode` gives them; `codes` lists the codes of each catalogue ("agencies", "districts", ...)."""
    return _values(codec_of(schema).shape, _constraints(schema), codes or {})


def _constraints(schema: Any) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Field JSON by (record's simple name, field's name), at any depth."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    if isinstance(schema, list):
        for branch in schema:
            found |= _constraints(branch)
    elif isinstance(schema, Mapping):
        for field in schema.get("fields", ()):
            found[schema["name"].rpartition(".")[2], field["name"]] = field
            found |= _constraints(field["type"])
        for key in ("type", "items", "values"):
            found |= _constraints(schema.get(key))
    return found


def _values(shape: Shape, rules: Mapping[Any, Any], codes: Mapping[str, Any], rule: Any = None) -> Any:
    if isinstance(shape, Record):
        simple = shape.label.rpartition(".")[2]
        return st.fixed_dictionaries(
            {f.name: _values(f.shape, rules, codes, rules.get((simple, f.name))) for f in shape.fields}
        )
    if isinstance(shape, Union):
        return st.one_of([_values(branch, rules, codes, rule) for branch in shape.branches])
    if isinstance(shape, Array):
        return st.lists(_values(shape.items, rules, codes), max_size=4)
    if isinstance(shape, Map):
        return st.dictionaries(_texts(), _values(shape.values, rules, codes), max_size=4)
    return _scalars(shape, rule or {}, codes)


def _scalars(shape: Shape, rule: Mapping[str, Any], codes: Mapping[str, Any]) -> Any:
    if isinstance(shape, Date):
        return st.dates() | st.dates(date(1930, 1, 1), date(2040, 1, 1))
    if isinstance(shape, Timestamp):
        return (st.datetimes() | st.datetimes(datetime(2019, 1, 1), datetime(2030, 1, 1))).map(_whole_millis)
    if isinstance(shape, Decimal):
        return st.integers(1 - shape.limit, shape.limit - 1).map(lambda unscaled: decimal_of(unscaled, shape))
    if isinstance(shape, Enum):
        return st.sampled_from(shape.symbols)
    if isinstance(shape, Fixed):
        return st.binary(min_size=shape.size, max_size=shape.size)
    return _primitives(shape.label, rule, codes)


def _whole_millis(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)


def _primitives(kind: str, rule: Mapping[str, Any], codes: Mapping[str, Any]) -> Any:
    if kind in ("int", "long"):
        low, high = INT if kind == "int" else LONG
        low, high = rule.get("minimum", low), rule.get("maximum", high)
        near = st.integers(max(low, -70), min(high, 9000)) if low <= 9000 and high >= -70 else st.nothing()
        return st.integers(low, high) | near
    if kind in ("float", "double"):
        width = 32 if kind == "float" else 64
        bounds = {"min_value": rule.get("minimum"), "max_value": rule.get("maximum")}
        return st.floats(allow_nan=False, allow_infinity=False, width=width, **bounds)
    if kind == "string":
        return _strings(rule, codes)
    return {"null": st.none(), "boolean": st.booleans(), "bytes": st.binary(max_size=80)}[kind]


def _strings(rule: Mapping[str, Any], codes: Mapping[str, Any]) -> Any:
    if rule.get("catalogue") in codes:
        return st.sampled_from(sorted(codes[rule["catalogue"]]))
    if "pattern" in rule:
        return st.from_regex(rule["pattern"], fullmatch=True)
    return _texts(rule.get("maxLength", 200))


def _texts(longest: int = 200) -> Any:
    return st.text(max_size=min(longest, 12)) | st.sampled_from([name for name in NAMES if len(name) <= longest])


# ---- bytes


def spread(shape: Shape, value: Any, luck: random.Random) -> bytes:
    """A valid encoding as another encoder might write it: arrays and maps in blocks, some with byte sizes."""
    if isinstance(shape, Record):
        return b"".join(spread(f.shape, value[f.name], luck) for f in shape.fields)
    if isinstance(shape, Union):
        index = branch_of(shape, value)
        return number(index) + spread(shape.branches[index], value, luck)
    if isinstance(shape, Array):
        return _in_blocks([spread(shape.items, item, luck) for item in value], luck)
    if isinstance(shape, Map):
        entries = [(key, spread(shape.values, item, luck)) for key, item in value.items()]
        return _in_blocks([number(len(utf8(key))) + utf8(key) + item for key, item in entries], luck)
    out = bytearray()
    writer_of(shape)(value, out)
    return bytes(out)


def _in_blocks(items: list[bytes], luck: random.Random) -> bytes:
    out = b""
    while items:
        count = luck.randint(1, len(items))
        body, items = b"".join(items[:count]), items[count:]
        out += number(-count) + number(len(body)) + body if luck.random() < 0.5 else number(count) + body
    return out + b"\0"


def number(value: int) -> bytes:
    out = bytearray()
    put_number(value, out)
    return bytes(out)


def mutant(data: bytes, luck: random.Random) -> bytes:
    """One to three small wounds behind the wire header; often still valid, sometimes in another way."""
    body = bytearray(data[5:])
    for _ in range(luck.choice((1, 1, 1, 2, 3))):
        at = luck.randrange(len(body) + 1)
        wound = luck.randrange(6)
        if wound == 0:
            body[at : at + 1] = bytes([luck.randrange(256)])
        elif wound == 1 and at < len(body):
            body[at] ^= 1 << luck.randrange(8)
        elif wound == 2:
            body[at:at] = bytes([luck.choice((0, 1, 2, 127, 128, 129, 255, luck.randrange(256)))])
        elif wound == 3:
            del body[at : at + luck.choice((1, 1, 2, 5))]
        elif wound == 4:
            body[at : at + 1] = luck.choice((b"\x80\x00", b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\xc3"))
        else:
            del body[at:]
    return data[:5] + bytes(body)


# ---- schemas


@st.composite
def schemas(draw: st.DrawFn) -> Any:
    """Records over all allowed types, nested up to three deep, unions of any unlike branches."""
    maker = _SchemaMaker(draw)
    return maker.record(3)


class _SchemaMaker:
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.count = 0

    def name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def record(self, depth: int) -> Any:
        fields = [
            {"name": f"f{i}", "type": self.any(depth)} for i in range(self.draw(st.integers(1, 8 if depth > 2 else 3)))
        ]
        return {"type": "record", "name": self.name("R"), "fields": fields}

    def any(self, depth: int) -> Any:
        kinds = [self.primitive, self.primitive, self.named, self.logical]
        if depth:
            kinds += [self.array, self.map, self.union, self.union, self.record]
        return self.draw(st.sampled_from(kinds))(depth - 1)

    def primitive(self, depth: int) -> Any:
        kinds = ["string", "string", "string", "int", "long", "boolean", "bytes", "float", "double", "null"]
        return self.draw(st.sampled_from(kinds))

    def named(self, depth: int) -> Any:
        if self.draw(st.booleans()):
            return {"type": "fixed", "name": self.name("F"), "size": self.draw(st.integers(1, 20))}
        count = self.draw(st.sampled_from([1, 2, 3, 64, 65, 100]))
        return {"type": "enum", "name": self.name("E"), "symbols": [f"S{i}" for i in range(count)]}

    def logical(self, depth: int) -> Any:
        precision = self.draw(st.integers(1, 40))
        scale = self.draw(st.integers(0, precision))
        decimal = {"logicalType": "decimal", "precision": precision, "scale": scale}
        fixed = {"type": "fixed", "name": self.name("D"), "size": 20, **decimal}
        kinds: list[Any] = [{"type": "bytes", **decimal}, fixed]
        kinds += [{"type": "int", "logicalType": "date"}, {"type": "long", "logicalType": "timestamp-millis"}]
        return self.draw(st.sampled_from(kinds))

    def array(self, depth: int) -> Any:
        items = self.any(depth)
        return {"type": "array", "items": "string" if _weightless(items) else items}

    def map(self, depth: int) -> Any:
        return {"type": "map", "values": self.any(depth)}

    def union(self, depth: int) -> Any:
        branches: dict[str, Any] = {}
        if self.draw(st.booleans()):
            branches["null"] = "null"
        for _ in range(self.draw(st.integers(1, 3))):
            branch = self.any(depth)
            if not isinstance(branch, list):
                branches.setdefault(_label(branch), branch)
        order = list(branches.values()) or ["null", "string"]
        return order[::-1] if self.draw(st.booleans()) else order


def _label(schema: Any) -> str:
    if isinstance(schema, str):
        return schema
    label: str = schema.get("name") or schema["type"]
    return label


def _weightless(schema: Any) -> bool:
    if isinstance(schema, Mapping) and schema["type"] == "record":
        return all(_weightless(field["type"]) for field in schema["fields"])
    return bool(schema == "null")


__all__ = ["event_schemas", "examples", "hub_schemas", "mutant", "number", "schemas", "spread", "values"]
