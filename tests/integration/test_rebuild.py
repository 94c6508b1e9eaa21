"""A state is rebuilt from committed records alone, in turns that leave the event loop to others."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from aiokafka import AIOKafkaProducer
from brokers import make_topic
from world import PARTITIONS, Memory, event, rules

from hub.engine import rebuild as engine
from hub.engine.rebuild import rebuild
from hub.engine.spec import Progress
from hub.kafka.connection import Connection
from hub.pipeline.forms import Forms
from hub.pipeline.restore import BLOCK, Restoring

Name = Callable[[str], str]
PERSONS = 300
PATIENCE = 30.0


def made(connection: Connection, topic: str) -> str:
    return make_topic(connection, topic, 2, cleanup_policy="compact")


def facts(first: int = 0, count: int = PERSONS) -> list[bytes]:
    """What the ledger leaves behind of events about `count` persons, wherever each belongs."""
    memory = Memory()
    for number in range(first, first + count):
        memory.carry(event(attributes={"id": f"e-{number}"}, fin=f"P{number:06d}"))
    found = [memory.topics.get(("state.ledger", partition), []) for partition in range(PARTITIONS)]
    return [record.value or b"" for log in found for record in log]


def restoring() -> Restoring:
    return Restoring(Forms(rules().codecs.fact, lambda *_: 1).kept)


def folded(values: Iterable[bytes]) -> dict[bytes, bytes]:
    expected = restoring()
    expected.take(values)
    for _ in expected.settle():
        pass
    return expected.state


class Turn(asyncio.Lock):
    """A turn that tells when it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = asyncio.Event()

    async def acquire(self) -> Any:
        await super().acquire()
        self.taken.set()
        return True


async def transact(connection: Connection, tid: str, topic: str, values: Sequence[bytes], commit: bool = True) -> None:
    async with AIOKafkaProducer(**connection.aiokafka(), transactional_id=tid, linger_ms=0) as producer:
        await producer.begin_transaction()
        for number, value in enumerate(values):
            await producer.send(topic, value, key=b"%d" % number, partition=0)
        await producer.flush()
        await (producer.commit_transaction() if commit else producer.abort_transaction())


async def rebuilt(connection: Connection, topic: str, **more: Any) -> dict[bytes, bytes]:
    told: list[Progress] = more.pop("told", [])
    turn = more.pop("turn", None) or asyncio.Lock()
    async with asyncio.timeout(PATIENCE):
        return await rebuild(connection, topic, more.pop("partition", 0), restoring, turn, told.append)


def test_what_was_aborted_is_no_state(broker: Connection, name: Name) -> None:
    topic, told = made(broker, name("state")), list[Progress]()
    before, never, after = facts(0), facts(1000, 50), facts(2000, 70)

    async def scenario() -> dict[bytes, bytes]:
        await transact(broker, name("t"), topic, before)
        await transact(broker, name("t"), topic, never, commit=False)
        await transact(broker, name("t"), topic, after)
        await transact(broker, name("t"), topic, never, commit=False)
        return await rebuilt(broker, topic, told=told)

    state = asyncio.run(scenario())
    assert state == folded(before + after)
    assert not set(state) & set(folded(never))
    assert (told[0].share, told[-1].share) == (0.0, 1.0) and told[-1].per_second > 0


def test_a_state_without_records_is_empty_and_done(broker: Connection, name: Name) -> None:
    told: list[Progress] = []
    assert asyncio.run(rebuilt(broker, made(broker, name("state")), told=told)) == {}
    assert told[-1].share == 1.0


def test_the_collector_has_nothing_to_walk(broker: Connection, name: Name) -> None:
    topic = made(broker, name("state"))

    async def scenario() -> dict[bytes, bytes]:
        await transact(broker, name("t"), topic, facts())
        return await rebuilt(broker, topic)

    state = asyncio.run(scenario())
    assert len(state) == PERSONS and not gc.is_tracked(state)
    assert {type(each) for pair in state.items() for each in pair} == {bytes}


def test_neighbours_have_their_turn_while_a_rebuild_is_at_work(broker: Connection, name: Name) -> None:
    topic, many, seen = made(broker, name("state")), facts() * 30, list[tuple[int, int]]()
    state = restoring()

    async def neighbour() -> None:
        while True:
            seen.append((state.taken, state.settled))
            await asyncio.sleep(0)

    async def scenario() -> None:
        await transact(broker, name("t"), topic, many)
        beside = asyncio.create_task(neighbour())
        await rebuild(broker, topic, 0, lambda: state, asyncio.Lock(), lambda _: None)
        beside.cancel()

    asyncio.run(scenario())
    steps = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise([(0, 0), *seen])]
    assert max(taken for taken, _ in steps) <= engine.CHUNK + 16 * BLOCK, "with what was loose before"
    assert max(settled for _, settled in steps) <= BLOCK
    assert state.settled == len(many) and sum(1 for _, settled in steps if settled) > len(many) / BLOCK / 2


def test_one_rebuild_at_a_time_and_one_that_waits_for_its_broker_holds_up_nobody(
    broker: Connection, name: Name, monkeypatch: Any
) -> None:
    """The first takes the turn, then its broker gives nothing more; the second is done before the first goes on."""
    slow, quick, some = made(broker, name("slow")), made(broker, name("quick")), facts()
    gone_on, ended = asyncio.Event(), list[str]()
    values_alone = engine._values_alone

    def stalled(consumer: Any) -> None:
        values_alone(consumer)
        getmany = consumer.getmany

        async def once_then_nothing(*tps: Any, **how: Any) -> Any:
            if not gone_on.is_set() and tps[0].topic == slow and await consumer.position(tps[0]) > 0:
                await asyncio.sleep(0.01)
                return {}
            return await getmany(*tps, **how)

        consumer.getmany = once_then_nothing

    async def scenario() -> None:
        monkeypatch.setattr(engine, "_values_alone", stalled)
        monkeypatch.setattr(engine, "CHUNK", 10)
        for topic in (slow, quick):
            await transact(broker, name("t"), topic, some)
        turn = Turn()

        async def one(topic: str) -> None:
            assert await rebuilt(broker, topic, turn=turn) == folded(some)
            ended.append(topic)

        first = asyncio.create_task(one(slow))
        await turn.taken.wait()
        await one(quick)
        gone_on.set()
        await first
        assert ended == [quick, slow] and not turn.locked()

    asyncio.run(scenario())


def test_a_rebuild_that_is_cancelled_gives_its_turn_back(broker: Connection, name: Name) -> None:
    topic = made(broker, name("state"))

    async def scenario() -> None:
        turn = Turn()
        await transact(broker, name("t"), topic, facts() * 20)
        under_way = asyncio.create_task(rebuilt(broker, topic, turn=turn))
        await turn.taken.wait()
        under_way.cancel()
        began = time.monotonic()
        await asyncio.wait({under_way})
        assert under_way.cancelled() and not turn.locked() and time.monotonic() - began < PATIENCE

    asyncio.run(scenario())
