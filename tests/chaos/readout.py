"""What the topics hold, read with Confluent's client, committed records only."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

PATIENCE = 30.0
Place = tuple[str, int]


class Rec(NamedTuple):
    """One record; `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def at(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def named(self) -> dict[str, str]:
        return {name: value.decode() for name, value in self.headers}


Topics = dict[str, list[Rec]]
"""Per topic, in order of (partition, offset)."""


def ends(bootstrap: str) -> dict[Place, int]:
    """The offset after the last record of every partition there is."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    known = admin.list_topics(timeout=PATIENCE).topics.values()
    asked = {TopicPartition(t.topic, p): OffsetSpec.latest() for t in known for p in t.partitions if t.topic[0] != "_"}
    answers = admin.list_offsets(asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=PATIENCE)
    return {(tp.topic, tp.partition): future.result().offset for tp, future in answers.items()}


def read(
    bootstrap: str, first: Mapping[Place, int], last: Mapping[Place, int], hidden: list[str] | None = None
) -> Topics:
    """All committed records in [first, last). Where a transaction stays open, no reader sees what follows: such
    places are added to `hidden`, in which they are looked for."""
    parts = {place: end for place, end in last.items() if end > first.get(place, 0)}
    consumer = _consumer(bootstrap)
    consumer.assign([TopicPartition(*place, first.get(place, 0)) for place in parts])
    found: Topics = {}
    deadline = time.monotonic() + PATIENCE
    while parts:
        if time.monotonic() > deadline:
            if hidden is None:
                raise TimeoutError(f"neither committed nor aborted: {sorted(parts)[:5]}")
            hidden += [f"{topic}/{partition}" for topic, partition in sorted(parts)]
            break
        for message in consumer.consume(2000, 0.2):
            place = message.topic(), message.partition()
            if not message.error():
                found.setdefault(place[0], []).append(_record(message))
                deadline = time.monotonic() + PATIENCE
            elif message.error().code() == KafkaError._PARTITION_EOF and message.offset() >= parts.get(place, 0):
                parts.pop(place, None)
    consumer.close()
    return {topic: sorted(records, key=lambda r: (r.partition, r.offset)) for topic, records in sorted(found.items())}


def schemas(bootstrap: str) -> list[Rec]:
    """The topic in which the registry keeps its schemas."""
    return read(bootstrap, {}, {("_schemas", 0): _end(bootstrap, "_schemas")})["_schemas"]


def _end(bootstrap: str, topic: str) -> int:
    consumer = _consumer(bootstrap)
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=PATIENCE)[1]
    finally:
        consumer.close()


def _consumer(bootstrap: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "witness",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "log_level": 0,
        }
    )


def _record(message: object) -> Rec:
    headers = tuple((name, value or b"") for name, value in message.headers() or ())
    where = message.topic(), message.partition(), message.offset(), message.timestamp()[1]
    return Rec(*where, message.key(), message.value(), headers)


def save(topics: Mapping[str, Iterable[Rec]], folder: Path) -> None:
    """One file of JSON lines per topic; bytes in base64."""
    folder.mkdir(parents=True, exist_ok=True)
    for topic, records in topics.items():
        with (folder / f"{topic}.jsonl").open("w") as file:
            for record in records:
                row = record._asdict() | {"headers": [(n, v.decode(errors="replace")) for n, v in record.headers]}
                row |= {name: _text(row[name]) for name in ("key", "value")}
                file.write(json.dumps(row) + "\n")


def load(folder: Path) -> Topics:
    """What `save` has written."""
    return {path.stem: [_row(json.loads(line)) for line in path.open()] for path in sorted(folder.glob("*.jsonl"))}


def _row(row: dict[str, object]) -> Rec:
    headers = tuple((name, value.encode()) for name, value in row.pop("headers"))
    return Rec(
        **{k: base64.b64decode(v) if k in ("key", "value") and v is not None else v for k, v in row.items()},
        headers=headers,
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
