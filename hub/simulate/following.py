"""Reads many topics again and again, each time only what is new.

With aiokafka, which takes half the time of kafka-python for a record; what a run brings out is ten times what it
brought in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from hub.errors import Retry
from hub.kafka.clients import admin
from hub.kafka.connection import Connection

Take = Callable[["ConsumerRecord[bytes, bytes]"], None]

STALLED_SECONDS = 30.0
AT_ONCE = 2000
# A broker may answer a fetch with this much of every partition asked for: few at a time keep that in memory.
PARTITIONS = 32
SETTINGS: Mapping[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "none",  # where to read from is known: a jump would be a loss unseen
    "isolation_level": "read_committed",
    "max_partition_fetch_bytes": 4 << 20,  # the largest record is a dead letter
    "fetch_max_wait_ms": 50,
}


class Following:
    """Follows whole topics from their first records on, `read_committed`. Keeps no connection between two reads."""

    def __init__(self, connection: Connection, topics: Iterable[str]) -> None:
        self._connection, self._topics = connection, sorted(set(topics))
        self._places: dict[TopicPartition, int] = {}

    def read(self, take: Take) -> int:
        """Give `take` every record from where the last call ended to the end that the topics have now, in order
        within each partition; returns how many. Not for use within an event loop.

        Raises `Retry` when the broker stops answering: what was taken is not given again.
        """
        try:
            return asyncio.run(self._read(take))
        except KafkaError as error:
            raise Retry(f"the topics cannot be read back: {error}") from error

    async def _read(self, take: Take) -> int:
        consumer = AIOKafkaConsumer(**self._connection.aiokafka(), **SETTINGS)
        await consumer.start()
        try:
            if not self._places:
                self._places = dict(await consumer.beginning_offsets(self._partitions()))
            ends = await consumer.end_offsets(list(self._places)) if self._places else {}
            new = [(part, end) for part, end in ends.items() if end > self._places[part]]
            return sum(
                [
                    await self._until(consumer, dict(new[first : first + PARTITIONS]), take)
                    for first in range(0, len(new), PARTITIONS)
                ]
            )
        finally:
            await consumer.stop()

    def _partitions(self) -> list[TopicPartition]:
        with admin(self._connection) as client:
            described = [topic for topic in client.describe_topics(self._topics) if topic["error_code"] == 0]
        return [TopicPartition(topic["name"], p["partition_index"]) for topic in described for p in topic["partitions"]]

    async def _until(
        self, consumer: AIOKafkaConsumer[bytes, bytes], ends: dict[TopicPartition, int], take: Take
    ) -> int:
        """By position, not by record: a transaction's marker has an offset and is never delivered."""
        consumer.assign(list(ends))
        for part in ends:
            consumer.seek(part, self._places[part])
        count, moved = 0, time.monotonic()
        while ends:
            found = await consumer.getmany(*ends, timeout_ms=100, max_records=AT_ONCE)
            for part, records in found.items():
                count += self._take(part, records, ends[part], take)
            done = [part for part, end in ends.items() if await consumer.position(part) >= end]
            for part in done:
                self._places[part] = ends.pop(part)
            if found or done:
                moved = time.monotonic()
            elif time.monotonic() - moved > STALLED_SECONDS:
                raise Retry(f"reading {next(iter(ends)).topic} has stalled for {STALLED_SECONDS:.0f} seconds")
        return count

    def _take(self, part: TopicPartition, records: list[ConsumerRecord[bytes, bytes]], end: int, take: Take) -> int:
        """Those before `end`: what came meanwhile is for the next call, when its receipts are there as well."""
        wanted = [record for record in records if record.offset < end]
        for record in wanted:
            take(record)
            self._places[part] = record.offset + 1
        return len(wanted)
