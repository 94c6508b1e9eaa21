"""The job as the Python peers do it, with fastavro: decode and check, key by person, remember, project.

Told by the environment (`BENCH_*`); shared, so that peers differ in their engine and in nothing else.
"""

from __future__ import annotations

import hmac
import io
import json
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import fastavro

BOOTSTRAP = os.environ.get("BENCH_BOOTSTRAP", "")
GROUP = os.environ.get("BENCH_GROUP", "peer")
IN, EVENTS, STATUS, ONE, TWO = os.environ.get("BENCH_TOPICS", "in,events,status,one,two").split(",")
SECRET = b"b" * 32
HEADER = 5
FIN = re.compile(r"[0-9A-Z]{7}").fullmatch
STATUS_SCHEMA = {
    "type": "record",
    "name": "Status",
    "fields": [
        {"name": "person", "type": "string"},
        {"name": "version", "type": "long"},
        {"name": "status", "type": "string"},
        {"name": "effective", "type": "int"},
        {"name": "percent", "type": ["null", "int"]},
        {"name": "certificate", "type": ["null", "string"]},
    ],
}


class Person(NamedTuple):
    """What is remembered of a person: ids applied, and the latest decision as (effective, seq, id, rest)."""

    seen: frozenset[str] = frozenset()
    latest: tuple[Any, ...] = (-1, -1, "")


NOBODY = Person()


class Job:
    """The codecs of one run. `told` is the JSON that the driver wrote: schemas without logical types, and ids."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._event = fastavro.parse_schema(told["event"])
        self._views = [(fastavro.parse_schema(v["schema"]), _prefix(v["id"])) for v in told["views"]]
        self._status = fastavro.parse_schema(STATUS_SCHEMA)

    def decode(self, value: bytes) -> dict[str, Any] | None:
        """The event of a record that was let through."""
        buffer = io.BytesIO(value)
        buffer.seek(HEADER)
        event: dict[str, Any] = fastavro.schemaless_reader(buffer, self._event, None)
        return event

    def check(self, value: bytes) -> dict[str, Any] | None:
        """The event, or None where it is refused: strictly what its schema says, the FİN's form, the range of percent.

        Decoding alone takes trailing bytes, negative indexes and over-long numbers: what is written anew has to be the
        same bytes, which is the least that a hand-written program can do about it.
        """
        try:
            event = self.decode(value)
            same = _write(self._event, event, value[:HEADER]) == value
        except Exception:
            return None
        percent = event["percent"]
        return event if same and FIN(event["fin"]) and (percent is None or 0 <= percent <= 100) else None

    def project(self, event: dict[str, Any]) -> tuple[bytes, bytes]:
        """What the two receivers get."""
        (one, first), (two, second) = self._views
        return _write(one, event, first), _write(two, event, second)

    def status(self, person: str, after: Person) -> bytes:
        """The status record of a person."""
        return self.status_of(person, len(after.seen), after.latest)

    def status_of(self, person: str, version: int, latest: Sequence[Any]) -> bytes:
        plain = {
            "person": person,
            "version": version,
            "status": latest[3],
            "effective": latest[0],
            "percent": latest[4],
            "certificate": latest[5],
        }
        return _write(self._status, plain, b"\0\0\0\0\0")


def job() -> Job:
    """As the environment tells."""
    with open(os.environ["BENCH_JOB"]) as file:
        return Job(json.load(file))


def person_id(fin: str) -> str:
    return hmac.digest(SECRET, fin.encode(), "sha256")[:16].hex()


def remember(before: Person, event: dict[str, Any]) -> Person:
    """The person after one more event; the latest decision wins, whenever it comes."""
    decision = (
        event["effective"],
        event["seq"],
        event["event_id"],
        event["status"],
        event["percent"],
        event["certificate"],
    )
    return Person(before.seen | {event["event_id"]}, max(before.latest, decision))


def _prefix(schema_id: int) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big")


def _write(schema: Any, plain: dict[str, Any], prefix: bytes) -> bytes:
    buffer = io.BytesIO()
    buffer.write(prefix)
    fastavro.schemaless_writer(buffer, schema, plain)
    return buffer.getvalue()
