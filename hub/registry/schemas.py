"""What the topic `_schemas` says, as a value: records go in by `apply`, ids and versions come out.

The layout is that of Confluent's registry, so that either can read what the other wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

TOPIC = "_schemas"


class Registered(NamedTuple):
    """A version of a subject; `schema` is its Avro schema as JSON text."""

    subject: str
    version: int
    schema: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one subject, as a record of the log. `deleted`: no longer offered, still found by its id."""

    subject: str
    version: int
    id: int
    schema: str
    deleted: bool = False

    def key(self) -> bytes:
        """In Confluent's field order: compaction compares bytes."""
        return _json({"keytype": "SCHEMA", "subject": self.subject, "version": self.version, "magic": 1})

    def value(self) -> bytes:
        return _json(
            {
                "subject": self.subject,
                "version": self.version,
                "id": self.id,
                "schema": self.schema,
                "deleted": self.deleted,
            }
        )


class Schemas:
    """All subjects with their versions. An id belongs to a schema: the same schema in two subjects has one id."""

    def __init__(self) -> None:
        self._subjects: dict[str, dict[int, Entry]] = {}
        self._first: dict[int, Entry] = {}
        self._ids: dict[str, int] = {}
        self._last_id = 0

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take in the next record of the log. Raises `ValueError` for one that no registry writes.

        Configuration, modes and fillers (keytypes CONFIG, MODE, NOOP and any other) say nothing about schemas.
        """
        name = _object(key)
        match name.get("keytype"):
            case "SCHEMA" if value is None:
                self._subjects.get(name["subject"], {}).pop(name["version"], None)
            case "SCHEMA":
                self.add(_entry(_object(value)))
            case "DELETE_SUBJECT" if value is not None:
                self._delete(name["subject"], _object(value)["version"])

    def add(self, entry: Entry) -> None:
        self._subjects.setdefault(entry.subject, {})[entry.version] = entry
        self._first.setdefault(entry.id, entry)
        self._ids.setdefault(_canonical(entry.schema), entry.id)
        self._last_id = max(self._last_id, entry.id)

    def by_id(self, id: int) -> Registered:
        """The first subject and version that had it, deleted ones too: records live longer. Raises `KeyError`."""
        entry = self._first[id]
        return Registered(entry.subject, entry.version, entry.schema)

    def id_of(self, subject: str, schema: str | None = None) -> int:
        """The id of this schema in the subject, or of the subject's latest. Raises `KeyError` when it is not there."""
        entry = self.latest(subject) if schema is None else self._same(subject, schema)
        if entry is None:
            raise KeyError(f"{subject} has no such version")
        return entry.id

    def latest(self, subject: str) -> Entry | None:
        return max(self._live(subject), key=lambda entry: entry.version, default=None)

    def subjects(self) -> list[str]:
        """Those with a version that is not deleted, sorted."""
        return sorted(subject for subject in self._subjects if self._live(subject))

    def versions(self, subject: str) -> list[Entry]:
        """Ascending, without deleted ones."""
        return sorted(self._live(subject), key=lambda entry: entry.version)

    def assign(self, pairs: Iterable[tuple[str, str]]) -> list[Entry]:
        """Take in these (subject, schema) pairs and return the entries that are new, for the log.

        Ids follow the order given, from one above the highest ever seen.
        """
        new = []
        for subject, schema in pairs:
            if self._same(subject, schema) is None:
                new.append(self._next(subject, schema))
                self.add(new[-1])
        return new

    def _next(self, subject: str, schema: str) -> Entry:
        version = max(self._subjects.get(subject, {}), default=0) + 1
        return Entry(subject, version, self._ids.get(_canonical(schema), self._last_id + 1), schema)

    def _same(self, subject: str, schema: str) -> Entry | None:
        text = _canonical(schema)
        return next((entry for entry in self._live(subject) if _canonical(entry.schema) == text), None)

    def _live(self, subject: str) -> list[Entry]:
        return [entry for entry in self._subjects.get(subject, {}).values() if not entry.deleted]

    def _delete(self, subject: str, up_to: int) -> None:
        for version, entry in self._subjects.get(subject, {}).items():
            if version <= up_to:
                self._subjects[subject][version] = Entry(subject, version, entry.id, entry.schema, deleted=True)


def _object(data: bytes | None) -> dict[str, Any]:
    found = json.loads(data or b"null")
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the bytes are wrong, not the caller
    return found


def _entry(value: dict[str, Any]) -> Entry:
    try:
        return Entry(value["subject"], value["version"], value["id"], value["schema"], bool(value.get("deleted")))
    except KeyError as error:
        raise ValueError(f"a schema without {error}") from error


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _canonical(schema: str) -> str:
    """The same for texts that differ in spaces and in the order of attributes only."""
    try:
        return json.dumps(json.loads(schema), sort_keys=True, separators=(",", ":"))
    except ValueError:
        return schema  # a bare type name, or another schema language
