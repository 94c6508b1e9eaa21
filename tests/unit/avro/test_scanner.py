"""What scanners take, give and cut; `tests/laws/avro` holds them to the careful path."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from hub.avro.codec import decode, encode
from hub.avro.scanner import ProjectionPlan, Refused, compile_scanner
from tests.unit.avro.kinds import COLOUR, DATE, DIGEST, HEADER, MILLIS, MONEY, SCORES, TAGS, of


def scan(kind: Any, body: str) -> Any:
    """Value of the wanted field `a`."""
    return compile_scanner(of(kind), ["a"], []).scan(HEADER + bytes.fromhex(body))[1]


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        ("string", "0241", "A"),
        ("string", "8001" + "41" * 64, "A" * 64),
        ("string", "fe7f" + "41" * 8191, "A" * 8191),
        ("int", "ffffffff0f", -(1 << 31)),
        ("long", "8001", 64),
        ("boolean", "01", True),
        (COLOUR, "02", "GREEN"),
        (DATE, "ccbf02", 20454),
        (DATE, "00", 0),
        (MILLIS, "80a0abfef962", 1_700_000_000_000),
        (MONEY, "042ee0", Decimal("120.00")),
        (["null", DATE], "00", None),
        (["null", DATE], "02ccbf02", 20454),
        (["string", "null"], "02", None),
        (["null", "string", "long"], "0402", 1),
        (["null", MONEY], "02042ee0", Decimal("120.00")),
        (["null", DATE, "double"], "02ccbf02", date(2026, 1, 1)),
        (TAGS, "02024102024200", ["A", "B"]),
        ("null", "", None),
    ],
)
def test_wanted_values_are_raw(kind: Any, body: str, value: Any) -> None:
    found = scan(kind, body)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("types", "body"),
    [
        pytest.param(["int"], "8080808010", id="33-bit int"),
        pytest.param(["int"], "8000", id="needless bytes"),
        pytest.param(["string", "string"], "02c3029f", id="one character over two strings"),
        pytest.param(["string", TAGS], "02c3029f00", id="one character over a string and an array's count"),
        pytest.param([TAGS], "0402c3029f00", id="one character over two items"),
        pytest.param(["string", "string"], "02c3" + "8001" + "41" * 64, id="one character over a long length"),
        pytest.param(["string", ["null", "string"]], "02c300", id="a character cut off before null"),
        pytest.param(["string"], "0441", id="truncated"),
        pytest.param(["string"], "024141", id="bytes left over"),
        pytest.param([{"type": "array", "items": "double"}], "feffffff0f", id="billions of doubles"),
        pytest.param([{"type": "array", "items": "double"}], "7e" + "00" * 16, id="more doubles than bytes"),
        pytest.param([{"type": "array", "items": DIGEST}], "feffffff0f", id="billions of fixed"),
        pytest.param([SCORES], "0402410202410200", id="same key twice"),
        pytest.param(["string"], "ff" * 2000, id="a length without end"),
    ],
)
def test_refuses(types: list[Any], body: str) -> None:
    with pytest.raises(Refused) as caught:
        compile_scanner(of(*types), [], []).scan(HEADER + bytes.fromhex(body))
    assert caught.value.__context__ is None


EVENT = of("string", COLOUR, ["null", "string"], TAGS, "string")
VALUE = {"a": "5ABC123", "b": "GREEN", "c": "Əli", "d": ["x", "y"], "e": "Şuşa"}


def project(clear: str, masked: str, data: bytes) -> bytes:
    plan = ProjectionPlan(b"\0\0\0\0\7", frozenset(clear), frozenset(masked))
    result: bytes = compile_scanner(EVENT, [], [plan]).scan(data)[1]
    return result


@pytest.mark.parametrize(
    ("clear", "masked", "types", "expected"),
    [
        ("abcde", "", "abcde", VALUE),
        ("abe", "", "abe", {"a": "5ABC123", "b": "GREEN", "e": "Şuşa"}),
        ("bd", "ac", "abcd", {"a": "***", "b": "GREEN", "c": None, "d": ["x", "y"]}),
        ("", "ace", "ace", {"a": "***", "c": None, "e": "***"}),
        ("", "", "", {}),
    ],
)
def test_projection_is_what_encoding_the_fields_would_give(
    clear: str, masked: str, types: str, expected: dict[str, Any]
) -> None:
    view = {**EVENT, "fields": [field for field in EVENT["fields"] if field["name"] in types]}
    data = encode(EVENT, VALUE, HEADER)
    assert project(clear, masked, data) == encode(view, expected, b"\0\0\0\0\7")


def test_projection_of_blocks_keeps_them() -> None:
    data = encode(EVENT, VALUE, HEADER).replace(b"\4\2x\2y\0", b"\3\x08\2x\2y\0")
    assert data != encode(EVENT, VALUE, HEADER)
    scanner = compile_scanner(EVENT, [], [ProjectionPlan(b"\0\0\0\0\7", frozenset("d"))])
    canonical, body = scanner.scan(data)
    assert not canonical
    assert decode(of("null", "null", "null", TAGS) | {"fields": [EVENT["fields"][3]]}, body) == {"d": ["x", "y"]}


@pytest.mark.parametrize(
    "plan",
    [
        ProjectionPlan(b"\0\0\0\0\7", frozenset("z")),
        ProjectionPlan(b"\0\0\0\0\7", frozenset("a"), frozenset("a")),
        ProjectionPlan(b"\0\0\0\0\7", frozenset(), frozenset("b")),
        ProjectionPlan(b"\0\0\0\0\7", frozenset(), frozenset("d")),
        ProjectionPlan(b"", frozenset("a")),
    ],
)
def test_plans_that_do_not_fit(plan: ProjectionPlan) -> None:
    with pytest.raises(ValueError, match=r"projection|masked"):
        compile_scanner(EVENT, [], [plan])


def test_source_is_for_reading() -> None:
    source = compile_scanner(EVENT, ["a"], []).source
    assert '"""T: (canonical, wanted values, projections), or Refused."""' in source
    assert "# 3 d: array" in source
