"""What is read while a transaction is under way travels in the next one together; nobody waits for whoever hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from hub.engine import company as engine
from hub.engine.company import SMALL, Cargo, Company, Seat
from hub.kafka.member import Member

LONG = 5.0
"""Seconds within which all of a test has happened, on the slowest machine."""


class Producer:
    """Stands for `Transactions`: notes what it has committed, and holds on to a transaction until it is let go."""

    def __init__(self, id: str, fails: bool = False) -> None:
        self.id, self._fails = id, fails
        self.committed: list[tuple[list[Any], dict[TopicPartition, int]]] = []
        self.begun, self.go, self.busy = asyncio.Event(), asyncio.Event(), False
        self.go.set()

    async def commit(self, outputs: Iterable[Any], offsets: Mapping[TopicPartition, int]) -> None:
        assert not self.busy, "one transaction after the other"
        self.busy = True
        self.begun.set()
        try:
            await self.go.wait()
            if self._fails:
                raise ConnectionError("its outcome may be either")
        finally:
            self.busy = False
        self.committed.append((list(outputs), dict(offsets)))


def cargo(producer: Producer, *outputs: Any) -> Cargo:
    number = int(producer.id)
    return Cargo(producer, outputs or (producer.id,), {TopicPartition("in.a", number): number})  # type: ignore[arg-type]


async def carry(company: Company, producer: Producer, records: int = 1, rows: int = 4, *, alone: bool = False) -> None:
    async with company.turn(records, rows, alone=alone) as seat:
        await seat.commit(cargo(producer))


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(LONG):
            await scenario

    asyncio.run(in_time())


def made(ids: Sequence[int]) -> tuple[Company, list[Producer]]:
    return Company(Member("group", 3, "me")), [Producer(str(id)) for id in ids]


def test_all_that_is_read_meanwhile_is_one_transaction_under_the_lowest_id() -> None:
    async def scenario() -> None:
        company, (first, *others) = made([4, 3, 1, 2])
        first.go.clear()
        under_way = asyncio.create_task(carry(company, first))
        await first.begun.wait()
        waiting = [asyncio.create_task(carry(company, other)) for other in others]
        await asyncio.sleep(0)
        assert not any(other.committed for other in others)
        first.go.set()
        await asyncio.gather(under_way, *waiting)
        assert first.committed == [(["4"], {TopicPartition("in.a", 4): 4})]
        three, one, two = others
        [(outputs, offsets)] = one.committed
        assert outputs == ["3", "1", "2"] and offsets == {TopicPartition("in.a", n): n for n in (1, 2, 3)}
        assert not three.committed and not two.committed

    run(scenario())


def test_a_large_batch_and_one_alone_go_at_once_under_their_own_ids() -> None:
    async def scenario() -> None:
        company, (first, large, alone) = made([0, 1, 2])
        first.go.clear()
        under_way = asyncio.create_task(carry(company, first))
        await first.begun.wait()
        await carry(company, large, SMALL)
        await carry(company, alone, alone=True)
        assert large.committed and alone.committed and not first.committed
        first.go.set()
        await under_way

    run(scenario())


def test_whose_outputs_have_no_room_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ROWS", 10)

    async def scenario() -> None:
        company, (first, second, third) = made([0, 1, 2])
        await asyncio.gather(*(carry(company, each, rows=rows) for each, rows in ((first, 8), (second, 4), (third, 2))))
        assert [outputs for outputs, _ in first.committed] == [["0", "2"]]
        assert [outputs for outputs, _ in second.committed] == [["1"]]
        await carry(company, third, rows=20)
        assert third.committed, "however many they are"

    run(scenario())


def test_nobody_waits_long_for_a_commit_that_hangs() -> None:
    async def scenario() -> None:
        company, (first, second, third) = made([0, 1, 2])
        first.go.clear()
        under_way = asyncio.create_task(carry(company, first))
        await first.begun.wait()
        await asyncio.gather(carry(company, second), carry(company, third))
        assert second.committed == [(["1"], {TopicPartition("in.a", 1): 1})]
        assert third.committed == [(["2"], {TopicPartition("in.a", 2): 2})]
        first.go.set()
        await under_way

    run(scenario())


def test_who_has_a_seat_and_does_not_come_is_left_behind_and_goes_alone() -> None:
    async def scenario() -> None:
        company, (first, late) = made([0, 1])
        async with company.turn(1, 4) as seat:
            await carry(company, first)
            assert first.committed == [(["0"], {TopicPartition("in.a", 0): 0})]
            await seat.commit(cargo(late))
        assert late.committed == [(["1"], {TopicPartition("in.a", 1): 1})]
        await carry(company, first)
        assert len(first.committed) == 2

    run(scenario())


def test_who_gives_its_seat_back_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BOARDING_SECONDS", 2 * LONG)

    async def scenario() -> None:
        company, (first, second) = made([0, 1])
        for _ in range(3):
            with pytest.raises(ValueError, match="step"):
                async with company.turn(1, 4):
                    raise ValueError("step")
        async with company.turn(1, 4) as seat:
            task = asyncio.create_task(carry(company, first))
            await asyncio.sleep(0)
            assert not first.committed
            with pytest.raises(ValueError, match="step"):
                async with company.turn(1, 4):
                    raise ValueError("step")
            await seat.commit(cargo(second))
        await task
        assert first.committed == [(["0", "1"], {TopicPartition("in.a", 0): 0, TopicPartition("in.a", 1): 1})]

    run(scenario())


def test_whoever_is_cancelled_before_it_begins_only_stays_behind_itself() -> None:
    async def scenario() -> None:
        company, (first, second) = made([0, 1])
        async with company.turn(1, 4) as seat:
            task = asyncio.create_task(carry(company, first))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await seat.commit(cargo(second))
        assert not first.committed
        assert second.committed == [(["1"], {TopicPartition("in.a", 1): 1})]

    run(scenario())


def test_seats_that_were_all_given_back_leave_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ROWS", 10)

    async def scenario() -> None:
        company, (first, second) = made([0, 1])
        async with company.turn(1, 8):
            pass
        await asyncio.sleep(0)
        await asyncio.gather(carry(company, first), carry(company, second))
        assert first.committed and not second.committed, "together"

    run(scenario())


def test_a_batch_that_was_halved_goes_on_alone() -> None:
    async def scenario() -> None:
        company, (first,) = made([0])
        async with company.turn(2, 8) as seat:
            await seat.commit(cargo(first, "a"))
            await seat.commit(cargo(first, "b"))
        assert [outputs for outputs, _ in first.committed] == [["a"], ["b"]]
        await Seat(None).commit(cargo(first, "c"))
        assert len(first.committed) == 3

    run(scenario())


def test_what_fails_fails_for_all_and_the_next_ones_go() -> None:
    async def scenario() -> None:
        company, (second, third) = made([1, 2])
        bad = Producer("0", fails=True)
        results = await asyncio.gather(
            carry(company, second), carry(company, bad), carry(company, third), return_exceptions=True
        )
        assert [type(result) for result in results] == [ConnectionError] * 3
        await asyncio.gather(carry(company, second), carry(company, third))
        assert second.committed and not third.committed

    run(scenario())


def test_whoever_is_cancelled_ends_it_for_all_and_frees_the_road() -> None:
    async def scenario() -> None:
        company, (first, second, third) = made([0, 1, 2])
        first.go.clear()
        both = [asyncio.create_task(carry(company, first)), asyncio.create_task(carry(company, second))]
        await first.begun.wait()
        both[1].cancel()
        results = await asyncio.gather(*both, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 2
        assert not both[0].cancelling() and not first.committed
        await carry(company, third)
        assert third.committed

    run(scenario())


@given(st.data())
def test_each_batch_is_committed_once_or_its_number_knows_that_it_may_not_be(data: st.DataObject) -> None:
    """Numbers come when they like, are cancelled or give up, and transactions fail."""

    async def number(company: Company, producer: Producer, script: list[str], told: list[tuple[Any, bool]]) -> None:
        for at, what in enumerate(script):
            name = (producer.id, at)
            for _ in range(len(what)):
                await asyncio.sleep(0)
            if what == "leaves":
                async with company.turn(1, 4):
                    await asyncio.sleep(0)
                    continue
            try:
                async with company.turn(SMALL if what == "large" else 1, 4, alone=what == "alone") as seat:
                    async with asyncio.timeout(0 if what == "cancelled" else None):
                        for _ in range(at):
                            await asyncio.sleep(0)
                        await seat.commit(cargo(producer, name))
            except (ConnectionError, TimeoutError, asyncio.CancelledError):
                told.append((name, False))
            else:
                told.append((name, True))

    async def scenario() -> None:
        company, told = Company(Member("group")), list[tuple[Any, bool]]()
        producers, scripts = list[Producer](), list[list[str]]()
        for id in range(data.draw(st.integers(1, 4))):
            producers.append(Producer(str(id), fails=data.draw(st.booleans())))
            kinds = ["small", "", "large", "alone", "leaves", "cancelled"]
            scripts.append(data.draw(st.lists(st.sampled_from(kinds), max_size=5)))
        await asyncio.gather(*(number(company, p, s, told) for p, s in zip(producers, scripts, strict=True)))
        written = [output for producer in producers for outputs, _ in producer.committed for output in outputs]
        assert len(written) == len(set(written)), "once"
        assert {name for name, done in told if done} <= set(written)
        assert len(told) == sum(what != "leaves" for script in scripts for what in script)
        await carry(company, last := Producer("9"))
        assert last.committed, "the road is free in the end"

    run(scenario())
