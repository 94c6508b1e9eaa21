"""Whole topics, from their start to the end that they have when the call is made: for trace, DLQ, balance, schema log."""

from __future__ import annotations

import time
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


def read_all(
    connection: Connection,
    topics: str | Iterable[str],
    isolation: Isolation = "read_committed",
    since: int | None = None,
) -> Iterator[Record]:
    """Every record of these topics up to the end that they have now, in order within each partition.

    `read_committed` ends before the oldest transaction still open. `since` (milliseconds) skips, by Kafka's time
    index, what is older. A topic that does not exist has no records. Raises `Retry` when the broker stops answering.
    """
    names = [topics] if isinstance(topics, str) else sorted(set(topics))
    starts, ends = _bounds(connection, names, isolation, since)
    return _read(connection, starts, ends, isolation)


def tail(
    connection: Connection, topic: str, count: int, isolation: Isolation = "read_committed"
) -> list[Record]:
    """The last `count` records of a topic by timestamp, oldest first, reading no more of each partition than that
    takes."""
    first, ends = _bounds(connection, [topic], isolation, None)
    width = count
    while True:
        starts = {tp: max(first[tp], end - width) for tp, end in ends.items()}
        records = list(_read(connection, starts, ends, isolation))
        if _enough(records, count, starts, first, ends):
            return sorted(records, key=lambda record: record.timestamp)[-count:]
        width *= 4  # markers and compaction leave offsets without a record


def _enough(records: list[Record], count: int, starts: Offsets, first: Offsets, ends: Offsets) -> bool:
    have = dict.fromkeys(ends, 0)
    for record in records:
        have[TopicPartition(record.topic, record.partition)] += 1
    return all(have[tp] >= count or starts[tp] == first[tp] for tp in ends)


def _bounds(
    connection: Connection, topics: list[str], isolation: Isolation, since: int | None
) -> tuple[Offsets, Offsets]:
    """First offset to read and the one to stop before, of every partition that has anything in between."""
    level = IsolationLevel.build_from(isolation)
    with admin(connection) as client:
        found = (
            [topic for topic in client.describe_topics(topics) if topic["error_code"] == 0] if topics else []
        )
        parts = [
            TopicPartition(topic["name"], part["partition_index"])
            for topic in found
            for part in topic["partitions"]
        ]
        if not parts:
            return {}, {}
        ends = _offsets(client, parts, OffsetSpec.LATEST, level)
        starts = _offsets(client, parts, OffsetSpec.EARLIEST, level)
        if since is not None:
            late = _offsets(client, parts, since, level)
            starts = {tp: late[tp] if late[tp] >= 0 else ends[tp] for tp in parts}  # -1: nothing that young
    return {tp: starts[tp] for tp in parts if starts[tp] < ends[tp]}, {
        tp: ends[tp] for tp in parts if starts[tp] < ends[tp]
    }


def _offsets(
    client: KafkaAdminClient, parts: list[TopicPartition], spec: int, level: IsolationLevel
) -> dict[TopicPartition, int]:
    found = client.list_partition_offsets(dict.fromkeys(parts, spec), level)
    return {tp: found[tp].offset for tp in parts}


def _read(connection: Connection, starts: Offsets, ends: Offsets, isolation: Isolation) -> Iterator[Record]:
    if not ends:
        return
    with consumer(connection, isolation=isolation) as client:
        client.assign(list(ends))
        for tp, offset in starts.items():
            client.seek(tp, offset)
        yield from _poll(client, dict(ends))


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
            raise Retry(
                f"reading {_names(left)} has stalled for {STALLED_SECONDS:.0f} seconds before the end"
            )


def _position(client: KafkaConsumer, tp: TopicPartition) -> int:
    # client.position(tp) walks over all partitions each time: a minute where this takes a second.
    return int(client._subscription.assignment[tp].position.offset)


def _names(left: Iterable[TopicPartition]) -> str:
    return ", ".join(f"{tp.topic}/{tp.partition}" for tp in list(left)[:5])


def _record(found: ConsumerRecord) -> Record:
    headers = tuple((name, bytes(value or b"")) for name, value in found.headers)
    return Record(
        found.topic, found.partition, found.offset, found.timestamp, found.key, found.value, headers
    )
