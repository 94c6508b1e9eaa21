"""Plain JSON to wire bytes in one pass: a generated function per type, for what nearly every event looks like.

What it writes is what `from_json` and `encode` write, byte for byte; where anything is unusual (a field left out, a
tagged union, another kind of value) it raises `Unusual`, and those two say what is wrong, or write it.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any
from zlib import crc32

from hub.avro.codec import codec_of
from hub.avro.invalid import Invalid
from hub.avro.logical import days_of
from hub.avro.packer import SIZE, number
from hub.avro.plain import from_json
from hub.avro.scalar import INT, LONG
from hub.avro.shape import Array, Date, Enum, Primitive, Record, Shape, Union
from hub.avro.writer import writer_of

Written = tuple[bytes, tuple[Any, ...] | None]
Write = Callable[[Mapping[str, Any]], Written]
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Unusual(Exception):
    """For the careful way."""


def compile_json_writer(schema: Mapping[str, Any], header: bytes, wants: Sequence[str] = ()) -> Write:
    """The function: parsed JSON of an event's data → `header` and Avro body, and the values of the fields in `wants`
    as a scanner gives them; None where the scanner has to. Raises `Unusual`."""
    shape = codec_of(schema).shape
    assert isinstance(shape, Record)
    writer = _Source()
    writer.function(shape, repr(header), _values(shape, wants))
    label = f"<json writer of {shape.label} {crc32(writer.text.encode()):08x}>"
    # made from the schema's names, which lint has checked
    exec(compile(writer.text, label, "exec"), writer.names)  # noqa: S102
    linecache.cache[label] = (len(writer.text), None, writer.text.splitlines(keepends=True), label)
    found: Write = writer.names[f"write_{writer.count}"]
    return _guarded(found)


def _guarded(write: Write) -> Write:
    def guarded(data: Mapping[str, Any]) -> Written:
        try:
            return write(data)
        except (Invalid, LookupError, TypeError, AttributeError, ValueError):
            pass  # what these say may quote the data
        raise Unusual

    return guarded


class _Source:
    """Python functions, one for each record and each kind of array's items; those that others use come first."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {
            "SIZE": SIZE,
            "number": number,
            "day": day,
            "days": days,
            "whole": _whole,
            "array": _array,
            "Unusual": Unusual,
        }
        self.text, self.count = "", 0

    def function(self, shape: Shape, header: str | None = None, values: str = "") -> str:
        """Adds a function that gives the bytes of a value of that type, and what `values` says beside; its name."""
        if isinstance(shape, Record):
            parts = [self.expression(field.shape, f"v[{field.name!r}]") for field in shape.fields]
            body = f"    if type(v) is not dict or len(v) != {len(parts)}:\n        raise Unusual\n"
            said = f"b''.join(({''.join(f'{part}, ' for part in [*filter(None, [header]), *parts])}))"
            body += f"    return {', '.join(filter(None, [said, values]))}\n"
        else:
            body = f"    return {self.expression(shape, 'v')}\n"
        self.count += 1
        name = f"write_{self.count}"
        self.text += f"def {name}(v):\n{body}\n\n"
        return name

    def expression(self, shape: Shape, value: str) -> str:
        """A Python expression for the bytes of the value that another expression gives."""
        if isinstance(shape, Enum):
            return f"{self._constant({s: number(i) for i, s in enumerate(shape.symbols)})}[{value}]"
        if isinstance(shape, Date):
            return f"day({value})"
        if isinstance(shape, Array):
            return f"array({value}, {self.function(shape.items)})"
        if isinstance(shape, Record):
            return f"{self.function(shape)}({value})"
        if isinstance(shape, Union):
            return self._union(shape, value)
        if isinstance(shape, Primitive):
            return self._primitive(shape, value)
        return self._carefully(shape, value)

    def _primitive(self, shape: Primitive, value: str) -> str:
        if shape.label == "string":
            name = f"s{len(self.names)}"
            return f"SIZE[len({name} := {value}.encode())] + {name}"  # a longer one is for the careful way
        if shape.label in ("int", "long"):
            low, high = INT if shape.label == "int" else LONG
            return f"whole({value}, {low}, {high})"
        return self._carefully(shape, value)

    def _union(self, shape: Union, value: str) -> str:
        """Null or a scalar; what may be tagged, or is one of several, is left to the careful way."""
        others = [(i, branch) for i, branch in enumerate(shape.branches) if branch.label != "null"]
        (index, branch), null = others[0], shape.null
        if len(others) > 1 or null is None or not isinstance(branch, Enum | Date | Primitive):
            return self._carefully(shape, value)
        name = f"x{self.count}"
        inner = self.expression(branch, name)
        return f"({number(null)!r} if ({name} := {value}) is None else {number(index)!r} + {inner})"

    def _carefully(self, shape: Shape, value: str) -> str:
        write = writer_of(shape)

        def written(json: Any) -> bytes:
            out = bytearray()
            write(from_json(shape, json), out)
            return bytes(out)

        return f"{self._constant(written)}({value})"

    def _constant(self, value: Any) -> str:
        name = f"constant_{len(self.names)}"
        self.names[name] = value
        return name


def _values(record: Record, wants: Sequence[str]) -> str:
    """A Python expression for the wanted values, which are those of the JSON but for dates; "None" for others."""
    shapes = {field.name: field.shape for field in record.fields}
    found = []
    for name in wants:
        shape, value = shapes[name], f"v[{name!r}]"
        others = [each for each in shape.branches if each.label != "null"] if isinstance(shape, Union) else [shape]
        if len(others) > 1 or not (isinstance(others[0], Date | Enum) or _is_as_it_comes(others[0])):
            return "None"
        if isinstance(others[0], Date):
            value = f"days({value})" if shape is others[0] else f"None if {value} is None else days({value})"
        found.append(value)
    return f"({''.join(f'{value}, ' for value in found)})"


def _is_as_it_comes(shape: Shape) -> bool:
    return isinstance(shape, Primitive) and shape.label in ("string", "int", "long", "boolean")


@lru_cache(maxsize=32_768)
def days(text: str) -> int:
    """A date as days since 1970. Raises `TypeError`, `ValueError`."""
    if not _DAY.fullmatch(text):
        raise ValueError
    return days_of(date.fromisoformat(text))


@lru_cache(maxsize=32_768)
def day(text: str) -> bytes:
    """The same as it is written."""
    return number(days(text))


def _whole(value: int, low: int, high: int) -> bytes:
    if type(value) is not int or not low <= value <= high:
        raise Unusual
    return number(value)


def _array(values: list[Any], item: Callable[[Any], bytes]) -> bytes:
    if type(values) is not list:
        raise Unusual
    return number(len(values)) + b"".join([item(value) for value in values]) + b"\0" if values else b"\0"
