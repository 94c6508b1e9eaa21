"""What the topic `_schemas` says, as a value: records go in by `apply`, ids and versions come out.

The layout is that of Confluent's registry, so that either can read what the other wrote.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from hub.registry.canonical import canonical, kept
from hub.registry.entry import Entry, Reference, entry_of

__all__ = ["TOPIC", "Entry", "Reference", "Registered", "Schemas"]

TOPIC = "_schemas"
Place = tuple[str, int]
"""Subject and version."""


class Registered(NamedTuple):
    """A version of a subject; `schema` is its Avro schema as JSON text."""

    subject: str
    version: int
    schema: str


class Schemas:
    """All subjects with their versions. An id belongs to a schema: the same schema in two subjects has one id."""

    def __init__(self) -> None:
        self._subjects: dict[str, dict[int, Entry]] = {}
        self._places: dict[int, dict[Place, None]] = {}
        self._ids: dict[tuple[str, tuple[Reference, ...]], int] = {}
        self._highest = 0
        self.configs: dict[str | None, dict[str, Any]] = {}
        self.modes: dict[str | None, str] = {}

    def copy(self) -> Schemas:
        """What is applied to the one does not show in the other."""
        found = copy.copy(self)
        found._subjects = {subject: dict(entries) for subject, entries in self._subjects.items()}
        found._places = {id: dict(places) for id, places in self._places.items()}
        found._ids, found.configs, found.modes = dict(self._ids), dict(self.configs), dict(self.modes)
        return found

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take in the next record of the log. Raises `ValueError` for one that no registry writes.

        Keytypes that are not known here say nothing about schemas.
        """
        name, said = _object(key), None if value is None else _object(value)
        try:
            self._take(name, said)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def _take(self, name: dict[str, Any], said: dict[str, Any] | None) -> None:
        match name.get("keytype"):
            case "SCHEMA":
                self._schema(name, said)
            case "DELETE_SUBJECT" if said is not None:
                self._delete(name["subject"], said["version"])
            case "CONFIG":
                _put(self.configs, name.get("subject"), said and _without_subject(said))
            case "MODE":
                _put(self.modes, name.get("subject"), said and said["mode"])
            case "NOOP" if said is not None:
                self._highest = max(self._highest, said.get("highestId", 0))

    def add(self, entry: Entry) -> None:
        self._subjects.setdefault(entry.subject, {})[entry.version] = entry
        self._places.setdefault(entry.id, {})[entry.subject, entry.version] = None
        self._ids.setdefault((kept(entry.schema), entry.references), entry.id)
        self._highest = max(self._highest, entry.id)

    @property
    def highest_id(self) -> int:
        """The highest id ever given out; 0: none."""
        return self._highest

    def by_id(self, id: int) -> Registered:
        """The first subject and version that had it, deleted ones too: records live longer. Raises `KeyError`."""
        entry = self.entries_of(id)[0]
        return Registered(entry.subject, entry.version, entry.schema)

    def entries_of(self, id: int) -> list[Entry]:
        """Every version with that id, deleted ones too, in the order of the log. Raises `KeyError`: there is none."""
        places = self._places.get(id)
        if not places:
            raise KeyError(id)
        return [self._subjects[subject][version] for subject, version in places]

    def id_of(self, subject: str, schema: str | None = None) -> int:
        """The id of this schema in the subject, or of the subject's latest. A deleted version counts where there is no
        other: who runs on it needs its id, not that it is offered. Raises `KeyError` when there is none."""
        entry = self._said(subject, schema) or self._said(subject, schema, deleted=True)
        if entry is None:
            raise KeyError(f"{subject} has no such version")
        return entry.id

    def latest(self, subject: str) -> Entry | None:
        return max(self._live(subject), key=lambda entry: entry.version, default=None)

    def subjects(self, *, deleted: bool = False) -> list[str]:
        """Those with a version that is not deleted, sorted; with `deleted` those with any."""
        return sorted(name for name, all_of_it in self._subjects.items() if self._live(name) or (deleted and all_of_it))

    def versions(self, subject: str, *, deleted: bool = False) -> list[Entry]:
        """Ascending, without deleted ones unless they are asked for."""
        found = self._subjects.get(subject, {}).values() if deleted else self._live(subject)
        return sorted(found, key=lambda entry: entry.version)

    def version(self, subject: str, version: int) -> Entry | None:
        """That version, deleted or not."""
        return self._subjects.get(subject, {}).get(version)

    def same(
        self,
        subject: str,
        schema: str,
        references: tuple[Reference, ...] = (),
        *,
        normalize: bool = False,
        deleted: bool = False,
    ) -> Entry | None:
        """The latest version of the subject that says the same; of deleted ones too where they are asked for."""
        text = canonical(schema, normalize=normalize)
        return next(
            (
                entry
                for entry in reversed(self.versions(subject, deleted=deleted))
                if kept(entry.schema, normalize=normalize) == text and entry.references == references
            ),
            None,
        )

    def next(self, subject: str, schema: str, references: tuple[Reference, ...] = ()) -> Entry:
        """What a new version of the subject would be. Changes nothing."""
        version = max(self._subjects.get(subject, {}), default=0) + 1
        known = self._ids.get((canonical(schema), references))
        return Entry(subject, version, known or self._highest + 1, schema, references=references)

    def assign(self, pairs: Iterable[tuple[str, str]]) -> list[Entry]:
        """Take in these (subject, schema) pairs and return the entries that are new, for the log.

        Ids follow the order given, from one above the highest ever seen.
        """
        new = []
        for subject, schema in pairs:
            if self.same(subject, schema) is None:
                new.append(self.next(subject, schema))
                self.add(new[-1])
        return new

    def referrers(self, subject: str, version: int) -> list[Entry]:
        """Versions, not deleted, that use a type of that version."""
        everyone = (entry for name in self._subjects for entry in self._live(name))
        return [e for e in everyone if any((r.subject, r.version) == (subject, version) for r in e.references)]

    def _said(self, subject: str, schema: str | None, *, deleted: bool = False) -> Entry | None:
        if schema is not None:
            return self.same(subject, schema, deleted=deleted)
        return next(reversed(self.versions(subject, deleted=deleted)), None)

    def _live(self, subject: str) -> list[Entry]:
        return [entry for entry in self._subjects.get(subject, {}).values() if not entry.deleted]

    def _schema(self, name: dict[str, Any], said: dict[str, Any] | None) -> None:
        if said is None:
            self._remove(name["subject"], name["version"])
        else:
            self.add(entry_of(said))

    def _remove(self, subject: str, version: int) -> None:
        entry = self._subjects.get(subject, {}).pop(version, None)
        if entry is None:
            return
        self._places[entry.id].pop((subject, version), None)
        if not self._places[entry.id]:
            self._ids = {identity: id for identity, id in self._ids.items() if id != entry.id}
        if not self._subjects[subject]:
            del self._subjects[subject]

    def _delete(self, subject: str, up_to: int) -> None:
        for version, entry in self._subjects.get(subject, {}).items():
            if version <= up_to:
                self._subjects[subject][version] = replace(entry, deleted=True)


def _put(into: dict[str | None, Any], key: str | None, value: Any) -> None:
    if value is None:
        into.pop(key, None)
    else:
        into[key] = value


def _without_subject(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name != "subject"}


def _object(data: bytes | None) -> dict[str, Any]:
    found = json.loads(data or b"null")
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the bytes are wrong, not the caller
    return found
