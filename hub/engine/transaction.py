"""One transaction of one partition number: the batch's outputs and its offsets, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer, TopicPartition

from hub.engine.partitioner import partition_of
from hub.event import Output
from hub.kafka.connection import Connection

# Between two transactions of one producer aiokafka waits this long (seconds) when the broker still
# writes the last one's markers; its 20 ms are the largest part of the latency at low rates.
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002

BATCH_BYTES = 1 << 20
"""Record batches are cut at this size; one record may be larger and then travels alone."""


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

    async def commit(self, outputs: Iterable[Output], offsets: Mapping[TopicPartition, int]) -> None:
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

    def _build(self, outputs: Iterable[Output]) -> dict[tuple[str, int], list[Any]]:
        built: dict[tuple[str, int], list[Any]] = {}
        for topic, partition, key, value, headers in outputs:
            if partition is None:
                assert key is not None
                partition = partition_of(key, self._partitions)
            batches = built.get((topic, partition))
            if batches is None:
                batches = built[topic, partition] = [self._producer.create_batch()]
            if batches[-1].append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
                batches.append(self._producer.create_batch())
                batches[-1].append(timestamp=None, key=key, value=value, headers=list(headers))
        return built

    async def close(self) -> None:
        """Let go of the producer; what it left open is ended by its successor's start."""
        try:
            async with asyncio.timeout(5):
                await self._producer.stop()
        except Exception:
            return  # the producer is given up; a broker that is away cannot be told
