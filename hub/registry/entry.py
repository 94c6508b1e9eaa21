"""The records of `_schemas`, in Confluent's field order: compaction compares the bytes of keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

Change = tuple[bytes, bytes | None]
"""Key and value of a record to be written; a value of None removes what the key said."""

AVRO = "AVRO"


class Reference(NamedTuple):
    """A named type that another subject's schema defines."""

    name: str
    subject: str
    version: int

    def said(self) -> dict[str, Any]:
        return self._asdict()


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one subject, as a record of the log. `deleted`: no longer offered, still found by its id."""

    subject: str
    version: int
    id: int
    schema: str
    deleted: bool = False
    references: tuple[Reference, ...] = ()
    type: str = AVRO

    def key(self) -> bytes:
        return to_json({"keytype": "SCHEMA", "subject": self.subject, "version": self.version, "magic": 1})

    def value(self) -> bytes:
        said: dict[str, Any] = {"subject": self.subject, "version": self.version, "id": self.id}
        if self.type != AVRO:
            said["schemaType"] = self.type
        if self.references:
            said["references"] = [reference.said() for reference in self.references]
        return to_json(said | {"schema": self.schema, "deleted": self.deleted})

    def change(self, *, deleted: bool | None = None) -> Change:
        """The record that says this entry, deleted or not."""
        entry = self if deleted is None else replace(self, deleted=deleted)
        return entry.key(), entry.value()

    def removal(self) -> Change:
        """The record after which nothing is known of this version."""
        return self.key(), None


def config_change(subject: str | None, said: Mapping[str, Any] | None) -> Change:
    """The compatibility of a subject, or of all (`None`); `said` None removes it."""
    key = to_json({"keytype": "CONFIG", "subject": subject, "magic": 0})
    return key, None if said is None else to_json({"subject": subject, **said})


def mode_change(subject: str | None, mode: str | None) -> Change:
    key = to_json({"keytype": "MODE", "subject": subject, "magic": 0})
    return key, None if mode is None else to_json({"subject": subject, "mode": mode})


def highest_change(id: int) -> Change:
    """Remembers the highest id given out where its own record goes for good, so that it is never given again.

    Carried by the record that Confluent's registry writes as a filler and whose value it does not read.
    """
    return to_json({"keytype": "NOOP", "magic": 0}), to_json({"highestId": id})


def entry_of(value: Mapping[str, Any]) -> Entry:
    """The entry that a record's value says. Raises `ValueError` where something is missing."""
    try:
        return Entry(
            value["subject"],
            value["version"],
            value["id"],
            value["schema"],
            bool(value.get("deleted")),
            tuple(reference_of(each) for each in value.get("references") or ()),
            value.get("schemaType") or AVRO,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a schema without {error}") from error


def reference_of(said: Mapping[str, Any]) -> Reference:
    return Reference(str(said["name"]), str(said["subject"]), int(said["version"]))


def to_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
