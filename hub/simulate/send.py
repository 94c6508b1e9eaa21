"""Sends what is planned, when it is planned: open loop, whatever the hub's pace is.

    report = run(connection, catalogue, schemas, rate=200, duration=20, seed=1)

A record that cannot be sent is counted, and the run goes on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.structs import RecordMetadata

from hub.catalogue import Catalogue
from hub.errors import ConfigError
from hub.kafka.connection import Connection
from hub.simulate.answers import COMPLETED, Offices, Providers, Receiving
from hub.simulate.desk import forms_of, run_tag
from hub.simulate.people import Population
from hub.simulate.plan import plan
from hub.simulate.planned import DEFAULT_SHARES, Planned, Shares
from hub.simulate.report import Report

TICK = 0.02
PROGRESS_SECONDS = 0.5
LOOK_SECONDS = 0.1
ANSWERS_SECONDS = 30.0
"""How long the run waits, after its last record, for one more request to come back answered."""
# aiokafka: most of these records stand alone in their batch (few of one agency and partition at a time), where
# kafka-python takes seven times as long.
PRODUCER: Mapping[str, Any] = {
    "enable_idempotence": True,  # a retry after a lost answer writes nothing twice
    "linger_ms": 20,  # a request costs as much as some fifty records in it
    "max_request_size": 4 << 20,
}


class SchemaIds(Protocol):
    """Where schemas are registered (`hub.registry.schemas.Schemas`)."""

    def id_of(self, subject: str, schema: str | None = None) -> int: ...
    def by_id(self, id: int) -> Any: ...


Progress = Callable[[Report], None]


def run(
    connection: Connection,
    catalogue: Catalogue,
    schemas: SchemaIds,
    *,
    rate: float,
    duration: float | None,
    seed: int = 1,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    shares: Shares = DEFAULT_SHARES,
) -> Report:
    """Simulate for `duration` seconds (None: without end) at `rate` records/s, or until `stop`; returns when all
    is acknowledged. Not for use within an event loop.

    `progress` gets the growing report twice a second, from this thread. Raises `ConfigError` without a broker, and
    where a type's schema is not registered.
    """
    try:
        ids = {name: schemas.id_of(name, catalogue.text(name)) for name in catalogue.types}
    except KeyError as missing:
        raise ConfigError(f"a schema is not registered: {missing}; `hub topics apply` registers them") from None
    start = _now()
    records = plan(catalogue, ids, seed=seed, rate=rate, duration=duration, start=start, shares=shares)
    offices = _offices(catalogue, ids, seed, start)
    report = Report(seed, rate, duration)
    course = _Course(report, stop or threading.Event(), progress or (lambda _: None))
    answering = (catalogue, Receiving(schemas), offices) if offices else None
    asyncio.run(course.run(connection, records, answering))
    return report


def _offices(catalogue: Catalogue, ids: Mapping[str, int], seed: int, start: int) -> Offices | None:
    """None where the catalogue has no services."""
    if COMPLETED not in catalogue.types:
        return None
    form = forms_of(catalogue, ids)[COMPLETED]
    return Offices(form, Population(seed, 1000, tuple(catalogue.districts)), seed, run_tag(seed, start))


class _Course:
    """One run in one event loop; providers read in a thread of their own and hand their answers over."""

    def __init__(self, report: Report, stop: threading.Event, progress: Progress) -> None:
        self._report, self._stop, self._progress = report, stop, progress
        self._providers: Providers | None = None
        self._answers: asyncio.Queue[Planned] = asyncio.Queue()
        self._shown = 0.0

    async def run(
        self,
        connection: Connection,
        records: Iterator[Planned],
        answering: tuple[Catalogue, Receiving, Offices] | None,
    ) -> None:
        async with _sender(connection, self._report) as sender:
            loop, answers = asyncio.get_running_loop(), asyncio.create_task(self._forward(sender))
            if answering:
                self._providers = Providers(connection, *answering, partial(self._hand_over, loop), _now)
                await asyncio.to_thread(self._providers.start)
            try:
                await self._send_all(records, sender)
                await self._await_answers()
            finally:
                await self._close()
                answers.cancel()

    async def _send_all(self, records: Iterator[Planned], sender: Sender) -> None:
        report, began = self._report, time.monotonic()
        yielded = began
        for record in records:
            await self._until(began + record.at)
            if self._stop.is_set():
                break
            now = time.monotonic()
            if now - yielded > TICK:  # behind schedule: what came back wants its turn all the same
                await asyncio.sleep(0)
                yielded = now
            report.elapsed = now - began
            report.behind = max(0.0, report.elapsed - record.at)
            report.behind_most = max(report.behind_most, report.behind)
            await sender.send(record)
            self._show()
        await self._until(began + (report.duration or 0.0))
        report.elapsed = time.monotonic() - began

    async def _until(self, when: float) -> None:
        """Sleep till then, or till somebody says stop; what is due within a tick is due now."""
        while (left := when - time.monotonic()) > TICK and not self._stop.is_set():  # noqa: ASYNC110 - a thread's event
            await asyncio.sleep(min(left, LOOK_SECONDS))

    def _hand_over(self, loop: asyncio.AbstractEventLoop, answer: Planned) -> None:
        """From the providers' thread to this loop."""
        loop.call_soon_threadsafe(self._answers.put_nowait, answer)

    async def _forward(self, sender: Sender) -> None:
        while True:
            await sender.send(await self._answers.get())
            self._answers.task_done()

    async def _await_answers(self) -> None:
        """Until every request is answered and back, or nothing moves any more."""
        report, before = self._report, -1
        deadline = time.monotonic() + ANSWERS_SECONDS
        while self._providers and self._providers.failure is None and not self._stop.is_set():
            self._show()
            if report.returned >= report.requests or time.monotonic() > deadline:
                return
            if report.returned != before:
                deadline, before = time.monotonic() + ANSWERS_SECONDS, report.returned
            await asyncio.sleep(LOOK_SECONDS)

    async def _close(self) -> None:
        if self._providers:
            await asyncio.to_thread(self._providers.stop)
            failure = self._providers.failure
            self._report.providers_failed = type(failure).__name__ if failure else None
        await self._answers.join()
        self._shown = 0.0
        self._show()

    def _show(self) -> None:
        now = time.monotonic()
        if self._providers:
            self._report.answered, self._report.returned = self._providers.answered, self._providers.returned
        if now - self._shown > PROGRESS_SECONDS:
            self._shown = now
            self._progress(self._report)


