"""Appends records to topics and says where each is once the broker has it for good.

Rows of one call that go to one partition wait on one future, whichever record batch they came to lie in; so a thousand
events cost a handful of futures. No batch is ever given up while its producer is used: it is sent until the broker has
taken it. Who cannot wait so long is told `Retry`, and the record may be there all the same. A partition that takes
nothing keeps only its own records waiting. A producer that is used no more sends what it has while the next one is used
already.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.partitioner import murmur2

from hub.errors import Retry
from hub.kafka.connection import Connection
from hub.kafka.idempotent import UNKNOWN, Batch, IdempotentProducer

log = structlog.get_logger(__name__)

PROBE_SECONDS = 1.0
RENEW_SECONDS = 0.5
SOON_SECONDS = 1.0
"""For the next producer, which takes some 20 ms where the broker answers."""
CLOSE_SECONDS = 5.0

Line = tuple[bytes, bytes, bytes]
"""Key, value and packed headers (`hub.avro.packed`) of a record to append."""
Place = tuple[int, int]
"""Partition and offset; -1 where the broker had it before and no longer knows where."""


class Appender:
    """Used in one event loop. `topics` are looked up at the start, so that the first record does not wait for it.
    `seconds` are how long a call waits for the broker."""

    def __init__(self, connection: Connection, topics: Sequence[str], partitions: int, seconds: float) -> None:
        self._connection, self._topics, self._partitions = connection, list(topics), partitions
        self._seconds = seconds
        self._line = deque[tuple[float, asyncio.Future[bool]]]()
        self._timer: asyncio.TimerHandle | None = None
        self._producer: IdempotentProducer | None = None
        self._leaving = dict[IdempotentProducer, asyncio.Task[None]]()
        self._renewing: asyncio.Task[None] | None = None
        self._soon = False

    async def start(self) -> None:
        """Raises what aiokafka raises where no broker answers."""
        self._producer = await self._started()

    @property
    def away(self) -> bool:
        """Whether there is no producer, nor one to be had in a moment."""
        return self._producer is None and not self._soon

    @property
    def waiting_bytes(self) -> int:
        """Of records that the broker has not taken yet."""
        waiting = self._producer.waiting_bytes if self._producer else 0
        for leaving in self._leaving:
            waiting += leaving.waiting_bytes
        return waiting

    async def reachable(self) -> bool:
        """Whether the broker takes records as far as is known, or answers at least: where all that waits is stuck, it
        is asked. Else a stuck partition among idle ones would look like a broker that is away."""
        producer = self._producer or await self._next()
        if producer is None:
            return False
        if not producer.all_stuck:
            return True
        with suppress(Exception):
            async with asyncio.timeout(PROBE_SECONDS):
                await producer.client.fetch_all_metadata()
                return True
        return False

    async def append(self, topic: str, lines: Sequence[Line]) -> list[Place]:
        """Where each line is, in their order. Raises `Retry` when the broker has not taken all of them in time: some
        may be there, others may still come."""
        producer = self._producer or await self._next()
        if producer is None:
            raise Retry("there is no producer at the moment")
        targets = [_partition(topic, _number(line[0], self._partitions)) for line in lines]
        if any(map(producer.stuck, set(targets))):
            raise Retry("the broker takes nothing at the moment")
        homes = [_put(producer, tp, line) for tp, line in zip(targets, lines, strict=True)]
        for kept, done in [(kept, self._wait(kept)) for kept in {batch.kept for batch, _ in homes}]:
            if not await done:
                raise Retry(f"the broker did not take the records within {self._seconds:.0f} seconds")
            if error := kept.exception():
                raise Retry(f"the broker did not take the records: {type(error).__name__}")
        return [(tp.partition, _offset(*home)) for tp, home in zip(targets, homes, strict=True)]

    async def stop(self, seconds: float) -> None:
        """What was appended is sent, for so long; then it is given up."""
        self._soon = False
        if self._renewing:
            self._renewing.cancel()
        producer, self._producer = self._producer, None
        for leaving in list(self._leaving):
            await leaving.close(0)
        if producer is not None:
            await producer.close(seconds)

    def _wait(self, future: asyncio.Future[Any]) -> asyncio.Future[bool]:
        """Whether it is done in time. All wait equally long, so one timer will do, for whoever has waited longest."""
        loop, line = asyncio.get_running_loop(), self._line
        waiter: asyncio.Future[bool] = loop.create_future()
        future.add_done_callback(partial(_tell, waiter))
        while line and line[0][1].done():
            line.popleft()
        line.append((until := loop.time() + self._seconds, waiter))
        if self._timer is None:
            self._timer = loop.call_at(until, self._look)
        return waiter

    def _look(self) -> None:
        """Who has waited long enough waits no longer."""
        self._timer, line, loop = None, self._line, asyncio.get_running_loop()
        while line and (line[0][1].done() or line[0][0] <= loop.time()):
            _tell(line.popleft()[1], done=False)
        if line:
            self._timer = loop.call_at(line[0][0], self._look)

    def _renew(self, why: str) -> None:
        """A batch that was refused leaves a gap in its producer's numbers: that producer is used no more."""
        leaving, self._producer = self._producer, None
        if leaving is not None:
            log.warning("the broker refused a batch: a new producer is started", why=why)
            self._leaving[leaving] = asyncio.create_task(self._leave(leaving))
            self._renewing, self._soon = asyncio.create_task(self._replace()), True

    async def _leave(self, producer: IdempotentProducer) -> None:
        await producer.close(CLOSE_SECONDS)
        del self._leaving[producer]

    async def _next(self) -> IdempotentProducer | None:
        """The producer that is being started, where it comes in a moment."""
        if self._renewing and self._soon:
            await asyncio.wait({self._renewing}, timeout=SOON_SECONDS)
        return self._producer

    async def _replace(self) -> None:
        while True:
            try:
                self._producer = await self._started()
            except Exception as error:
                self._soon = False
                log.warning("no producer yet", error=type(error).__name__)
                await asyncio.sleep(RENEW_SECONDS)
            else:
                return

    async def _started(self) -> IdempotentProducer:
        producer = IdempotentProducer(self._connection, self._renew)
        try:
            await producer.start(self._topics)
        except BaseException:
            await producer.close(0)
            raise
        return producer


def _put(producer: IdempotentProducer, tp: TopicPartition, line: Line) -> tuple[Batch, int]:
    key, value, headers = line
    return producer.put(tp, (tp.topic, tp.partition, key, value, headers), len(key) + len(value) + len(headers))


def _offset(batch: Batch, place: int) -> int:
    first = batch.kept.result()
    return first if first == UNKNOWN else first + place


@lru_cache(maxsize=65_536)
def _number(key: bytes, partitions: int) -> int:
    """As Java's default partitioner has it."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


@lru_cache(maxsize=65_536)
def _partition(topic: str, number: int) -> TopicPartition:
    return TopicPartition(topic, number)


def _tell(waiter: asyncio.Future[bool], _: object = None, *, done: bool = True) -> None:
    if not waiter.done():
        waiter.set_result(done)
