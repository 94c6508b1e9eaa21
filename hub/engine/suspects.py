"""What one number notes of its starts, so that a record that kills the process is found (see `trials`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import structlog
from aiokafka import TopicPartition

from hub.engine import trials
from hub.engine.spec import Runtime
from hub.engine.transaction import Transactions
from hub.engine.trials import Starts
from hub.event import Output
from hub.pipeline.pause import TOPIC

log = structlog.get_logger(__name__)

LIVED_SECONDS = 1.0
"""How long a number that is given back may take to say that its process lives."""

Offsets = Mapping[TopicPartition, int]


class Suspects:
    """Reads the note when the number starts, and writes it in transactions of the number's own producer."""

    def __init__(self, lane: str, number: int, runtime: Runtime) -> None:
        self._lane, self._number, self._runtime = lane, number, runtime
        self._key, self._starts = trials.key_of(lane, number), Starts()

    @property
    def next(self) -> TopicPartition | None:
        """The partition whose next records are to be tried; those of a paused agency wait for its resumption."""
        trial = self._starts.trial
        if trial is None or self._runtime.notes.paused(trial.topic):
            return None
        return TopicPartition(trial.topic, self._number)

    @property
    def records(self) -> int:
        """How many of them at a time."""
        trial = self._starts.trial
        return min(trial.records, trial.left) if trial else 0

    async def start(self, producer: Transactions, committed: Offsets, ends: Offsets) -> None:
        """Count this start, where records wait before `ends`. The notes are read to their end."""
        runtime = self._runtime
        before = trials.read_starts(runtime.notes.get(self._key))
        waiting = {
            tp.topic: ends[tp] - offset
            for tp, offset in committed.items()  # what a pause holds back shows no lack of progress
            if ends[tp] > offset and not runtime.notes.paused(tp.topic)
        }
        starts = trials.started(before, _by_topic(committed), waiting, runtime.batch_records, runtime.me)
        if starts.trial is not None:
            fields = {"lane": self._lane, "number": self._number, "topic": starts.trial.topic}
            log.error("processes ended without progress: the next records are tried in small parts",
                      records=starts.trial.records, **fields)  # fmt: skip
        if waiting or starts.trial:
            await self._write(producer, committed, starts)
        self._starts = starts

    def guilty(self, committed: Offsets) -> bool:
        """Whether the next record alone has ended a process."""
        return trials.guilty(self._starts, _by_topic(committed), self._runtime.me)

    async def begin(self, producer: Transactions, committed: Offsets) -> None:
        """The step begins on a part."""
        assert self.next is not None
        await self._write(producer, committed, trials.begun(self._starts, committed[self.next], self._runtime.me))

    async def end(self, producer: Transactions, committed: Offsets) -> None:
        """The step has ended on it."""
        await self._write(producer, committed, trials.ended(self._starts))

    async def passed(self, producer: Transactions, committed: Offsets, records: int) -> None:
        """So many are committed; 0: the trial is over."""
        starts = trials.passed(self._starts, records)
        if starts.trial is None:
            await self._write(producer, committed, starts)
        self._starts = starts

    async def lived(self, producer: Transactions, committed: Offsets) -> None:
        """The number is given back by a process that lives. Where that cannot be said, the start counts."""
        starts = trials.survived(self._starts, _by_topic(committed), self._runtime.me)
        if starts is not self._starts:
            with suppress(Exception):
                async with asyncio.timeout(LIVED_SECONDS):
                    await self._write(producer, committed, starts)

    async def _write(self, producer: Transactions, committed: Offsets, starts: Starts) -> None:
        """Once this returns the note outlives the process."""
        if starts != self._starts:
            note = starts.note()
            await producer.commit([Output(TOPIC, self._number, self._key, note)], committed)
            self._runtime.notes.hear(self._key, note)
            self._starts = starts


def _by_topic(offsets: Offsets) -> dict[str, int]:
    return {tp.topic: offset for tp, offset in offsets.items()}
