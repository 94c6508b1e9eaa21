"""State is rebuilt, never patched: read back, committed records only, from the lane's own topics."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from hub.engine.spec import Restore
from hub.kafka.connection import Connection
from hub.pipeline.rulebook import Codecs
from hub.pipeline.summarise import Chain

log = structlog.get_logger(__name__)

REPORT_EVERY = 2.0
"""Seconds between two lines of progress."""


async def rebuild(connection: Connection, topic: str, partition: int, restore: Restore) -> dict[bytes, bytes]:
    """Fold one partition of a state topic from its first to its end offset, as it is now."""
    state: dict[bytes, bytes] = {}
    tp = TopicPartition(topic, partition)
    started = reported = time.monotonic()
    count = 0
    async with _reader(connection, tp) as consumer:
        first = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        async for records in _until(consumer, tp, end):
            for record in records:
                if record.value is not None:
                    restore(record.value, state)
            count += len(records)
            if time.monotonic() - reported > REPORT_EVERY:
                reported = time.monotonic()
                share = (await consumer.position(tp) - first) / max(end - first, 1)
                log.info("rebuilding", topic=topic, partition=partition, percent=round(share * 100))
    log.debug(
        "rebuilt",
        topic=topic,
        partition=partition,
        records=count,
        seconds=round(time.monotonic() - started, 3),
    )
    return state


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
async def _reader(connection: Connection, tp: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **connection.aiokafka(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_poll_records=20_000,
        max_partition_fetch_bytes=4 << 20,
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
    consumer: AIOKafkaConsumer, tp: TopicPartition, end: int
) -> AsyncIterator[list[ConsumerRecord[bytes, bytes]]]:
    """Batches up to the position `end`; the position also moves over transaction markers."""
    while await consumer.position(tp) < end:
        for records in (await consumer.getmany(tp, timeout_ms=200)).values():
            yield records
