"""The rulebook: the catalogue and the registered schema ids, compiled to what the steps look up.

Made once when a process starts; a step never touches a file, a registry or a broker. Only readers of versions that are
registered later are added, by `learn`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hub.avro.records import RecordCodec
from hub.avro.scanner import ShownPlan
from hub.catalogue import Catalogue, Entitlement, EventType
from hub.errors import ConfigError
from hub.event import SOURCE_PREFIX
from hub.pipeline.identify import agency_secret
from hub.pipeline.reader import Reader, View
from hub.pipeline.readers import Readers, SchemaIds
from hub.pipeline.route import Receiver, Routes
from hub.pipeline.rules import Check, Lists, compile_rules, constrained_fields

UNKNOWN = "unknown"
"""Value of a metric label where an event names no agency or stream of the catalogue."""


class Codecs(NamedTuple):
    """Packers of the hub's own records."""

    status: RecordCodec
    fact: RecordCodec
    receipt: RecordCodec
    dead_letter: RecordCodec
    activity: RecordCodec
    audit: RecordCodec


@dataclass(frozen=True)
class Rulebook:
    """All that gate and ledger look up. `secret` keys the pseudonyms; `readers` are by schema id."""

    catalogue: Catalogue
    secret: bytes
    partitions: int
    codecs: Codecs
    gate_readers: Readers
    ledger_readers: Readers
    checks: Mapping[str, Check]
    routes: Mapping[str, Routes]
    agency_of_topic: Mapping[str, str]
    source_of_agency: Mapping[str, str]
    stream_topics: Mapping[str, str]
    basis_of: Mapping[tuple[str, str], str]

    def stream_of(self, type_name: str | None) -> str:
        """The stream of a type, or `unknown`."""
        known = self.catalogue.types.get(type_name or "")
        return known.stream if known else UNKNOWN

    def learn(self, ids: SchemaIds) -> dict[int, str]:
        """Read versions registered since as well, with the catalogue as it is; returns the types by the new ids.

        The ledger's readers first: what the gate lets through can be read behind it.
        """
        self.ledger_readers.learn(ids)
        return self.gate_readers.learn(ids)


def compile_rulebook(catalogue: Catalogue, ids: SchemaIds, secret: bytes, partitions: int) -> Rulebook:
    """Raises `ConfigError` where a schema of the catalogue is not registered yet."""
    texts = dict(catalogue.schemas())
    codes = {
        "agencies": list(catalogue.agencies),
        "services": list(catalogue.services),
        "districts": list(catalogue.districts),
    }
    lists = Lists(codes, {code: service.providers for code, service in catalogue.services.items()})
    try:
        registered = {name: ids.id_of(name, text) for name, text in texts.items()}
    except KeyError as missing:
        raise ConfigError(f"a schema is not registered: {missing}; `hub topics apply` registers them") from None
    codecs = _codecs(catalogue, registered)
    types = catalogue.types
    views = {name: _views(catalogue, name, registered) for name in types}
    wants = ledger_wants(catalogue)

    def gate_reader(of: EventType, written: Mapping[str, Any]) -> Reader:
        return Reader(of, written, gate_wants(of))

    def ledger_reader(of: EventType, written: Mapping[str, Any]) -> Reader:
        return Reader(of, written, wants(of), views[of.name], _shown(of, codecs.fact))

    return Rulebook(
        catalogue=catalogue,
        secret=secret,
        partitions=partitions,
        codecs=codecs,
        gate_readers=Readers(types, gate_reader, ids),
        ledger_readers=Readers(types, ledger_reader, ids),
        checks={name: compile_rules(of.schema, of.identifiers, lists) for name, of in catalogue.types.items()},
        routes={
            name: Routes(_receiver(e, views[name], secret) for e in catalogue.entitlements[name])
            for name in catalogue.types
        },
        agency_of_topic={f"in.{code}": code for code in catalogue.agencies},
        source_of_agency={code: SOURCE_PREFIX + code for code in catalogue.agencies},
        stream_topics={name: f"events.{of.stream}" for name, of in catalogue.types.items()},
        basis_of={(e.agency, e.type): e.basis for rows in catalogue.entitlements.values() for e in rows},
    )


def gate_wants(of: EventType) -> tuple[str, ...]:
    """The top-level fields that the gate looks at."""
    identifiers = (path[0] for path in of.identifiers)
    return _unique((of.key_field, *identifiers, *constrained_fields(of.schema)))


def ledger_wants(catalogue: Catalogue) -> Callable[[EventType], tuple[str, ...]]:
    """The top-level fields that the ledger looks at: those that place an event in a status, and those of a `when`."""

    def wants(of: EventType) -> tuple[str, ...]:
        conditions = (name for e in catalogue.entitlements[of.name] for name in e.when)
        rule = of.status
        status = (rule.slot, rule.effective, rule.until, rule.document, rule.voids) if rule else ()
        return _unique((*conditions, *(name for name in status if name)))

    return wants


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _shown(of: EventType, facts: RecordCodec) -> ShownPlan | None:
    """What a status shows of a type, in the types that a fact's `attributes` may have."""
    return ShownPlan(of.status.carries, facts.map_branches("attributes")) if of.status else None


def _views(catalogue: Catalogue, type_name: str, registered: Mapping[str, int]) -> tuple[View, ...]:
    masks = dict.fromkeys(entitlement.mask for entitlement in catalogue.entitlements[type_name])
    projections = (catalogue.projections[mask] for mask in masks)
    return tuple(View(projection, registered[projection.name]) for projection in projections)


def _receiver(entitlement: Entitlement, views: tuple[View, ...], secret: bytes) -> Receiver:
    body = next(i for i, view in enumerate(views) if view.projection.mask == entitlement.mask)
    return Receiver(
        entitlement.agency,
        f"out.{entitlement.agency}",
        agency_secret(secret, entitlement.agency),
        tuple(sorted(entitlement.when.items())),
        body,
        (entitlement.agency, entitlement.type),
    )


def _codecs(catalogue: Catalogue, registered: Mapping[str, int]) -> Codecs:
    def codec(name: str) -> RecordCodec:
        return RecordCodec(registered[name], catalogue.records[name])

    return Codecs(
        status=codec("hub.PersonStatus"),
        fact=codec("hub.Fact"),
        receipt=codec("hub.Receipt"),
        dead_letter=codec("hub.DeadLetter"),
        activity=codec("hub.Activity"),
        audit=codec("hub.AuditEntry"),
    )
