"""Records that a lane has yet to read, and that nobody would read any more: of agencies and streams that were taken
out of the catalogue, and of topics that are to keep their records for less long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from kafka import KafkaAdminClient, TopicPartition
from kafka.protocol.consumer import OffsetSpec

from hub.clock import now_ms
from hub.kafka.clients import admin
from hub.kafka.connection import Connection
from hub.kafka.reading import offsets_at, partitions_of, starts_at

READERS = {"in.": "gate", "events.": "ledger"}
"""Lane by the beginning of its topics' names."""


class Left(NamedTuple):
    """Offsets of a topic that no lane has taken. `known`: one has taken some; Kafka forgets after a week how far a
    group has read what it reads no more."""

    offsets: int
    known: bool


def unread(connection: Connection, hub: str, topics: Collection[str]) -> Mapping[str, Left]:
    """Of these topics, which the catalogue does not have, what is left; without those that were read to their end.
    Raises `ConfigError` when no broker answers."""
    offsets, known = defaultdict[str, int](int), set[str]()
    with admin(connection) as client:
        for committed, parts in _lanes(client, hub, topics):
            known |= {tp.topic for tp in committed}
            first = offsets_at(client, parts, OffsetSpec.EARLIEST)
            for tp, end in offsets_at(client, parts, OffsetSpec.LATEST).items():
                offsets[tp.topic] += max(0, end - max(first[tp], committed.get(tp, 0)))
    return {topic: Left(count, topic in known) for topic, count in offsets.items() if count}


def still_needed(connection: Connection, hub: str, kept: Mapping[str, int]) -> Collection[str]:
    """Of these topics, each with the milliseconds that it is to keep a record, those of which a lane has yet to read
    older ones."""
    needed = set[str]()
    with admin(connection) as client:
        for committed, parts in _lanes(client, hub, kept):
            first, end = (offsets_at(client, parts, spec) for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST))
            for ms in {kept[tp.topic] for tp in parts}:
                mine = [tp for tp in parts if kept[tp.topic] == ms]
                young = starts_at(client, mine, now_ms() - ms, end)
                needed |= {tp.topic for tp in mine if max(first[tp], committed.get(tp, 0)) < young[tp]}
    return needed


def _lanes(
    client: KafkaAdminClient, hub: str, topics: Collection[str]
) -> Iterator[tuple[Mapping[TopicPartition, int], list[TopicPartition]]]:
    """What each lane has committed, and the partitions of those topics that are its own."""
    for prefix, lane in READERS.items():
        parts = partitions_of(client, [topic for topic in topics if topic.startswith(prefix)])
        if parts:
            group = f"{hub}.{lane}"
            found = client.list_group_offsets(group)[group]
            yield {tp: at.offset for tp, at in found.items() if at.offset >= 0}, parts
