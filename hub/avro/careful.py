"""Avro bytes to Python values, strictly: the careful path, which finds the field and the reason.

Refused although most readers take it: bytes left over, varints with needless bytes, numbers wider than their
type, indexes out of range, a boolean other than 0 and 1, the same map key twice, block sizes that lie, decimals
with more digits than declared, dates outside the years 1 to 9999, NaN and infinities. Every other valid
encoding is taken, arrays and maps in any number of blocks. No allocation runs ahead of the bytes that are there.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

from hub.avro.cursor import Cursor
from hub.avro.invalid import Invalid, invalid
from hub.avro.logical import date_of, decimal_of, instant_of
from hub.avro.scalar import INT
from hub.avro.shape import Array, Date, Decimal, Enum, Fixed, Map, Record, Shape, Timestamp, Union
from hub.avro.union import candidates_of
from hub.avro.writer import branch_of

Reader = Callable[[Cursor], Any]


def reader_of(shape: Shape) -> Reader:
    """The reader of one type: moves the cursor, or raises Invalid with the pointer so far."""
    if isinstance(shape, Record):
        return _record(shape)
    if isinstance(shape, Union):
        return _union(shape)
    if isinstance(shape, Array):
        return _array(shape)
    if isinstance(shape, Map):
        return _map(shape)
    return _scalar(shape)


def _scalar(shape: Shape) -> Reader:
    if isinstance(shape, Date):
        return lambda cursor: date_of(_int(cursor))
    if isinstance(shape, Timestamp):
        return lambda cursor: instant_of(cursor.varint())
    if isinstance(shape, Decimal):
        return _decimal(shape)
    if isinstance(shape, Enum):
        return _enum(shape)
    if isinstance(shape, Fixed):
        return lambda cursor: cursor.take(shape.size, shape.said)
    if shape.label in ("float", "double"):
        return _floating(shape)
    return _PRIMITIVES[shape.label]


def _null(cursor: Cursor) -> None:
    return None


def _boolean(cursor: Cursor) -> bool:
    byte = cursor.take(1, "a boolean")[0]
    if byte > 1:
        raise invalid("a boolean (byte 0 or 1)", f"another byte at offset {cursor.at - 1}")
    return byte == 1


def _int(cursor: Cursor) -> int:
    number = cursor.varint()
    if not INT[0] <= number <= INT[1]:
        raise invalid("a 32-bit integer", f"a wider one before offset {cursor.at}")
    return number


def _string(cursor: Cursor) -> str:
    data = cursor.sized("a string")
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        at = problem.start
    # outside the handler: the codec's error holds the bytes and must not ride along
    raise invalid("a string in UTF-8", f"other bytes at offset {cursor.at - len(data) + at}")


_PRIMITIVES: dict[str, Reader] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": Cursor.varint,
    "string": _string,
    "bytes": lambda cursor: cursor.sized("bytes"),
}


def _floating(shape: Shape) -> Reader:
    unpack = struct.Struct("<f" if shape.label == "float" else "<d")

    def read(cursor: Cursor) -> float:
        number: float = unpack.unpack(cursor.take(unpack.size, shape.said))[0]
        if not math.isfinite(number):
            raise invalid(shape.said, f"NaN or an infinity before offset {cursor.at}")
        return number

    return read


def _decimal(shape: Decimal) -> Reader:
    def read(cursor: Cursor) -> Any:
        data = cursor.take(shape.size, shape.said) if shape.size else cursor.sized("a decimal")
        if not 1 <= len(data) <= shape.longest:
            raise invalid(f"{shape.said} (1 to {shape.longest} bytes)", f"{len(data)} bytes")
        unscaled = int.from_bytes(data, "big", signed=True)
        if not shape.size and padded(data):
            cursor.canonical = False
        return decimal_of(unscaled, shape)

    return read


def padded(data: bytes) -> bool:
    """Whether two's complement starts with a byte that only repeats the sign."""
    return len(data) > 1 and data[0] in (0, 255) and (data[0] > 127) == (data[1] > 127)


def _enum(shape: Enum) -> Reader:
    def read(cursor: Cursor) -> str:
        index = cursor.varint()
        if not 0 <= index < len(shape.symbols):
            raise invalid(shape.said, f"index {index} of {len(shape.symbols)}")
        return shape.symbols[index]

    return read


def _record(shape: Record) -> Reader:
    fields = tuple((field.name, reader_of(field.shape)) for field in shape.fields)

    def read(cursor: Cursor) -> dict[str, Any]:
        value: dict[str, Any] = {}
        name = ""
        try:
            for name, read_field in fields:
                value[name] = read_field(cursor)
        except Invalid as problem:
            problem.within(name)
            raise
        return value

    return read


def _union(shape: Union) -> Reader:
    readers = tuple(reader_of(branch) for branch in shape.branches)
    shadowed = candidates_of(shape).shadowed

    def read(cursor: Cursor) -> Any:
        index = cursor.varint()
        if not 0 <= index < len(readers):
            raise invalid(shape.said, f"branch {index} of {len(readers)}")
        value = readers[index](cursor)
        if index in shadowed and branch_of(shape, value) != index:
            cursor.canonical = False
        return value

    return read


def _blocks(cursor: Cursor, smallest: int) -> Iterator[int]:
    """Counts of the blocks of an array or map; checks the byte sizes of those that have one.

    Items are read between two turns of the iteration. A count can never exceed what the bytes left could hold.
    """
    first = True
    while count := cursor.varint():
        stop = None
        if count < 0:
            count, stop = -count, _block_end(cursor)
        if stop is not None or not first:
            cursor.canonical = False
        if count * smallest > cursor.end - cursor.at:
            raise cursor.truncated(f"{count} items", count * smallest)
        yield count
        if stop is not None and cursor.at != stop:
            raise invalid(f"a block that ends at offset {stop}", f"its items end at offset {cursor.at}")
        first = False


def _block_end(cursor: Cursor) -> int:
    size = cursor.varint()
    if size < 0:
        raise invalid("a block of 0 bytes or more", f"a negative size before offset {cursor.at}")
    if size > cursor.end - cursor.at:
        raise cursor.truncated("a block", size)
    return cursor.at + size


def _array(shape: Array) -> Reader:
    read_item, smallest = reader_of(shape.items), shape.items.smallest

    def read(cursor: Cursor) -> list[Any]:
        items: list[Any] = []
        for count in _blocks(cursor, smallest):
            try:
                for _ in range(count):
                    items.append(read_item(cursor))
            except Invalid as problem:
                problem.within(len(items))
                raise
        return items

    return read


def _map(shape: Map) -> Reader:
    read_value, smallest = reader_of(shape.values), 1 + shape.values.smallest

    def read(cursor: Cursor) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for count in _blocks(cursor, smallest):
            try:
                for _ in range(count):
                    key = _string(cursor)
                    _check_key(key, entries, cursor)
                    entries[key] = read_value(cursor)
            except Invalid as problem:
                problem.within("*")
                raise
        return entries

    return read


def _check_key(key: str, entries: dict[str, Any], cursor: Cursor) -> None:
    if key in entries:
        raise invalid("every name once", f"the same name again as entry {len(entries)}")
    if entries and key < next(reversed(entries)):
        cursor.canonical = False
