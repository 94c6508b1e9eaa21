"""Packers: one generated function per record of the hub's own that writes its bytes, as the scanners read them.

The hub packs three of its own records for every event it applies; a generic writer would take most of
that time. Values are plain (see `hub.avro.records`) and trusted: the hub made them. What a packer writes
is what fastavro writes, byte for byte (`tests/laws/avro`).
"""

from __future__ import annotations

import linecache
import struct
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

Pack = Callable[[Mapping[str, Any]], bytes]


def compile_packer(schema: Mapping[str, Any], header: bytes) -> tuple[Pack, str]:
    """The function (dictionary of plain values → `header` and body) and its source.

    `schema` has no logical types. Raises `NotImplementedError` for a type that the hub's records do not use.
    """
    writer = _Writer()
    fields = [writer.expression(field["type"], f'd["{field["name"]}"]') for field in schema["fields"]]
    return _compiled(schema, "d", [repr(header), *fields], writer)


def compile_partial(
    schema: Mapping[str, Any], header: bytes, fixed: Mapping[str, Any], raw: Collection[str] = ()
) -> tuple[Callable[..., bytes], str]:
    """A packer with some fields known beforehand: (the other fields' values, in order) → bytes, and its source.

    `fixed` are plain values; fields named in `raw` are given as the Avro bytes they are written as.
    """
    writer = _Writer()
    open_ = [field for field in schema["fields"] if field["name"] not in fixed]
    pieces: list[bytes | str] = [header]
    for field in schema["fields"]:
        if field["name"] in fixed:
            constant, _ = compile_packer({**schema, "fields": [field]}, b"")
            pieces.append(constant({field["name"]: fixed[field["name"]]}))
        else:
            variable = f"f_{field['name']}"
            pieces.append(variable if field["name"] in raw else writer.expression(field["type"], variable))
    arguments = ", ".join(f"f_{field['name']}" for field in open_)
    return _compiled(schema, arguments, _joined(pieces), writer)


def _joined(pieces: Sequence[bytes | str]) -> list[str]:
    """Python expressions; adjacent constants are one."""
    expressions: list[bytes | str] = []
    for piece in pieces:
        if isinstance(piece, bytes) and expressions and isinstance(expressions[-1], bytes):
            expressions[-1] += piece
        else:
            expressions.append(piece)
    return [repr(piece) if isinstance(piece, bytes) else piece for piece in expressions if piece]


def _compiled(
    schema: Mapping[str, Any], arguments: str, expressions: Sequence[str], writer: _Writer
) -> tuple[Callable[..., bytes], str]:
    source = f"def pack({arguments}):\n    return b''.join((\n"
    source += "".join(f"        {expression},\n" for expression in expressions) + "    ))\n"
    names: dict[str, Any] = {"string": string, "data": data, "number": number, "SMALL": SMALL}
    names |= {"double": struct.Struct("<d").pack, "array": array, "mapping": mapping} | writer.names
    label = f"<packer of {schema.get('namespace', '')}.{schema['name']} {crc32(source.encode()):08x}>"
    exec(compile(source, label, "exec"), names)  # noqa: S102 - made from the schema's names, which lint has checked
    linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
    pack: Callable[..., bytes] = names["pack"]
    return pack, source


