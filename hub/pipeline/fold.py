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

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Scalar = bool | int | float | str | None


class Fact(NamedTuple):
    """What one applied event says of a person's status. Days are days since 1970; the first five order it."""

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
    attributes: tuple[tuple[str, Scalar], ...]


class Interval(NamedTuple):
    """One stretch in which a status holds: [start, until), `until` None = open."""

    start: int
    until: int | None
    source: str
    attributes: tuple[tuple[str, Scalar], ...]


def fold(facts: Iterable[Fact]) -> dict[tuple[str, str | None], list[Interval]]:
    """Facts in any order → intervals in order of time, per (kind, slot). A pure function of the set."""
    facets: dict[tuple[str, str | None], list[Fact]] = defaultdict(list)
    for fact in _standing(tuple(facts)):
        facets[fact.kind, fact.slot].append(fact)
    return {facet: _intervals(of) for facet, of in facets.items()}


def _standing(facts: tuple[Fact, ...]) -> list[Fact]:
    """Those not annulled or replaced by another decision of their kind, in order."""
    voided = {(fact.kind, fact.voids) for fact in facts if fact.voids is not None and fact.voids != fact.document}
    return sorted(
        fact
        for fact in facts
        if fact.transition != "annul" and (fact.document is None or (fact.kind, fact.document) not in voided)
    )


def _intervals(facts: list[Fact]) -> list[Interval]:
    result = []
    for fact, following in zip(facts, [*facts[1:], None], strict=True):
        until = fact.until
        if following is not None and (until is None or following.effective < until):
            until = following.effective
        if fact.transition == "set" and (until is None or fact.effective < until):
            result.append(Interval(fact.effective, until, fact.source, fact.attributes))
    return result


def status_value(person: str, version: int, facts: Iterable[Fact]) -> dict[str, Any]:
    """The plain value of a `hub.PersonStatus`: facets in order of (kind, slot), attributes by name."""
    facets = sorted(fold(facts).items(), key=lambda item: (item[0][0], item[0][1] or ""))
    return {
        "person_id": person,
        "version": version,
        "statuses": [
            {"kind": kind, "slot": slot, "intervals": [_plain(interval) for interval in intervals]}
            for (kind, slot), intervals in facets
            if intervals
        ],
    }


def _plain(interval: Interval) -> Mapping[str, Any]:
    return {
        "from": interval.start,
        "until": interval.until,
        "source": interval.source,
        "attributes": dict(interval.attributes),
    }
