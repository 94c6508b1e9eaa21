"""A hub in memory for a connector's own tests.

assert run(CONNECTOR, [samples(HERE / "samples")], tmp_path, directory=str(tmp_path)).delivered == 2
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hub.errors import Park, Retry
from hub.sdk.connector import Connector
from hub.sdk.delivery import Delivery
from hub.sdk.log import Log
from hub.sdk.sink import Context, Sink


def samples(folder: Path, *, partition: int = 0, first: int = 0) -> list[Delivery]:
    """Deliveries from the CloudEvents (`*.json`, one each, in the order of their names) of a folder.

    Raises `FileNotFoundError` where there is none: a test over no events would show nothing.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise FileNotFoundError(f"no samples: {folder} has no *.json; put CloudEvents there, one a file")
    events = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return [delivery(event, partition=partition, offset=first + i) for i, event in enumerate(events)]


def delivery(event: Mapping[str, Any], *, partition: int = 0, offset: int = 0) -> Delivery:
    """One CloudEvent in JSON as the hub hands it over; text that is an ISO date or time becomes one."""
    at = datetime.fromisoformat(event["time"])
    optional = ("sequence", "correlationid", "causationid")
    fields: dict[str, Any] = {name: event.get(name) for name in ("type", "source", *optional)}
    fields |= {"event_id": event["id"], "originid": event.get("originid", event["id"]), "time": at}
    fields |= {"key": event["partitionkey"], "data": _typed(event["data"]), "late": event.get("late", False)}
    fields |= {"version": event.get("statusversion"), "accepted": int(at.timestamp() * 1000)}
    return Delivery(partition=partition, offset=offset, raw=b"", schema_id=0, **fields)


@dataclass(slots=True)
class Run:
    """What a sink did: events delivered, the waits it asked for in seconds, the codes it parked under."""

    delivered: int = 0
    retries: list[float] = field(default_factory=list)
    parked: list[str] = field(default_factory=list)


def run(connector: Connector[Any], batches: Iterable[Sequence[Delivery]], data: Path, **settings: Any) -> Run:
    """Open a sink for agency `mod`, hand it each batch once, close it. Unexpected exceptions pass through."""
    sink, done = connector.sink(connector.configure(settings)), Run()
    try:
        sink.open(Context("mod", data, Log(agency="mod", connector=connector.name), lambda: 0.0))
        for batch in batches:
            _attempt(sink, batch, done)
    finally:
        sink.close()
    return done


def _attempt(sink: Sink, batch: Sequence[Delivery], done: Run) -> None:
    try:
        sink.deliver(batch)
        done.delivered += len(batch)
    except Retry as retry:
        done.retries.append(retry.after)
    except Park as park:
        done.parked.append(park.code)


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _typed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_typed(inner) for inner in value]
    for kind in (date, datetime) if isinstance(value, str) and value[4:5] == "-" else ():
        try:
            return kind.fromisoformat(value)
        except ValueError:
            continue
    return value
