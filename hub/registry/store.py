"""A registry's view of `_schemas`: followed as it grows, written by one registry at a time.

Any number of registries may run. Each follows the log. To write, one opens the transactional producer with the id
that all share, which ends whatever another has begun and fences it; then it reads to the end of the log, decides on
what it says, writes and commits. While it is not fenced nobody else has written, so it keeps the producer for the next
time; once it is, nothing of what it tries is seen, and it opens another and decides again. So no id or version is
given out twice, and an answer is given only once the writer itself reads what it wrote. A registry of another make must
not write to the same topic at the same time.

What the log says is a value that is never changed, only followed by the next one. So nobody who asks waits for anybody
else's question, however long that one is judged; and what was judged of a value need not be judged of it again.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from hub.errors import ConfigError, Fatal, Retry
from hub.kafka.clients import consumer, producer
from hub.kafka.connection import Connection
from hub.registry.change import Decision
from hub.registry.entry import Change
from hub.registry.log import WRITER
from hub.registry.refusals import Refused, store_failed, timed_out
from hub.registry.schemas import TOPIC, Schemas

log = structlog.get_logger(__name__)
Found = TypeVar("Found")
PARTITION = TopicPartition(TOPIC, 0)
FOLLOW_SECONDS = 0.2
"""Another registry's change shows here after this long at the latest; a question for what is missing asks at once."""
WRITE_SECONDS = 10.0
AWAY_SECONDS = 1.0
"""A broker that has just not answered is not asked again for so long: what is known is answered meanwhile."""
ASK_MS = 3_000
WRITER_SETTINGS = {"max_block_ms": 5_000, "request_timeout_ms": 5_000, "delivery_timeout_ms": 8_000}
"""Somebody waits for the answer: a broker that is away must not hold him, nor those behind him, for a minute."""


class Store:
    """Made by `open_store`. Safe for threads."""

    def __init__(self, connection: Connection, reader: KafkaConsumer) -> None:
        self._connection, self._reader = connection, reader
        self._schemas = Schemas()
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._away_until = 0.0
        self._writer: tuple[contextlib.ExitStack, KafkaProducer] | None = None
        self.failed: str | None = None

    def ask(self, question: Callable[[Schemas], Found]) -> Found:
        """The answer of a pure function. What is refused as missing is asked once more at the end of the log: another
        registry may have written it a moment ago."""
        asked = self._known()
        try:
            return question(asked)
        except Refused as refused:
            if refused.status != 404:
                raise
            with contextlib.suppress(KafkaError):  # the follower tells of it
                self.catch_up()
            if (now := self._known()) is asked:
                raise
        return question(now)

    def change(self, decide: Callable[[Schemas], Decision], begins: Callable[[], None] = lambda: None) -> Any:
        """Write what `decide` says, and return its answer once it is written and read. `begins` is called once, before
        anything is written: from then on it may be there, whatever is answered. Raises `Refused`."""
        decide = _remembering(decide)
        decision = self.ask(decide)
        if not decision.changes:
            return decision.answer
        if not self._writing.acquire(timeout=WRITE_SECONDS):
            raise timed_out("others wait to write as well")
        try:
            return self._write(_Sure(decide, begins))
        finally:
            self._writing.release()

    def catch_up(self) -> None:
        """Read to the end that the log has now. Raises `KafkaError` where the broker does not answer, `Fatal` where
        the log cannot be trusted: from then on nothing is answered."""
        with self._reading:
            if self.failed:
                raise Fatal(self.failed)
            if time.monotonic() < self._away_until:
                raise KafkaTimeoutError("the broker has just not answered")
            try:
                self._read_to_end(time.monotonic() + ASK_MS / 1000)
            except KafkaError:
                self._away_until = time.monotonic() + AWAY_SECONDS
                raise
            except Fatal as error:
                self.failed = str(error)
                raise

    def _read_to_end(self, deadline: float) -> None:
        end = self._reader.end_offsets([PARTITION], timeout_ms=ASK_MS)[PARTITION]
        # Refilled past what was read, between two looks, a topic made anew shows no earlier end. Its id (KIP-516) would
        # tell, but the embedded broker gives none, and kafka-python does not read by it.
        if self._reader.position(PARTITION, timeout_ms=ASK_MS) > end:
            raise Fatal(f"{TOPIC} ends at offset {end}, before what was read of it: it was made anew; start again")
        while self._reader.position(PARTITION, timeout_ms=ASK_MS) < end:
            if self._take():
                deadline = time.monotonic() + ASK_MS / 1000
            elif time.monotonic() > deadline:
                raise KafkaTimeoutError(f"reading {TOPIC} has stalled")

    def follow(self) -> None:
        """Take in what others write, until `close`."""
        away = False
        while not self._stop.wait(FOLLOW_SECONDS):
            try:
                self.catch_up()
            except KafkaError as error:
                if not away:
                    log.warning(
                        "the log of schemas cannot be read; what is known is answered", why=type(error).__name__
                    )
                away = True
            except Fatal as error:
                log.error("the log of schemas cannot be trusted; nothing is answered", why=str(error))  # noqa: TRY400
                return
            else:
                if away:
                    log.info("the log of schemas is read again")
                away = False

    def close(self) -> None:
        self._stop.set()
        with self._writing:
            self._drop()

    def _known(self) -> Schemas:
        if self.failed:
            raise store_failed(self.failed)
        return self._schemas

    def _take(self) -> int:
        """How many records there were."""
        records = [each for batch in self._reader.poll(timeout_ms=200).values() for each in batch]
        schemas = self._schemas.copy() if records else self._schemas
        for each in records:
            try:
                schemas.apply(each.key, each.value)
            except ValueError as error:
                raise Fatal(f"{TOPIC}/0/{each.offset} is no record of a schema registry: {error}") from error
        self._schemas = schemas
        return len(records)

    def _write(self, decide: _Sure) -> Any:
        deadline = time.monotonic() + WRITE_SECONDS
        while True:
            try:
                return self._write_once(decide, deadline)
            except (KafkaError, ConfigError) as error:  # fenced by another registry, or the broker is away
                self._drop()
                if time.monotonic() > deadline:
                    raise store_failed(type(error).__name__) from error
                self._stop.wait(random.uniform(0.02, 0.3))

    def _write_once(self, decide: _Sure, deadline: float) -> Any:
        self.catch_up()  # where the broker is away this says so soon
        writer = self._opened()
        self.catch_up()  # nothing of another registry can come between this and the commit
        decision = decide(self._known())
        if decision.changes:
            decide.begin()
            self._wait(_commit(writer, decision.changes), deadline)
        return decision.answer

    def _opened(self) -> KafkaProducer:
        if self._writer is None:
            with contextlib.ExitStack() as opening:
                writer = opening.enter_context(producer(self._connection, transactional_id=WRITER, **WRITER_SETTINGS))
                writer.init_transactions()
                self._writer = opening.pop_all(), writer
        return self._writer[1]

    def _drop(self) -> None:
        if self._writer is not None:
            (opened, _), self._writer = self._writer, None
            end = KafkaError("ended")  # as a failure: nothing is left to be flushed, and a broker away must hold nobody
            with contextlib.suppress(KafkaError):
                opened.__exit__(KafkaError, end, None)

    def _wait(self, offset: int, deadline: float) -> None:
        """A commit is answered before its markers are written: read until it shows."""
        while True:
            self.catch_up()
            with self._reading:
                if self._reader.position(PARTITION, timeout_ms=ASK_MS) > offset:
                    return
            if time.monotonic() > deadline:
                raise timed_out(f"what was written does not show in {TOPIC}")
            self._stop.wait(0.01)


