"""Writers of scalars: each checks its Python value and appends its bytes, or raises Invalid.

What fastavro's writer bends is refused here: a bool or float for an integer, a datetime without a zone, a
decimal that would be rounded.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal as Number
from typing import Any

from hub.avro.invalid import invalid, mismatch
from hub.avro.logical import (
    FIRST_DAY,
    FIRST_MILLI,
    LAST_DAY,
    LAST_MILLI,
    days_of,
    millis_of,
    unscaled_bytes,
    unscaled_of,
)
from hub.avro.shape import Date, Decimal, Enum, Fixed, Shape, Timestamp

Writer = Callable[[Any, bytearray], None]

INT = (-(1 << 31), (1 << 31) - 1)
LONG = (-(1 << 63), (1 << 63) - 1)


def scalar_writer(shape: Shape) -> Writer:
    """The writer of a type that holds no other type."""
    if isinstance(shape, Date):
        return _date(shape)
    if isinstance(shape, Timestamp):
        return _timestamp(shape)
    if isinstance(shape, Decimal):
        return _decimal(shape)
    if isinstance(shape, Enum):
        return _enum(shape)
    if isinstance(shape, Fixed):
        return _fixed(shape)
    return _PRIMITIVES[shape.label](shape)


def put_number(number: int, out: bytearray) -> None:
    """A zigzag varint of a number already known to have at most 64 bits."""
    coded = number << 1 if number >= 0 else ~(number << 1)
    while coded > 127:
        out.append(coded & 127 | 128)
        coded >>= 7
    out.append(coded)


def _null(shape: Shape) -> Writer:
    def write(value: Any, out: bytearray) -> None:
        if value is not None:
            raise mismatch(shape.said, value)

    return write


def _boolean(shape: Shape) -> Writer:
    def write(value: Any, out: bytearray) -> None:
        if value is not True and value is not False:
            raise mismatch(shape.said, value)
        out.append(value)

    return write


def _integer(shape: Shape) -> Writer:
    low, high = INT if shape.label == "int" else LONG

    def write(value: Any, out: bytearray) -> None:
        put_number(whole(value, low, high, shape.said), out)

    return write


def whole(value: Any, low: int, high: int, said: str) -> int:
    """An int within bounds; a bool is none, nor is a float."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise mismatch(said, value)
    if not low <= value <= high:
        raise invalid(said, "an integer out of range")
    return value


def floating(value: Any, shape: Shape) -> float:
    """A finite number that the type can hold; an int only where no digit of it is lost."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise mismatch(shape.said, value)
    try:
        number = float(value)
        _PACK[shape.label](number)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or (isinstance(value, int) and number != value):
        raise invalid(shape.said, "a number that the type cannot hold")
    return number


_PACK = {"float": struct.Struct("<f").pack, "double": struct.Struct("<d").pack}


def _floating(shape: Shape) -> Writer:
    pack = _PACK[shape.label]

    def write(value: Any, out: bytearray) -> None:
        out += pack(floating(value, shape))

    return write


def _string(shape: Shape) -> Writer:
    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, str):
            raise mismatch(shape.said, value)
        data = utf8(value)
        put_number(len(data), out)
        out += data

    return write


def utf8(value: str) -> bytes:
    """Bytes of a string; a lone surrogate (JSON can carry one) is refused, without the codec's own text."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        at = next(i for i, char in enumerate(value) if "\ud800" <= char <= "\udfff")
    raise invalid("a string of Unicode characters", f"half of a surrogate pair at character {at}")


def _bytes(shape: Shape) -> Writer:
    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, (bytes, bytearray)):
            raise mismatch(shape.said, value)
        put_number(len(value), out)
        out += value

    return write


_PRIMITIVES: dict[str, Callable[[Shape], Writer]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _integer,
    "long": _integer,
    "float": _floating,
    "double": _floating,
    "string": _string,
    "bytes": _bytes,
}


def _date(shape: Shape) -> Writer:
    def write(value: Any, out: bytearray) -> None:
        if isinstance(value, date) and not isinstance(value, datetime):
            return put_number(days_of(value), out)
        put_number(whole(value, FIRST_DAY, LAST_DAY, shape.said), out)

    return write


def _timestamp(shape: Shape) -> Writer:
    def write(value: Any, out: bytearray) -> None:
        if isinstance(value, datetime):
            return put_number(millis_of(value), out)
        put_number(whole(value, FIRST_MILLI, LAST_MILLI, shape.said), out)

    return write


def _decimal(shape: Decimal) -> Writer:
    def write(value: Any, out: bytearray) -> None:
        if isinstance(value, int) and not isinstance(value, bool):
            value = Number(value)
        if not isinstance(value, Number):
            raise mismatch(shape.said, value)
        data = unscaled_bytes(unscaled_of(value, shape), shape)
        if not shape.size:
            put_number(len(data), out)
        out += data

    return write


def _enum(shape: Enum) -> Writer:
    index = {symbol: i for i, symbol in enumerate(shape.symbols)}

    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, str) or value not in index:
            raise mismatch(shape.said, value)
        put_number(index[value], out)

    return write


def _fixed(shape: Fixed) -> Writer:
    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, (bytes, bytearray)) or len(value) != shape.size:
            raise mismatch(shape.said, value)
        out += value

    return write
