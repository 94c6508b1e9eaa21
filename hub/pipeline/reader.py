"""A reader per registered schema: what the steps ask of an event's bytes, and nothing else.

The way of nearly every event is a function generated from its schema, which walks the bytes once, checks
them and cuts the projections. What that one does not take goes the careful way: decoded strictly, which
says what is wrong and where, or written anew in its canonical form and then read as all others are.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import fastavro
from fastavro.read import SchemaResolutionError

from hub.avro.codec import HEADER, decode, encode
from hub.avro.invalid import invalid
from hub.avro.records import wire_header
from hub.avro.scanner import ProjectionPlan, Refused, ShownPlan, compile_scanner
from hub.catalogue import EventType, Projection

Reading = tuple[tuple[Any, ...], tuple[bytes, ...], bytes, bytes]
"""What was read: the wanted values in the order of `Reader.wants`, the projections' wire bytes, the map of what a
status shows (empty without one), and the canonical body as it was written.

Values are raw: a date is days since 1970, a timestamp milliseconds (see `hub.avro.scanner.Scanner`)."""


class View(NamedTuple):
    """A projection with the schema id under which it is registered."""

    projection: Projection
    schema_id: int


class Reader:
    """Reads events of one type, written with one registered version of its schema."""

    def __init__(
        self,
        of: EventType,
        written: Mapping[str, Any],
        wants: Sequence[str],
        views: Sequence[View] = (),
        shows: ShownPlan | None = None,
    ) -> None:
        self.type, self.wants = of, tuple(wants)
        self._written, self.older = written, written != of.schema
        self.scanner = compile_scanner(of.schema, self.wants, [_plan(view) for view in views], shows)
        self._scan = self.scanner.scan
        self._views, self._end = 1 + len(self.wants), 1 + len(self.wants) + len(views)
        self._shows = shows is not None

    def read(self, value: bytes) -> Reading:
        """Strictly read one value; raises `hub.avro.Invalid` with the place and the reason."""
        if self.older:
            return self._carefully(value)
        try:
            found = self._scan(value)
        except Refused:
            return self._carefully(value)
        return self._reading(found, value[HEADER:]) if found[0] else self._carefully(value)

    def fields(self, reading: Reading) -> dict[str, Any]:
        """The wanted values by name."""
        return dict(zip(self.wants, reading[0], strict=True))

    def _carefully(self, value: bytes) -> Reading:
        """What was written with an older version is resolved to the catalogue's; its content stays its own."""
        event = decode(self._written, value)
        body = encode(self._written, event, b"")
        current = self._resolved(body) if self.older else body
        return self._reading(self._scan(value[:HEADER] + current), body)

    def _resolved(self, body: bytes) -> bytes:
        try:
            event = fastavro.schemaless_reader(io.BytesIO(body), dict(self._written), self.type.schema)
        except (SchemaResolutionError, ValueError):  # its text may quote a value
            raise invalid("what the catalogue's version of the type can read", "another version's") from None
        return encode(self.type.schema, event, b"")  # type: ignore[arg-type]

    def _reading(self, found: tuple[Any, ...], body: bytes) -> Reading:
        views, end = self._views, self._end
        return found[1:views], found[views:end], found[end] if self._shows else b"", body


def _plan(view: View) -> ProjectionPlan:
    mask = view.projection.mask
    return ProjectionPlan(wire_header(view.schema_id), mask.clear, mask.masked)
