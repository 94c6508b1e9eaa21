"""The careful path: bodies decoded strictly, encoded strictly, and explained when they do not fit.

    decode(schema, data)            body -> dict, as fastavro's schemaless_reader gives it; or Invalid
    encode(schema, value, prefix)   dict -> prefix + body, canonical; or Invalid
    canonical(schema, data)         True when encoding what was decoded gives the same bytes
    from_json, to_json              plain JSON, see `plain.py`

`schema` is schema JSON as a dict, raw or parsed by fastavro. It is compiled at its first use and remembered by
identity: do not change it afterwards. `data` is the wire format; `start` skips its five bytes of header.
"""

from __future__ import annotations

from typing import Any

from hub.avro import plain
from hub.avro.careful import reader_of
from hub.avro.cursor import Cursor
from hub.avro.invalid import Invalid
from hub.avro.resolve import resolve
from hub.avro.shape import Shape
from hub.avro.writer import writer_of
from hub.errors import Code

__all__ = ["HEADER", "Codec", "Invalid", "canonical", "codec_of", "decode", "encode", "from_json", "to_json"]

HEADER = 5


class Codec:
    """One schema, compiled; `codec_of` keeps one per schema. Safe to share between threads."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.shape: Shape = resolve(schema)
        self._read = reader_of(self.shape)
        self._write = writer_of(self.shape)

    def decode(self, data: bytes, start: int = HEADER) -> Any:
        return self._walk(data, start)[0]

    def canonical(self, data: bytes, start: int = HEADER) -> bool:
        return self._walk(data, start)[1].canonical

    def encode(self, value: Any, prefix: bytes = b"") -> bytes:
        out = bytearray(prefix)
        self._write(value, out)
        return bytes(out)

    def _walk(self, data: bytes, start: int) -> tuple[Any, Cursor]:
        cursor = Cursor(data, start)
        if start > len(data):
            raise cursor.truncated("a header", start)
        value = self._read(cursor)
        if cursor.at != cursor.end:
            left = cursor.end - cursor.at
            found = f"{left} bytes more from offset {cursor.at}"
            raise Invalid(Code.BODY_TRAILING_BYTES, "the end of the body", found)
        return value, cursor


_CODECS: dict[int, Codec] = {}
_KEPT = 4096


def codec_of(schema: Any) -> Codec:
    """The codec of a schema, made once; raises SchemaError for a schema that cannot be walked safely."""
    found = _CODECS.get(id(schema))
    # the codec keeps its schema alive, so the identity cannot have passed to another one
    if found is not None and found.schema is schema:
        return found
    if len(_CODECS) >= _KEPT:
        _CODECS.clear()
    codec = _CODECS[id(schema)] = Codec(schema)
    return codec


def decode(schema: Any, data: bytes, start: int = HEADER) -> dict[str, Any]:
    """Body of `data` as Python values; raises Invalid with code, pointer, expected and found."""
    value: dict[str, Any] = codec_of(schema).decode(data, start)
    return value


def encode(schema: Any, value: dict[str, Any], prefix: bytes) -> bytes:
    """`prefix` (the wire header) and the canonical body; raises Invalid for what does not fit exactly."""
    return codec_of(schema).encode(value, prefix)


def canonical(schema: Any, data: bytes, start: int = HEADER) -> bool:
    """Whether re-encoding gives the same bytes; raises Invalid when the body is not valid at all."""
    return codec_of(schema).canonical(data, start)


def from_json(schema: Any, value: Any) -> dict[str, Any]:
    """Plain JSON to what `encode` takes, defaults filled in; raises Invalid."""
    result: dict[str, Any] = plain.from_json(codec_of(schema).shape, value)
    return result


def to_json(schema: Any, value: dict[str, Any]) -> dict[str, Any]:
    """What `decode` gives to plain JSON, which `from_json` takes back; raises Invalid as `encode` would."""
    codec = codec_of(schema)
    codec.encode(value)
    result: dict[str, Any] = plain.to_json(codec.shape, value)
    return result
