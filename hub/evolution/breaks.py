"""Whom a change breaks: whoever publishes, reads, asks for or computes with the field."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import avro.schema
import yaml

from hub.evolution.changes import ADDED, NARROWED, REMOVED, RENAMED, SAID, TYPE, Change, changes
from hub.evolution.released import Release
from hub.registry.compatibility import Difference, differences

Schema = dict[str, Any]
Reads = Mapping[str, Mapping[str, frozenset[str]]]
"""Connector → event type → fields that its code looks into."""


ASKED = "its entitlement's `when` asks for it"
PUBLISHES = "publishes it, and what it sends may be refused"


class Hit(NamedTuple):
    """Somebody who is hit: an agency, a connector or the hub; and how."""

    who: str
    how: str


class Broken(NamedTuple):
    """A change and whom it breaks (nobody: it is harmless)."""

    type: str
    change: Change
    hits: tuple[Hit, ...]

    def row(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "field": self.change.path,
            "change": self.change.what,
            "detail": self.change.detail,
            "breaks": [hit._asdict() for hit in self.hits],
        }


class Readers:
    """Who reads and publishes what, straight from the files: one asks when a catalogue no longer fits its schemas."""

    def __init__(self, schemas: Path, connectors: Reads) -> None:
        files = sorted((schemas / "catalogue" / "entitlements").glob("*.yaml"))
        self._entitled = {path.stem: _receives(path) for path in files}
        agencies = _yaml(schemas / "catalogue" / "agencies.yaml")
        self._publishes = {each["code"]: each["publishes"] for each in agencies or ()}
        self._connectors = connectors

    def publishers(self, type: str) -> Iterator[Hit]:
        return (Hit(agency, PUBLISHES) for agency, types in self._publishes.items() if type in types)

    def of(self, type: str, field: str) -> Iterator[Hit]:
        """Whoever gets or asks for that field of that type."""
        for agency, receives in self._entitled.items():
            said = receives.get(type) or {}
            for how in ("clear", "masked"):
                if field in (said.get(how) or ()):
                    yield Hit(agency, f"receives it {how}")
            if field in (said.get("when") or {}):
                yield Hit(agency, ASKED)
        for connector, types in self._connectors.items():
            if field in types.get(type, ()):
                yield Hit(f"connector {connector}", "its code reads it")


def broken(type: str, old: Schema, new: Schema, readers: Readers) -> list[Broken]:
    """Every change between two versions, with whom it breaks."""
    history = _fields(unreadable(new, old), new)  # kept events, read as the new version
    receivers = _fields(unreadable(old, new), old)  # new events, read by programs of the old one
    return [_broken(type, change, old, readers, history, receivers) for change in changes(old, new)]


def unreadable(reader: Schema, writer: Schema) -> list[Difference]:
    """Everything for which data of `writer` cannot be read as `reader`, or not as what they say."""
    return differences(parse(reader), parse(writer))


def withdrawn(type: str, old: Schema, readers: Readers) -> Broken:
    """A type that is gone altogether."""
    hits = {hit.who for field in old["fields"] for hit in readers.of(type, field["name"])}
    found = [Hit("hub", "kept events of this type cannot be read any more")]
    found += (*readers.publishers(type), *(Hit(who, "receives it") for who in sorted(hits)))
    return Broken(type, Change("", REMOVED, "the whole type"), tuple(found))


def _broken(type: str, change: Change, old: Schema, readers: Readers, history: set[str], receivers: set[str]) -> Broken:
    if change.what == SAID:
        return Broken(type, change, ())
    hits: list[Hit] = []
    if change.field in history:
        hits.append(Hit("hub", "kept events cannot be read as the new version"))
    if change.field in history or change.what in (REMOVED, RENAMED, NARROWED):
        hits += readers.publishers(type)
    if change.field in receivers or change.what in (REMOVED, RENAMED):
        hits += readers.of(type, change.field)
    elif change.what not in (ADDED, NARROWED):
        hits += (hit for hit in readers.of(type, change.field) if hit.how == ASKED)
    hits += _own(old, change)
    return Broken(type, change, tuple(dict.fromkeys(hits)))


def _own(old: Schema, change: Change) -> Iterator[Hit]:
    """What the hub itself computes from the field."""
    status = old.get("status") or {}
    named = {value for name, value in status.items() if name not in ("kind", "transition", "carries")}
    if change.what in (REMOVED, TYPE) and change.path == change.field:
        if change.field in (old.get("key") or {}).values():
            yield Hit("hub", "it names the person or case")
        if change.field in named | set(status.get("carries", ())):
            yield Hit("hub", "the status is computed from it")
        if any(change.field in rule for rule in old.get("rules", ())):
            yield Hit("hub", "a rule compares it")


def _fields(found: Iterable[Difference], reader: Schema) -> set[str]:
    """Top-level fields of the reader's schema in which the differences lie."""
    indexes = [path[2] for path in (each.path.split("/") for each in found) if len(path) > 2 and path[1] == "fields"]
    return {reader["fields"][int(index)]["name"] for index in indexes}


def latest(releases: Mapping[str, list[Release]]) -> dict[str, Release]:
    return {name: all_of_it[-1] for name, all_of_it in releases.items()}


def parse(schema: Schema) -> avro.schema.Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a logical type that Apache's library does not know is none
        return avro.schema.parse(json.dumps(schema))


def _receives(path: Path) -> Mapping[str, Any]:
    return (_yaml(path) or {}).get("receives") or {}


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
