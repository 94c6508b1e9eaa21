"""One transaction of one partition number: the batch's outputs and its offsets, all or nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer, TopicPartition

from hub.engine.partitioner import partition_of
from hub.event import Row
from hub.kafka.connection import Connection

# Between two transactions of one producer aiokafka waits this long (seconds) when the broker still
# writes the last one's markers; its 20 ms are the largest part of the latency at low rates.
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002

BATCH_BYTES = 1 << 20
"""Record batches are cut at this size; one record may be larger and then travels alone."""


class _Open:
    """A record batch being written: `append` is the compiled writer of aiokafka's `BatchBuilder`."""

    __slots__ = ("_builder", "append", "count")

    def __init__(self, builder: Any) -> None:
        self._builder, self.append, self.count = builder, builder._builder.append, 0

    def closed(self) -> Any:
        self._builder._relative_offset = self.count
        self._builder.close()
        return self._builder


class Transactions:
    """A transactional producer that is used until its first failure, then closed and never again."""

    def __init__(
        self,
        connection: Connection,
        transactional_id: str,
        group: str,
        topics: Sequence[str],
        partitions: int,
    ) -> None:
        self._group, self._topics, self._partitions = group, topics, partitions
        self._producer = AIOKafkaProducer(
            **connection.aiokafka(),
            transactional_id=transactional_id,
            max_batch_size=BATCH_BYTES,
            max_request_size=8 << 20,
            linger_ms=0,
            transaction_timeout_ms=15_000,
            request_timeout_ms=10_000,
        )

    async def start(self) -> None:
        """InitProducerId: fences a predecessor with the same id and ends the transaction it left open."""
        await self._producer.start()
        # all at once: looked up one by one, at the first record for each, they would hold up the first transactions
        await self._producer.client.set_topics(self._topics)

    async def commit(self, outputs: Iterable[Row], offsets: Mapping[TopicPartition, int]) -> None:
        """Returns once the transaction is committed. After any exception its outcome may be either."""
        producer = self._producer
        await producer.begin_transaction()
        sent = [
            await producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), batches in self._build(outputs).items()
            for batch in batches
        ]
        await asyncio.gather(*sent)
        await producer.send_offsets_to_transaction(dict(offsets), self._group)
        await producer.commit_transaction()

    def _build(self, outputs: Iterable[Row]) -> dict[tuple[str, int], list[Any]]:
        """Record batches by (topic, partition). Appends to aiokafka's own writer without its wrapper's checks."""
        now = int(time.time() * 1000)
        built: dict[tuple[str, int], list[Any]] = {}
        open_: dict[tuple[str, int], _Open] = {}
        for topic, partition, key, value, headers in outputs:
            if partition is None:
                assert key is not None
                partition = partition_of(key, self._partitions)
            place = (topic, partition)
            batch = open_.get(place)
            fields = headers if type(headers) is list else list(headers)
            if batch is None or batch.append(batch.count, now, key, value, fields) is None:
                batch = open_[place] = _Open(self._producer.create_batch())
                built.setdefault(place, []).append(batch)
                batch.append(0, now, key, value, fields)
            batch.count += 1
        return {place: [batch.closed() for batch in batches] for place, batches in built.items()}

    async def close(self) -> None:
        """Let go of the producer; what it left open is ended by its successor's start."""
        try:
            async with asyncio.timeout(5):
                await self._producer.stop()
        except Exception:
            return  # the producer is given up; a broker that is away cannot be told
