"""How far behind a lane is: what it was told by fetches, and by the broker of what is held back."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from hub.engine.backlog import Backlog, Lag

HELD, LIVE, NEW = (TopicPartition(topic, 3) for topic in ("in.mes", "in.mod", "in.mia"))


class Consumer:
    """As much of aiokafka's as a backlog touches; `lso` is as of the last fetch, `ends` is what the broker has."""

    def __init__(self) -> None:
        self.states = {HELD: self.state(10, 100), LIVE: self.state(70, 70), NEW: self.state(0, None)}
        self.ends = {HELD: 5_000, LIVE: 70, NEW: 9}
        self.asked: list[list[TopicPartition]] = []
        assignment = SimpleNamespace(tps=self.states, state_value=self.states.__getitem__)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
        self._fetcher = SimpleNamespace(_records={})

    @staticmethod
    def state(position: int, lso: int | None) -> Any:
        return SimpleNamespace(position=position, lso=lso, paused=False, has_valid_position=True)

    def fetched(self, tp: TopicPartition, oldest: int | None) -> None:
        records = SimpleNamespace(oldest=oldest)
        self._fetcher._records[tp] = SimpleNamespace(_partition_records=records)

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.append(tps)
        return {tp: self.ends[tp] for tp in tps}


def test_of_what_is_held_back_the_broker_says_how_much_comes() -> None:
    consumer: Any = Consumer()
    consumer.fetched(HELD, oldest=1_500)
    backlog = Backlog(consumer, lambda: 9.0)
    asyncio.run(backlog.ask())
    assert consumer.asked == [[HELD]]
    assert backlog.lags() == {HELD: Lag(4_990, 1.5), LIVE: Lag(0, 0.0)}


def test_a_number_that_does_not_know_its_place_yet_has_no_lag() -> None:
    consumer: Any = Consumer()
    assert NEW not in Backlog(consumer).lags()
    consumer._subscription.subscription.assignment = None
    assert Backlog(consumer).lags() == {}


def test_where_no_record_is_at_hand_the_age_is_that_of_the_lag() -> None:
    consumer, now = Consumer(), [5.0]
    backlog = Backlog(consumer, lambda: now[0])  # type: ignore[arg-type]
    assert backlog.lags()[HELD] == Lag(90, 5.0)
    now[0] = 8.0
    assert backlog.lags()[HELD] == Lag(90, 5.0)
    consumer.states[HELD].position = 100
    assert backlog.lags()[HELD] == Lag(0, 0.0)
    consumer.states[HELD].lso = 101
    assert backlog.lags()[HELD] == Lag(1, 8.0)


def test_an_idle_lane_asks_nothing() -> None:
    consumer: Any = Consumer()
    asyncio.run(Backlog(consumer).ask())
    assert consumer.asked == []
