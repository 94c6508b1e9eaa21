"""What must come of a set of accepted events: a person's status, and what each agency is given.

Written from CONTRACT ("An event", "schemas/") and the catalogue's files; no line of it is the product's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from chaos.catalogue import Type


class Applied(NamedTuple):
    """An event that counts: its attributes and its decoded body. `time` is in milliseconds."""

    type: Type
    agency: str
    id: str
    time: int
    sequence: int
    fields: dict[str, Any]

    @property
    def rule(self) -> dict[str, Any] | None:
        return self.type.schema.get("status")

    @property
    def effective(self) -> int:
        return self.fields[self.rule["effective"]]

    def stated(self, name: str) -> Any:
        """The value of the body's field that the status rule has for `name`; None where it has none."""
        field = self.rule.get(name)
        return None if field is None else self.fields[field]


def statuses(events: Iterable[Applied]) -> list[dict[str, Any]]:
    """The `statuses` of a `hub.PersonStatus`, whatever the order of the events."""
    telling = [event for event in events if event.rule]
    void = {
        (e.rule["kind"], e.stated("voids")) for e in telling if e.stated("voids") not in (None, e.stated("document"))
    }
    facets: dict[tuple[str, str], list[Applied]] = defaultdict(list)
    for event in telling:
        if event.rule["transition"] != "annul" and (event.rule["kind"], event.stated("document")) not in void:
            facets[event.rule["kind"], event.stated("slot") or ""].append(event)
    found = [(kind, slot, _intervals(of)) for (kind, slot), of in sorted(facets.items())]
    return [{"kind": kind, "slot": slot or None, "intervals": held} for kind, slot, held in found if held]


def _intervals(events: list[Applied]) -> list[dict[str, Any]]:
    """Each decision holds from its day until its own end or the next decision, whichever comes first."""
    events = sorted(events, key=lambda e: (e.effective, e.time, e.agency, e.sequence, e.id))
    held = []
    for event, following in zip(events, [*events[1:], None]):
        ends = [end for end in (event.stated("until"), following and following.effective) if end is not None]
        until = min(ends) if ends else None
        if event.rule["transition"] == "set" and (until is None or event.effective < until):
            attributes = {name: event.fields[name] for name in event.rule["carries"]}
            held.append({"from": event.effective, "until": until, "source": event.agency, "attributes": attributes})
    return held


def deliveries(of: Type, fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Agency → the fields it is to see, masked ones as the constant or null."""
    nullable = {f["name"] for f in of.schema["fields"] if isinstance(f["type"], list) and "null" in f["type"]}
    return {
        e.agency: {
            name: value if name in e.clear else (None if name in nullable else "***")
            for name, value in fields.items()
            if name in e.clear | e.masked
        }
        for e in of.entitlements
        if all(fields[name] in values for name, values in e.when.items())
    }


def late(event: Applied, before: Iterable[Applied]) -> bool:
    """Whether an event of that stream, effective later, was applied to the person before it."""
    return bool(event.rule) and any(
        other.rule and other.type.stream == event.type.stream and other.effective > event.effective for other in before
    )
