"""Transactions under one transactional id: outputs and offsets, all or nothing."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from aiokafka import TopicPartition

from hub.clock import now_ms
from hub.engine.partitioner import partition_of
from hub.errors import Fatal
from hub.event import Row
from hub.kafka.batch import BATCH_BYTES, RecordBatch, record_batches
from hub.kafka.connection import Connection
from hub.kafka.member import Member
from hub.kafka.transactional import TransactionalProducer

COMMIT_SECONDS = 20.0
"""After so long the broker has aborted the transaction by itself: it is given up, and its number starts again."""

START_SECONDS = 60.0
"""For a coordinator to load, and to end the predecessor's transaction; then its number starts again, and says so."""

CLOSE_SECONDS = 1.0

T = TypeVar("T")
Built = dict[TopicPartition, list[RecordBatch]]


class Transactions:
    """A transactional producer that is used until its first failure, then closed and never again.

    A broker that is killed just after it took a commit may come back without having written the commit's marker to
    some partitions (Apache Kafka 4.3.0 and 4.3.1, KAFKA-20734): until this producer commits there again, no reader sees
    what follows in them. So where a connection broke since the last transaction began, the next one commits in its
    partitions, too.
    """

    def __init__(
        self, connection: Connection, transactional_id: str, member: Member, topics: Sequence[str], partitions: int
    ) -> None:
        self.id, self._member, self._topics, self._partitions = transactional_id, member, set(topics), partitions
        self._producer = TransactionalProducer(connection, transactional_id)
        self._producer.on_break(self._count_break)
        self._breaks, self._begun, self._broke_at = 0, 0, 0.0
        self._touched: set[TopicPartition] = set()

    @property
    def doubtful_since(self) -> float | None:
        """Milliseconds since 1970 of the break after which the last transaction may lack markers, where there was one:
        commit again, soon after the broker is back, if only the offsets anew."""
        return self._broke_at if self._breaks != self._begun else None

    @property
    def life(self) -> tuple[int, int]:
        """The producer's id and epoch. Each start under its transactional id, by whomever, makes the next epoch: where
        ours follow one another, nobody else has carried its number in between."""
        return self._producer.producer_id, self._producer.producer_epoch

    async def start(self) -> None:
        """Fences a predecessor with the same id and ends the transaction it left open."""
        await self._within(START_SECONDS, self._producer.start(self._topics))

    async def settled(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The group's offsets, once nobody has a transaction open that may change them."""
        return await self._within(START_SECONDS, self._producer.settled(self._member.group, tps))

    async def commit(self, outputs: Iterable[Row], offsets: Mapping[TopicPartition, int]) -> None:
        """Returns once the transaction is committed. After any exception its outcome may be either."""
        built, again, begun = self._build(outputs), self._touched if self.doubtful_since else set(), self._breaks
        await self._know({topic for topic, _ in built})
        await self._within(COMMIT_SECONDS, self._producer.transact(built, again, self._member, offsets))
        touched = built.keys() | again
        self._touched = touched if self._breaks == begun else touched | self._touched
        self._begun = begun

    async def _know(self, topics: Collection[str]) -> None:
        """Beside the lane's own there are those of an agency that was taken out of the catalogue, whose events go on
        being applied. Raises `Fatal` where they were taken away as well: its receipts have no place."""
        if not self._topics.issuperset(topics):
            missing = await self._within(COMMIT_SECONDS, self._producer.know(self._topics.union(topics)))
            if found := sorted(set(missing).difference(self._topics)):
                raise Fatal(
                    f"{', '.join(found)}: not there, and what is due there cannot be written. If the agency was taken "
                    "out of the catalogue, put it back and do `hub topics apply`; see the runbook, 'What is taken out'"
                )
            self._topics.update(topics)

    async def _within(self, seconds: float, step: Awaitable[T]) -> T:
        """Raises what the broker said last, where it does not end in time."""
        try:
            async with asyncio.timeout(seconds):
                return await step
        except TimeoutError as error:
            raise self._producer.last or error from None

    def _build(self, outputs: Iterable[Row]) -> Built:
        """Record batches by (topic, partition)."""
        now, rows = int(time.time() * 1000), defaultdict[tuple[str, int], list[Row]](list)
        for row in outputs:
            topic, partition, key, _value, _headers = row
            if partition is None:
                assert key is not None
                partition = partition_of(key, self._partitions)
            rows[topic, partition].append(row)
        return {TopicPartition(*place): list(record_batches(of, now, BATCH_BYTES)) for place, of in rows.items()}

    async def close(self) -> None:
        """Let go of the producer; what it left open is ended by its successor's start."""
        with suppress(Exception):  # a broker that is away cannot be told
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._producer.close()

    def _count_break(self) -> None:
        self._breaks, self._broke_at = self._breaks + 1, now_ms()
