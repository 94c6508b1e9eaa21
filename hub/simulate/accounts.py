"""The books of an audit: what came in, what was said of it, what went out, what arrived.

Entries come in any order. What belongs together is struck out as soon as both sides are there, so that only what is
open takes much memory. Pure: it knows no broker.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Protocol

from hub.simulate.entitled import Due, digest
from hub.simulate.entries import Applied, Arrival, Offer, Place, Verdict

EXAMPLES = 5


class Entitlements(Protocol):
    """Says what is due for an event, and writes a value as `due` would have (`entitled.Entitled`)."""

    def due(self, headers: Mapping[str, bytes], value: bytes) -> Due: ...
    def normal(self, value: bytes) -> bytes: ...


class Accounts:
    """`problems`: kind → how often; `examples`: kind → a few coordinates. What is still open is `still_open`'s."""

    def __init__(self, entitled: Entitlements) -> None:
        self._entitled = entitled
        self.problems: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = defaultdict(list)
        self.accepted, self.offered, self.delivered = Counter[str](), Counter[str](), Counter[str]()
        self.verdicts: Counter[tuple[str, str, str]] = Counter()
        self.decided_ms, self.delivered_ms = array("q"), array("q")
        self.said: dict[tuple[str, int], dict[int, str]] = defaultdict(dict)
        self.arrivals: dict[Place, Arrival] = {}
        self.verdicts_early: dict[Place, Verdict] = {}
        self.rejected: dict[Place, tuple[str, bytes | None]] = {}
        self.letters: dict[Place, tuple[str, bytes | None]] = {}
        self.events: dict[str, Applied] = {}
        self.missing = 0
        self.unknown: dict[str, list[Offer]] = defaultdict(list)
        self.waiting: dict[Place, tuple[str, int]] = {}
        self.receipts_early: dict[Place, tuple[str, int]] = {}
        self.identities: dict[bytes, bytes] = {}
        self.repeats: list[tuple[Place, bytes, bytes, str]] = []
        self.versions: dict[bytes, list[int]] = {}
        self._finished: dict[tuple[str, int], set[int]] = defaultdict(set)
        self._lettered: set[Place] = set()
        self._sets: dict[frozenset[str], frozenset[str]] = {}

    def problem(self, kind: str, *places: object) -> None:
        """Count one problem and keep a few of the places where it shows."""
        self.problems[kind] += 1
        if len(self.examples[kind]) < EXAMPLES:
            self.examples[kind].append(" ".join(map(str, places)))

    def arrived(self, place: Place, arrival: Arrival) -> None:
        """A record of `in.*`."""
        self.accepted[place.agency] += 1
        verdict = self.verdicts_early.pop(place, None)
        if verdict is None:
            self.arrivals[place] = arrival
        else:
            self._settle(place, arrival, verdict)

    def judged(self, place: Place, verdict: Verdict) -> None:
        """A verdict receipt on the input record at `place`."""
        said = self.said[place.agency, place.partition]
        if place.offset in said:
            self.problem("two verdicts on one input record", place)
            return
        said[place.offset] = verdict.code or verdict.name
        arrival = self.arrivals.pop(place, None)
        if arrival is None:
            self.verdicts_early[place] = verdict
        else:
            self._settle(place, arrival, verdict)

    def buried(self, place: Place, code: str, value: bytes | None) -> None:
        """A dead letter that holds the input record at `place`."""
        if place in self._lettered:
            self.problem("two dead letters of one input record", place)
            return
        self._lettered.add(place)
        self.letters[place] = (code, value)
        self._compare_letter(place)

    def offer(self, event_id: str, offer: Offer) -> None:
        """A record of `out.*`."""
        self.offered[offer.place.agency] += 1
        self.waiting[offer.place] = (event_id, offer.accepted)
        early = self.receipts_early.pop(offer.place, None)
        if early is not None:
            self.arrived_at(offer.place, *early)
        applied = self.events.get(event_id)
        if applied is None:
            self.unknown[event_id].append(offer)
        else:
            self._strike(applied, offer)

    def arrived_at(self, place: Place, event_id: str, at: int, delivered: bool = True) -> None:
        """A final delivery receipt for the record of `out.*` at `place`; one more for the same changes nothing."""
        finished = self._finished[place.agency, place.partition]
        if place.offset in finished:
            return
        if place not in self.waiting:
            self.receipts_early[place] = (event_id, at)
            return
        expected, accepted = self.waiting.pop(place)
        finished.add(place.offset)
        if expected != event_id:
            self.problem("a delivery receipt names another event", place)
        if not delivered:
            self.problem("delivery failed for good", place)
            return
        self.delivered[place.agency] += 1
        self.delivered_ms.append(max(0, at - accepted))

    @property
    def open(self) -> int:
        """How many entries still wait for their other side."""
        inputs = len(self.arrivals) + len(self.verdicts_early) + len(self.rejected) + len(self.letters)
        return inputs + self.missing + len(self.unknown) + len(self.waiting) + len(self.receipts_early)

    def _settle(self, place: Place, arrival: Arrival, verdict: Verdict) -> None:
        self.verdicts[place.agency, verdict.name, verdict.code or ""] += 1
        self.decided_ms.append(max(0, verdict.decided - arrival.at))
        match verdict.name:
            case "APPLIED":
                self._applied(place, arrival, verdict)
            case "REJECTED":
                self.rejected[place] = (verdict.code or "", arrival.value)
                self._compare_letter(place)
                if verdict.code == "identity_conflict":
                    self._repeated(place, arrival, verdict)
            case _:
                self._repeated(place, arrival, verdict)

    def _due(self, place: Place, arrival: Arrival, verdict: Verdict) -> Due | None:
        try:
            return self._entitled.due(arrival.headers, arrival.value or b"")
        except Exception as error:  # whatever it raises: the hub said that it understood
            self.problem(f"{verdict.name.lower()}, but cannot be read ({type(error).__name__})", place)
            return None

    def _applied(self, place: Place, arrival: Arrival, verdict: Verdict) -> None:
        due = self._due(place, arrival, verdict)
        event_id = verdict.event_id or ""
        if event_id in self.events or not event_id:
            self.problem("applied under an event id that was there already", place)
        elif due:
            identity = _identity(arrival, due)
            if identity in self.identities:
                self.problem("applied twice", place)
            self.identities[identity] = due.content
            if due.person and verdict.version is not None:
                self.versions.setdefault(due.subject, []).append(verdict.version)
            agencies = frozenset(due.values)
            applied = self.events[event_id] = Applied(
                dict(due.values),
                self._sets.setdefault(agencies, agencies),
                place,
                arrival.at,
                verdict.late,
                verdict.version,
            )
            self.missing += len(applied.open)
            for offer in self.unknown.pop(event_id, ()):
                self._strike(applied, offer)

    def _repeated(self, place: Place, arrival: Arrival, verdict: Verdict) -> None:
        due = self._due(place, arrival, verdict)
        if due:
            self.repeats.append((place, _identity(arrival, due), due.content, verdict.name))

    def _strike(self, applied: Applied, offer: Offer) -> None:
        """One offer against what is due: right agency, once, the right value, the event's own attributes."""
        agency = offer.place.agency
        due = applied.open.pop(agency, None)
        if due is None:
            known = agency in applied.agencies
            kind = "offered twice to one agency" if known else "offered to an agency that is not entitled"
            self.problem(kind, offer.place, "from", applied.place)
            return
        self.missing -= 1
        if digest(offer.value) != due and not self._same(offer.value, due):
            self.problem("offered with other fields or values than the entitlement says", offer.place)
        late = offer.attributes.get("ce_late") == b"true"
        version = offer.attributes.get("ce_statusversion")
        if late != applied.late or version != (None if applied.version is None else b"%d" % applied.version):
            self.problem("offer and receipt differ in late or version", offer.place, "from", applied.place)
        if offer.accepted != applied.at:
            self.problem("the time of acceptance changed on the way", offer.place)

    def _same(self, value: bytes, due: bytes) -> bool:
        try:
            return digest(self._entitled.normal(value)) == due
        except Exception:  # not readable under the schema that it names
            return False

    def _compare_letter(self, place: Place) -> None:
        if place in self.rejected and place in self.letters:
            code, value = self.rejected.pop(place)
            found_code, found = self.letters.pop(place)
            if found != value:
                self.problem("a dead letter's bytes are not those that came in", place)
            if found_code != code:
                self.problem("dead letter and receipt differ in code", place)


def _identity(arrival: Arrival, due: Due) -> bytes:
    source, event_id = (arrival.headers.get(name, b"") for name in ("ce_source", "ce_id"))
    return digest(b"\n".join((source, event_id, due.subject)))
