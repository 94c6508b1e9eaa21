"""Records that the hub wrote, read back and unpacked by the schema they were written with."""

from __future__ import annotations

import io
import json
from functools import lru_cache
from typing import Any

import fastavro

from hub.avro.records import WIRE_HEADER_BYTES, schema_id_of, without_logical_types
from hub.registry.schemas import Schemas

__all__ = ["Unpacker", "schema_id_of"]


class Unpacker:
    """Wire bytes → (record name, plain values), for any registered schema."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._parsed = lru_cache(maxsize=1024)(self._parse)

    def unpack(self, value: bytes) -> tuple[str, dict[str, Any]]:
        """Raises `KeyError` for an id that is not registered."""
        name, schema = self._parsed(schema_id_of(value))
        found = fastavro.schemaless_reader(io.BytesIO(value[WIRE_HEADER_BYTES:]), schema, None)
        assert isinstance(found, dict)
        return name, found

    def _parse(self, schema_id: int) -> tuple[str, Any]:
        found = self._schemas.by_id(schema_id)
        schema = without_logical_types(json.loads(found.schema))
        return found.subject, fastavro.parse_schema(schema)
