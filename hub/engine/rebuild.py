"""State is rebuilt, never patched: read back, committed records only, from the lane's own topics.

Three million records are read while neighbours carry: the records' values alone are made, no object for each record,
and after each `CHUNK` of them the event loop has its turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import FetchResult

from hub.engine.spec import Restore
from hub.kafka.connection import Connection
from hub.pipeline.rulebook import Codecs
from hub.pipeline.summarise import Chain

log = structlog.get_logger(__name__)

REPORT_EVERY = 2.0
"""Seconds between two reports of progress."""

CHUNK = 256
"""Records between two turns of the event loop: about a millisecond of work."""

FETCH_BYTES = 4 << 20
"""Of a partition in one answer of the broker: tens of thousands of facts."""


class Progress(NamedTuple):
    """How far a rebuild is: from 0 to 1; and how long it may still take at its pace, in seconds."""

    share: float
    records_per_second: float
    remaining_seconds: float


async def rebuild(
    connection: Connection, topic: str, partition: int, restore: Restore, tell: Callable[[Progress], None]
) -> dict[bytes, bytes]:
    """Fold one partition of a state topic from its first to its end offset, as it is now.

    `tell` hears of the progress at the start, every `REPORT_EVERY` seconds and at the end.
    """
    state: dict[bytes, bytes] = {}
    tp = TopicPartition(topic, partition)
    began = reported = time.monotonic()
    count = 0
    async with _reader(connection, tp) as consumer:
        _values_alone(consumer)
        first = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        tell(Progress(0.0, 0.0, 0.0))
        async for values in _until(consumer, tp, end, CHUNK):
            restore(filter(None, values), state)
            count += len(values)
            if time.monotonic() - reported > REPORT_EVERY:
                reported = time.monotonic()
                share = (await consumer.position(tp) - first) / max(end - first, 1)
                progress = _progress(share, count, reported - began)
                tell(progress)
                _say("rebuilding", tp, progress)
            await asyncio.sleep(0)
    seconds = time.monotonic() - began
    tell(_progress(1.0, count, seconds))
    log.debug("rebuilt", topic=topic, partition=partition, records=count, seconds=round(seconds, 3))
    return state


def _progress(share: float, records: int, seconds: float) -> Progress:
    return Progress(share, records / max(seconds, 1e-9), seconds * (1 - share) / max(share, 1e-9))


def _say(what: str, tp: TopicPartition, progress: Progress) -> None:
    log.info(
        what,
        topic=tp.topic,
        partition=tp.partition,
        percent=round(progress.share * 100),
        records_per_second=round(progress.records_per_second),
        remaining_seconds=round(progress.remaining_seconds, 1),
    )


async def last_link(connection: Connection, codecs: Codecs, partition: int, writer: str) -> Chain:
    """The end of a writer's audit chain, searched backwards in growing steps."""
    tp = TopicPartition("audit", partition)
    async with _reader(connection, tp) as consumer:
        first = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
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


@asynccontextmanager
async def _reader(connection: Connection, tp: TopicPartition) -> AsyncIterator[AIOKafkaConsumer[bytes, bytes]]:
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        **connection.aiokafka(),
        isolation_level="read_committed",
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
    consumer: AIOKafkaConsumer[bytes, bytes], tp: TopicPartition, end: int, most: int | None = None
) -> AsyncIterator[list[Any]]:
    """Batches up to the position `end`; the position also moves over transaction markers."""
    while await consumer.position(tp) < end:
        for records in (await consumer.getmany(tp, timeout_ms=200, max_records=most)).values():
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
