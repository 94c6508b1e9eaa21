"""A view kept up to date: one thread that reads its topics and writes its table, whatever the broker does."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import structlog
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from hub.errors import HubError
from hub.kafka.connection import Connection
from hub.kafka.following import Batch, Following, Place, describe
from hub.views.store import Beat, Writer

BEAT_SECONDS = 0.5
PRUNE_SECONDS = 600.0
TOPICS_SECONDS = 30.0
REPORT_SECONDS = 5.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0

FAILURES = (KafkaError, OSError, HubError, sqlite3.Error, RuntimeError)
"""What a session may end with; the next one begins where the table is."""

log = structlog.get_logger(__name__)


class Table(Protocol):
    """What a view makes of records."""

    name: str
    file: str
    schema: str

    def apply(self, writer: Writer, records: Sequence[ConsumerRecord]) -> None: ...
    def prune(self, writer: Writer, first: Mapping[Place, int]) -> None: ...


class Follower:
    """Runs until `stop`. Failures begin a new session, after a growing wait; nothing is skipped."""

    def __init__(
        self, connection: Connection, table: Table, topics: Sequence[str], folder: Path, stop: threading.Event
    ) -> None:
        self._connection, self._table, self._topics, self._stop = connection, table, topics, stop
        self._writer = Writer(folder / table.file, table.schema)
        self._thread = threading.Thread(target=self.run, name=f"view-{table.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still reads; false where it ended by an error that it does not know."""
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def run(self) -> None:
        wait, broken = FIRST_WAIT, False
        while not self._stop.is_set():
            try:
                if broken:
                    self._writer.discard()  # Kafka has what was in it
                    broken = False
                if self._session():
                    wait = FIRST_WAIT
            except FAILURES as error:
                log.warning("a view begins anew", view=self._table.name, error=type(error).__name__, wait_seconds=wait)
                broken |= isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
                self._stop.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
        self._writer.close()

    def _session(self) -> bool:
        """Until the set of topics changes or the stop; whether it did anything."""
        topics = describe(self._connection, self._topics)
        if not topics:
            self._stop.wait(FIRST_WAIT)
            return False
        following = Following(self._connection, topics)
        try:
            course = _Course(self._table, self._writer, following)
            course.begin(self._writer.positions(topics))
            looked = time.monotonic()
            while not self._stop.is_set():
                course.turn()
                if time.monotonic() - looked > TOPICS_SECONDS:
                    looked = time.monotonic()
                    if describe(self._connection, self._topics) != topics:
                        return True
        finally:
            following.close()
        return True


class _Course:
    """One session's reading: where it began, how far it is, what it says about that."""

    def __init__(self, table: Table, writer: Writer, following: Following) -> None:
        self._table, self._writer, self._following = table, writer, following
        self._todo = self._done = 0
        self._ends: Mapping[Place, int] = {}
        self._caught_up = False
        self._said = self._pruned = 0.0
        self._reported = time.monotonic()
        self._newest = time.time()

    def begin(self, positions: Mapping[Place, int]) -> None:
        """Seek; a position that Kafka cannot have given means that the topic is another one now."""
        first, ends = self._following.bounds()
        if any(at > ends.get(place, at) for place, at in positions.items()):
            log.warning("the topics are shorter than what was read of them: all is read again", view=self._table.name)
            self._writer.discard()
            positions = {}
        start = {place: max(at, positions.get(place, at)) for place, at in first.items()}
        self._todo = sum(ends[place] - at for place, at in start.items())
        self._ends = ends
        self._keep(first)
        self._following.seek(start)
        self._say(force=True)

    def turn(self) -> None:
        """Take in what has come; say how far it is.

        It has caught up with what was there when it began: under load there is always more to come.
        """
        batch = self._following.poll()
        if batch.positions:
            self._take(batch)
        if batch.records:
            self._caught_up = self._caught_up or self._following.left(self._ends) == 0
        elif not self._caught_up or time.monotonic() - self._said > BEAT_SECONDS:
            self._caught_up = self._following.behind() == 0 or self._caught_up  # raises where the broker is away
            if self._caught_up:
                self._newest = time.time()
        self._say()
        if time.monotonic() - self._pruned > PRUNE_SECONDS:
            self._keep(self._following.bounds()[0])

    def _take(self, batch: Batch) -> None:
        with self._writer.transaction():
            self._table.apply(self._writer, batch.records)
            self._writer.moved(batch.positions)
        self._done += len(batch.records)
        if batch.records:
            self._newest = min(time.time(), batch.records[-1].timestamp / 1000)

    def _keep(self, first: Mapping[Place, int]) -> None:
        self._pruned = time.monotonic()
        with self._writer.transaction():
            self._writer.begins(first)
        self._table.prune(self._writer, first)

    def _say(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._said < BEAT_SECONDS:
            return
        self._said = now
        progress = 1.0 if self._caught_up else min(1.0, self._done / max(self._todo, 1))
        lag = max(0.0, time.time() - self._newest)
        self._writer.beat(Beat(time.time(), lag, self._caught_up, progress))
        if not self._caught_up and now - self._reported > REPORT_SECONDS:
            self._reported = now
            log.info("reading", view=self._table.name, percent=round(progress * 100), records=self._done)
