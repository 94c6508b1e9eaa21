"""What was accepted and nobody reads any more: records of agencies and streams that were taken out of the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.protocol.consumer import OffsetSpec

from hub.kafka.clients import admin
from hub.kafka.connection import Connection

READERS = {"in.": "gate", "events.": "ledger"}
"""Lane by the beginning of its topics' names."""


def unread(connection: Connection, hub: str, topics: Collection[str]) -> Mapping[str, int]:
    """Of these topics, which the catalogue does not have, how many offsets a lane of this hub has not taken; topics
    that it has read to their end, or never read, are left out. Raises `ConfigError` when no broker answers."""
    named = {lane: [topic for topic in topics if topic.startswith(prefix)] for prefix, lane in READERS.items()}
    left: Counter[str] = Counter()
    if any(named.values()):
        with admin(connection) as client:
            for lane in filter(named.get, named):
                left += _left(client, f"{hub}.{lane}", named[lane])
    return left


def _left(client: KafkaAdminClient, group: str, topics: Collection[str]) -> Counter[str]:
    committed: dict[TopicPartition, Any] = client.list_group_offsets(group)[group]
    parts = [tp for tp, found in committed.items() if tp.topic in topics and found.offset >= 0]
    ends = client.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST)) if parts else {}
    left: Counter[str] = Counter()
    for tp in parts:
        left[tp.topic] += max(0, ends[tp].offset - committed[tp].offset)
    return +left
