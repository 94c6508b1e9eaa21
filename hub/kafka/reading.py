"""Whole topics, from their start to the end that they have when asked: for trace, DLQ, balance, schema log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.protocol.consumer import IsolationLevel, OffsetSpec

from hub.errors import Retry
from hub.kafka.clients import Isolation, admin, consumer
from hub.kafka.connection import Connection

# A broker that answers at all moves a reader on within milliseconds; after this long something is wrong with it.
STALLED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as it was written. `timestamp` in milliseconds since 1970; header names may repeat."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def coordinates(self) -> str:
        """`topic/partition/offset`, as receipts and dead letters name it."""
        return f"{self.topic}/{self.partition}/{self.offset}"


Offsets = Mapping[TopicPartition, int]
Spans = Mapping[TopicPartition, range]
"""Of each partition, the offsets to read; partitions with nothing to read are not in it."""


def read_all(
    connection: Connection,
    topics: str | Iterable[str],
    isolation: Isolation = "read_committed",
    *,
    since: int | None = None,
    settle: float = 0.0,
    whole: bool = False,
) -> Iterator[Record]:
    """Every record of these topics up to the end that they have now, in order within each partition.

    `read_committed` ends before the oldest transaction still open. A commit is answered a moment before its records
    can be seen: `settle` waits up to so many seconds for the transactions to end that are open now. `since`
    (milliseconds) skips, by Kafka's time index, what is older. A topic that does not exist has no records. Raises
    `Retry` when the broker stops answering and, where the `whole` is asked for, when a transaction stays open.
    """
    names = [topics] if isinstance(topics, str) else sorted(set(topics))
    return _read(connection, _spans(connection, names, isolation, since, settle, whole=whole), isolation)


def tail(connection: Connection, topic: str, count: int, isolation: Isolation = "read_committed") -> list[Record]:
    """The last `count` records of a topic by timestamp, oldest first; reads no more than that takes."""
    spans = _spans(connection, [topic], isolation)
    width = count
    while True:
        ends = {tp: span[-width:] for tp, span in spans.items()}
        records = list(_read(connection, ends, isolation))
        if _enough(records, count, spans, ends):
            return sorted(records, key=lambda record: record.timestamp)[-count:]
        width *= 4  # markers and compaction leave offsets without a record


def end_offsets(connection: Connection, topics: Iterable[str]) -> Offsets:
    """Where each partition of these topics ends now, with what is not decided yet."""
    with admin(connection) as client:
        return offsets_at(client, partitions_of(client, sorted(topics)), OffsetSpec.LATEST)


def _enough(records: list[Record], count: int, spans: Spans, ends: Spans) -> bool:
    have = Counter(TopicPartition(record.topic, record.partition) for record in records)
    return all(have[tp] >= count or ends[tp] == span for tp, span in spans.items())


def _spans(
    connection: Connection,
    topics: list[str],
    isolation: Isolation,
    since: int | None = None,
    settle: float = 0.0,
    *,
    whole: bool = False,
) -> Spans:
    with admin(connection) as client:
        parts = partitions_of(client, topics)
        if not parts:
            return {}
        ends = _ends(client, parts, isolation, time.monotonic() + settle, whole=whole)
        starts = starts_at(client, parts, since, ends)
    return {tp: range(starts[tp], ends[tp]) for tp in parts if starts[tp] < ends[tp]}


def partitions_of(client: KafkaAdminClient, topics: list[str]) -> list[TopicPartition]:
    """Of those that are there."""
    found = client.describe_topics(topics) if topics else []
    there = [topic for topic in found if topic["error_code"] == 0]
    return [TopicPartition(topic["name"], part["partition_index"]) for topic in there for part in topic["partitions"]]


def _ends(
    client: KafkaAdminClient, parts: list[TopicPartition], isolation: Isolation, deadline: float, *, whole: bool
) -> Offsets:
    there = offsets_at(client, parts, OffsetSpec.LATEST)
    while True:
        ends = offsets_at(client, parts, OffsetSpec.LATEST, isolation)
        hidden = [tp for tp in parts if ends[tp] < there[tp]]
        if not hidden:
            return ends
        if time.monotonic() >= deadline:
            if whole:
                raise Retry(f"a transaction in {_names(hidden)} stays open: try again in half a minute")
            return ends
        time.sleep(0.02)


def starts_at(client: KafkaAdminClient, parts: list[TopicPartition], since: int | None, ends: Offsets) -> Offsets:
    """The first record of each; `since` (milliseconds): the first that is no older, the end where there is none."""
    if since is None:
        return offsets_at(client, parts, OffsetSpec.EARLIEST)
    found = offsets_at(client, parts, since)
    return {tp: found[tp] if found[tp] >= 0 else ends[tp] for tp in parts}  # -1: nothing that young


def offsets_at(
    client: KafkaAdminClient,
    parts: list[TopicPartition],
    spec: int,
    isolation: Isolation = "read_uncommitted",
) -> dict[TopicPartition, int]:
    level = IsolationLevel.build_from(isolation)
    found = client.list_partition_offsets(dict.fromkeys(parts, spec), level)
    return {tp: found[tp].offset for tp in parts}


def _read(connection: Connection, spans: Spans, isolation: Isolation) -> Iterator[Record]:
    if not spans:
        return
    with consumer(connection, isolation=isolation) as client:
        client.assign(list(spans))
        for tp, span in spans.items():
            client.seek(tp, span.start)
        yield from _poll(client, {tp: span.stop for tp, span in spans.items()})


def _poll(client: KafkaConsumer, left: dict[TopicPartition, int]) -> Iterator[Record]:
    """Poll until every position has reached its end. By position, not by record: a transaction's marker and an
    aborted record have an offset and are never delivered."""
    deadline = time.monotonic() + STALLED_SECONDS
    while left:
        found = client.poll(timeout_ms=100, max_records=5000)
        for tp, batch in found.items():
            yield from (_record(each) for each in batch if tp in left and each.offset < left[tp])
        done = [tp for tp, end in left.items() if _position(client, tp) >= end]
        client.pause(*done)
        for tp in done:
            del left[tp]
        if found or done:
            deadline = time.monotonic() + STALLED_SECONDS
        elif time.monotonic() > deadline:
            raise Retry(f"reading {_names(left)} has stalled for {STALLED_SECONDS:.0f} seconds before the end")


def _position(client: KafkaConsumer, tp: TopicPartition) -> int:
    # client.position(tp) walks over all partitions each time: a minute where this takes a second.
    return int(client._subscription.assignment[tp].position.offset)


def _names(left: Iterable[TopicPartition]) -> str:
    return ", ".join(f"{tp.topic}/{tp.partition}" for tp in list(left)[:5])


def _record(found: ConsumerRecord) -> Record:
    headers = tuple((name, bytes(value or b"")) for name, value in found.headers)
    return Record(found.topic, found.partition, found.offset, found.timestamp, found.key, found.value, headers)
