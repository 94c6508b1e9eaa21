"""Deliveries, a sink that does as told, and an observer that remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from hub.delivery.gone import Gone
from hub.delivery.receiver import Job, Receiver, Work
from hub.event import Headers
from hub.sdk import Context, Delivery, Log, Sink

HERE = TopicPartition("out.mod", 0)
THERE = TopicPartition("out.mod", 1)


@dataclass(frozen=True)
class Rec:
    """A record as delivery sees it."""

    offset: int
    partition: int = 0
    topic: str = "out.mod"
    timestamp: int = 0
    key: bytes | None = b"p"
    value: bytes | None = b""
    headers: Headers = ()


def records(count: int, first: int = 0, partition: int = 0) -> list[Rec]:
    return [Rec(first + i, partition) for i in range(count)]


def delivery(offset: int, partition: int = 0, **given: Any) -> Delivery:
    fields: dict[str, Any] = {
        "event_id": f"id-{partition}-{offset}",
        "originid": f"o-{offset}",
        "type": "test.View",
        "source": "urn:az:agency:asan",
        "time": datetime(2026, 3, 2, 9, 15, tzinfo=UTC),
        "key": "p",
        "version": None,
        "late": False,
        "data": {"surname": "CANARY"},
        "raw": b"",
        "schema_id": 1,
        "partition": partition,
        "offset": offset,
        "accepted": 1000,
    }
    return Delivery(**(fields | given))


def decode(found: Sequence[Any]) -> list[Delivery]:
    return [delivery(record.offset, record.partition) for record in found]


@dataclass
class Script(Sink):
    """Raises what it is told, call by call; then takes everything."""

    errors: list[BaseException | None] = field(default_factory=list)
    taken: list[list[str]] = field(default_factory=list)
    calls: int = 0
    opened: int = 0
    closed: int = 0
    gate: threading.Event | None = None

    def open(self, context: Context) -> None:
        self.opened += 1

    def deliver(self, batch: Sequence[Delivery]) -> None:
        self.calls += 1
        if self.gate is not None:
            self.gate.wait(5)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.taken.append([each.event_id for each in batch])

    def close(self) -> None:
        self.closed += 1


class Memory:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, str, int]] = []
        self.latencies: list[float] = []
        self.holding: dict[str, int] = {}
        self.states: list[bool] = []
        self.gone_events: list[tuple[str, str, int]] = []

    def delivered(self, agency: str, outcome: str, count: int, latencies: Sequence[float]) -> None:
        self.attempts.append((agency, str(outcome), count))
        self.latencies += latencies

    def progress(self, connector: str, at: float) -> None:
        pass

    def up(self, connector: str, up: bool) -> None:
        self.states.append(up)

    def parked(self, agency: str, code: str, count: int) -> None:
        self.holding[code] = count

    def gone(self, agency: str, reason: str, count: int) -> None:
        self.gone_events.append((agency, str(reason), count))


@dataclass
class Bench:
    """One receiver with everything around it in memory."""

    sink: Script
    observer: Memory
    done: SimpleQueue[Job]
    receipts: list[tuple[str, int, float]]
    receiver: Receiver


def bench(folder: Path, sink: Script, fail_receipts: int = 0) -> Bench:
    observer, done = Memory(), SimpleQueue[Job]()
    receipts: list[tuple[str, int, float]] = []
    failures = iter(range(fail_receipts))

    def acknowledge(agency: str, deliveries: Sequence[Delivery], at: float) -> None:
        if next(failures, None) is not None:
            raise OSError("broker away")
        receipts.append((agency, len(deliveries), at))

    context = Context("mod", folder / "mod", Log(agency="mod"), lambda: 3.5)
    receiver = Receiver(lambda: sink, context, Work(decode, acknowledge, observer, done))
    return Bench(sink, observer, done, receipts, receiver)


class FakeConsumer:
    """The part of kafka-python's consumer that a session uses."""

    def __init__(self, *polls: Mapping[TopicPartition, Sequence[Rec]] | KafkaError) -> None:
        self.polls = list(polls)
        self.first = self.end = 0
        self.positions: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.commits: list[dict[TopicPartition, int]] = []
        self.fail: list[Exception] = []
        self.listener: Any = None
        self.joining = False
        self.waits: list[int] = []
        self._coordinator = SimpleNamespace(need_rejoin=lambda: self.joining)

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        self.listener = listener

    def poll(self, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, Sequence[Rec]]:
        self.waits.append(timeout_ms)
        polled = self.polls.pop(0) if self.polls else {}
        if isinstance(polled, KafkaError):
            raise polled
        return polled

    def assignment(self) -> set[TopicPartition]:
        return {partition for poll in self.polls if not isinstance(poll, KafkaError) for partition in poll}

    def beginning_offsets(self, partitions: Sequence[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.first)

    def end_offsets(self, partitions: Sequence[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.end)

    def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        self.positions.update(dict.fromkeys(partitions, self.first))

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused.difference_update(partitions)

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], timeout_ms: int) -> None:
        if self.fail:
            raise self.fail.pop(0)
        self.commits.append({partition: each.offset for partition, each in offsets.items()})

    async def commit_async(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        self.commit(offsets, 0)


class FakeReceiver:
    """Keeps jobs until a test says they are done."""

    def __init__(self, done: SimpleQueue[Job], during: Callable[[], None] = lambda: None) -> None:
        self.jobs: list[Job] = []
        self.revoked: set[TopicPartition] = set()
        self.told: list[Gone] = []
        self._done = done
        self.during = during

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def revoke(self, partitions: Collection[TopicPartition]) -> None:
        self.revoked.update(partitions)

    def settle(self, partitions: Collection[TopicPartition], until: float) -> None:
        self.during()

    def gone(self, gone: Gone) -> None:
        self.told.append(gone)

    def finish(self) -> None:
        self._done.put(self.jobs.pop(0))
