"""What fastavro would bend is refused; what is written is canonical."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from hub.avro.codec import Invalid, encode
from hub.errors import Code
from tests.unit.avro.kinds import COLOUR, DATE, DIGEST, FIXED_MONEY, MILLIS, MONEY, SCORES, TAGS, of


def body(kind: Any, value: Any) -> str:
    return encode(of(kind), {"a": value}, b"").hex()


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", -1, "01"),
        ("double", 1, "000000000000f03f"),
        (DATE, date(2026, 1, 1), "ccbf02"),
        (DATE, 20454, "ccbf02"),
        (MILLIS, datetime(2023, 11, 15, 2, 13, 20, tzinfo=timezone(timedelta(hours=4))), "80a0abfef962"),
        (MILLIS, 1_700_000_000_000, "80a0abfef962"),
        (MONEY, Decimal("-1.28"), "0280"),
        (MONEY, Decimal("120.000"), "042ee0"),
        (MONEY, 120, "042ee0"),
        (MONEY, Decimal("0E+999999"), "0200"),
        (FIXED_MONEY, Decimal("-0.01"), "ffffffff"),
        (TAGS, ("A", "B"), "040241024200"),
        (SCORES, {"B": 2, "A": 1}, "0402410202420400"),
        (["null", "int", "string"], "A", "040241"),
        (["float", "double"], 1.5, "02000000000000f83f"),
        (["float", "double"], ("float", 1.5), "000000c03f"),
        (["null", DATE], 20454, "02ccbf02"),
        ([COLOUR, "string"], "RED", "0000"),
        ([COLOUR, "string"], "A", "020241"),
    ],
)
def test_writes(kind: Any, value: Any, expected: str) -> None:
    assert body(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", True),
        ("int", 1.0),
        ("int", 1 << 31),
        ("long", 1.5),
        ("long", "1"),
        ("long", -(1 << 63) - 1),
        ("boolean", 1),
        ("double", True),
        ("double", float("nan")),
        ("double", (1 << 53) + 1),
        ("double", 10**400),
        ("float", 1e39),
        ("string", b"A"),
        ("string", "\ud800"),
        ("bytes", "A"),
        (COLOUR, "BLUE"),
        (COLOUR, 0),
        (DIGEST, b"ab"),
        (DATE, datetime(2026, 1, 1, tzinfo=UTC)),
        (DATE, "2026-01-01"),
        (DATE, 3_000_000),
        (MILLIS, datetime(2026, 1, 1)),
        (MILLIS, datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)),
        (MILLIS, date(2026, 1, 1)),
        (MONEY, Decimal("1.005")),
        (MONEY, Decimal(1000)),
        (MONEY, Decimal("1E+999999")),
        (MONEY, Decimal("NaN")),
        (MONEY, 1.5),
        (TAGS, "AB"),
        (TAGS, ["A", 1]),
        (SCORES, {1: 1}),
        (SCORES, [("A", 1)]),
        (["null", "string"], 1),
        (["null", "string"], ("int", 1)),
        (["null", "string"], ("string", 1, 2)),
    ],
)
def test_refuses(kind: Any, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        body(kind, value)
    assert caught.value.code is Code.BODY_INVALID
    assert caught.value.pointer.startswith("/a")
    assert caught.value.__context__ is None


def with_default(default: Any, kind: Any = "string") -> dict[str, Any]:
    return {"type": "record", "name": "T", "fields": [{"name": "a", "type": kind, "default": default}]}


@pytest.mark.parametrize(
    ("kind", "default", "expected"),
    [
        ("string", "A", "0241"),
        (["null", "string"], None, "00"),
        (DATE, 20454, "ccbf02"),
        ("bytes", "\u00ff", "02ff"),
        (MONEY, "\u0080", "0280"),
        (TAGS, ["A"], "02024100"),
    ],
)
def test_absent_field_takes_its_default(kind: Any, default: Any, expected: str) -> None:
    assert encode(with_default(default, kind), {}, b"").hex() == expected


def test_missing_without_default() -> None:
    with pytest.raises(Invalid, match="/b: expected a value, found nothing"):
        encode(of("string", "string"), {"a": "A"}, b"")


def test_unknown_field_is_not_quoted_but_its_neighbour_is_named() -> None:
    schema = {"type": "record", "name": "T", "fields": [{"name": "surname", "type": "string", "default": ""}]}
    with pytest.raises(Invalid) as caught:
        encode(schema, {"surnam": "Əliyev"}, b"")
    assert caught.value.found == "1 that it does not have, the first close to the name 'surname'"


def test_prefix_comes_first() -> None:
    assert encode(of("int"), {"a": 1}, b"\0\0\0\0\5") == b"\0\0\0\0\5\2"
