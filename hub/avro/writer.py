"""Python values to Avro bytes, strictly: what does not fit its type is refused, never bent into it.

The bytes are canonical: one block per array and map, map keys in order, decimals in the fewest bytes; so equal
values have equal bytes, and `canonical` can ask for that. Writers append to a bytearray; they are closures
made once per schema, because receipts and status records are written at the rate of events.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from hub.avro.default_value import default_value
from hub.avro.invalid import Invalid, invalid, mismatch
from hub.avro.resolve import refused
from hub.avro.scalar import Writer, put_number, scalar_writer, utf8
from hub.avro.shape import MISSING, Array, Map, Record, Shape, Union
from hub.avro.union import candidates_of


def writer_of(shape: Shape) -> Writer:
    """The writer of one type: appends, or raises Invalid and leaves the bytearray in an unknown state."""
    if isinstance(shape, Record):
        return _record(shape)
    if isinstance(shape, Union):
        return _union(shape)
    if isinstance(shape, Array):
        return _array(shape)
    if isinstance(shape, Map):
        return _map(shape)
    return scalar_writer(shape)


def _array(shape: Array) -> Writer:
    write_item = writer_of(shape.items)

    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, (list, tuple)):
            raise mismatch(shape.said, value)
        if value:
            put_number(len(value), out)
        position = 0
        try:
            for item in value:
                write_item(item, out)
                position += 1
        except Invalid as problem:
            problem.within(position)
            raise
        out.append(0)

    return write


def _map(shape: Map) -> Writer:
    write_value = writer_of(shape.values)

    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, Mapping):
            raise mismatch(shape.said, value)
        if value:
            put_number(len(value), out)
        try:
            for key in _ordered(value):
                data = utf8(key)
                put_number(len(data), out)
                out += data
                write_value(value[key], out)
        except Invalid as problem:
            problem.within("*")
            raise
        out.append(0)

    return write


def _ordered(value: Mapping[Any, Any]) -> list[str]:
    """Keys by code point, which is also the order of their UTF-8 bytes."""
    for key in value:
        if not isinstance(key, str):
            raise mismatch("names that are strings", key)
    return sorted(value)


def _record(shape: Record) -> Writer:
    fields = tuple((f.name, writer_of(f.shape), _written_default(f.shape, f.default)) for f in shape.fields)

    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, Mapping):
            raise mismatch(shape.said, value)
        known, name = 0, ""
        try:
            for name, write_field, default in fields:
                if name in value:
                    known += 1
                    write_field(value[name], out)
                elif default is None:
                    raise invalid("a value", "nothing: the field is missing and has no default")
                else:
                    out += default
        except Invalid as problem:
            problem.within(name)
            raise
        if known != len(value):
            raise unknown_fields(shape, value)

    return write


def _written_default(shape: Shape, default: Any) -> bytes | None:
    """The default's bytes, None where there is none."""
    if default is MISSING:
        return None
    out = bytearray()
    try:
        writer_of(shape)(default_value(shape, default), out)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise refused(shape.label, "has a default that does not fit it") from error
    return bytes(out)


def unknown_fields(shape: Record, value: Mapping[Any, Any]) -> Invalid:
    """Says which known field was probably meant; the unknown name itself may be personal and is not quoted."""
    names = [field.name for field in shape.fields]
    unknown = [key for key in value if key not in names]
    near = get_close_matches(str(unknown[0])[:64], [name for name in names if name not in value], 1)
    hint = f", the first close to the name {near[0]!r}" if near else ""
    return invalid(f"only fields of {shape.label}", f"{len(unknown)} that it does not have{hint}")


def _union(shape: Union) -> Writer:
    candidates, writers = candidates_of(shape), _branch_writers(shape)

    def write(value: Any, out: bytearray) -> None:
        if isinstance(value, tuple):
            choice, value = candidates.tagged(value)
            choices: tuple[int, ...] = (choice,)
        else:
            choices = candidates.of(value)
        if len(choices) > 1:
            choices = (_first_that_fits(writers, choices, value, shape),)
        put_number(choices[0], out)
        writers[choices[0]](value, out)

    return write


@lru_cache(maxsize=4096)
def _branch_writers(shape: Union) -> tuple[Writer, ...]:
    return tuple(writer_of(branch) for branch in shape.branches)


def _first_that_fits(writers: tuple[Writer, ...], choices: tuple[int, ...], value: Any, shape: Union) -> int:
    for index in choices:
        try:
            writers[index](value, bytearray())
        except Invalid:
            continue
        return index
    raise mismatch(shape.said, value)


def branch_of(shape: Union, value: Any) -> int:
    """Index of the branch that `value` would be written to; raises Invalid when there is none."""
    candidates = candidates_of(shape)
    if isinstance(value, tuple):
        return candidates.tagged(value)[0]
    choices = candidates.of(value)
    if len(choices) == 1:
        return choices[0]
    return _first_that_fits(_branch_writers(shape), choices, value, shape)
