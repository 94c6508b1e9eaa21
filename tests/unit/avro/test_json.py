"""Plain JSON as agencies send it: what it stands for, and what is said when it is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from hub.avro.codec import Invalid, from_json, to_json
from tests.unit.avro.kinds import COLOUR, DATE, DIGEST, FIXED_MONEY, MILLIS, MONEY, SCORES, TAGS, of

RANK = {"type": "record", "name": "Rank", "namespace": "az", "fields": [{"name": "title", "type": "string"}]}
RANK_OR_TEXTS = ["null", RANK, {"type": "map", "values": "string"}]


@pytest.mark.parametrize(
    ("kind", "json", "value"),
    [
        ("long", 5, 5),
        ("double", 5, 5.0),
        ("bytes", "AP8=", b"\0\xff"),
        (DIGEST, "YWJj", b"abc"),
        (DATE, "2026-11-22", date(2026, 11, 22)),
        (MILLIS, "2026-11-22T09:30:00.125Z", datetime(2026, 11, 22, 9, 30, 0, 125000, UTC)),
        (MILLIS, "2026-11-22T13:30:00+04:00", datetime(2026, 11, 22, 9, 30, 0, 0, UTC)),
        (MILLIS, "2026-11-22T09:30:00.125000000Z", datetime(2026, 11, 22, 9, 30, 0, 125000, UTC)),
        (MONEY, "120.5", Decimal("120.50")),
        (MONEY, 120, Decimal("120.00")),
        (MONEY, Decimal("0.5"), Decimal("0.50")),
        (FIXED_MONEY, "-0.01", Decimal("-0.01")),
        (["null", "string"], None, None),
        (["null", "string"], "A", "A"),
        (["null", "string"], {"string": "A"}, "A"),
        (["null", "long", "double"], 5, 5),
        (["null", "long", "double"], 5.5, 5.5),
        (["null", "long", "double"], {"double": 5}, 5.0),
        (RANK_OR_TEXTS, {"az.Rank": {"title": "A"}}, {"title": "A"}),
        (RANK_OR_TEXTS, {"map": {"title": "A"}}, ("map", {"title": "A"})),
        (RANK_OR_TEXTS, {"other": "A"}, {"other": "A"}),
    ],
)
def test_stands_for(kind: Any, json: Any, value: Any) -> None:
    found = from_json(of(kind), {"a": json})["a"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "value", "json"),
    [
        (DATE, date(33, 4, 3), "0033-04-03"),
        (MILLIS, datetime(2026, 11, 22, 9, 30, tzinfo=UTC), "2026-11-22T09:30:00.000Z"),
        (MONEY, Decimal("120.5"), "120.50"),
        (MONEY, Decimal(0), "0.00"),
        (DIGEST, b"abc", "YWJj"),
        (["null", "string"], "A", "A"),
        ([DATE, "string"], "2026-11-22", {"string": "2026-11-22"}),
        (["null", {"type": "map", "values": "int"}], {"map": 1}, {"map": 1}),
        (["null", RANK], {"title": "A"}, {"title": "A"}),
        (RANK_OR_TEXTS, ("map", {"title": "A"}), {"map": {"title": "A"}}),
    ],
)
def test_is_written_as(kind: Any, value: Any, json: Any) -> None:
    assert to_json(of(kind), {"a": value}) == {"a": json}


@pytest.mark.parametrize(
    ("kind", "json", "expected"),
    [
        ("int", 5.0, "a 32-bit integer"),
        ("int", "5", "a 32-bit integer"),
        ("int", True, "a 32-bit integer"),
        ("int", 1 << 31, "a 32-bit integer"),
        ("double", "5", "a finite number"),
        ("double", float("inf"), "a finite number"),
        ("string", 5, "a string"),
        ("string", "\udcff", "a string of Unicode characters"),
        ("boolean", "true", "a boolean"),
        (COLOUR, "red", "one of RED, GREEN"),
        ("bytes", "AP8", "bytes in base64"),
        ("bytes", "ə", "bytes in base64"),
        (DIGEST, "YWI=", "exactly 3 bytes in base64"),
        (DATE, "22.11.2026", 'a date, as in "2026-11-22"'),
        (DATE, "20261122", 'a date, as in "2026-11-22"'),
        (DATE, "2026-02-30", 'a date, as in "2026-11-22"'),
        (MILLIS, "2026-11-22T09:30:00", 'a timestamp with its offset, as in "2026-11-22T09:30:00.125Z"'),
        (MILLIS, "2026-11-22T09:30:61Z", 'a timestamp with its offset, as in "2026-11-22T09:30:00.125Z"'),
        (MILLIS, "2026-11-22T09:30:00.1234Z", "a timestamp in whole milliseconds"),
        (MILLIS, "0001-01-01T00:00:00+04:00", "a timestamp within the years 1 to 9999 in UTC"),
        (MONEY, "1,5", 'a decimal of at most 5 digits, 2 of them after the point, as in "120.50"'),
        (MONEY, "9" * 5000, 'a decimal of at most 5 digits, 2 of them after the point, as in "120.50"'),
        (MONEY, "1.005", "a decimal of at most 5 digits, 2 of them after the point"),
        (MONEY, 1.5, 'a decimal of at most 5 digits, 2 of them after the point, as in "120.50"'),
        (TAGS, "A", "an array"),
        (["null", "int"], "5", "a 32-bit integer"),
        (["int", "string"], None, "a 32-bit integer or a string"),
        (["null", "int", "string"], 5.5, "null or a 32-bit integer or a string"),
    ],
)
def test_is_refused(kind: Any, json: Any, expected: str) -> None:
    with pytest.raises(Invalid) as caught:
        from_json(of(kind), {"a": json})
    assert caught.value.expected == expected
    assert caught.value.pointer == "/a"
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("json", "pointer", "said"),
    [
        ({}, "/a", "missing"),
        ({"a": [], "b": {}, "tag": 1}, "", "does not have"),
        ({"a": ["A", 5], "b": {}}, "/a/1", "an integer"),
        ({"a": [], "b": {"5ABC123": "x"}}, "/b/*", "a string of 1 characters"),
        ([], "", "an array of 0 items"),
    ],
)
def test_points_at_the_place(json: Any, pointer: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        from_json(of(TAGS, SCORES), json)
    assert caught.value.pointer == pointer
    assert said in caught.value.found
    assert "5ABC123" not in str(caught.value)


def test_the_branch_that_got_furthest_explains() -> None:
    with pytest.raises(Invalid) as caught:
        from_json(of(["null", "string", RANK]), {"a": {"title": 5}})
    assert (caught.value.pointer, caught.value.expected) == ("/a/title", "a string")


def test_defaults_are_filled_in() -> None:
    schema = of("string", ["null", DATE])
    schema["fields"][0]["default"] = "A"
    schema["fields"][1]["default"] = None
    assert from_json(schema, {}) == {"a": "A", "b": None}
