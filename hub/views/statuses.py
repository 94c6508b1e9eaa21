"""The view `status`: the latest `hub.PersonStatus` of every person, as the bytes that the ledger wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kafka.consumer.fetcher import ConsumerRecord

from hub.kafka.following import Place
from hub.views.store import Reader, Writer
from hub.views.unpack import Unpack

NAME = "status"
FILE = "status.sqlite"
TOPIC = "status.person"
PERSON_HEX = 32

# Values lie in order of arrival, and only the small index is in that of persons: pseudonyms come in any order, and a
# tree with the values in it would be written through once for every few of them.
SCHEMA = "CREATE TABLE IF NOT EXISTS status (person BLOB UNIQUE, value BLOB);"
UPSERT = "INSERT INTO status VALUES (?, ?) ON CONFLICT (person) DO UPDATE SET value = excluded.value"


class StatusTable:
    """The loader's side. A key that is no pseudonym of the hub's is passed over."""

    name, file, schema = NAME, FILE, SCHEMA

    def apply(self, writer: Writer, records: Sequence[ConsumerRecord]) -> None:
        """Within a transaction: the last record of a person stands; a record without a value takes it away."""
        last = {record.key: record.value for record in records if _is_person(record.key)}
        gone = [[_person(key)] for key, value in last.items() if value is None]
        rows = [(_person(key), value) for key, value in last.items() if value is not None]
        rows.sort()  # neighbours in the index are written together
        writer.db.executemany(UPSERT, rows)
        writer.db.executemany("DELETE FROM status WHERE person = ?", gone)

    def prune(self, writer: Writer, first: Mapping[Place, int]) -> None:
        """Nothing: a compacted topic keeps the last word on everybody."""


class Statuses:
    """A gateway's side."""

    def __init__(self, folder: Path, unpack: Unpack) -> None:
        self.reader = Reader(folder / FILE)
        self._unpack = unpack

    def of(self, person_id: str) -> Mapping[str, Any] | None:
        """The plain `hub.PersonStatus`, None where nothing is known of that person. Raises `NotReady`."""
        rows = self.reader.complete("SELECT value FROM status WHERE person = ?", [bytes.fromhex(person_id)])
        found = self._unpack(rows[0][0]) if rows else None
        return found[1] if found else None


def _is_person(key: bytes | None) -> bool:
    return key is not None and len(key) == PERSON_HEX and not key.strip(b"0123456789abcdef")


def _person(key: bytes) -> bytes:
    return bytes.fromhex(key.decode())