class _Writer:
    """Turns a type into a Python expression for the bytes of the value that another expression gives."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self._known: dict[str, Any] = {}
        self._count = 0

    def expression(self, avro: Any, value: str) -> str:
        if isinstance(avro, list):
            return self._union(avro, value)
        if isinstance(avro, str):
            if avro in self._known:
                return self.expression(self._known[avro], value)
            return _PRIMITIVES[avro].format(value)
        if "name" in avro:
            self._known[avro["name"]] = avro
        return self._complex(avro, value)

    def _complex(self, avro: Mapping[str, Any], value: str) -> str:
        match avro["type"]:
            case "enum":
                return f"{self._constant({s: number(i) for i, s in enumerate(avro['symbols'])})}[{value}]"
            case "fixed":
                return value
            case "array":
                return f"array({value}, {self._function(avro['items'])})"
            case "map":
                return f"mapping({value}, {self._function(avro['values'])})"
            case "record":
                parts = [self.expression(f["type"], f'{value}["{f["name"]}"]') for f in avro["fields"]]
                return f"b''.join(({', '.join(parts)},))"
        return self.expression(avro["type"], value)

    def _union(self, branches: list[Any], value: str) -> str:
        if len(branches) == 2 and branches[0] == "null":
            return f"(b'\\0' if (x := {value}) is None else b'\\2' + {self.expression(branches[1], 'x')})"
        return f"{self._constant(_any_of(branches))}({value})"

    def _function(self, avro: Any) -> str:
        made: dict[str, Any] = {}
        self._count += 1
        name = f"item_{self._count}"
        made[name] = f"lambda v: {self.expression(avro, 'v')}"
        scope = {"string": string, "data": data, "number": number, "SMALL": SMALL, "array": array, "mapping": mapping}
        scope["double"] = struct.Struct("<d").pack
        # the function is made from the same checked names as the source around it
        self.names[name] = eval(made[name], scope | self.names)  # noqa: S307
        return name

    def _constant(self, value: Any) -> str:
        self._count += 1
        self.names[f"constant_{self._count}"] = value
        return f"constant_{self._count}"


def _any_of(branches: list[str]) -> Callable[[Any], bytes]:
    """A union of primitives, told apart by the Python type of the value."""
    kinds: dict[type, tuple[bytes, Callable[[Any], bytes]]] = {}
    for index, branch in enumerate(branches):
        kind, write = _BY_TYPE[branch]
        kinds[kind] = (number(index), write)

    def pack(value: Any) -> bytes:
        index, write = kinds[type(value)]
        return index + write(value)

    return pack


def number(value: int) -> bytes:
    """An int or long: zigzag, seven bits a byte."""
    value = value << 1 if value >= 0 else ~(value << 1)
    if value < 128:
        return SMALL[value]
    if value < 2097152:
        rest = value >> 7
        return bytes((value & 127 | 128, rest) if rest < 128 else (value & 127 | 128, rest & 127 | 128, rest >> 7))
    return unsigned(value)


@lru_cache(maxsize=16384)  # the times in one batch are close to each other
def unsigned(value: int) -> bytes:
    """Seven bits a byte, without zigzag."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(value: str) -> bytes:
    """Length and UTF-8."""
    encoded = value.encode()
    length = len(encoded)
    return (SMALL[2 * length] if length < 64 else number(length)) + encoded


def data(value: bytes) -> bytes:
    """Length and bytes."""
    length = len(value)
    return (SMALL[2 * length] if length < 64 else number(length)) + value


def array(values: Iterable[Any], item: Callable[[Any], bytes]) -> bytes:
    """One block of items, and the end."""
    items = [item(value) for value in values]
    return number(len(items)) + b"".join(items) + b"\0" if items else b"\0"


def mapping(values: Mapping[str, Any], item: Callable[[Any], bytes]) -> bytes:
    """One block of entries in the order given, and the end."""
    entries = [string(key) + item(value) for key, value in values.items()]
    return number(len(entries)) + b"".join(entries) + b"\0" if entries else b"\0"


SMALL = tuple(bytes([value]) for value in range(128))
SIZE = tuple(number(length) for length in range(8192))
"""Lengths as they are written; `number` writes any."""

_PRIMITIVES = {
    "string": "string({0})",
    "bytes": "data({0})",
    "int": "number({0})",
    "long": "number({0})",
    "boolean": "(b'\\1' if {0} else b'\\0')",
    "double": "double({0})",
    "null": "b''",
}
_BY_TYPE: dict[str, tuple[type, Callable[[Any], bytes]]] = {
    "null": (type(None), lambda _: b""),
    "boolean": (bool, lambda value: b"\1" if value else b"\0"),
    "long": (int, number),
    "int": (int, number),
    "double": (float, struct.Struct("<d").pack),
    "string": (str, string),
}
