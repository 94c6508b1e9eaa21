"""A reader per registered schema: what the steps ask of an event's bytes, and nothing else.

What was written with an older version of a type's schema is read with that version and resolved to
the catalogue's, so that the steps see one shape per type.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import fastavro

from hub.avro.codec import decode, encode
from hub.avro.records import wire_header, without_logical_types
from hub.catalogue import EventType, Projection


class Reading(NamedTuple):
    """What was read: the wanted raw fields, the projections' wire bytes, and the canonical body.

    Raw: a date is days since 1970, a timestamp milliseconds, a decimal its unscaled bytes.
    """

    fields: Mapping[str, Any]
    bodies: Sequence[bytes]
    body: bytes


class View(NamedTuple):
    """A projection with the schema id under which it is registered."""

    projection: Projection
    schema_id: int


class Reader:
    """Reads events of one type, written with one registered version of its schema."""

    def __init__(
        self, of: EventType, written: Mapping[str, Any], wants: Sequence[str], views: Sequence[View] = ()
    ) -> None:
        self.type, self.wants = of, tuple(wants)
        self._schema = without_logical_types(of.schema)
        self._written = without_logical_types(written)
        self._resolve = self._written != self._schema
        self._views = [
            (wire_header(v.schema_id), without_logical_types(v.projection.schema), v.projection.mask.masked)
            for v in views
        ]

    def read(self, value: bytes) -> Reading:
        """Strictly read one value; raises `hub.avro.Invalid` with the place and the reason."""
        event = decode(self._written, value)
        body = encode(self._written, event, b"")
        if self._resolve:
            event = cast(dict[str, Any], fastavro.schemaless_reader(io.BytesIO(body), self._written, self._schema))
        bodies = [encode(schema, _seen(event, schema, masked), head) for head, schema, masked in self._views]
        return Reading({name: event[name] for name in self.wants}, bodies, body)


def _seen(event: Mapping[str, Any], schema: Mapping[str, Any], masked: frozenset[str]) -> dict[str, Any]:
    """The event's fields that the projection has; a masked one is `***`, or null where it may be null."""
    return {
        field["name"]: _mask(field["type"]) if field["name"] in masked else event[field["name"]]
        for field in schema["fields"]
    }


def _mask(avro: Any) -> str | None:
    return None if isinstance(avro, list) and "null" in avro else "***"
