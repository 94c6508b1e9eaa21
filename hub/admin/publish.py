"""Publish events from a file as an agency: CloudEvents JSON in, Avro out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from hub.avro.codec import encode, from_json
from hub.avro.invalid import Invalid
from hub.avro.records import wire_header
from hub.catalogue import Catalogue
from hub.errors import ConfigError
from hub.event import CONTENT_TYPE, EVENT_MAX_BYTES, SOURCE_PREFIX
from hub.kafka.clients import producer
from hub.kafka.connection import Connection
from hub.pipeline.readers import SchemaIds

OPTIONAL = ("sequence", "correlationid", "causationid")
SENT_MAX_BYTES = 2 * EVENT_MAX_BYTES - 4096
"""So much `in.*` takes of a record, less what Kafka writes around it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One event ready to be sent; `key` orders what one publisher says of one subject."""

    id: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def read_events(path: Path) -> list[Mapping[str, Any]]:
    """A JSON object, a JSON array, or one object a line. Raises `ConfigError` with the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text, from byte {error.start} on") from None
    found = _parsed(path, text)
    if not found or not all(isinstance(event, dict) for event in found):
        raise ConfigError(f"{path}: expected CloudEvents JSON objects: one, an array of them, or one a line")
    return found


def _parsed(path: Path, text: str) -> list[Any]:
    try:
        found = json.loads(text)
        return found if isinstance(found, list) else [found]
    except json.JSONDecodeError as whole:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError:
            raise ConfigError(f"{path}:{whole.lineno}:{whole.colno}: not JSON: {whole.msg}") from None
    except (RecursionError, ValueError):
        raise ConfigError(f"{path}: not JSON that can be read: it nests too deep, or a number is too long") from None


def draft(catalogue: Catalogue, ids: SchemaIds, agency: str, event: Mapping[str, Any]) -> Draft:
    """Encode one CloudEvents JSON object. `source` and `specversion` may be left out, `id` and `time` together; null is
    as if it were not there.

    Raises `ConfigError` that says which part is wrong and what was expected, without quoting values.
    """
    of = catalogue.types.get(str(event.get("type")))
    if of is None:
        raise ConfigError("/type: expected an event type of the catalogue; `hub schema list` names them")
    if event.get("id") is not None and event.get("time") is None:
        raise ConfigError("/time: expected beside an id: sent again with another time it would be a conflict")
    try:
        body = encode(of.schema, from_json(of.schema, event.get("data")), _head(catalogue, ids, of.name))
    except Invalid as error:
        where = f"/data{error.pointer}"
        raise ConfigError(f"{where}: expected {error.expected}, found {error.found}") from None
    names = ("specversion", "id", "time", "source", *OPTIONAL)
    attributes = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "source": SOURCE_PREFIX + agency,
        "type": of.name,
        **{n: str(event[n]) for n in names if event.get(n) is not None},
    }
    headers = tuple((f"ce_{name}", text.encode()) for name, text in attributes.items())
    key = str(event["data"][of.key_field]).encode()
    size = len(body) + len(key) + sum(len(name) + len(value) for name, value in headers)
    if size > SENT_MAX_BYTES:
        raise ConfigError(f"/data: expected at most {EVENT_MAX_BYTES} bytes, found {len(body)}")
    return Draft(attributes["id"], key, body, (*headers, ("content-type", CONTENT_TYPE)))


def _head(catalogue: Catalogue, ids: SchemaIds, name: str) -> bytes:
    try:
        return wire_header(ids.id_of(name, catalogue.text(name)))
    except KeyError:
        raise ConfigError(f"{name} is not registered as it is here; `hub topics apply` registers it") from None


def send(connection: Connection, agency: str, drafts: Iterable[Draft]) -> Iterator[tuple[Draft, str]]:
    """Send to `in.<agency>`; yields each with its coordinates once the broker has it."""
    with producer(connection) as client:
        sent = [(d, client.send(f"in.{agency}", key=d.key, value=d.value, headers=list(d.headers))) for d in drafts]
        for d, future in sent:
            at = future.get(timeout=30)
            yield d, f"{at.topic}/{at.partition}/{at.offset}"
