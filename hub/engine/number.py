"""One partition number of a lane: its producer, its state, and the task that carries its batches.

Start: fence the predecessor → wait for the transaction it had company in → rebuild the state → read the committed
    offsets → seek → resume.
Batch: pure step → one transaction of outputs and offsets → only then do the changes become state.
    Where the step met a schema id that it does not know, and that is found, it is done once more before.
Any failure: its outcome may be either, so the producer is given up and all begins again at the start.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError, ProducerFenced

from hub.engine.company import ROWS, Cargo, Company, Seat
from hub.engine.positions import seek
from hub.engine.rebuild import last_link, rebuild
from hub.engine.refusals import Rows
from hub.engine.spec import LaneSpec, Runtime
from hub.engine.stepping import Batch, StepFailed, Stepping
from hub.engine.suspects import Suspects
from hub.engine.taking import Taking, nobody
from hub.engine.transaction import Transactions
from hub.errors import Fatal, Retry, SchemaWanted
from hub.event import Output, Result
from hub.kafka.outage import asked_to_end
from hub.pipeline.pause import TOPIC as STATE
from hub.pipeline.summarise import Chain, summarise

log = structlog.get_logger(__name__)
T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
FENCED_WAIT = 2.0
"""Seconds. A fenced worker may have lost its place in the group: let the group speak first."""

IDLE_SECONDS = 30.0
"""An idle number commits this often what it has read past: markers of transactions have offsets too, and when
retention takes them, a committed offset before them would look like a loss."""

END_SECONDS = 4.0
"""How long a batch in flight may take when its number is given back, before it is cancelled."""

FIRST_RECORDS = 500
"""Of the first batch after a start: where a larger one did not end in the time of a transaction, this one may."""

FEW_RECORDS = 1000
"""A batch of more is bounded by its outputs (`ROWS`)."""

ALONE = Seat(None)
"""Of a batch that has no company: it may be used again and again."""

ALONE_SECONDS = 5.0
"""Records under suspicion that do not come for so long are gone: retention took them, or it was a marker."""


class _GivenBack(Exception):
    """The number is given back while it waits, and nothing is in flight."""


class Kept(NamedTuple):
    """What a number leaves for itself, should it come back: true as long as no other producer follows `life`."""

    life: tuple[int, int]
    state: dict[bytes, bytes]
    chain: Chain


class Number:
    """Runs until `end`; `fatal` is called, once, with what makes going on wrong."""

    def __init__(
        self,
        spec: LaneSpec,
        runtime: Runtime,
        consumer: Any,
        number: int,
        tps: Sequence[TopicPartition],
        fatal: Callable[[BaseException], None],
        company: Company,
        kept: Kept | None = None,
    ) -> None:
        self.number, self.tps, self.ready = number, tuple(tps), False
        self._spec, self._runtime, self._consumer = spec, runtime, consumer
        self._fatal, self._company, self._stopping, self._kept = fatal, company, asyncio.Event(), kept
        self._producer: Transactions | None = None
        self._state: dict[bytes, bytes] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._commits, self._waiting, self._anew, self._rows_each = 0, False, True, 1.0
        self._said = ""
        self._chain = Chain(f"{spec.name}.{number}")
        self._rows = Rows(runtime.refusals_in_a_row)
        self._suspects = Suspects(spec.name, number, runtime)
        self._log = log.bind(lane=spec.name, number=number)
        self._stepping = Stepping(spec, runtime, self._log)
        self._task = asyncio.create_task(self._run(), name=f"{spec.name}.{number}")

    async def end(self) -> Kept | None:
        """Let the batch in flight end, cancel a start under way, close the producer.

        Gives what the number can begin with if it comes back; None where the last transaction's outcome is not known.
        """
        self._stopping.set()
        if self._waiting or not self.ready:
            self._task.cancel()
        done, _ = await asyncio.wait({self._task}, timeout=END_SECONDS)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=END_SECONDS)
        kept = self._kept
        if self.ready and self._producer is not None:
            kept = None
            if self._task.done() and not self._task.cancelled() and self._task.exception() is None:
                kept = Kept(self._producer.life, self._state, self._chain)
                await self._suspects.lived(self._producer, self._committed)
        await self._close()
        return kept

    async def _run(self) -> None:
        wait = FIRST_WAIT
        while not self._stopping.is_set():
            commits = self._commits
            try:
                await self._start()
                await self._carry()
            except _GivenBack:
                return
            except Fatal as error:
                self._fatal(error)
                return
            except (Exception, asyncio.CancelledError) as error:  # the outcome may be either: start again
                if isinstance(error, asyncio.CancelledError) and asked_to_end():
                    raise
                wait = await self._come_back(error, FIRST_WAIT if self._commits > commits else wait)

    async def _come_back(self, error: BaseException, wait: float) -> float:
        """Give everything up, wait, and say why; returns the next wait."""
        self.ready = False
        self._pause()
        await self._close()
        pause = max(wait, FENCED_WAIT) if isinstance(error, ProducerFenced) else wait
        kind = type(error).__name__
        say = self._log.debug if kind == self._said else self._log.warning  # an outage is long, and says the same
        say("starting again", wait=pause, exc_info=error)
        self._said = kind
        self._runtime.observer.restarted(self._spec.name, kind)
        try:
            async with asyncio.timeout(pause):
                await self._stopping.wait()
        except TimeoutError:
            pass
        return min(wait * 2, LONGEST_WAIT)

    async def _start(self) -> None:
        spec, runtime = self._spec, self._runtime
        began = time.monotonic()
        transactional_id = f"{runtime.hub}.{spec.name}.{self.number}"
        self._producer = Transactions(
            runtime.connection, transactional_id, self._company.member, spec.outputs, runtime.rules.partitions
        )
        await self._producer.start()
        # before the rebuild: a transaction in which this number had company may still become part of its state
        settled = await self._producer.settled(self.tps)
        kept, self._kept = self._kept, None
        if kept is not None and self._producer.life == (kept.life[0], kept.life[1] + 1):
            self._state, self._chain = kept.state, kept.chain
        else:
            kept = None
            self._state = await self._rebuilt()
        await runtime.notes.read_to_end()
        if kept is None:
            self._chain = await self._last_link()
        ends = await self._seek()
        if any(self._committed[tp] != offset for tp, offset in settled.items()):
            raise Retry("somebody else has committed for this number while it started")
        await self._suspects.start(self._producer, self._committed, ends)
        self._consumer.resume(*self.tps)
        self.ready = self._anew = True
        self._said = ""
        seconds = round(time.monotonic() - began, 3)
        self._log.info("ready", keys=len(self._state), kept=kept is not None, seconds=seconds)

    async def _last_link(self) -> Chain:
        runtime, writer = self._runtime, self._chain.writer
        noted = runtime.notes.get(self._chain.key)
        if noted is not None:
            return Chain.noted(writer, noted)
        return await last_link(runtime.connection, runtime.rules.codecs, self.number, writer)

    async def _rebuilt(self) -> dict[bytes, bytes]:
        spec = self._spec
        if spec.state_topic is None or spec.restore is None:
            return {}
        self._state = {}  # not beside the new one: together they may be more than there is room for
        runtime = self._runtime
        tell = partial(runtime.observer.rebuilding, spec.name, self.number)
        try:
            return await rebuild(runtime.connection, spec.state_topic, self.number, spec.restore, runtime.turn, tell)
        except BaseException:
            tell(None)
            raise

    async def _seek(self) -> Mapping[TopicPartition, int]:
        """Where each partition ends."""
        assert self._producer is not None
        notes = self._runtime.notes
        self._committed, ends = await seek(self._spec.name, self._consumer, self.tps, notes, self._producer)
        return ends

    async def _carry(self) -> None:
        runtime = self._runtime
        await self._try_suspects()
        fair, paused = (runtime.ahead, runtime.notes.paused) if self._spec.fair else (None, nobody)
        take = Taking(self._consumer, self.tps, FIRST_RECORDS, fair, paused)
        try:
            await self._batches(take)
        finally:
            take.leave()

    async def _batches(self, take: Taking) -> None:
        busy, ahead = time.monotonic(), self._runtime.ahead
        while not self._stopping.is_set():
            take.most = self._most()
            records = await self._taken(take)
            if self._stopping.is_set():
                return
            if not self._spec.fair:
                ahead.tell(self.number, take.waiting() + len(records))
            if records:
                rows = int(len(records) * self._rows_each)
                alone = self._anew or take.crowded() or self._doubtful() is not None
                async with self._company.turn(len(records), rows, alone=alone) as seat:
                    if take.at_hand() and not self._stopping.is_set():  # the assignment may be waiting for this number
                        records += await self._taken(take, len(records))
                    await self._work(records, seat)
                if not self._spec.fair:
                    ahead.tell(self.number, take.waiting())
                busy = time.monotonic()
            elif self._in_doubt() or time.monotonic() - busy > IDLE_SECONDS:
                await self._catch_up()
                busy = time.monotonic()

    def _most(self) -> int:
        """Records of the next batch. What feeds the other lane takes half of what that one takes, so that a backfill
        waits where it came in: what comes then is beside it, and not behind."""
        limit, ahead = self._runtime.batch_records, self._runtime.ahead
        if self._anew:
            return min(limit, FIRST_RECORDS)
        most = min(limit, max(FEW_RECORDS, int(ROWS / self._rows_each)))
        if not self._spec.fair:
            ahead.most = most
            return most
        return min(most, max(FEW_RECORDS, ahead.most // 2)) if ahead.most else most

    async def _taken(self, take: Taking, already: int = 0) -> list[Any]:
        """None where none came, or where the number is given back: aiokafka holds whoever asks until the next
        assignment, which waits for this number to end."""
        try:
            return await self._unbound(take(already))
        except _GivenBack:
            return []
        except OffsetOutOfRangeError as error:
            await self._seek()  # says what is lost, unless it was not committed yet
            raise Fatal(f"{self._spec.name}: a log has lost records that were read: {error}") from error

    async def _try_suspects(self) -> None:
        """Records on which processes have died: alone, in small parts, each noted before and after the step."""
        suspects = self._suspects
        while (tp := suspects.next) is not None and not self._stopping.is_set():
            assert self._producer is not None
            records = await self._alone(tp, suspects.records)
            if self._stopping.is_set():
                return
            if not records:
                await suspects.passed(self._producer, self._committed, 0)
            elif suspects.guilty(self._committed):
                await self._commit(records, self._stepping.deadly(records[0]), ALONE)
                await suspects.passed(self._producer, self._committed, 0)
            else:
                await suspects.begin(self._producer, self._committed)
                with suppress(StepFailed, SchemaWanted):  # nothing is waited for here: only a step counts
                    self._stepping.result(self._state, records)
                await suspects.end(self._producer, self._committed)
                await self._work(records, ALONE)
                await suspects.passed(self._producer, self._committed, len(records))

    async def _alone(self, tp: TopicPartition, most: int) -> list[Any]:
        """The next records of one partition; none where none came for a while."""
        take = Taking(self._consumer, [tp], most)
        until = time.monotonic() + ALONE_SECONDS
        while not (records := await self._taken(take)) and time.monotonic() < until and not self._stopping.is_set():
            pass
        return records

    def _doubtful(self) -> float | None:
        """Since when the producer's last transaction may be incomplete, until it commits again itself."""
        return self._producer.doubtful_since if self._producer else None

    def _in_doubt(self) -> bool:
        """Whether the last commit may be incomplete, and a broker answers that could complete it."""
        since = self._doubtful()
        return since is not None and any((self._consumer.last_poll_timestamp(tp) or 0) > since for tp in self.tps)

    async def _catch_up(self) -> None:
        """Commit the positions of an idle number: behind the last marker, where nothing is left to read."""
        read = {tp: await self._consumer.position(tp) for tp in self.tps}
        offsets = {tp: offset for tp, offset in read.items() if offset > self._committed[tp]}
        if self._in_doubt():
            offsets = read  # one without an offset would not be sent
        if offsets:
            assert self._producer is not None
            await self._producer.commit((), offsets)
            self._committed |= offsets

    async def _work(self, records: Batch, seat: Seat) -> None:
        """One transaction; where the step raises, halves, down to the one record that did it."""
        try:
            result = await self._result(records)
        except StepFailed as failed:
            if len(records) > 1:
                middle = len(records) // 2
                await self._work(records[:middle], seat)
                await self._work(records[middle:], seat)
                return
            result = self._stepping.failed(records[0], failed)
        await self._commit(records, result, seat)

    async def _result(self, records: Batch) -> Result:
        """What the step makes of the batch, with what was registered until now. Raises `StepFailed`, and `Retry` where
        the registry does not answer: as in any outage, all begins again and nothing is refused."""
        versions = self._runtime.versions
        while True:
            try:
                result = self._stepping.result(self._state, records)
            except SchemaWanted as wanted:
                await self._unbound(versions.wanted(wanted.id))
                continue
            if not result.unknown:
                return result
            learned = await self._unbound(versions.learned(result.unknown, anew=self._anew))
            return self._stepping.result(self._state, records) if learned else result

    async def _unbound(self, answer: Coroutine[Any, Any, T]) -> T:
        """What is waited for while nothing is in flight. Raises `_GivenBack` where the number is given back meanwhile:
        who has it next reads from the same place."""
        self._waiting = True
        try:
            return await answer
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not self._stopping.is_set():
                raise
            task.uncancel()
            raise _GivenBack from None
        finally:
            self._waiting = False

    async def _commit(self, records: Batch, result: Result, seat: Seat) -> None:
        runtime, spec = self._runtime, self._spec
        spared = {agency for agency, _ in result.unknown if runtime.versions.away}
        rows = self._rows.after(result.tally, spared)  # what an outage of ours refuses is no fault of an agency
        pauses = [] if not rows else self._rows.pauses(rows, records, result, self._chain.writer, runtime.clock())
        summary, chain = summarise(
            runtime.rules, result, spec.name, self._chain, self.number, len(records), runtime.clock()
        )
        offsets = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
        assert self._producer is not None
        with runtime.observer.timed(f"{spec.name}_commit"):
            notes = [Output(STATE, None, pause.key, pause.note()) for pause in pauses]
            if spec.seldom_audits and runtime.notes.get(chain.key) != (link := chain.note()):
                notes.append(Output(STATE, self.number, chain.key, link))
            await seat.commit(Cargo(self._producer, (*result.outputs, *summary, *notes), offsets))
        self._commits, self._anew = self._commits + 1, False
        self._rows_each = max(1.0, len(result.outputs) / len(records))
        self._committed |= offsets
        self._state.update(result.changes)
        self._chain = chain
        self._rows.committed(rows)
        for note in notes:
            runtime.notes.hear(note.key, note.value)
        runtime.observer.committed(spec.name, result)

    def _pause(self) -> None:
        mine = set(self.tps) & self._consumer.assignment()
        if mine:
            self._consumer.pause(*mine)

    async def _close(self) -> None:
        if not self._spec.fair:
            self._runtime.ahead.forget(self.number)
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.close()
