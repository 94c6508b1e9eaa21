"""Topics followed from given positions, without a group: what a view reads, and how far behind it is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from hub.errors import Retry
from hub.kafka.clients import LASTING, admin, consumer_settings
from hub.kafka.connection import Connection

POLL_MS = 100
SHORTEST_NAP, LONGEST_NAP = 0.005, 0.1
"""Seconds between two looks; the longer, the longer nothing has come."""
MAX_RECORDS = 5_000
ENOUGH = 20_000
GATHER_SECONDS = 0.5

Place = tuple[str, int]
"""A topic and a partition of it."""


class Topic(NamedTuple):
    """A topic as it is now; `id` is its life: a topic deleted and made again has another one."""

    name: str
    id: str
    partitions: tuple[int, ...]


class Batch(NamedTuple):
    """Committed records in order within each partition, and where reading goes on in the partitions that moved."""

    records: Sequence[ConsumerRecord]
    positions: Mapping[Place, int]


def describe(connection: Connection, names: Iterable[str]) -> list[Topic]:
    """Those of the topics that are there."""
    with admin(connection) as client:
        found = client.describe_topics(sorted(names))
    return [
        Topic(each["name"], str(each.get("topic_id", "")), tuple(p["partition_index"] for p in each["partitions"]))
        for each in found
        if each["error_code"] == 0
    ]


class Following:
    """A read-committed consumer of whole topics. Used by one thread; raises what kafka-python raises."""

    def __init__(self, connection: Connection, topics: Sequence[Topic]) -> None:
        self._client = KafkaConsumer(**consumer_settings(connection, None, "read_committed") | LASTING)
        self._nap = SHORTEST_NAP
        self._parts = [TopicPartition(t.name, partition) for t in topics for partition in t.partitions]
        self._client.assign(self._parts)
        self._told = dict[Place, int]()

    def bounds(self) -> tuple[Mapping[Place, int], Mapping[Place, int]]:
        """First offset still there, and the end of what is committed, of every partition."""
        first = self._client.beginning_offsets(self._parts)
        return _places(first), _places(self._client.end_offsets(self._parts))

    def seek(self, positions: Mapping[Place, int]) -> None:
        """Go on from these; every partition is named."""
        for (topic, partition), offset in positions.items():
            self._client.seek(TopicPartition(topic, partition), offset)
        self._told = dict(positions)

    def poll(self) -> Batch:
        """What has come; after a moment, empty, where nothing has. More at once while there is much to read.

        The moment is slept and not polled away: kafka-python asks without a pause where a broker does not hold an
        empty fetch.
        """
        records: list[ConsumerRecord] = []
        until = time.monotonic() + GATHER_SECONDS
        while len(records) < ENOUGH and time.monotonic() < until:
            found = self._client.poll(timeout_ms=0, max_records=MAX_RECORDS)
            for batch in found.values():
                records += batch
            if sum(map(len, found.values())) < MAX_RECORDS:
                break
        if records:
            self._nap = SHORTEST_NAP
        else:
            time.sleep(self._nap)
            self._nap = min(2 * self._nap, LONGEST_NAP)
        return Batch(records, self._moved())

    def behind(self) -> int:
        """Offsets between here and the end of what is committed, over all partitions; 0 when all is read."""
        return self.left(_places(self._client.end_offsets(self._parts)))

    def left(self, ends: Mapping[Place, int]) -> int:
        """Offsets between here and these ends, over all partitions."""
        return sum(max(0, ends[tp.topic, tp.partition] - self._position(tp)) for tp in self._parts)

    def close(self) -> None:
        self._client.close(autocommit=False, timeout_ms=2_000)

    def _moved(self) -> Mapping[Place, int]:
        """Positions other than those last told: markers and aborted records move one, and are never delivered."""
        now = {(tp.topic, tp.partition): self._position(tp) for tp in self._parts}
        moved = {place: at for place, at in now.items() if self._told.get(place) != at}
        self._told = now
        return moved

    def _position(self, tp: TopicPartition) -> int:
        # client.position(tp) walks over all partitions each time
        found = self._client._subscription.assignment[tp].position
        if found is None:
            raise Retry(f"{tp.topic}/{tp.partition}: what was to be read next has left Kafka")
        return int(found.offset)


class Lookup:
    """Reads single records by their coordinates; one consumer, kept. Used by one thread at a time."""

    PATIENCE = 5.0

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: KafkaConsumer | None = None

    def record(self, topic: str, partition: int, offset: int) -> ConsumerRecord | None:
        """The record there, None where retention took it. Raises `Retry` where the broker does not answer in time."""
        tp = TopicPartition(topic, partition)
        return next((r for r in self._read({tp: offset}, {tp: offset + 1}) if r.offset == offset), None)

    def latest(
        self, topic: str, partitions: int, count: int, since: Mapping[int, int]
    ) -> tuple[Iterator[ConsumerRecord], Mapping[int, int]]:
        """The last `count` records of each partition, of those from `since` on where it names one; and where they end.

        Reading them raises `Retry` where the broker does not answer in time.
        """
        parts = [TopicPartition(topic, partition) for partition in range(partitions)]
        client = self._assigned(parts)
        first, ends = client.beginning_offsets(parts), client.end_offsets(parts)
        starts = {tp: max(first[tp], ends[tp] - count, since.get(tp.partition, 0)) for tp in parts}
        found = self._read({tp: at for tp, at in starts.items() if at < ends[tp]}, ends)
        return found, {tp.partition: end for tp, end in ends.items()}

    def _read(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> Iterator[ConsumerRecord]:
        client = self._assigned(list(starts))
        for tp, at in starts.items():
            client.seek(tp, at)
        deadline, left = time.monotonic() + self.PATIENCE, set(starts)
        while left:
            if time.monotonic() > deadline:
                raise Retry(f"records were not read within {self.PATIENCE:.0f} seconds")
            for records in client.poll(timeout_ms=POLL_MS).values():
                yield from records
            left = {tp for tp in left if client._subscription.assignment[tp].position.offset < ends[tp]}

    def _assigned(self, parts: list[TopicPartition]) -> KafkaConsumer:
        if self._client is None:
            self._client = KafkaConsumer(**consumer_settings(self._connection, None, "read_committed"))
        self._client.assign(parts)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close(autocommit=False, timeout_ms=1_000)


def _places(offsets: Mapping[TopicPartition, int]) -> dict[Place, int]:
    return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
