"""Appends records to topics and says where each is once the broker has it for good: an idempotent producer.

Rows of one call that go to one partition wait on one future, whichever record batch they came to lie in; so a thousand
events cost a handful of futures. No batch is ever given up while its producer is used: it is sent until the broker has
taken it. Who cannot wait so long is told `Retry`, and the record may be there all the same. A partition that takes
nothing keeps only its own records waiting.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2

from hub.errors import Retry
from hub.kafka.connection import Connection

log = structlog.get_logger(__name__)

BATCH_BYTES = 1 << 20
"""Record batches are cut at this size; one record may be larger and then travels alone."""
REQUEST_MS = 10_000
STUCK_SECONDS = 3.0
"""When records wait for a partition and it takes none for so long, it is stuck."""
PROBE_SECONDS = 1.0
METADATA_SECONDS = 0.1
RENEW_SECONDS = 0.5
CLOSE_SECONDS = 5.0

Line = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""Key, value and headers of a record to append."""
Place = tuple[int, int]
"""Partition and offset; -1 where the broker had it before and no longer knows where."""


class _Queue:
    """Record batches on their way to one partition, with their bytes, and since when it has taken none of them."""

    __slots__ = ("batches", "since")

    def __init__(self) -> None:
        self.batches: dict[Any, int] = {}
        self.since = 0.0

    @property
    def stuck(self) -> bool:
        return bool(self.batches) and time.monotonic() - self.since > STUCK_SECONDS


