"""A person's status as one agency may see it: what the catalogue grants, and nothing by default.

A part of a status was made by an event. An agency sees it as it would see that event: the person's FİN has to be clear
to it in that type (or the answer would tell whom an event is about that names nobody to it), the condition of its
entitlement has to hold, a field is shown, masked or absent as the entitlement says. A status does not keep which type
made a part: where several types could have, only what all of them grant is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from hub.catalogue import Catalogue, Entitlement, EventType, StatusRule

MASK = "***"
EPOCH = date(1970, 1, 1)
CACHE = 1 << 16

Part = dict[str, Any]
"""One part of a status as it is answered: `kind`, `source`, and what is granted of the rest."""


class Made(NamedTuple):
    """What tells the types apart that may have made a part: all that decides about it but its values."""

    kind: str
    source: str
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sight:
    """How an agency sees such parts. `conditions`: field → values, all must hold."""

    types: tuple[str, ...]
    bases: tuple[str, ...]
    conditions: tuple[tuple[str, frozenset[str]], ...]
    clear: tuple[str, ...]
    masked: tuple[str, ...]
    dates: frozenset[str]
    slot: str | None
    start: bool
    until: bool


class Covered(NamedTuple):
    """A kind of status that an agency may ask for; `when` are conditions of which one is never in a status."""

    kind: str
    answerable: bool
    when: Mapping[str, Sequence[str]]


class EntitledStatus:
    """Looks a status up for an agency. Compiled lazily and kept: there are few ways to be entitled."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._granted: dict[str, dict[str, Entitlement]] = {}
        for entitlement in (e for rows in catalogue.entitlements.values() for e in rows):
            self._granted.setdefault(entitlement.agency, {})[entitlement.type] = entitlement
        self._types: dict[str, list[tuple[EventType, StatusRule]]] = {}
        for of in catalogue.types.values():
            if of.status:
                self._types.setdefault(of.status.kind, []).append((of, of.status))
        self._sight = lru_cache(CACHE)(self._look)

    def covers(self, agency: str) -> list[Covered]:
        """The kinds of status that this agency may ask for at all; empty: it may not ask."""
        return [found for kind in self._types if (found := self._covered(agency, kind))]

    def parts(self, agency: str, status: Mapping[str, Any], day: date) -> list[tuple[Part, Sight]]:
        """What this agency sees of a plain `hub.PersonStatus` as of `day`, each with why."""
        number = (day - EPOCH).days
        return [
            (shown, sight)
            for facet in status["statuses"]
            for interval in facet["intervals"]
            if interval["from"] <= number and (interval["until"] is None or number < interval["until"])
            if (sight := self._sight(agency, _made(facet, interval)))
            if (shown := _shown(facet, interval, sight)) is not None
        ]

    def _covered(self, agency: str, kind: str) -> Covered | None:
        granted = self._granted.get(agency, {})
        askable = [
            (granted[of.name], rule)
            for of, rule in self._types[kind]
            if rule.transition == "set" and of.name in granted and of.key_field in granted[of.name].clear
        ]
        if not askable:
            return None
        open_to = [e for e, rule in askable if set(e.when) <= {*rule.carries, rule.slot}]
        conditions = {name: sorted(values) for e, _ in askable for name, values in e.when.items()}
        return Covered(kind, bool(open_to), conditions)

    def _look(self, agency: str, made: Made) -> Sight | None:
        granted = self._granted.get(agency, {})
        makers = list(self._makers(made))
        entitled = [granted.get(of.name) for of, _ in makers]
        if not makers or any(e is None or of.key_field not in e.clear for e, (of, _) in zip(entitled, makers)):
            return None
        grants = [e for e in entitled if e is not None]
        clear = frozenset.intersection(*(e.clear for e in grants))
        seen = frozenset.intersection(*(e.clear | e.masked for e in grants))
        rules = [rule for _, rule in makers]
        return Sight(
            types=tuple(of.name for of, _ in makers),
            bases=tuple(e.basis for e in grants),
            conditions=tuple((name, values) for e in grants for name, values in e.when.items()),
            clear=tuple(sorted(made.attributes & clear)),
            masked=tuple(sorted((made.attributes & seen) - clear)),
            dates=frozenset(name for of, _ in makers for name in _dates(of)),
            slot=next((rule.slot for rule in rules if rule.slot), None),
            start=all(rule.effective in clear for rule in rules),
            until=all(rule.until is None or rule.until in clear for rule in rules) and self._ends(granted, made.kind),
        )

    def _makers(self, made: Made) -> Iterator[tuple[EventType, StatusRule]]:
        """Types of which an event may have made such a part."""
        for of, rule in self._types.get(made.kind, ()):
            fits = frozenset(rule.carries) == made.attributes and self._catalogue.may_publish(made.source, of.name)
            if rule.transition == "set" and fits:
                yield of, rule

    def _ends(self, granted: Mapping[str, Entitlement], kind: str) -> bool:
        """Whether the agency may know when any event that ends or replaces a part of this kind takes effect."""
        cutting = [(of, rule) for of, rule in self._types[kind] if rule.transition != "annul"]
        return all(of.name in granted and rule.effective in granted[of.name].clear for of, rule in cutting)


def _made(facet: Mapping[str, Any], interval: Mapping[str, Any]) -> Made:
    return Made(facet["kind"], interval["source"], frozenset(interval["attributes"]))


def _shown(facet: Mapping[str, Any], interval: Mapping[str, Any], sight: Sight) -> Part | None:
    attributes = interval["attributes"]
    known = {**attributes, sight.slot: facet["slot"]}
    if not all(known.get(name) in values for name, values in sight.conditions):
        return None
    part: Part = {"kind": facet["kind"], "source": interval["source"]}
    if sight.start:
        part["from"] = _day(interval["from"])
    if sight.until:
        part["until"] = _day(interval["until"])
    shown = {name: _day(attributes[name]) if name in sight.dates else attributes[name] for name in sight.clear}
    part["fields"] = shown | {name: MASK if isinstance(attributes[name], str) else None for name in sight.masked}
    part["masked"] = list(sight.masked)
    return part


def _day(days: Any) -> Any:
    return None if days is None else (EPOCH + timedelta(days=days)).isoformat()


def _dates(of: EventType) -> Iterator[str]:
    """Top-level fields that are dates."""
    for field in of.schema["fields"]:
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        if any(isinstance(branch, dict) and branch.get("logicalType") == "date" for branch in branches):
            yield field["name"]
