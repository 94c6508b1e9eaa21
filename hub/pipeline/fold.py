"""Fold: a person's status from the set of facts about them, whatever the order in which they came.

A status is kept per (kind, slot) as half-open intervals of effective time. Each fact says what holds
from its effective day on; the next fact in (effective, time, source, sequence, id) takes over from
its own day. An annulled decision counts as never made. So a late fact corrects the past and leaves
standing what a later day's decision said.

    grant on day 10 (until 40)     ├──────────────────┤
    change on day 20, came first        ├──────────────…
    status                         ├────┼──────────────…
                                   10   20
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Fact(NamedTuple):
    """What one applied event says of a person's status. Days are days since 1970; the first five order it.

    `attributes` are the fields that the status shows, as the Avro bytes of the map that they are written as.
    """

    effective: int
    time: int
    source: str
    sequence: int
    id: str
    stream: str
    kind: str
    slot: str | None
    transition: str
    until: int | None
    document: str | None
    voids: str | None
    attributes: bytes


class Interval(NamedTuple):
    """One stretch in which a status holds: [start, until), `until` None = open."""

    start: int
    until: int | None
    source: str
    attributes: bytes


def fold(facts: Iterable[Fact]) -> dict[tuple[str, str | None], list[Interval]]:
    """Facts in any order → intervals in order of time, per (kind, slot). A pure function of the set."""
    facets: dict[tuple[str, str | None], list[Fact]] = {}
    for fact in _standing(tuple(facts)):
        facets.setdefault((fact.kind, fact.slot), []).append(fact)
    return {facet: _intervals(of) for facet, of in facets.items()}


def _standing(facts: tuple[Fact, ...]) -> list[Fact]:
    """Those not annulled or replaced by another decision of their kind, in order."""
    voided = {(fact.kind, fact.voids) for fact in facts if fact.voids is not None and fact.voids != fact.document}
    return sorted(
        [fact for fact in facts if fact.transition != "annul" and not (voided and (fact.kind, fact.document) in voided)]
    )


def _intervals(facts: list[Fact]) -> list[Interval]:
    result, following = [], None
    for fact in reversed(facts):
        until = fact.until
        if following is not None and (until is None or following < until):
            until = following
        following = fact.effective
        if fact.transition == "set" and (until is None or following < until):
            result.append(Interval(following, until, fact.source, fact.attributes))
    result.reverse()
    return result


def is_late(facts: Iterable[Fact], fact: Fact) -> bool:
    """Whether an event effective later, of the same stream, is among `facts`."""
    return any(other.effective > fact.effective and other.stream == fact.stream for other in facts)
