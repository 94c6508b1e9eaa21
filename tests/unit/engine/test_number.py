"""One partition number on a broker of lists: whatever fails and wherever, each record takes effect once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError, ProducerFenced
from hypothesis import given, settings
from hypothesis import strategies as st
from world import Rec

from hub.engine import number as engine
from hub.engine.company import Company
from hub.engine.number import Kept, Number
from hub.engine.spec import LaneSpec
from hub.engine.stepping import RECORD_MAX_BYTES
from hub.engine.taking import Ahead
from hub.engine.trials import STARTS, key_of, read_starts
from hub.errors import Code, Fatal, Retry, SchemaWanted
from hub.event import Output, Rejection, Result
from hub.kafka.member import Member
from hub.pipeline.pause import Pause
from hub.pipeline.summarise import Chain

TP = TopicPartition("in.a", 1)
PATIENCE = 10.0
RESTARTS = 20
Fault = str  # "lost": nothing was written; "doubt": written, but the answer did not come; "fenced"


@dataclass
class Broker:
    """What is durable: inputs, committed outputs, the committed offset; and the faults still to come."""

    inputs: list[Rec]
    faults: dict[int, Fault] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    offset: int | None = None
    first: int = 0
    commits: int = 0
    asked: list[int] = field(default_factory=list)
    """Offsets of batches that were to be committed, whatever became of them."""
    epoch: int = -1
    rebuilds: int = 0
    misused: int = 0
    """Transactions of a producer whose last one had not ended."""
    producers: list[Producer] = field(default_factory=list)
    hold: asyncio.Event | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)

    def commit(self, outputs: Sequence[Output], offset: int) -> None:
        fault = self.faults.get(self.commits)
        self.commits += 1
        if of_a_batch(outputs):
            self.asked.append(offset)
        if fault in (None, "doubt"):
            self.outputs += outputs
            self.offset = offset
        if fault == "fenced":
            raise ProducerFenced
        if fault is not None:
            raise ConnectionError(fault)

    def rebuilt(self) -> dict[str, int]:
        """The state as the committed outputs have it."""
        return {"count": sum(output.topic == "events" for output in self.outputs)}


def of_a_batch(outputs: Sequence[Output]) -> bool:
    """Whether there is more than notes of the engine's own."""
    return any(output.topic != "state.hub" for output in outputs)


class Producer:
    """Stands for `Transactions`: a producer that was closed, or has failed, is not used again."""

    doubtful_since: float | None = None

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker, self.id, self.usable, self.closed = broker, name, False, False
        self.life = (-1, -1)
        broker.producers.append(self)

    async def start(self) -> None:
        for other in self._broker.producers[:-1]:
            assert other.closed, "one producer of a number at a time"
        self._broker.epoch += 1
        self.life = (7, self._broker.epoch)
        self.usable = True

    async def settled(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        offset = self._broker.offset
        return {} if offset is None else dict.fromkeys(tps, offset)

    async def commit(self, outputs: Sequence[Output], offsets: Mapping[TopicPartition, int]) -> None:
        self._broker.misused += not self.usable
        assert self.usable
        self.usable = False
        if self._broker.hold is not None and of_a_batch(outputs):
            self._broker.held.set()
            await self._broker.hold.wait()
        self._broker.commit(list(outputs), offsets[TP])
        self.usable = True

    async def close(self) -> None:
        self.usable, self.closed = False, True


class Consumer:
    """As much of aiokafka's as a number touches."""

    def __init__(self, broker: Broker) -> None:
        self._broker, self.position, self.paused = broker, -1, True
        self._fetcher, self._coordinator = SimpleNamespace(_records={}), self
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=self))
        self.reassigning = False

    def state_value(self, _: TopicPartition) -> Any:
        return SimpleNamespace(lso=len(self._broker.inputs), position=self.position)

    def assignment(self) -> set[TopicPartition]:
        return {TP}

    def pause(self, *_: TopicPartition) -> None:
        self.paused = True

    def resume(self, *_: TopicPartition) -> None:
        self.paused = False

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.position = offset

    async def beginning_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, self._broker.first)

    async def end_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, len(self._broker.inputs))

    async def getmany(self, *tps: TopicPartition, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Rec]]:
        await asyncio.sleep(0)
        assert not self.paused, "nothing is taken before the number is ready"
        if self.reassigning:
            await asyncio.Event().wait()  # until the next assignment, as aiokafka does
        if self.position < self._broker.first:
            raise OffsetOutOfRangeError({TP: self.position})
        records = self._broker.inputs[self.position : self.position + max_records]
        self.position += len(records)
        return {TP: records} if records else {}


