"""The hub's own records (`schemas/hub/`): packed and unpacked as plain integers and strings.

Logical types are taken off first: a date is days since 1970, a timestamp milliseconds, so that what
the steps compare is what is written, and no `datetime` is made on the way.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import fastavro

from hub.avro.packer import compile_packer, compile_partial

WIRE_HEADER_BYTES = 5


def wire_header(schema_id: int) -> bytes:
    """The Confluent wire format's first five bytes."""
    return b"\0" + schema_id.to_bytes(4, "big")


def schema_id_of(value: bytes) -> int:
    """The schema id in Confluent's wire header; `value` is known to begin with one."""
    return int.from_bytes(value[1:WIRE_HEADER_BYTES], "big")


def without_logical_types(schema: Any) -> Any:
    """The same schema with every `logicalType` taken off; custom attributes go too, where they are not Avro's."""
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_logical_types(value) if key in ("type", "items", "values", "fields") else value
        for key, value in schema.items()
        if key not in ("logicalType", "precision", "scale")
    }


class RecordCodec:
    """Packs and unpacks one kind of hub record in the Confluent wire format."""

    __slots__ = ("_parsed", "_schema", "pack", "schema_id")

    def __init__(self, schema_id: int, schema: dict[str, Any]) -> None:
        self.schema_id = schema_id
        self._schema = plain = without_logical_types(schema)
        self.pack, _ = compile_packer(plain, wire_header(schema_id))
        """Dictionary of plain values → wire bytes."""
        self._parsed = fastavro.parse_schema(plain)

    def unpack(self, data: bytes) -> dict[str, Any]:
        """Wire bytes that the hub itself wrote → dictionary. Not for what came from outside: see `careful`."""
        value = fastavro.schemaless_reader(io.BytesIO(data[WIRE_HEADER_BYTES:]), self._parsed, None)
        assert isinstance(value, dict)
        return value

    def partial(
        self, fixed: Mapping[str, Any] = MappingProxyType({}), raw: Collection[str] = ()
    ) -> Callable[..., bytes]:
        """(Values of the fields not in `fixed`, in order) → wire bytes; those in `raw` are given as Avro bytes."""
        return compile_partial(self._schema, wire_header(self.schema_id), fixed, raw)[0]

    def nested(self, *path: str, raw: Collection[str] = ()) -> Callable[..., bytes]:
        """(Values of the fields, in order) → Avro bytes of a record nested under `path`, array items included."""
        schema: Any = self._schema
        for name in path:
            (schema,) = (field["type"] for field in schema["fields"] if field["name"] == name)
            schema = schema["items"] if schema["type"] == "array" else schema
        return compile_partial(schema, b"", {}, raw)[0]

    def map_branches(self, name: str) -> tuple[str, ...]:
        """The types of the union that a value of the map field `name` is."""
        (avro,) = (field["type"] for field in self._schema["fields"] if field["name"] == name)
        return tuple(avro["values"])

    def symbols(self, name: str) -> tuple[str, ...]:
        """Of a nullable enum, in the order of their numbers."""
        (avro,) = (field["type"] for field in self._schema["fields"] if field["name"] == name)
        return tuple(avro[1]["symbols"])
