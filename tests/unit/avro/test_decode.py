"""One case for each way a body can be wrong, and for each valid way it can be written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from hub.avro.codec import Invalid, canonical, decode
from hub.avro.scanner import Refused, compile_scanner
from hub.errors import Code
from tests.unit.avro.kinds import COLOUR, DATE, DIGEST, FIXED_MONEY, HEADER, MILLIS, MONEY, SCORES, TAGS, of


def read(kind: Any, body: bytes) -> Any:
    return decode(of(kind), HEADER + body)["a"]


def problem(schema: Any, body: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        decode(schema, HEADER + body)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        ("null", "", None),
        ("boolean", "01", True),
        ("int", "ffffffff0f", -(1 << 31)),
        ("int", "feffffff0f", (1 << 31) - 1),
        ("long", "ffffffffffffffffff01", -(1 << 63)),
        ("float", "0000c03f", 1.5),
        ("double", "000000000000f8bf", -1.5),
        ("string", "04c999", "ə"),
        ("bytes", "0400ff", b"\0\xff"),
        (COLOUR, "02", "GREEN"),
        (DIGEST, "616263", b"abc"),
        (DATE, "ccbf02", date(2026, 1, 1)),
        (MILLIS, "80a0abfef962", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (MONEY, "042ee0", Decimal("120.00")),
        (MONEY, "0280", Decimal("-1.28")),
        (FIXED_MONEY, "00002ee0", Decimal("120.00")),
        (["null", "string"], "00", None),
        (["null", "string"], "020241", "A"),
        (TAGS, "00", []),
        (SCORES, "0202410200", {"A": 1}),
    ],
)
def test_reads(kind: Any, body: str, value: Any) -> None:
    found = read(kind, bytes.fromhex(body))
    assert found == value and type(found) is type(value)
    assert canonical(of(kind), HEADER + bytes.fromhex(body))
    assert compile_scanner(of(kind), [], []).scan(HEADER + bytes.fromhex(body)) == (True,)


@pytest.mark.parametrize(
    ("body", "is_canonical"),
    [
        pytest.param("04 0241 0242 00", True, id="one block, as most encoders write"),
        pytest.param("02 0241 02 0242 00", False, id="a block for each item"),
        pytest.param("03 08 0241 0242 00", False, id="count and size, as hamba for Go writes"),
        pytest.param("01 04 0241 02 0242 00", False, id="a block with a size, one without"),
    ],
)
def test_reads_arrays_in_any_blocks(body: str, is_canonical: bool) -> None:
    data = bytes.fromhex(body.replace(" ", ""))
    assert read(TAGS, data) == ["A", "B"]
    assert canonical(of(TAGS), HEADER + data) is is_canonical
    assert compile_scanner(of(TAGS), [], []).scan(HEADER + data) == (is_canonical,)


def test_maps_in_another_order_are_valid_but_not_canonical() -> None:
    ordered, other = bytes.fromhex("04 0241 02 0242 04 00"), bytes.fromhex("04 0242 04 0241 02 00")
    assert read(SCORES, ordered) == read(SCORES, other) == {"A": 1, "B": 2}
    assert canonical(of(SCORES), HEADER + ordered) and not canonical(of(SCORES), HEADER + other)


def test_padded_decimal_is_valid_but_not_canonical() -> None:
    data = HEADER + bytes.fromhex("04 0001")
    assert decode(of(MONEY), data) == {"a": Decimal("0.01")}
    assert not canonical(of(MONEY), data)


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        pytest.param("int", "", Code.BODY_TRUNCATED, id="nothing there"),
        pytest.param("int", "80", Code.BODY_TRUNCATED, id="half a number"),
        pytest.param("string", "0641", Code.BODY_TRUNCATED, id="string longer than the body"),
        pytest.param("string", "feffffffffffffffff01", Code.BODY_TRUNCATED, id="string of 2^63 bytes"),
        pytest.param("double", "00000000", Code.BODY_TRUNCATED, id="half a double"),
        pytest.param(DIGEST, "6162", Code.BODY_TRUNCATED, id="short fixed"),
        pytest.param(TAGS, "040241", Code.BODY_TRUNCATED, id="array without its end"),
        pytest.param("boolean", "0100", Code.BODY_TRAILING_BYTES, id="one byte more"),
        pytest.param("int", "8000", Code.BODY_OVERLONG, id="0 in two bytes"),
        pytest.param("long", "82808000", Code.BODY_OVERLONG, id="1 in four bytes"),
        pytest.param("long", "ff" * 11 + "00", Code.BODY_OVERLONG, id="a number without end"),
        pytest.param("string", "828000" + "41", Code.BODY_OVERLONG, id="a length with needless bytes"),
        pytest.param("int", "8080808010", Code.BODY_INVALID, id="33-bit int"),
        pytest.param("long", "ff" * 9 + "02", Code.BODY_INVALID, id="65-bit long"),
        pytest.param("boolean", "02", Code.BODY_INVALID, id="boolean 2"),
        pytest.param("string", "01", Code.BODY_INVALID, id="negative length"),
        pytest.param("string", "04c328", Code.BODY_INVALID, id="no UTF-8"),
        pytest.param("string", "06eda080", Code.BODY_INVALID, id="surrogate in UTF-8"),
        pytest.param("string", "04c080", Code.BODY_INVALID, id="overlong UTF-8"),
        pytest.param("bytes", "03", Code.BODY_INVALID, id="negative length of bytes"),
        pytest.param("float", "0000c07f", Code.BODY_INVALID, id="NaN"),
        pytest.param("double", "000000000000f0ff", Code.BODY_INVALID, id="minus infinity"),
        pytest.param(COLOUR, "04", Code.BODY_INVALID, id="enum index too large"),
        pytest.param(COLOUR, "01", Code.BODY_INVALID, id="negative enum index"),
        pytest.param(["null", "int"], "04", Code.BODY_INVALID, id="branch too large"),
        pytest.param(["null", "int"], "0102", Code.BODY_INVALID, id="negative branch"),
        pytest.param(DATE, "ffffffff0f", Code.BODY_INVALID, id="date before year 1"),
        pytest.param(MILLIS, "fe" + "ff" * 8 + "01", Code.BODY_INVALID, id="timestamp past year 9999"),
        pytest.param(MONEY, "00", Code.BODY_INVALID, id="decimal of no bytes"),
        pytest.param(MONEY, "080186a000", Code.BODY_INVALID, id="decimal of too many bytes"),
        pytest.param(MONEY, "060186a0", Code.BODY_INVALID, id="decimal of six digits"),
        pytest.param(FIXED_MONEY, "000186a0", Code.BODY_INVALID, id="fixed decimal of six digits"),
        pytest.param(SCORES, "040241020241040000", Code.BODY_INVALID, id="same key twice"),
        pytest.param(SCORES, "02024102020241040000", Code.BODY_INVALID, id="same key in two blocks"),
        pytest.param(TAGS, "0106024100", Code.BODY_INVALID, id="block size too large"),
        pytest.param(TAGS, "0102024100", Code.BODY_INVALID, id="block size too small"),
        pytest.param(TAGS, "0101024100", Code.BODY_INVALID, id="block size -1"),
        pytest.param(TAGS, "0105024100", Code.BODY_INVALID, id="block size -3, two bytes of items"),
    ],
)
def test_refuses(kind: Any, body: str, code: Code) -> None:
    found = problem(of(kind), bytes.fromhex(body))
    assert found.code is code
    assert found.pointer.startswith("/a") or code is Code.BODY_TRAILING_BYTES
    assert found.expected and found.found
    with pytest.raises(Refused):
        compile_scanner(of(kind), [], []).scan(HEADER + bytes.fromhex(body))


@pytest.mark.parametrize(
    ("branches", "shadowed", "first"),
    [
        (["int", "long"], "020a", "000a"),
        (["string", COLOUR], "0200", "0006524544"),
        (["float", "double"], "000000c03f", "02000000000000f83f"),
    ],
)
def test_shadowed_branches_are_valid_but_not_canonical(branches: Any, shadowed: str, first: str) -> None:
    """Two branches with one Python type: read from either, written to the first; no work for a scanner."""
    schema = of(branches)
    assert read(branches, bytes.fromhex(shadowed)) == read(branches, bytes.fromhex(first))
    assert not canonical(schema, HEADER + bytes.fromhex(shadowed))
    assert canonical(schema, HEADER + bytes.fromhex(first))
    scanner = compile_scanner(schema, [], [])
    assert scanner.scan(HEADER + bytes.fromhex(first)) == (True,)
    with pytest.raises(Refused):
        scanner.scan(HEADER + bytes.fromhex(shadowed))


@pytest.mark.parametrize(
    "count",
    ["feffffff0f", "feffffffffffffffff01", "ffffffffffffffffff01" + "00", "ffffffffffffffffff01" + "7e"],
)
@pytest.mark.parametrize("items", ["string", "double", DIGEST])
def test_counts_never_run_ahead_of_the_bytes(count: str, items: Any) -> None:
    schema = of({"type": "array", "items": items})
    assert problem(schema, bytes.fromhex(count) + b"\0" * 40).code is Code.BODY_TRUNCATED


def test_a_huge_decimal_costs_nothing() -> None:
    body = bytes.fromhex("80ea30") + b"\x7f" * 400_000
    assert problem(of(MONEY), body).found == "400000 bytes"


def test_pointer_names_the_place_in_nested_types() -> None:
    person = {"type": "record", "name": "P", "fields": [{"name": "fin", "type": "string"}]}
    schema = of("string", {"type": "array", "items": ["null", person]})
    assert problem(schema, bytes.fromhex("0006000202410206c3288000")).pointer == "/b/2/fin"


def test_keys_of_maps_stay_out_of_the_message() -> None:
    secret = b"5ABC123"
    found = problem(of(SCORES), b"\x02\x0e" + secret + b"\x80\x00\x00")
    assert found.pointer == "/a/*"
    assert secret.decode() not in str(found)


def test_message_says_place_expected_and_found() -> None:
    found = problem(of(COLOUR), b"\x06")
    assert str(found) == "/a: expected one of RED, GREEN, found index 3 of 2"


def test_value_shorter_than_its_header() -> None:
    with pytest.raises(Invalid) as caught:
        decode(of("null"), b"\0\0")
    assert caught.value.code is Code.BODY_TRUNCATED
