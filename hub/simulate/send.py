"""Sends what is planned, when it is planned: open loop, whatever the hub's pace is.

    report = run(connection, catalogue, schemas, rate=200, duration=20, seed=1)

A record that cannot be sent is counted, and the run goes on.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.producer.future import RecordMetadata

from hub.catalogue import Catalogue
from hub.kafka.clients import producer_settings
from hub.kafka.connection import Connection
from hub.simulate.answers import COMPLETED, Offices, Providers, Receiving
from hub.simulate.desk import forms_of, run_tag
from hub.simulate.people import Population
from hub.simulate.plan import plan
from hub.simulate.planned import DEFAULT_SHARES, Planned, Shares, Sort

TICK = 0.005
PROGRESS_SECONDS = 0.5
ANSWERS_SECONDS = 30.0
"""How long after the last record the run waits for requests still unanswered."""
GRACE_SECONDS = 5.0
# Together with hub.kafka's settings: agencies send many small events, so that a few milliseconds pay.
PRODUCER = {"linger_ms": 5, "max_in_flight_requests_per_connection": 5}


class SchemaIds(Protocol):
    """Where schemas are registered (`hub.registry.schemas.Schemas`)."""

    def id_of(self, subject: str, schema: str | None = None) -> int: ...
    def by_id(self, id: int) -> Any: ...


@dataclass
class Report:
    """What a run sent. `expected`: (topic, partition) → offset → what the plan says should become of it."""

    seed: int
    rate: float
    duration: float | None
    planned: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    sorts: Counter[Sort] = field(default_factory=Counter)
    acknowledged: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    behind: float = 0.0
    behind_most: float = 0.0
    elapsed: float = 0.0
    requests: int = 0
    answered: int = 0
    returned: int = 0
    providers_failed: str | None = None
    expected: dict[tuple[str, int], dict[int, Sort]] = field(default_factory=lambda: defaultdict(dict))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a program to read; seconds rounded to milliseconds."""
        return {
            "seed": self.seed,
            "rate": self.rate,
            "duration": self.duration,
            "elapsed": round(self.elapsed, 3),
            "sent": sum(self.sent.values()),
            "acknowledged": self.acknowledged,
            "failed": dict(self.failed),
            "behind_seconds": round(self.behind, 3),
            "behind_seconds_most": round(self.behind_most, 3),
            "requests": self.requests,
            "answered": self.answered,
            "returned": self.returned,
            "providers_failed": self.providers_failed,
            "outcomes_planned": self.outcomes(),
            "by_agency": dict(sorted(self.sent.items())),
            "by_sort": {sort.value: self.sorts[sort] for sort in Sort if self.sorts[sort]},
        }

    def outcomes(self) -> dict[str, int]:
        """How often each outcome was planned: APPLIED, DUPLICATE, and a rejection by its code."""
        counted: Counter[str] = Counter()
        for sort, count in self.sorts.items():
            counted[sort.code or sort.outcome] += count
        return dict(sorted(counted.items()))


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
    is acknowledged.

    `progress` gets the growing report twice a second, from this thread. Raises `ConfigError` without a broker,
    `KeyError` where a type's schema is not registered.
    """
    stop = stop or threading.Event()
    start = int(time.time() * 1000)
    ids = {name: schemas.id_of(name) for name in catalogue.types}
    report = Report(seed, rate, duration)
    with Sender(connection, report) as sender:
        providers = _providers(connection, catalogue, schemas, ids, seed, start, sender)
        records = plan(catalogue, ids, seed=seed, rate=rate, duration=duration, start=start, shares=shares)
        try:
            _send_all(records, sender, report, stop, progress or (lambda _: None), providers)
            _await_answers(report, providers, stop)
        finally:
            _close(providers, report)
    return report


class Sender:
    """Hands records to the client and counts what comes of them; safe to call from two threads."""

    def __init__(self, connection: Connection, report: Report) -> None:
        self._report, self._lock = report, threading.Lock()
        self._client = KafkaProducer(**producer_settings(connection) | PRODUCER)

    def send(self, record: Planned) -> None:
        """One record; a failure is counted by the name of its error, and the run goes on."""
        with self._lock:
            self._report.sent[record.agency] += 1
            self._report.sorts[record.sort] += 1
        try:
            future = self._client.send(f"in.{record.agency}", record.value, record.key, headers=list(record.headers))
        except KafkaError as error:
            self._failed(error)
        else:
            future.add_callback(self._acknowledged, record.sort).add_errback(self._failed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._client.flush()
        finally:
            self._client.close(timeout=GRACE_SECONDS)

    def _acknowledged(self, sort: Sort, at: RecordMetadata) -> None:
        """Called by the client's one sending thread."""
        self._report.acknowledged += 1
        self._report.expected[at.topic, at.partition][at.offset] = sort

    def _failed(self, error: BaseException) -> None:
        with self._lock:
            self._report.failed[type(error).__name__] += 1


def _providers(
    connection: Connection,
    catalogue: Catalogue,
    schemas: SchemaIds,
    ids: Mapping[str, int],
    seed: int,
    start: int,
    sender: Sender,
) -> Providers | None:
    """Already reading; None where the catalogue has no such service."""
    if COMPLETED not in catalogue.types:
        return None
    form = forms_of(catalogue, ids)[COMPLETED]
    offices = Offices(form, Population(seed, 1000, tuple(catalogue.districts)), seed, run_tag(seed, start))
    providers = Providers(
        connection, catalogue, Receiving(schemas), offices, sender.send, lambda: int(time.time() * 1000)
    )
    providers.start()
    return providers


def _send_all(
    records: Iterator[Planned],
    sender: Sender,
    report: Report,
    stop: threading.Event,
    progress: Progress,
    providers: Providers | None,
) -> None:
    began = shown = time.monotonic()
    for record in records:
        now = time.monotonic() - began
        if record.at > now + TICK and stop.wait(record.at - now):
            break
        if stop.is_set():
            break
        report.elapsed = time.monotonic() - began
        report.behind = max(0.0, report.elapsed - record.at)
        report.behind_most = max(report.behind_most, report.behind)
        sender.send(record)
        report.planned += 1
        report.requests += record.sort is Sort.REQUEST
        if began + report.elapsed - shown > PROGRESS_SECONDS:
            shown = began + report.elapsed
            _count_answers(report, providers)
            progress(report)
    left = (report.duration or 0.0) - (time.monotonic() - began)
    if left > 0:
        stop.wait(left)
    report.elapsed = time.monotonic() - began


def _await_answers(report: Report, providers: Providers | None, stop: threading.Event) -> None:
    """Until every request was answered and every answer is back, or nothing moves any more."""
    deadline, before = time.monotonic() + ANSWERS_SECONDS, -1
    while providers and providers.failure is None and not stop.is_set():
        _count_answers(report, providers)
        if report.returned >= report.requests or time.monotonic() > deadline:
            return
        if report.returned != before:
            deadline, before = time.monotonic() + ANSWERS_SECONDS, report.returned
        stop.wait(0.1)


def _count_answers(report: Report, providers: Providers | None) -> None:
    if providers:
        report.answered, report.returned = providers.answered, providers.returned


def _close(providers: Providers | None, report: Report) -> None:
    if providers:
        providers.stop()
        _count_answers(report, providers)
        report.providers_failed = type(providers.failure).__name__ if providers.failure else None