class Killed(BaseException):
    """The process is no more: nothing runs after it."""


class Notes:
    """`state.hub`, as the committed outputs have it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def read_to_end(self) -> None:
        self.read = len(self._broker.outputs)

    def get(self, key: bytes) -> bytes | None:
        found = (output.value for output in reversed(self._broker.outputs) if output.key == key)
        return next(found, None)

    def paused(self, topic: str) -> bool:
        return self.get(b"paused/" + topic.removeprefix("in.").encode()) is not None

    def hear(self, key: bytes, value: bytes) -> None:
        assert self.get(key) == value, "nothing is heard that was not committed"


@dataclass
class Versions:
    """Registered are `there`; the registry does not answer the next `away` times."""

    there: frozenset[int]
    away: int = 0
    known: set[int] = field(default_factory=set)
    looks: int = 0
    anew: list[bool] = field(default_factory=list)
    slow: asyncio.Event | None = None

    async def learned(self, unknown: set[tuple[str, int]], *, anew: bool) -> bool:
        self.looks += 1
        self.anew.append(anew)
        if self.slow:
            await self.slow.wait()
        if self.away:
            self.away -= 1
            raise Retry("away")
        new = self.there & {id for _, id in unknown}
        self.known |= new
        return bool(new)

    async def wanted(self, id: int) -> None:
        self.looks += 1
        if self.slow:
            await self.slow.wait()
        if id not in self.there:
            raise Fatal(f"schema id {id}")
        self.known.add(id)


@dataclass
class Step:
    """Numbers the records it has seen, in its state; raises on some, writes too much on others."""

    bad: frozenset[int] = frozenset()
    large: frozenset[int] = frozenset()
    cursed: frozenset[int] = frozenset()
    deadly: frozenset[int] = frozenset()
    hopeless: bool = False
    unknown: frozenset[int] = frozenset()
    wanted: frozenset[int] = frozenset()
    versions: Versions | None = None
    receivers: int = 0

    def __call__(self, state: Mapping[str, int], records: Sequence[Rec]) -> Result:
        result, count = Result(), state["count"]
        for record in records:
            if record.offset in self.deadly:
                raise Killed
            if record.offset in self.cursed:
                raise Fatal("cursed")
            if record.offset in self.bad:
                raise ValueError("the value of somebody")
            known = self.versions.known if self.versions else set()
            if record.offset in self.wanted - known:
                raise SchemaWanted(record.offset)
            if record.offset in self.unknown - known:
                result.unknown.add(("a", record.offset))
                result.outputs += self.refuse(record, Rejection(Code.SCHEMA_ID_UNKNOWN, "unwrap", "")).outputs
                continue
            count += 1
            value = b"x" * (RECORD_MAX_BYTES + 1) if record.offset in self.large else record.value
            result.outputs.append(Output("events", 1, b"%d" % count, value))
            result.outputs += [Output("out", 1, None, value)] * self.receivers
        result.changes["count"] = count
        return result

    def refuse(self, record: Rec, rejection: Rejection) -> Result:
        if self.hopeless:
            raise KeyError("hopeless")
        return Result(outputs=[Output("dlq", 1, rejection.code.encode(), record.value)])


@dataclass
class Running:
    broker: Broker
    spec: LaneSpec
    runtime: Any
    restarts: list[str]
    fatal: list[BaseException] = field(default_factory=list)

    def start(self, kept: Kept | None = None) -> None:
        self.consumer = Consumer(self.broker)
        self.number = Number(
            self.spec, self.runtime, self.consumer, 1, [TP], self.fatal.append, Company(Member("test")), kept
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # what is waited for tells nobody
                assert len(self.restarts) < RESTARTS, f"it starts again and again: {self.restarts[-1]}"
                await asyncio.sleep(0)

    def done(self) -> bool:
        """Nor has a transaction failed of which the number does not know yet."""
        all_of_it = self.broker.offset == len(self.broker.inputs)
        return self.number.ready and all_of_it and self.broker.producers[-1].usable


@contextmanager
def without_kafka(broker: Broker, rebuild: Any = None):
    async def rebuilt(*_: Any) -> dict[str, int]:
        broker.rebuilds += 1
        return broker.rebuilt()

    async def last_link(_: Any, __: Any, ___: int, writer: str) -> Chain:
        return Chain(writer)

    with (
        mock.patch.object(engine, "Transactions", lambda _, name, *__: Producer(broker, name)),
        mock.patch.object(engine, "log"),  # what it says is of no interest here, and thousands of traces take time
        mock.patch.object(engine, "rebuild", rebuild or rebuilt),
        mock.patch.object(engine, "last_link", last_link),
        mock.patch.object(engine, "summarise", lambda _, __, ___, chain, *rest: ([], chain)),
        mock.patch.multiple(engine, FIRST_WAIT=0.0, LONGEST_WAIT=0.0, FENCED_WAIT=0.0),
    ):
        yield


@asynccontextmanager
async def running(broker: Broker, step: Step, batch: int = 7, rebuild: Any = None) -> AsyncIterator[Running]:
    """A number that carries; ended when the `with` ends."""
    it = made(broker, step, batch)
    with without_kafka(broker, rebuild):
        it.start()
        try:
            yield it
        finally:
            await it.number.end()


def made(broker: Broker, step: Step, batch: int = 7, process: str = "one") -> Running:
    restarts: list[str] = []
    observer = SimpleNamespace(
        timed=lambda _: nullcontext(),
        committed=lambda *_: None,
        restarted=lambda _, reason: restarts.append(reason),
        paused=lambda *_: None,
        rebuilding=lambda *_: None,
    )
    runtime: Any = SimpleNamespace(
        hub="test",
        connection=None,
        rules=SimpleNamespace(partitions=4, codecs=None),
        observer=observer,
        clock=int,
        notes=Notes(broker),
        batch_records=batch,
        refusals_in_a_row=10_000,
        me=process,
        ahead=Ahead(),
        turn=None,
        versions=step.versions,
    )
    spec = LaneSpec(
        name="gate",
        group="test.gate",
        topics=("in.a",),
        outputs=("events", "dlq"),
        step=step,
        state_topic="state",
        restore=lambda: None,
    )
    return Running(broker, spec, runtime, restarts)


def records(count: int) -> list[Rec]:
    return [Rec("in.a", 1, offset, None, b"%d" % offset, ()) for offset in range(count)]


def carried(broker: Broker, step: Step, batch: int = 7) -> None:
    """Run until all inputs are committed."""

    async def run() -> None:
        async with running(broker, step, batch) as it:
            await it.until(it.done)
            assert not it.fatal

    asyncio.run(run())


def written(broker: Broker, topic: str) -> list[bytes | None]:
    return [output.value for output in broker.outputs if output.topic == topic]


@pytest.mark.parametrize(
    ("receivers", "then"), [(0, [4500, 6000]), (15, [2500, 4500, 6000]), (99, [1500, 2500, 3500, 4500, 5500, 6000])]
)
def test_a_batch_is_as_large_as_its_outputs_allow_and_small_at_first(receivers: int, then: list[int]) -> None:
    broker = Broker(records(6000))
    carried(broker, Step(receivers=receivers), batch=4000)
    assert broker.asked == [500, *then]


def test_what_did_not_fit_into_a_transaction_is_smaller_the_next_time() -> None:
    broker = Broker(records(2000), {2: "lost"})
    carried(broker, Step(), batch=4000)
    assert broker.asked == [500, 2000, 1000, 2000]


@pytest.mark.parametrize(("ledger", "gate"), [(0, 4000), (4000, 2000), (1000, 1000)])
def test_the_gate_does_not_outrun_the_ledger(ledger: int, gate: int) -> None:
    async def run() -> None:
        it = made(Broker(records(6000)), Step(), batch=4000)
        it.spec, it.runtime.ahead.most = replace(it.spec, fair=True), ledger
        with without_kafka(it.broker):
            it.start()
            await it.until(it.done)
            await it.number.end()
        assert it.broker.asked[:2] == [500, 500 + gate]

    asyncio.run(run())


def test_who_finds_that_somebody_else_has_committed_while_it_rebuilt_starts_again() -> None:
    """It cannot happen; if it does all the same, the state may lack what that was."""
    broker, asked = Broker(records(30), offset=0), list[str]()

    async def rebuilt(*_: Any) -> dict[str, int]:
        assert asked == ["settled"] * (1 + 2 * broker.rebuilds), "what is open now may still become part of the state"
        broker.rebuilds += 1
        if broker.rebuilds == 1:
            broker.commit([Output("events", 1, b"1", b"0")], 1)
        return broker.rebuilt()

    settled = Producer.settled

    async def noted(self: Producer, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        asked.append("settled")
        return await settled(self, tps)

    async def run() -> None:
        async with running(broker, Step(), rebuild=rebuilt) as it:
            await it.until(it.done)
            assert it.restarts == ["Retry"]

    with mock.patch.object(Producer, "settled", noted):
        asyncio.run(run())
    assert written(broker, "events") == [b"%d" % n for n in range(30)]


def test_who_has_to_commit_anew_goes_alone_and_so_does_who_has_just_started() -> None:
    """Under an id of another number what is in doubt would stay in doubt, as long as there is load."""
    alone, turn = list[bool](), Company.turn

    def noted(self: Company, *given: Any, **named: Any) -> Any:
        alone.append(named["alone"])
        return turn(self, *given, **named)

    async def run() -> None:
        broker = Broker(records(30))
        async with running(broker, Step(), batch=5) as it:
            await it.until(it.done)
            broker.producers[-1].doubtful_since = 1.0
            broker.inputs += records(35)[30:]
            await it.until(it.done)

    with mock.patch.object(Company, "turn", noted):
        asyncio.run(run())
    assert alone == [True, *[False] * 5, True]


offsets = st.frozensets(st.integers(0, 29), max_size=6)


@settings(deadline=None, max_examples=60)
@given(offsets, offsets, st.integers(1, 12))
def test_the_records_that_the_step_fails_on_are_refused_and_no_other(
    bad: frozenset[int], large: frozenset[int], batch: int
) -> None:
    broker = Broker(records(30))
    carried(broker, Step(bad=bad, large=large), batch)
    refused = sorted(bad | large)
    assert written(broker, "dlq") == [b"%d" % offset for offset in refused]
    assert written(broker, "events") == [b"%d" % n for n in range(30) if n not in refused]
    assert {output.key for output in broker.outputs if output.topic == "dlq"} <= {b"internal"}
    assert len(broker.producers) == 1, "a bad record is no reason to start again"


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.integers(0, 9), st.sampled_from(["lost", "doubt", "fenced"])), st.integers(1, 12))
def test_a_commit_may_fail_either_way_and_each_record_takes_effect_once(faults: dict[int, Fault], batch: int) -> None:
    broker = Broker(records(30), faults)
    carried(broker, Step(bad=frozenset({4})), batch)
    good = [b"%d" % n for n in range(30) if n != 4]
    assert written(broker, "events") == good, "none lost, none twice, in order"
    assert written(broker, "dlq") == [b"4"], "an outage sends nothing good to the dead-letter queue"
    numbered = [output.key for output in broker.outputs if output.topic == "events"]
    assert numbered == [b"%d" % n for n in range(1, 30)], "state is what was committed, never more"
    hit = [n for n in faults if n < broker.commits]
    assert len(broker.producers) == 1 + len(hit), "a producer that failed is not used again"
    assert {producer.id for producer in broker.producers} == {"test.gate.1"}


@settings(deadline=None, max_examples=60)
@given(offsets, offsets, st.integers(1, 12), st.integers(0, 3))
def test_a_schema_id_that_is_found_is_carried_and_one_that_is_not_is_refused(
    there: frozenset[int], not_there: frozenset[int], batch: int, away: int
) -> None:
    broker, versions = Broker(records(30)), Versions(there, away)
    carried(broker, Step(unknown=there | not_there, versions=versions), batch)
    refused = sorted(not_there - there)
    assert written(broker, "dlq") == [b"%d" % offset for offset in refused], "an outage refuses nothing"
    assert written(broker, "events") == [b"%d" % n for n in range(30) if n not in refused], "each once, in order"
    assert len(broker.producers) == 1 + away - versions.away
    outages = away - versions.away
    assert all(versions.anew[1 : 1 + outages]), "who has started again asks first"
    assert versions.looks or not there | not_there


@settings(deadline=None, max_examples=60)
@given(offsets, st.integers(1, 12))
def test_a_step_that_cannot_do_without_a_schema_id_gets_it(wanted: frozenset[int], batch: int) -> None:
    broker, versions = Broker(records(30)), Versions(wanted)
    carried(broker, Step(wanted=wanted, versions=versions), batch)
    assert written(broker, "events") == [b"%d" % n for n in range(30)] and not written(broker, "dlq")
    assert versions.looks == len(wanted) and len(broker.producers) == 1


@pytest.mark.parametrize("asked", ["unknown", "wanted"])
def test_a_number_given_back_while_the_registry_is_asked_leaves_all_as_it_was(asked: str) -> None:
    """At once, however often: no record is taken for one on which processes die, and the state need not be rebuilt."""

    async def run() -> None:
        versions, broker = Versions(frozenset({5}), slow=asyncio.Event()), Broker(records(9))
        step = Step(versions=versions, **{asked: frozenset({5})})
        with without_kafka(broker):
            kept, it = None, made(broker, step, batch=3)
            for hand_over in range(8):
                it = made(broker, step, batch=3, process=f"process {hand_over % 2}")
                it.start(kept)
                await it.until(lambda: versions.looks > hand_over)  # noqa: B023 - it is called here
                async with asyncio.timeout(1):
                    kept = await it.number.end()
                assert kept is not None and kept.state == {"count": 3} and not it.restarts
            assert broker.rebuilds == 1
            assert versions.slow is not None
            versions.slow.set()
            it.start(kept)
            await it.until(it.done)
            await it.number.end()
        assert written(broker, "events") == [b"%d" % n for n in range(9)] and not written(broker, "dlq")

    asyncio.run(run())


def test_a_schema_id_that_passed_the_gate_and_is_not_registered_is_fatal() -> None:
    async def run() -> None:
        step = Step(wanted=frozenset({5}), versions=Versions(frozenset()))
        async with running(Broker(records(9)), step, batch=3) as it:
            await it.until(lambda: bool(it.fatal))
            assert written(it.broker, "events") == [b"0", b"1", b"2"] and not written(it.broker, "dlq")

    asyncio.run(run())


def test_what_makes_going_on_wrong_is_said_once_and_nothing_is_written_after() -> None:
    async def run() -> None:
        async with running(Broker(records(9)), Step(cursed=frozenset({5})), batch=3) as it:
            await it.until(lambda: bool(it.fatal))
            assert [str(error) for error in it.fatal] == ["cursed"]
            assert written(it.broker, "events") == [b"0", b"1", b"2"]

    asyncio.run(run())


def test_a_record_that_can_neither_be_carried_nor_refused_is_fatal_and_named() -> None:
    async def run() -> None:
        async with running(Broker(records(9)), Step(bad=frozenset({5}), hopeless=True)) as it:
            await it.until(lambda: bool(it.fatal))
            assert str(it.fatal[0]) == "in.a/1/5 can neither be carried nor refused: KeyError"

    asyncio.run(run())


def test_what_retention_took_away_is_never_jumped_over() -> None:
    async def run() -> None:
        async with running(Broker(records(9), offset=2, first=4), Step()) as it:
            await it.until(lambda: bool(it.fatal))
            assert isinstance(it.fatal[0], Fatal) and "in.a/1" in str(it.fatal[0])
            assert it.broker.outputs == [] and not it.number.ready

    asyncio.run(run())


def test_what_a_paused_agency_has_lost_ends_nobody_until_it_would_be_read() -> None:
    broker = Broker(records(9), offset=2, first=4)
    pause = Pause("a", 1, "operator", "wrong decisions")
    broker.outputs.append(Output("state.hub", 1, pause.key, pause.note()))

    async def run() -> None:
        async with running(broker, Step()) as it:
            it.number._spec = replace(it.spec, fair=True)
            await it.until(lambda: it.number.ready)
            for _ in range(50):  # turns in which it could take some
                await asyncio.sleep(0)
            assert not it.fatal and broker.offset == 2
            broker.outputs.append(Output("state.hub", 1, pause.key, None))
            await it.until(lambda: bool(it.fatal))
            assert "records before 4 are gone" in str(it.fatal[0]) and not written(broker, "events")

    asyncio.run(run())


def test_a_log_that_lost_its_tail_is_not_carried_again_until_somebody_says_from_where() -> None:
    """Not even once it has grown past the offset: what came since would be jumped over."""
    broker = Broker(records(5), offset=7)

    async def refused() -> str:
        async with running(broker, Step()) as it:
            await it.until(lambda: bool(it.fatal))
            assert not it.number.ready
            return str(it.fatal[0])

    said = asyncio.run(refused())
    assert "in.a/1: offset 7 is committed, but the log ended at 5" in said
    broker.inputs = records(12)
    assert [asyncio.run(refused()) for _ in range(2)] == [said] * 2
    broker.offset = 5
    carried(broker, Step())
    assert written(broker, "events") == [b"%d" % n for n in range(5, 12)]
    broker.offset = 7
    carried(broker, Step())
    assert written(broker, "events")[7:] == [b"%d" % n for n in range(7, 12)], "an offset may be what it once was"


def test_a_topic_without_a_committed_offset_is_read_from_its_first_record() -> None:
    broker = Broker(records(9), first=3)
    carried(broker, Step())
    assert written(broker, "events") == [b"%d" % n for n in range(3, 9)]


def test_giving_the_number_back_lets_the_batch_in_flight_end() -> None:
    async def run() -> None:
        broker = Broker(records(9), hold=asyncio.Event())
        async with running(broker, Step(), batch=3) as it:
            await broker.held.wait()
            ending = asyncio.ensure_future(it.number.end())
            await asyncio.sleep(0)
            assert broker.hold is not None and not ending.done()
            broker.hold.set()
            await ending
            assert written(broker, "events") == [b"0", b"1", b"2"] and broker.offset == 3
            assert all(producer.closed for producer in broker.producers)

    asyncio.run(run())


def test_giving_the_number_back_does_not_wait_for_a_start_under_way() -> None:
    started = asyncio.Event()

    async def never(*_: Any) -> Awaitable[None]:
        started.set()
        return await asyncio.Event().wait()  # type: ignore[return-value]

    async def run() -> None:
        async with running(Broker(records(9)), Step(), rebuild=never) as it:
            await started.wait()
            assert not it.number.ready and it.consumer.paused
            async with asyncio.timeout(1):
                await it.number.end()
            assert it.broker.outputs == [] and all(p.closed for p in it.broker.producers)

    asyncio.run(run())


def lives(broker: Broker, step: Step, batch: int) -> int:
    """How many processes it took, one after the other, each started when the one before had died."""

    async def run() -> int:
        for life in range(1, 1000):
            it = made(broker, step, batch, process=f"process {life}")
            it.start()
            task = it.number._task
            async with asyncio.timeout(PATIENCE):
                while not (task.done() or it.done()):  # noqa: ASYNC110 - what is waited for tells nobody
                    await asyncio.sleep(0)
            if not task.done():
                await it.number.end()
                return life
            assert isinstance(task.exception(), Killed)
            for producer in broker.producers:
                await producer.close()  # as its successor's start fences it
        raise AssertionError("they die for ever")

    with without_kafka(broker):
        return asyncio.run(run())


@settings(deadline=None, max_examples=60)
@given(st.frozensets(st.integers(0, 29), max_size=3), st.integers(1, 12))
def test_a_record_that_kills_the_process_is_refused_in_the_end_and_no_other(deadly: frozenset[int], batch: int) -> None:
    broker = Broker(records(30))
    took = lives(broker, Step(deadly=deadly), batch)
    assert written(broker, "dlq") == [b"%d" % offset for offset in sorted(deadly)]
    assert written(broker, "events") == [b"%d" % n for n in range(30) if n not in deadly]
    assert {output.key for output in broker.outputs if output.topic == "dlq"} <= {b"crashed_worker"}
    assert took <= 1 + len(deadly) * (STARTS + 2 + batch.bit_length()), "found by halves"


def test_killed_from_outside_as_often_as_you_like_refuses_nothing() -> None:
    """Between two starts without progress nothing is tried alone, so nothing is taken for what killed the process."""
    broker = Broker(records(30), hold=asyncio.Event())

    async def killed(life: int) -> None:
        it = made(broker, Step(), 7, process=f"process {life}")
        it.start()
        await broker.held.wait()
        broker.held.clear()
        it.number._task.cancel()
        await asyncio.wait({it.number._task})
        for producer in broker.producers:
            await producer.close()

    with without_kafka(broker):
        asyncio.run(killed(1))
    for life in range(2, 20):
        broker.hold, broker.held = asyncio.Event(), asyncio.Event()
        with without_kafka(broker):
            asyncio.run(killed(life))
    broker.hold = None
    carried(broker, Step())
    assert written(broker, "events") == [b"%d" % n for n in range(30)] and not written(broker, "dlq")


def test_a_number_that_is_given_back_again_and_again_without_progress_suspects_nothing() -> None:
    """An outage: each worker starts, reads what waits, and cannot commit. All of them live."""
    broker = Broker(records(30))

    async def run() -> None:
        for life in range(12):
            it = made(broker, Step(), process=f"process {life}")
            it.start()
            await it.until(lambda it=it: it.number.ready)  # type: ignore[misc]
            it.number._stopping.set()
            await it.number.end()
            found = read_starts(it.runtime.notes.get(key_of("gate", 1)))
            assert found.trial is None and all(count <= 1 for _, count in found.counts.values())

    with without_kafka(broker):
        asyncio.run(run())


def test_a_worker_that_nobody_suspects_notes_its_start_and_nothing_more() -> None:
    broker = Broker(records(30))
    carried(broker, Step(), batch=3)
    assert len(written(broker, "state.hub")) == 1 and broker.commits == 11


def test_a_start_with_nothing_to_do_notes_nothing() -> None:
    broker = Broker([])

    async def run() -> None:
        async with running(broker, Step()) as it:
            await it.until(lambda: it.number.ready)

    asyncio.run(run())
    assert broker.commits == 0


def test_the_end_of_a_chain_that_seldom_grows_is_noted_and_not_searched_for() -> None:
    broker, searched = Broker(records(3)), list[str]()

    async def last_link(_: Any, __: Any, ___: int, writer: str) -> Chain:
        searched.append(writer)
        return Chain(writer, 5, b"five")

    async def life() -> Chain:
        it = made(broker, Step())
        it.spec = replace(it.spec, seldom_audits=True)
        it.start()
        await it.until(it.done)
        kept = await it.number.end()
        assert kept is not None
        return kept.chain

    def denied(_: Any, __: Any, ___: Any, chain: Chain, *rest: Any) -> tuple[list[Output], Chain]:
        return [], Chain(chain.writer, chain.number + 1, b"six")

    with without_kafka(broker), mock.patch.object(engine, "last_link", last_link):
        assert asyncio.run(life()) == Chain("gate.1", 5, b"five"), "noted, though it has not grown"
        broker.inputs = records(6)
        with mock.patch.object(engine, "summarise", denied):
            assert asyncio.run(life()) == Chain("gate.1", 6, b"six")
        assert asyncio.run(life()) == Chain("gate.1", 6, b"six")
    assert searched == ["gate.1"]


def comes_back(meanwhile: Callable[[Broker], None] = lambda _: None, **given: Any) -> Broker:
    """A number is given back after nine records, and comes back to the same worker for nine more."""
    broker = Broker(records(9), **given)

    async def run() -> None:
        it = made(broker, Step())
        it.start()
        await it.until(it.done)
        kept = await it.number.end()
        meanwhile(broker)
        broker.inputs += [Rec("in.a", 1, n, None, b"%d" % n, ()) for n in range(9, 18)]
        it.start(kept)
        await it.until(it.done)
        await it.number.end()

    with without_kafka(broker):
        asyncio.run(run())
    numbered = [output.key for output in broker.outputs if output.topic == "events"]
    assert numbered == [b"%d" % n for n in range(1, 19)], "with the state that it had"
    return broker


def test_a_number_that_comes_back_goes_on_with_its_state() -> None:
    assert comes_back().rebuilds == 1


def test_a_number_that_somebody_else_had_meanwhile_is_rebuilt() -> None:
    def another(broker: Broker) -> None:
        broker.epoch += 1

    assert comes_back(another).rebuilds == 2


def test_a_number_that_is_cut_off_in_a_transaction_keeps_nothing() -> None:
    broker = Broker(records(9), hold=asyncio.Event())

    async def run() -> None:
        it = made(broker, Step())
        it.start()
        await broker.held.wait()
        with mock.patch.object(engine, "END_SECONDS", 0.0):
            assert await it.number.end() is None
        assert not broker.misused, "what the broken transaction had sent would be committed with the next one"

    with without_kafka(broker):
        asyncio.run(run())


def test_a_cancellation_that_nobody_asked_for_is_a_failure_like_any_other() -> None:
    """aiokafka cancels futures of its own when a connection is gone; whoever waits for one hears of it."""
    broker, failures = Broker(records(9)), 3

    async def rebuild(*_: Any) -> dict[str, int]:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise asyncio.CancelledError
        return broker.rebuilt()

    async def run() -> None:
        async with running(broker, Step(), rebuild=rebuild) as it:
            await it.until(it.done)
            assert it.restarts == ["CancelledError"] * 3

    asyncio.run(run())
    assert len(written(broker, "events")) == 9


def test_giving_the_number_back_does_not_wait_for_records_that_come_only_after_it() -> None:
    broker = Broker(records(9))

    async def run() -> None:
        it = made(broker, Step())
        it.start()
        await it.until(it.done)
        it.consumer.reassigning = True
        for _ in range(10):
            await asyncio.sleep(0)  # it asks for more
        async with asyncio.timeout(1):
            assert await it.number.end() is not None, "what it had is kept"

    with without_kafka(broker):
        asyncio.run(run())


def test_a_pause_outlives_processes_that_are_killed_while_its_records_wait() -> None:
    """They wait because somebody said so: that no process has got on with them convicts nobody."""
    broker = Broker(records(30))
    pause = Pause("a", 1, "operator", "wrong decisions")
    broker.outputs.append(Output("state.hub", 1, pause.key, pause.note()))

    async def killed(process: str) -> None:
        it = made(broker, Step(), process=process)
        it.spec = replace(it.spec, fair=True)
        it.start()
        await it.until(lambda: it.number.ready)
        for _ in range(50):  # turns in which it could take some
            await asyncio.sleep(0)
        it.number._task.cancel()
        await asyncio.wait({it.number._task})
        for producer in broker.producers:
            await producer.close()

    with without_kafka(broker):
        for number in range(STARTS + 3):
            asyncio.run(killed(f"process {number}"))
    assert written(broker, "events") == []