class Appender:
    """Used in one event loop. `topics` are looked up at the start, so that the first record does not wait for it.
    `seconds` are how long a call waits for the broker."""

    def __init__(self, connection: Connection, topics: Sequence[str], partitions: int, seconds: float) -> None:
        self._connection, self._topics, self._partitions = connection, list(topics), partitions
        self._seconds = seconds
        self._line = deque[tuple[float, asyncio.Future[bool]]]()
        self._timer: asyncio.TimerHandle | None = None
        self._producer: AIOKafkaProducer | None = None
        self._queues = defaultdict[TopicPartition, _Queue](_Queue)
        self._renewing: asyncio.Task[None] | None = None
        self.waiting_bytes = 0

    async def start(self) -> None:
        """Raises what aiokafka raises where no broker answers."""
        self._producer = await self._started()

    @property
    def away(self) -> bool:
        """Whether there is no producer now."""
        return self._producer is None

    async def reachable(self) -> bool:
        """Whether the broker takes records as far as is known, or answers at least: where all that waits is stuck, it
        is asked. Else a stuck partition among idle ones would look like a broker that is away."""
        producer = self._producer
        if producer is None:
            return False
        waiting = [queue for queue in self._queues.values() if queue.batches]
        if not waiting or not all(queue.stuck for queue in waiting):
            return True
        with suppress(Exception):
            async with asyncio.timeout(PROBE_SECONDS):
                await producer.client.fetch_all_metadata()
                return True
        return False

    async def append(self, topic: str, lines: Sequence[Line]) -> list[Place]:
        """Where each line is, in their order. Raises `Retry` when the broker has not taken all of them in time: some
        may be there, others may still come."""
        if self._producer is None:
            raise Retry("there is no producer at the moment")
        targets = [_partition(topic, _number(line[0], self._partitions)) for line in lines]
        if any(self._queues[tp].stuck for tp in set(targets)):
            raise Retry("the broker takes nothing at the moment")
        homes = [self._put(tp, line) for tp, line in zip(targets, lines, strict=True)]
        for future, done in [(future, self._wait(future)) for future in {batch.future for batch, _ in homes}]:
            if not await done:
                raise Retry(f"the broker did not take the records within {self._seconds:.0f} seconds")
            if error := _failure(future):
                raise Retry(f"the broker did not take the records: {error}")
        return [_place(batch, relative) for batch, relative in homes]

    async def stop(self, seconds: float) -> None:
        """What was appended is sent, for so long; then it is given up."""
        if self._renewing:
            self._renewing.cancel()
        producer, self._producer = self._producer, None
        if producer is not None:
            await _closed(producer, seconds)

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

    def _put(self, tp: TopicPartition, line: Line) -> tuple[Any, int]:
        """The batch that the line lies in now, and its place there."""
        key, value, headers = line
        assert self._producer is not None
        accumulator: Any = self._producer._message_accumulator
        batches = accumulator._batches.get(tp)
        batch = batches[-1] if batches else self._batch(accumulator, tp)
        found = batch._builder.append(timestamp=None, key=key, value=value, headers=headers)
        if found is None:  # full, or on its way already
            batch = self._batch(accumulator, tp)
            found = batch._builder.append(timestamp=None, key=key, value=value, headers=headers)
        self._queues[tp].batches[batch] += len(value)
        self.waiting_bytes += len(value)
        return batch, found.offset

    def _batch(self, accumulator: Any, tp: TopicPartition) -> Any:
        batch = accumulator._append_batch(accumulator.create_builder(), tp)
        batch._ttl = math.inf  # aiokafka fails what waits too long for a partition without a leader
        queue = self._queues[tp]
        if not queue.batches:
            queue.since = time.monotonic()
        queue.batches[batch] = 0
        batch.future.add_done_callback(lambda future: self._done(queue, batch, future))
        return batch

    def _done(self, queue: _Queue, batch: Any, future: asyncio.Future[Any]) -> None:
        self.waiting_bytes -= queue.batches.pop(batch)
        if _failure(future):
            self._renew()
        else:
            queue.since = time.monotonic()

    def _renew(self) -> None:
        """A batch that failed leaves a gap in its producer's numbers: that producer is used no more."""
        producer, self._producer = self._producer, None
        if producer is not None:
            log.warning("the broker refused a batch: a new producer is started")
            self._renewing = asyncio.create_task(self._replace(producer))

    async def _replace(self, producer: AIOKafkaProducer) -> None:
        await _closed(producer, CLOSE_SECONDS)
        while True:
            try:
                self._producer = await self._started()
            except Exception as error:
                log.warning("no producer yet", error=type(error).__name__)
                await asyncio.sleep(RENEW_SECONDS)
            else:
                return

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._connection.aiokafka(),
            enable_idempotence=True,  # a retry after a lost answer writes nothing twice
            acks="all",  # accepted means durable on all in-sync replicas
            linger_ms=0,  # what comes while a request is under way goes with the next one
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_MS,
        )
        try:
            await producer.start()
            _unhurried(producer.client)
            await producer.client.set_topics(self._topics)
        except BaseException:
            await _closed(producer, CLOSE_SECONDS)
            raise
        return producer


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


def _failure(future: asyncio.Future[Any]) -> str | None:
    """What became of a batch that the broker has not taken."""
    if future.cancelled():
        return "it was given up"
    error = future.exception()
    return None if error is None else type(error).__name__


def _place(batch: Any, relative: int) -> Place:
    at = batch.future.result()
    return at.partition, at.offset + relative if at.offset >= 0 else -1


def _unhurried(client: Any) -> None:
    """Where a leader is missing, aiokafka asks anew as soon as it has an answer: 1 600 times a second."""
    update = client._metadata_update

    async def unhurried(*given: Any) -> Any:
        found = await update(*given)
        await asyncio.sleep(METADATA_SECONDS)
        return found

    client._metadata_update = unhurried


async def _closed(producer: AIOKafkaProducer, seconds: float) -> None:
    with suppress(Exception):  # a broker that is away cannot be told; what it had not taken fails
        async with asyncio.timeout(seconds):
            await producer.stop()
            return
    accumulator: Any = producer._message_accumulator
    accumulator.fail_all(Retry("the producer was given up"))
    with suppress(Exception):
        async with asyncio.timeout(1):
            await producer.client.close()
