"""The hub's own records (`schemas/hub/`): packed and unpacked as plain integers and strings.

Logical types are taken off first: a date is days since 1970, a timestamp milliseconds, so that what
the steps compare is what is written, and no `datetime` is made on the way.
"""

from __future__ import annotations

import io
from typing import Any

import fastavro

from hub.avro.packer import compile_packer

WIRE_HEADER_BYTES = 5


def wire_header(schema_id: int) -> bytes:
    """The Confluent wire format's first five bytes."""
    return b"\0" + schema_id.to_bytes(4, "big")


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

    __slots__ = ("_schema", "pack", "schema_id")

    def __init__(self, schema_id: int, schema: dict[str, Any]) -> None:
        self.schema_id = schema_id
        plain = without_logical_types(schema)
        self.pack, _ = compile_packer(plain, wire_header(schema_id))
        """Dictionary of plain values → wire bytes."""
        self._schema = fastavro.parse_schema(plain)

    def unpack(self, data: bytes) -> dict[str, Any]:
        """Wire bytes that the hub itself wrote → dictionary. Not for what came from outside: see `careful`."""
        value = fastavro.schemaless_reader(io.BytesIO(data[WIRE_HEADER_BYTES:]), self._schema, None)
        assert isinstance(value, dict)
        return value
