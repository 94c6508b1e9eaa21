"""The way of one event, read from the topics themselves: what came in, what was decided, who received it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hub import registry
from hub.admin.records import Unpacker
from hub.catalogue import Catalogue
from hub.event import header, placed_once
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all


@dataclass(frozen=True, slots=True)
class Station:
    """One station: when (milliseconds since 1970), where in Kafka, and what happened there in a sentence."""

    at: int
    record: str
    what: str


@dataclass(frozen=True, slots=True)
class _Verdict:
    agency: str
    origin: str
    event_id: str | None


def trace(connection: Connection, catalogue: Catalogue, sought: str) -> list[Station]:
    """All stations of the events with that id (the publisher's or the hub's) or coordinates, in order of time.

    Reads the receipts of all agencies, then what was offered since the first of them; empty where nothing is known.
    """
    unpacker = Unpacker(registry.read(connection))
    stations: list[Station] = []
    verdicts: list[_Verdict] = []
    receipts = [f"receipts.{agency}" for agency in catalogue.agencies]
    for record in read_all(connection, receipts):
        name, value = unpacker.unpack(record.value or b"")
        if name != "hub.Receipt":
            continue
        origin = f"{value['origin_topic']}/{value['origin_partition']}/{value['origin_offset']}"
        if sought in (origin, value["id"], value["event_id"]):
            agency = record.topic.removeprefix("receipts.")
            verdicts.append(_Verdict(agency, origin, value["event_id"]))
            stations.append(Station(value["accepted"], origin, f"accepted from {agency}"))
            stations.append(Station(value["decided"], record.coordinates, _verdict(value)))
    if verdicts:
        since = min(station.at for station in stations)
        stations += _offers(connection, catalogue, unpacker, {v.event_id for v in verdicts} - {None}, since)
    return sorted(stations, key=lambda station: station.at)


def _verdict(value: dict[str, Any]) -> str:
    match value["verdict"]:
        case "APPLIED":
            late = ", late: it corrects the past" if value["late"] else ""
            gap = "; a sequence number before it is missing" if value["sequence_gap"] else ""
            return f"applied, status version {value['version']}{late}{gap}; event id {value['event_id']}"
        case "DUPLICATE":
            return "duplicate: known already, with the same content"
    where = f" at {value['pointer']}" if value["pointer"] else ""
    detail = placed_once(value["detail"], value["pointer"])
    return f"rejected by {value['step']}: {value['code']}{where}: {detail}"


def _offers(
    connection: Connection, catalogue: Catalogue, unpacker: Unpacker, ids: set[str | None], since: int
) -> Iterator[Station]:
    out = [f"out.{agency}" for agency in catalogue.agencies]
    for record in read_all(connection, out, since=since):
        event_id = (header(record.headers, "ce_id") or b"").decode()
        if event_id in ids:
            yield Station(record.timestamp, record.coordinates, f"offered to {record.topic.removeprefix('out.')}")
    for record in read_all(connection, [f"receipts.{agency}" for agency in catalogue.agencies], since=since):
        name, value = unpacker.unpack(record.value or b"")
        if name == "hub.DeliveryReceipt" and value["event_id"] in ids:
            what = f"{value['outcome'].lower()} to {value['receiver']} by {value['connector']}"
            yield Station(value["delivered"], record.coordinates, what)
