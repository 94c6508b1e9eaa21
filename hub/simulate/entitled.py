"""What the catalogue says each agency must get of an event: worked out here a second time, from the catalogue alone.

Nothing of the pipeline is used; decoding and encoding are fastavro's.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

import fastavro

from hub.avro.records import WIRE_HEADER_BYTES, wire_header, without_logical_types
from hub.catalogue import Catalogue, Entitlement, EventType

MASKED = "***"


class SchemaIds(Protocol):
    """Where schemas are registered (`hub.registry.schemas.Schemas`)."""

    def id_of(self, subject: str, schema: str | None = None) -> int: ...
    def by_id(self, id: int) -> Any: ...


class Due(NamedTuple):
    """What is due for one applied event: agency → digest of the value that it must get. `subject` and `content`
    are digests: whom it is about, and what it says."""

    values: Mapping[str, bytes]
    subject: bytes
    content: bytes
    person: bool


class Share(NamedTuple):
    """One agency's part in a type."""

    agency: str
    when: tuple[tuple[str, frozenset[str]], ...]
    view: int


class Parsed(NamedTuple):
    """A schema without logical types, ready for fastavro."""

    avro: Any
    has_maps: bool


class View(NamedTuple):
    """A projection as it must be: wire header, parsed schema, and per field whether it is masked and how."""

    head: bytes
    schema: Parsed
    fields: tuple[tuple[str, bool, str | None], ...]

    def cut(self, body: Mapping[str, Any]) -> bytes:
        """The wire bytes of this projection of an event's raw body."""
        return self.head + _encode(self.schema, {n: m if masked else body[n] for n, masked, m in self.fields})


class Entitled:
    """Decodes events and says what is due. Raises `KeyError` where a schema is not registered."""

    def __init__(self, catalogue: Catalogue, ids: SchemaIds) -> None:
        self._catalogue, self._ids = catalogue, ids
        self._parsed: dict[int, Parsed] = {}
        self._current = {
            name: (ids.id_of(name, catalogue.text(name)), _parse(of.schema)) for name, of in catalogue.types.items()
        }
        self._views: dict[str, list[View]] = {}
        self._shares: dict[str, list[Share]] = {}
        for name, of in catalogue.types.items():
            self._add(of, catalogue.entitlements.get(name, ()))

    def due(self, headers: Mapping[str, bytes], value: bytes) -> Due:
        """For an event that was applied; raises `ValueError` when nobody could have read it."""
        of = self._catalogue.types.get(headers["ce_type"].decode())
        if of is None:
            raise ValueError("a type that the catalogue does not have")
        written = self.decode(value)
        body = self._as_now(of, value, written)
        subject = digest(f"{of.key_kind} {body[of.key_field]}".encode())
        content = self._content(headers, value, written)
        return Due(dict(self._values(of, body)), subject, content, of.key_kind == "person")

    def _values(self, of: EventType, body: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
        views, cuts = self._views[of.name], dict[int, bytes]()
        for share in self._shares[of.name]:
            if all(body[name] in allowed for name, allowed in share.when):
                if share.view not in cuts:
                    cuts[share.view] = digest(views[share.view].cut(body))
                yield share.agency, cuts[share.view]

    def _as_now(self, of: EventType, value: bytes, written: dict[str, Any]) -> dict[str, Any]:
        """The body under the catalogue's version of its type, where it was written with an older one."""
        if int.from_bytes(value[1:WIRE_HEADER_BYTES], "big") == self._current[of.name][0]:
            return written
        parsed = self._parsed[int.from_bytes(value[1:WIRE_HEADER_BYTES], "big")]
        body = fastavro.schemaless_reader(
            io.BytesIO(value[WIRE_HEADER_BYTES:]), parsed.avro, self._current[of.name][1].avro
        )
        assert isinstance(body, dict)
        return body

    def decode(self, value: bytes) -> dict[str, Any]:
        """The raw body of wire bytes, by their schema id."""
        schema_id = int.from_bytes(value[1:WIRE_HEADER_BYTES], "big")
        parsed = self._parsed.get(schema_id)
        if parsed is None:
            parsed = self._parsed[schema_id] = _parse(json.loads(self._ids.by_id(schema_id).schema))
        body = fastavro.schemaless_reader(io.BytesIO(value[WIRE_HEADER_BYTES:]), parsed.avro, None)
        assert isinstance(body, dict)
        return body

    def _content(self, headers: Mapping[str, bytes], value: bytes, body: Mapping[str, Any]) -> bytes:
        """What makes two sendings the same event: type, instant, sequence and body, however it was encoded."""
        sequence = headers.get("ce_sequence")
        when = datetime.fromisoformat(headers["ce_time"].decode().upper()).timestamp()
        said = f"{headers['ce_type'].decode()} {round(when * 1000)} {sequence and int(sequence)} "
        parsed = self._parsed[int.from_bytes(value[1:WIRE_HEADER_BYTES], "big")]
        return digest(said.encode() + _encode(parsed, body))

    def normal(self, value: bytes) -> bytes:
        """The same value as `due` would have written it: encoders may split arrays and order maps as they like."""
        body = self.decode(value)
        parsed = self._parsed[int.from_bytes(value[1:WIRE_HEADER_BYTES], "big")]
        return value[:WIRE_HEADER_BYTES] + _encode(parsed, body)

    def _add(self, of: EventType, entitlements: tuple[Entitlement, ...]) -> None:
        views: dict[Any, int] = {}
        self._views[of.name], self._shares[of.name] = [], []
        for row in entitlements:
            if row.mask not in views:
                views[row.mask] = len(views)
                self._views[of.name].append(self._view(of, row))
            self._shares[of.name].append(Share(row.agency, tuple(row.when.items()), views[row.mask]))

    def _view(self, of: EventType, row: Entitlement) -> View:
        name = self._catalogue.projections[row.mask].name
        schema_id = self._ids.id_of(name, self._catalogue.text(name))
        registered = json.loads(self._ids.by_id(schema_id).schema)
        seen = [f for f in of.schema["fields"] if f["name"] in row.clear or f["name"] in row.masked]
        if [f["name"] for f in registered["fields"]] != [f["name"] for f in seen]:
            raise ValueError(f"the registered {name} has other fields than the entitlement of {row.agency}")
        fields = tuple(
            (f["name"], f["name"] in row.masked, None if isinstance(f["type"], list) else MASKED) for f in seen
        )
        return View(wire_header(schema_id), _parse(registered), fields)


def digest(data: bytes) -> bytes:
    """Sixteen bytes that stand for others."""
    return blake2b(data, digest_size=16).digest()


def _parse(schema: Any) -> Parsed:
    return Parsed(fastavro.parse_schema(without_logical_types(schema)), '"map"' in json.dumps(schema))


def _encode(schema: Parsed, body: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema.avro, _in_order(body) if schema.has_maps else body)
    return buffer.getvalue()


def _in_order(value: Any) -> Any:
    """Maps by their keys, which say the same in any order; a record's fields are written as its schema has them."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(item) for item in value] if isinstance(value, list) else value
