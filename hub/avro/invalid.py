"""What is wrong with a body or a value, said without quoting it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hub.errors import Code


class Invalid(ValueError):
    """A body or value that does not fit its schema.

    `pointer` is a JSON pointer ("" = the whole; the entry of a map is `*`, because keys may be personal),
    `expected` and `found` are English texts of kinds, lengths, offsets and schema words: never a value.
    """

    def __init__(self, code: Code, expected: str, found: str, pointer: str = "") -> None:
        super().__init__()
        self.code = code
        self.expected = expected
        self.found = found
        self.pointer = pointer

    def within(self, token: str | int) -> None:
        """Prefix the pointer by one step, while the error climbs out of a record, array or map."""
        self.pointer = f"/{token}{self.pointer}"

    def __str__(self) -> str:
        return f"{self.pointer or 'the body'}: expected {self.expected}, found {self.found}"


def invalid(expected: str, found: str) -> Invalid:
    """The common case: `BODY_INVALID`, pointer filled in on the way out."""
    return Invalid(Code.BODY_INVALID, expected, found)


def mismatch(expected: str, value: object) -> Invalid:
    """A Python or JSON value of the wrong kind."""
    return invalid(expected, kind_of(value))


def kind_of(value: Any) -> str:
    """Name the kind (and length) of a value, never the value."""
    if value is None:
        return "null"
    if isinstance(value, (str, bytes, bytearray, list, tuple, dict)):
        return _sized(value)
    for kind, said in _KINDS:
        if isinstance(value, kind):
            return said
    return f"a {type(value).__name__}"


def _sized(value: Any) -> str:
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return f"an object of {len(value)} members"
    return f"an array of {len(value)} items"


# the order matters: bool is an int, datetime is a date
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a floating-point number"),
    (Decimal, "a decimal"),
    (datetime, "a timestamp"),
    (date, "a date"),
)