def _remembering(decide: Callable[[Schemas], Decision]) -> Callable[[Schemas], Decision]:
    """Decides once while the log says the same: before it is written, and when."""
    last: tuple[Schemas, Decision] | None = None

    def decided(schemas: Schemas) -> Decision:
        nonlocal last
        if last is None or last[0] is not schemas:
            last = schemas, decide(schemas)
        return last[1]

    return decided


class _Sure:
    """Decides anew at each try. A commit may have been written though it was not answered: what it deleted is then not
    there, and the answer is that of the try before."""

    def __init__(self, decide: Callable[[Schemas], Decision], begins: Callable[[], None]) -> None:
        self._decide, self._begins = decide, begins
        self._last: Decision | None = None
        self._begun = False

    def __call__(self, schemas: Schemas) -> Decision:
        try:
            self._last = self._decide(schemas)
        except Refused as refused:
            if refused.status != 404 or self._last is None:
                raise
            return Decision([], self._last.answer)
        return self._last

    def begin(self) -> None:
        """The first try to write; others are of the same change."""
        if not self._begun:
            self._begun = True
            self._begins()


def _commit(writer: KafkaProducer, changes: list[Change]) -> int:
    """The offset of the last record."""
    writer.begin_transaction()
    sent = [writer.send(TOPIC, key=key, value=value, partition=0) for key, value in changes]
    offsets = [each.get(timeout=WRITE_SECONDS).offset for each in sent]
    writer.commit_transaction()
    return int(max(offsets))


@contextlib.contextmanager
def open_store(connection: Connection) -> Iterator[Store]:
    """A store that has read the whole log and follows it. Raises `ConfigError` where broker or topic are missing."""
    with consumer(connection) as reader:
        if TOPIC not in reader.topics():
            raise ConfigError(f"the broker has no topic {TOPIC}: `hub topics apply` makes it")
        reader.assign([PARTITION])
        reader.seek_to_beginning(PARTITION)
        store = Store(connection, reader)
        try:
            store.catch_up()
        except KafkaError as error:
            raise Retry(f"the log of schemas cannot be read: {error}") from error
        thread = threading.Thread(target=store.follow, name="follow-schemas", daemon=True)
        thread.start()
        try:
            yield store
        finally:
            store.close()
            thread.join(10)
