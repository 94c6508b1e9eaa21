"""State is rebuilt, never patched: read back, committed records only, from the lane's own topics.

Millions of records are read while neighbours carry: the records' values alone are made, no object for each record, and
every millisecond or two the event loop has its turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import FetchResult

from hub.engine.spec import Progress, Restore
from hub.errors import Retry
from hub.kafka.clients import DECIDED_SECONDS
from hub.kafka.connection import Connection
from hub.pipeline.restore import Restoring
from hub.pipeline.rulebook import Codecs
from hub.pipeline.summarise import TOPIC as AUDIT
from hub.pipeline.summarise import Chain

log = structlog.get_logger(__name__)

REPORT_EVERY = 2.0
"""Seconds between two reports of progress."""

CHUNK = 1000
"""Records read between two turns of the event loop: about a millisecond of work."""

READING = 0.2
"""Of the work of a rebuild, the share that is reading; the other part makes entries of what was read."""

DECIDED_EVERY = 0.05
"""Seconds between two looks whether a transaction has ended."""

FETCH_BYTES = 1 << 20
"""Of a partition in one answer of the broker: thousands of facts. With four times as much it is not faster."""

Tell = Callable[[Progress], None]


async def rebuild(
    connection: Connection, topic: str, partition: int, restore: Restore, turn: asyncio.Lock, tell: Tell
) -> dict[bytes, bytes]:
    """The state that one partition of a state topic holds from its first to its end offset, once all is decided that is
    there now.

    Rebuilds with the same `turn` go one after the other; one whose broker gives nothing lets the next one go first.
    `tell` hears of the progress at the start, every `REPORT_EVERY` seconds and at the end.
    """
    tp, mine = TopicPartition(topic, partition), _Turn(turn)
    async with _reader(connection, tp) as consumer:
        _values_alone(consumer)
        first = (await consumer.beginning_offsets([tp]))[tp]
        end = await _decided(connection, consumer, tp)
        work = _Work(tp, first, end, restore(), tell)
        try:
            while (position := await consumer.position(tp)) < end:
                values = (await consumer.getmany(tp, timeout_ms=200, max_records=CHUNK)).get(tp)
                if not values:
                    mine.give()
                    continue
                await mine.take()
                work.begin()
                work.restoring.take(filter(None, values))
                await work.pause(position)
                if work.restoring.full:
                    await work.settle(position)
            await mine.take()
            await work.settle(end)
        finally:
            mine.give()
    work.report(end)
    return work.restoring.state


class _Turn:
    """A lock that is taken and given by whoever asks twice."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock, self._mine = lock, False

    async def take(self) -> None:
        if not self._mine:
            await self._lock.acquire()
            self._mine = True

    def give(self) -> None:
        if self._mine:
            self._mine = False
            self._lock.release()


class _Work:
    """What one rebuild has done, and the pauses in it."""

    def __init__(self, tp: TopicPartition, first: int, end: int, restoring: Restoring, tell: Tell) -> None:
        self.restoring = restoring
        self._tp, self._first, self._total, self._tell = tp, first, end - first, tell
        self._began = self._reported = 0.0
        tell(Progress(0, self._total, 0.0))

    def begin(self) -> None:
        """Time counts from the first records on: before, it waited for its turn."""
        if not self._began:
            self._began = self._reported = time.monotonic()

    async def settle(self, position: int) -> None:
        for _ in self.restoring.settle():
            await self.pause(position)

    async def pause(self, position: int) -> None:
        """Let the event loop go round; say, now and then, how far it is."""
        if time.monotonic() - self._reported > REPORT_EVERY:
            self.report(position)
        await asyncio.sleep(0)

    def report(self, position: int) -> None:
        """`position` is the offset up to which records were read."""
        now, restoring, tp = time.monotonic(), self.restoring, self._tp
        seconds, self._reported = now - (self._began or now), now
        share = READING + (1 - READING) * restoring.settled / max(1, restoring.taken)
        done = (position - self._first) * share
        progress = Progress(done, self._total, done / max(seconds, 1e-3))
        self._tell(progress)
        (log.info if seconds > REPORT_EVERY else log.debug)(
            "rebuilding" if done < self._total else "rebuilt",
            topic=tp.topic,
            partition=tp.partition,
            percent=round(progress.share * 100),
            records_per_second=round(progress.per_second),
            remaining_seconds=round((self._total - done) / max(progress.per_second, 1e-3), 1),
        )


