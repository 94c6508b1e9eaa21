"""The story of an event, told to its owner from receipts and catalogue: stations, receivers, what is withheld."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from hub.catalogue import Catalogue, Entitlement
from hub.gateway.answers import EventStory, ReceiptItem, Receiver, Refusal, Seen, Station
from hub.gateway.details import in_language
from hub.texts import Language, explain
from hub.views.receipts import VERDICT, Delivered, Verdict

Fields = Callable[[Verdict], Mapping[str, Any] | None]
"""The top-level fields of the event of a verdict; None where the record is no longer kept."""

RANK = {"FAILED": 0, "PARKED": 1, "DELIVERED": 2}
"""What a receiver did last is not what counts: once delivered is delivered."""


class Teller:
    """Tells stories in one language."""

    def __init__(self, catalogue: Catalogue, language: Language) -> None:
        self._catalogue, self._language = catalogue, language

    def stories(
        self, verdicts: Sequence[Verdict], delivered: Mapping[str, Sequence[Delivered]], fields: Fields
    ) -> list[EventStory]:
        """One story per event: verdicts with one event id belong together, each without one stands alone."""
        by_event: dict[str, list[Verdict]] = defaultdict(list)
        for verdict in verdicts:
            by_event[verdict.value["event_id"] or verdict.record].append(verdict)
        return [self._story(of, delivered.get(key, ()), fields) for key, of in by_event.items()]

    def receipt(self, name: str, value: Mapping[str, Any]) -> ReceiptItem:
        """A receipt as the feed shows it."""
        if name == VERDICT:
            return ReceiptItem(
                kind="verdict",
                **{key: value[key] for key in ("id", "event_id", "type", "verdict", "version", "late", "sequence_gap")},
                record=f"{value['origin_topic']}/{value['origin_partition']}/{value['origin_offset']}",
                refusal=self._refusal(value),
                accepted=_time(value["accepted"]),
                decided=_time(value["decided"]),
            )
        return ReceiptItem(
            kind="delivery",
            **{key: value[key] for key in ("event_id", "receiver", "connector", "outcome")},
            delivered=_time(value["delivered"]),
        )

    def _story(self, verdicts: Sequence[Verdict], delivered: Sequence[Delivered], fields: Fields) -> EventStory:
        told = min(verdicts, key=lambda each: ("APPLIED", "DUPLICATE", "REJECTED").index(each.value["verdict"]))
        stations = [station for each in verdicts for station in self._of_verdict(each)]
        stations += [self._of_delivery(each) for each in delivered]
        is_in = told.value["verdict"] != "REJECTED"
        return EventStory(
            event_id=told.value["event_id"],
            type=told.value["type"],
            state=told.value["verdict"].lower(),
            timeline=sorted(stations, key=lambda station: station.at),
            receivers=self._receivers(told, delivered, fields) if is_in else [],
        )

    def _of_verdict(self, verdict: Verdict) -> Iterable[Station]:
        value = verdict.value
        yield Station(at=_time(value["accepted"]), what="accepted", record=verdict.record)
        applied = value["verdict"] == "APPLIED"
        yield Station(
            at=_time(value["decided"]),
            what=value["verdict"].lower(),
            record=verdict.record,
            version=value["version"],
            late=value["late"] if applied else None,
            sequence_gap=value["sequence_gap"] if applied else None,
            refusal=self._refusal(value),
        )

    def _of_delivery(self, delivered: Delivered) -> Station:
        value = delivered.value
        return Station(
            at=_time(value["delivered"]),
            what=value["outcome"].lower(),
            receiver=value["receiver"],
            connector=value["connector"],
        )

    def _refusal(self, value: Mapping[str, Any]) -> Refusal | None:
        if value["code"] is None:
            return None
        text = explain(value["code"], self._language)
        parts = {name: value[name] for name in ("code", "step", "pointer")}
        detail = in_language(value["detail"] or "", self._language) or None
        return Refusal(**parts, detail=detail, what=text.what, fix=text.fix)

    def _receivers(self, told: Verdict, delivered: Sequence[Delivered], fields: Fields) -> list[Receiver]:
        """Everyone entitled by the catalogue as it is now, and who received although it no longer is."""
        done = {each.value["receiver"]: each for each in sorted(delivered, key=lambda d: RANK[d.value["outcome"]])}
        entitled = self._catalogue.entitlements.get(told.value["type"], ())
        undecided = any(e.when and e.agency not in done for e in entitled)
        found = fields(told) if undecided else None
        receivers = [self._receiver(e, done.get(e.agency), found) for e in entitled]
        others = [
            self._former(agency, each) for agency, each in done.items() if all(e.agency != agency for e in entitled)
        ]
        return receivers + others

    def would_receive(self, type_name: str, fields: Mapping[str, Any]) -> list[Receiver]:
        """Everyone entitled to such an event: `offered` to whom it would go, `withheld` from whom it would not."""
        return [self._receiver(e, None, fields) for e in self._catalogue.entitlements[type_name]]

    def seen(self, e: Entitlement) -> Seen:
        """Which fields of its type an entitlement shows, in the order of the schema."""
        every = [field["name"] for field in self._catalogue.types[e.type].schema["fields"]]
        return Seen(
            clear=[name for name in every if name in e.clear],
            masked=[name for name in every if name in e.masked],
            absent=[name for name in every if name not in e.clear | e.masked],
        )

    def law(self, basis: str) -> str:
        """A legal basis by its name."""
        name = self._catalogue.bases[basis].name
        return name.az if self._language == "az" else name.en

    def _receiver(self, e: Entitlement, done: Delivered | None, fields: Mapping[str, Any] | None) -> Receiver:
        value = done.value if done else None
        return Receiver(
            agency=e.agency,
            name=self._name(e.agency),
            outcome=value["outcome"].lower() if value else _offered(e, fields),
            at=_time(value["delivered"]) if value else None,
            connector=value["connector"] if value else None,
            basis=e.basis,
            law=self.law(e.basis),
            fields=self.seen(e),
            when={name: sorted(values) for name, values in e.when.items()} or None,
        )

    def _former(self, agency: str, done: Delivered) -> Receiver:
        value = done.value
        return Receiver(
            agency=agency,
            name=self._name(agency),
            outcome=value["outcome"].lower(),
            at=_time(value["delivered"]),
            connector=value["connector"],
        )

    def _name(self, agency: str) -> str:
        known = self._catalogue.agencies.get(agency)
        return agency if known is None else known.name.az if self._language == "az" else known.name.en


def _offered(e: Entitlement, fields: Mapping[str, Any] | None) -> Literal["offered", "withheld", "unknown"]:
    if not e.when:
        return "offered"
    if fields is None:
        return "unknown"
    return "offered" if all(fields.get(name) in values for name, values in e.when.items()) else "withheld"


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
