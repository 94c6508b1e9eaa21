"""The nouns of the catalogue: who may publish what, who may see which part of it, and why.

All of them are read from `schemas/` by `hub.catalogue.load` and never change while a process runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

AgencyKind = Literal["own", "partner", "provider"]
KeyKind = Literal["person", "case"]
Transition = Literal["set", "end", "annul"]
Operator = Literal["<", "<=", "provides", "is"]
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Name:
    """What people call a thing, in Azerbaijani and in English."""

    az: str
    en: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A topic of events that belong together: `events.<code>`."""

    code: str
    name: Name


@dataclass(frozen=True, slots=True)
class Basis:
    """The law or decree that an entitlement rests on; `assumed` where no source names it."""

    code: str
    name: Name
    assumed: bool


@dataclass(frozen=True, slots=True)
class District:
    """A district or a city of republican subordination."""

    code: str
    name: Name


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the unified coordination centres, and the agencies (by code) that provide it."""

    code: str
    name: Name
    providers: tuple[str, ...]
    assumed: bool


@dataclass(frozen=True, slots=True)
class Agency:
    """A body or system with the four topics of its own; `publishes` holds full names of event types.

    `own`: one of the ministry's systems; `partner`: one of the 31; `provider`: provides a service of
    the coordination centres and is no partner.
    """

    code: str
    kind: AgencyKind
    name: Name
    publishes: frozenset[str]
    assumed: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class StatusRule:
    """How an event changes the status of its person: names of body fields, `None` where it has none.

    `set` holds from `effective` until `until` (exclusive); `end` stops at `effective`; `annul`: the
    decision numbered `voids` never was. `carries` are the fields that the status shows.
    """

    kind: str
    slot: str | None
    transition: Transition
    effective: str
    until: str | None
    document: str | None
    voids: str | None
    carries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds between two fields of an event; it says nothing when one of them is null.

    `<` and `<=` order them; agency `provides` service; a field `is` the `publisher` (the agency that speaks).
    """

    left: str
    operator: Operator
    right: str


@dataclass(frozen=True, slots=True, eq=False)
class EventType:
    """One kind of event. `schema` is its Avro schema as the file has it, with the hub's attributes.

    `identifiers` are the paths of its FİN fields; `*` in a path stands for an array's item or a
    map's value. `retention` is an ISO 8601 duration or `forever`.
    """

    name: str
    stream: str
    owner: str
    key_kind: KeyKind
    key_field: str
    retention: str
    status: StatusRule | None
    rules: tuple[Rule, ...]
    schema: Schema
    identifiers: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Mask:
    """Which fields of a type are seen, and how. Receivers with equal masks share one projection."""

    type: str
    clear: frozenset[str]
    masked: frozenset[str]

    @property
    def digest(self) -> str:
        """Eight hex digits that name this mask, the same in every process."""
        parts = [self.type, sorted(self.clear), sorted(self.masked)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What one agency sees of one event type. `when`: field → values that let an event through.
    `assumed`: no source that we have says that this agency gets it."""

    agency: str
    type: str
    basis: str
    when: Mapping[str, frozenset[str]] = field(hash=False)
    clear: frozenset[str]
    masked: frozenset[str]
    assumed: bool = False

    @property
    def mask(self) -> Mask:
        return Mask(self.type, self.clear, self.masked)


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """The schema of what receivers with this mask get; fields in the order of the event's."""

    name: str
    schema: Schema
    mask: Mask


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Everything that `schemas/` says. Mappings are ordered by their keys.

    `entitlements`: event type → entitlements ordered by agency (types that nobody receives are there,
    empty). `records`: the hub's own records by full name. `fingerprint`: a digest of all files read.
    """

    version: int
    agencies: Mapping[str, Agency]
    streams: Mapping[str, Stream]
    types: Mapping[str, EventType]
    services: Mapping[str, Service]
    bases: Mapping[str, Basis]
    districts: Mapping[str, District]
    entitlements: Mapping[str, tuple[Entitlement, ...]]
    projections: Mapping[Mask, Projection]
    records: Mapping[str, Schema]
    fingerprint: str

    def may_publish(self, agency: str, type: str) -> bool:
        known = self.agencies.get(agency)
        return known is not None and type in known.publishes

    def schemas(self) -> Iterator[tuple[str, str]]:
        """(subject, schema as JSON) of all that flows: event types, hub records, projections."""
        yield from self._texts.items()

    def text(self, subject: str) -> str:
        """The schema of one of them: an owner may have registered a newer one, which this catalogue does not know."""
        return self._texts[subject]

    @cached_property
    def _texts(self) -> dict[str, str]:
        projected = {p.name: p.schema for p in self.projections.values()}
        events = {name: t.schema for name, t in self.types.items()}
        groups = (events, dict(self.records), projected)
        return {name: _compact(group[name]) for group in groups for name in sorted(group)}


def _compact(schema: Schema) -> str:
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
