"""Notes in `state.hub`, followed by each worker: which agencies are paused, and what the lanes' starts came to.

The topic is compacted and small: the last record of a key says what is so. Nothing of it is about a person.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from mode import Service

from hub.errors import Retry
from hub.kafka.clients import DECIDED_SECONDS
from hub.kafka.connection import Connection
from hub.kafka.fetching import be_patient
from hub.kafka.outage import asked_to_end
from hub.pipeline.pause import TOPIC, Pause, agency_of, read_pause

log = structlog.get_logger(__name__)

WAIT_MS = 200
"""How long a fetch that finds nothing waits. A pause holds for all workers about so much later."""

AGAIN_SECONDS = 1.0


class PauseObserver(Protocol):
    """Told of each pause and its end."""

    def paused(self, agency: str, holds: bool) -> None: ...


class Notes(Service):
    """A service of the worker. `get` answers from what was read; `read_to_end` makes sure of what is there now."""

    logger = logging.getLogger("mode.notes")

    def __init__(self, connection: Connection, partitions: int, observer: PauseObserver, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._connection, self._observer = connection, observer
        self._tps = [TopicPartition(TOPIC, partition) for partition in range(partitions)]
        self._values: dict[bytes, bytes] = {}
        self._paused: dict[str, Pause] = {}
        self._consumer: AIOKafkaConsumer[bytes, bytes] | None = None
        self._ends: AIOKafkaConsumer[bytes, bytes] | None = None
        """Asked where the logs end, with what is not decided yet; nothing is read with it."""

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def paused(self, topic: str) -> bool:
        """Whether nothing is taken from this topic: `in.<agency>` of an agency that is paused."""
        return bool(self._paused) and topic.removeprefix("in.") in self._paused

    async def read_to_end(self) -> None:
        """Return once all is known that is committed now. What somebody who was killed has left open hides what others
        have committed behind it, until it is ended: raises `Retry` where that takes too long."""
        ends: dict[TopicPartition, int] = {}
        until = time.monotonic() + DECIDED_SECONDS
        while True:
            consumer, all_of_it = self._consumer, self._ends
            if consumer is not None and all_of_it is not None:
                ends = ends or await all_of_it.end_offsets(self._tps)
                if all([await consumer.position(tp) >= end for tp, end in ends.items()]):
                    return
            if time.monotonic() > until:
                raise Retry(f"{TOPIC} cannot be read to its end: no broker answers, or a transaction stays open")
            await asyncio.sleep(0.01)

    def hear(self, key: bytes | None, value: bytes | None) -> None:
        """Take a note in, from the topic or from whoever has just written it there."""
        if key is None:
            return
        if value:
            self._values[key] = value
        else:
            self._values.pop(key, None)
        agency = agency_of(key)
        if agency is not None:
            self._hear_pause(agency, value)

    def _hear_pause(self, agency: str, value: bytes | None) -> None:
        before = self._paused.pop(agency, None)
        if value:
            pause = self._paused[agency] = read_pause(agency, value)
            if before != pause:
                fix = f"see the runbook, 'An agency is paused'; then `hub agency resume {agency}`"
                log.error("agency paused", agency=agency, by=pause.by, reason=pause.reason, fix=fix)
        elif before is not None:
            log.warning("agency resumed", agency=agency)
        self._observer.paused(agency, bool(value))

    @Service.task
    async def _follow(self) -> None:
        while not self.should_stop:
            try:
                await self._read()
            except (Exception, asyncio.CancelledError) as error:  # whatever it was: all is read anew from the start
                if isinstance(error, asyncio.CancelledError) and asked_to_end():
                    raise
                log.warning("notes are read anew", error=type(error).__name__)
                await self.sleep(AGAIN_SECONDS)

    async def _read(self) -> None:
        consumer, ends = self._reader("read_committed"), self._reader("read_uncommitted")
        try:
            await ends.start()
            await consumer.start()
            be_patient(consumer, WAIT_MS)
            consumer.assign(self._tps)
            self._consumer, self._ends = consumer, ends
            while not self.should_stop:
                self._take(await consumer.getmany(timeout_ms=WAIT_MS))
        finally:
            self._consumer = self._ends = None
            await consumer.stop()
            await ends.stop()

    def _reader(self, isolation: str) -> AIOKafkaConsumer[bytes, bytes]:
        return AIOKafkaConsumer(
            **self._connection.aiokafka(),
            isolation_level=isolation,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=WAIT_MS,
        )

    def _take(self, found: dict[TopicPartition, Sequence[Any]]) -> None:
        for records in found.values():
            for record in records:
                self.hear(record.key, record.value)
