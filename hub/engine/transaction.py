"""One transaction of one partition number: the batch's outputs and its offsets, all or nothing."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import aiokafka.producer.sender
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.conn import CloseReason

from hub.clock import now_ms
from hub.engine.batch import record_batches
from hub.engine.partitioner import partition_of
from hub.event import Row
from hub.kafka.connection import Connection

# Between two transactions of one producer aiokafka waits this long (seconds) when the broker still
# writes the last one's markers; its 20 ms are the largest part of the latency at low rates.
aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002

BATCH_BYTES = 1 << 20
"""Record batches are cut at this size; one record may be larger and then travels alone."""

COMMIT_SECONDS = 20.0
"""After so long the broker has aborted the transaction by itself (`transaction_timeout_ms`): whatever still waits for
it is given up, and its number starts again."""

CLOSE_SECONDS = 1.0

Built = dict[tuple[str, int], list[Any]]
"""(topic, partition) → record batches."""


class Transactions:
    """A transactional producer that is used until its first failure, then closed and never again.

    A broker that is killed just after it took a commit may come back without having written the commit's marker to
    some partitions (Apache Kafka 4.3.0 and 4.3.1, KAFKA-20734): until this producer commits there again, no reader sees
    what follows in them. So where a connection broke since the last transaction began, the next one commits in its
    partitions, too.
    """

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
        self._breaks, self._begun, self._broke_at = 0, 0, 0.0
        self._touched: set[TopicPartition] = set()
        self._outputs_kept = True
        _offsets_when(self._producer, lambda: self._outputs_kept)

    @property
    def doubtful_since(self) -> float | None:
        """Milliseconds since 1970 of the break after which the last transaction may lack markers, where there was one:
        commit again, soon after the broker is back, if only the offsets anew."""
        return self._broke_at if self._breaks != self._begun else None

    @property
    def life(self) -> tuple[int, int]:
        """The producer's id and epoch. Each start under its transactional id, by whomever, makes the next epoch: where
        ours follow one another, nobody else has written in between."""
        manager: Any = self._producer._txn_manager
        return manager.producer_id, manager.producer_epoch

    async def start(self) -> None:
        """InitProducerId: fences a predecessor with the same id and ends the transaction it left open."""
        _on_break(self._producer, self._count_break)
        await self._producer.start()
        # all at once: looked up one by one, at the first record for each, they would hold up the first transactions
        await self._producer.client.set_topics(self._topics)

    async def commit(self, outputs: Iterable[Row], offsets: Mapping[TopicPartition, int]) -> None:
        """Returns once the transaction is committed. After any exception its outcome may be either."""
        built, again, begun = self._build(outputs), self._touched if self.doubtful_since else set(), self._breaks
        async with asyncio.timeout(COMMIT_SECONDS):
            await self._commit(built, again, offsets)
        touched = {TopicPartition(*place) for place in built} | again
        self._touched = touched if self._breaks == begun else touched | self._touched
        self._begun = begun

    async def _commit(
        self, built: Built, again: Iterable[TopicPartition], offsets: Mapping[TopicPartition, int]
    ) -> None:
        """Whoever takes part is named at once, so that the broker is told once; the group is, while outputs are on
        their way. The offsets themselves follow the outputs: the broker verifies both by the same producer id, and two
        that wait there at once it answers with an error, after which aiokafka waits for 100 ms (KIP-890)."""
        producer, manager = self._producer, self._producer._txn_manager
        await producer.begin_transaction()
        for tp in {*again, *(TopicPartition(*place) for place in built)}:
            manager.maybe_add_partition_to_txn(tp)
        self._outputs_kept = False
        sent = [
            await producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), batches in built.items()
            for batch in batches
        ]
        positions = asyncio.ensure_future(producer.send_offsets_to_transaction(dict(offsets), self._group))
        try:
            await asyncio.gather(*sent)
            self._outputs_kept = True
            manager.notify_task_waiter()
            await positions
        finally:
            positions.cancel()
        await producer.commit_transaction()

    def _build(self, outputs: Iterable[Row]) -> Built:
        """Record batches by (topic, partition)."""
        now, rows = int(time.time() * 1000), defaultdict[tuple[str, int], list[Row]](list)
        for row in outputs:
            topic, partition, key, _value, _headers = row
            if partition is None:
                assert key is not None
                partition = partition_of(key, self._partitions)
            rows[topic, partition].append(row)
        return {place: list(record_batches(of, now, BATCH_BYTES)) for place, of in rows.items()}

    async def close(self) -> None:
        """Let go of the producer; what it left open is ended by its successor's start."""
        if not await _within(CLOSE_SECONDS, self._producer.stop()):  # a broker that is away cannot be told
            await _within(CLOSE_SECONDS, self._producer.client.close())

    def _count_break(self) -> None:
        self._breaks, self._broke_at = self._breaks + 1, now_ms()


def _offsets_when(producer: AIOKafkaProducer, may: Callable[[], bool]) -> None:
    """Offsets are sent once they `may` be; the group is named to the broker before that."""
    manager: Any = producer._txn_manager
    to_commit = manager.offsets_to_commit
    manager.offsets_to_commit = lambda: to_commit() if may() else None


def _on_break(producer: AIOKafkaProducer, tell: Callable[[], None]) -> None:
    """`tell` of each connection that ends by other means than our own."""
    client: Any = producer.client
    closed = client._on_connection_closed

    def heard(connection: Any, reason: CloseReason) -> None:
        if reason in (CloseReason.CONNECTION_BROKEN, CloseReason.CONNECTION_TIMEOUT):
            tell()
        closed(connection, reason)

    client._on_connection_closed = heard


async def _within(seconds: float, end: Awaitable[None]) -> bool:
    """Whether it ended by itself and well."""
    try:
        async with asyncio.timeout(seconds):
            await end
    except Exception:
        return False
    return True