def _now() -> int:
    return int(time.time() * 1000)


class Sender:
    """Hands records to the client and counts what comes of them."""

    def __init__(self, producer: AIOKafkaProducer, report: Report) -> None:
        self._producer, self._report = producer, report

    async def send(self, record: Planned) -> None:
        """One record; a failure is counted by the name of its error."""
        self._report.sent[record.agency] += 1
        self._report.sorts[record.sort] += 1
        try:
            sent = await self._producer.send(
                f"in.{record.agency}", record.value, record.key, headers=list(record.headers)
            )
        except KafkaError as error:
            self._report.failed[type(error).__name__] += 1
        else:
            sent.add_done_callback(partial(self._done, record))

    def _done(self, record: Planned, sent: asyncio.Future[RecordMetadata]) -> None:
        error = sent.exception()
        if error:
            self._report.failed[type(error).__name__] += 1
            return
        at = sent.result()
        self._report.acknowledged += 1
        self._report.expected[at.topic, at.partition][at.offset] = record.sort


@asynccontextmanager
async def _sender(connection: Connection, report: Report) -> AsyncIterator[Sender]:
    """What was handed over is acknowledged, or counted as failed, when this ends."""
    producer = AIOKafkaProducer(**connection.aiokafka(), **PRODUCER)
    try:
        await producer.start()
    except KafkaConnectionError as error:
        raise ConfigError(f"no Kafka broker answers at {connection.bootstrap}: {error}") from error
    try:
        yield Sender(producer, report)
        await producer.flush()
    finally:
        await producer.stop()
