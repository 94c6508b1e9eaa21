"""The input of every side: the same bytes, headers and repeats, whoever reads them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fastavro

TYPE = "az.zefer.veteran.StatusDecided"
SCHEMAS = Path(__file__).parent / "schemas"
PERSONS = 20_000
RESENT_EVERY = 50
"""One event in so many comes a second time, as after a publisher's timeout."""
RESENT_AFTER = 20
ID_DIGITS = 8
MILLISECONDS = 1_767_225_600_000  # 2026-01-01


class Event(NamedTuple):
    """A record of `in.src`: key, Confluent wire bytes, CloudEvents headers."""

    key: str
    value: bytes
    headers: list[tuple[str, bytes]]


def raw_schema(schema: Any) -> Any:
    """The schema without logical types: days and milliseconds stay numbers, the bytes stay the same."""
    if isinstance(schema, list):
        return [raw_schema(each) for each in schema]
    if isinstance(schema, dict):
        return {name: raw_schema(value) for name, value in schema.items() if name != "logicalType"}
    return schema


def event_schema() -> dict[str, Any]:
    """The Avro schema of the one event type, as the catalogue has it."""
    schema: dict[str, Any] = json.loads((SCHEMAS / "events" / f"{TYPE}.avsc").read_text())
    return schema


def body(number: int, persons: int) -> dict[str, Any]:
    """The plain value of event `number`: its person, and how many that person has had."""
    person = number * 7919 % persons
    return {
        "event_id": f"{number:0{ID_DIGITS}d}-aaaa-bbbb-cccc-dddddddddddd",
        "fin": f"P{person:06d}",  # no FİN may stand in an id
        "seq": number // persons + 1,
        "source": "urn:agency:dtser",
        "status": "GRANTED",
        "effective": 20454,  # one day for all: the status stays one interval, which is all that the peers keep
        "decided_at": MILLISECONDS + number,
        "percent": number % 100,
        "certificate": f"C{number:08d}",
        "name": f"Ad{number % 500}",
        "surname": f"Soyad{number % 700}",
        "office": f"Bakı-{number % 20}",
    }


def events(count: int, schema_id: int, persons: int = PERSONS, first: int = 0, agency: str = "src") -> Iterator[Event]:
    """`count` different events from number `first` on, the resent ones between them."""
    schema = fastavro.parse_schema(raw_schema(event_schema()))
    prefix = b"\0" + schema_id.to_bytes(4, "big")
    for number in range(first, first + count):
        yield _event(number, persons, schema, prefix, agency)
        if number % RESENT_EVERY == RESENT_EVERY - 1 and number - RESENT_AFTER >= first:
            yield _event(number - RESENT_AFTER, persons, schema, prefix, agency)


def resent(count: int) -> int:
    """How many records beyond `count` `events(count, …)` yields (from number 0 on)."""
    return count // RESENT_EVERY


def number_of(projection: bytes) -> int:
    """The event's number, from a projection's bytes: both begin with the event id."""
    return int(projection[6 : 6 + ID_DIGITS])


def _event(number: int, persons: int, schema: Any, prefix: bytes, agency: str) -> Event:
    plain = body(number, persons)
    buffer = io.BytesIO()
    buffer.write(prefix)
    fastavro.schemaless_writer(buffer, schema, plain)
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", plain["event_id"].encode()),
        ("ce_source", b"urn:az:agency:" + agency.encode()),
        ("ce_type", TYPE.encode()),
        ("ce_time", b"2026-11-01T10:00:00Z"),
        ("ce_sequence", b"%d" % plain["seq"]),
        ("content-type", b"application/avro"),
    ]
    return Event(plain["fin"], buffer.getvalue(), headers)