async def last_link(connection: Connection, codecs: Codecs, partition: int, writer: str) -> Chain:
    """The end of a writer's audit chain, searched backwards in growing steps."""
    tp = TopicPartition(AUDIT, partition)
    async with _reader(connection, tp) as consumer:
        first, end = (await consumer.beginning_offsets([tp]))[tp], await _decided(connection, consumer, tp)
        step, upto = 64, end
        while upto > first:
            start = max(first, upto - step)
            consumer.seek(tp, start)
            found = None
            async for records in _until(consumer, tp, upto):
                for record in records:
                    if record.offset < upto and record.key == writer.encode():
                        found = record.value
            if found is not None:
                entry = codecs.audit.unpack(found)
                return Chain(writer, entry["number"], entry["hash"])
            step, upto = step * 4, start
    return Chain(writer)


async def _decided(connection: Connection, consumer: AIOKafkaConsumer[bytes, bytes], tp: TopicPartition) -> int:
    """The end, once all is decided that is there now. Others write here, too: what one that was killed has left open
    hides from a reader of what is committed whatever came after it, until it is ended. Raises `Retry`."""
    async with _reader(connection, tp, "read_uncommitted") as all_of_it:
        there: int = (await all_of_it.end_offsets([tp]))[tp]
    deadline = time.monotonic() + DECIDED_SECONDS
    while (end := (await consumer.end_offsets([tp]))[tp]) < there:
        if time.monotonic() > deadline:
            raise Retry(f"a transaction in {tp.topic}/{tp.partition} stays open")
        await asyncio.sleep(DECIDED_EVERY)
    return int(end)


@asynccontextmanager
async def _reader(
    connection: Connection, tp: TopicPartition, isolation: str = "read_committed"
) -> AsyncIterator[AIOKafkaConsumer[bytes, bytes]]:
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        **connection.aiokafka(),
        isolation_level=isolation,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=FETCH_BYTES,
        check_crcs=False,
    )
    await consumer.start()
    try:
        consumer.assign([tp])
        consumer.seek(tp, (await consumer.beginning_offsets([tp]))[tp])
        yield consumer
    finally:
        await consumer.stop()


async def _until(
    consumer: AIOKafkaConsumer[bytes, bytes], tp: TopicPartition, end: int
) -> AsyncIterator[list[ConsumerRecord[bytes, bytes]]]:
    """Batches up to the position `end`; the position also moves over transaction markers."""
    while await consumer.position(tp) < end:
        for records in (await consumer.getmany(tp, timeout_ms=200)).values():
            yield records


def _values_alone(consumer: AIOKafkaConsumer[bytes, bytes]) -> None:
    """From now on, after `start`, the consumer gives values for records; which are committed it decides as before."""
    fetcher: Any = consumer._fetcher
    fetch = fetcher._proc_fetch_request

    async def fetched(assignment: Any, node_id: int, request: Any) -> bool:
        found: bool = await fetch(assignment, node_id, request)
        for result in fetcher._records.values():  # nobody has taken from them: nothing was awaited since they came
            if isinstance(result, FetchResult) and result.has_more():
                result._partition_records._consumer_record = _value
        return found

    fetcher._proc_fetch_request = fetched


def _value(tp: TopicPartition, record: Any) -> bytes | None:
    value: bytes | None = record.value
    return value
