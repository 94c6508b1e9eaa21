"""Taking: a live record waits for a share of a backfill, not for the backfill."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.engine.company import SMALL
from hub.engine.taking import (
    AHEAD_SECONDS,
    BEHIND,
    LIVE_SECONDS,
    MOST_SHARE,
    PATIENCE_SECONDS,
    REST,
    SHARE,
    Ahead,
    Taking,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Consumer:
    """Partitions as lists; `getmany` drains one after the other in the order of arrival, as aiokafka's does."""

    def __init__(self, **waiting: int) -> None:
        self.left = {TopicPartition(f"in.{name}", 0): list(range(count)) for name, count in waiting.items()}
        self.counts = {tp: len(offsets) for tp, offsets in self.left.items()}
        self.unset = set[TopicPartition]()
        self.markers = 0
        """Of transactions, behind the records of each partition."""

    def more(self, name: str, count: int) -> None:
        tp = TopicPartition(f"in.{name}", 0)
        self.left[tp] += range(self.counts[tp], self.counts[tp] + count)
        self.counts[tp] += count

    @property
    def _fetcher(self) -> Any:
        return SimpleNamespace(_records={tp: ... for tp, offsets in self.left.items() if offsets})

    @property
    def _subscription(self) -> Any:
        return SimpleNamespace(subscription=SimpleNamespace(assignment=self))

    def state_value(self, tp: TopicPartition) -> Any:
        lso = self.counts[tp] + self.markers
        return SimpleNamespace(lso=lso, position=self.left[tp][0] if self.left[tp] else lso)

    async def getmany(self, *tps: TopicPartition, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        taken: dict[TopicPartition, list[Any]] = {}
        for tp in set(tps) & self.unset:
            self.unset.remove(tp)
            raise NoOffsetForPartitionError(tp)
        for tp, offsets in self.left.items():
            if tp in tps and offsets and max_records > 0:
                taken[tp] = [SimpleNamespace(topic=tp.topic, offset=offset) for offset in offsets[:max_records]]
                del offsets[:max_records]
                max_records -= len(taken[tp])
        return taken


def taking(consumer: Consumer, most: int = 1000, **given: Any) -> Taking:
    return Taking(consumer, consumer.left, most, **given)


def topics(records: list[Any]) -> dict[str, int]:
    return {topic: sum(r.topic == topic for r in records) for topic in {r.topic for r in records}}


def test_a_live_record_is_in_the_next_batch() -> None:
    ahead, consumer = Ahead(Clock()), Consumer(live=1, backfill=76_000)
    take = taking(consumer, ahead=ahead)
    assert topics(asyncio.run(take()))["in.live"] == 1
    consumer.more("live", 1)
    assert topics(asyncio.run(take())) == {"in.live": 1, "in.backfill": SHARE}


def test_what_is_taken_stays_taken_when_another_partition_has_no_position_yet() -> None:
    consumer = Consumer(live=1, backfill=76_000)
    take = taking(consumer, ahead=Ahead(Clock()))
    asyncio.run(take())
    consumer.more("live", 1)
    consumer.unset = {TopicPartition("in.backfill", 0)}
    assert topics(asyncio.run(take())) == {"in.live": 1}
    assert topics(asyncio.run(take())) == {"in.backfill": SHARE}


def test_a_backfill_alone_has_whole_batches() -> None:
    take = taking(Consumer(backfill=76_000, live=0), ahead=Ahead(Clock()))
    assert topics(asyncio.run(take())) == {"in.backfill": 1000}


def full(ahead: Ahead) -> None:
    for _ in range(100):
        ahead.cost(0.001, 1)
    ahead.tell(0, int(AHEAD_SECONDS / 0.001) + 2)


def test_while_the_ledger_is_behind_only_live_agencies_pass() -> None:
    clock, consumer = Clock(), Consumer(live=3, backfill=76_000)
    ahead = Ahead(clock)
    take = taking(consumer, ahead=ahead)
    assert topics(asyncio.run(take())) == {"in.live": 3, "in.backfill": 997}, "nobody is known to be live yet"
    assert topics(asyncio.run(take())) == {"in.backfill": SHARE}
    full(ahead)
    consumer.more("live", 2)
    assert topics(asyncio.run(take())) == {"in.live": 2}
    assert asyncio.run(take()) == [], "the backfill waits"
    ahead.tell(0, 0)
    assert topics(asyncio.run(take())) == {"in.backfill": SHARE}
    full(ahead)
    ahead.forget(0)
    assert topics(asyncio.run(take())) == {"in.backfill": SHARE}, "a number that went away holds nobody back"


def test_who_sends_more_than_the_ledger_carries_has_no_more_than_a_share() -> None:
    consumer = Consumer(live=1, backfill=76_000)
    take = taking(consumer, 4000, ahead=Ahead(Clock()))
    asyncio.run(take())
    assert topics(asyncio.run(take())) == {"in.backfill": SHARE}
    consumer.more("backfill", 3000)
    assert topics(asyncio.run(take())) == {"in.backfill": MOST_SHARE}


def test_what_goes_with_a_batch_that_waits_for_its_turn_is_a_few() -> None:
    consumer = Consumer(live=1, backfill=0)
    take = taking(consumer, 4000, ahead=Ahead(Clock()))
    assert topics(asyncio.run(take())) == {"in.live": 1}
    consumer.more("backfill", 76_000)
    assert topics(asyncio.run(take(1))) == {"in.backfill": SMALL}


def test_a_backfill_goes_on_however_busy_the_ledger_is() -> None:
    clock, consumer = Clock(), Consumer(live=1, backfill=76_000)
    ahead = Ahead(clock)
    take = taking(consumer, ahead=ahead)
    asyncio.run(take())
    asyncio.run(take())
    full(ahead)
    assert asyncio.run(take()) == []
    clock.now += PATIENCE_SECONDS
    assert topics(asyncio.run(take())) == {"in.backfill": SHARE}


@given(st.lists(st.integers(0, 200), min_size=20, max_size=20))
@settings(deadline=None)
def test_with_each_turn_an_agency_is_less_behind_however_much_it_sends(sent: list[int]) -> None:
    consumer = Consumer(live=1, backfill=76_000)
    take = taking(consumer, ahead=Ahead(Clock()))
    asyncio.run(take())
    asyncio.run(take())
    left = take.waiting()
    for count in sent:
        consumer.more("backfill", count)
        asyncio.run(take())
        assert take.waiting() == left - SHARE
        left = take.waiting()


def test_one_number_after_the_other_carries_of_a_backfill() -> None:
    clock = Clock()
    ahead = Ahead(clock)
    consumers = [Consumer(live=1, backfill=76_000) for _ in range(3)]
    takes = [taking(consumer, ahead=ahead) for consumer in consumers]
    asyncio.run(takes[0]())

    async def each() -> list[int]:
        return [len(await take()) for take in takes]

    assert asyncio.run(each()) == [SHARE, 1, 1], "those without a turn carry what is live"
    assert asyncio.run(each()) == [0, SHARE, 0]
    assert asyncio.run(each()) == [0, 0, SHARE]
    clock.now += PATIENCE_SECONDS / 20
    assert len(asyncio.run(takes[0]())) == 0, "another one has not committed yet"
    takes[2].leave()
    clock.now += 1.1 * REST * PATIENCE_SECONDS / 20
    assert len(asyncio.run(takes[0]())) == SHARE, "who ends keeps nobody waiting"
    clock.now += PATIENCE_SECONDS
    assert len(asyncio.run(takes[1]())) == SHARE, "nor does one that hangs"


def test_after_a_turn_the_backfill_rests_for_as_long_as_that_cost() -> None:
    clock, consumer, seconds = Clock(), Consumer(live=1, backfill=76_000), PATIENCE_SECONDS / 10
    take = taking(consumer, ahead=Ahead(clock))
    asyncio.run(take())
    assert topics(asyncio.run(take())) == {"in.backfill": SHARE}
    clock.now += seconds  # until that is committed
    assert asyncio.run(take()) == []
    clock.now += 0.9 * REST * seconds
    consumer.more("live", 1)
    assert topics(asyncio.run(take())) == {"in.live": 1}, "a live event does not wait"
    clock.now += 0.2 * REST * seconds
    assert topics(asyncio.run(take())) == {"in.backfill": SHARE}
    clock.now += PATIENCE_SECONDS  # a slow one
    assert topics(asyncio.run(take())) == {"in.backfill": SHARE}, "and not for longer than its patience"


@pytest.mark.parametrize("seconds", [0.01, 0.025, 0.05, 0.07])
def test_each_number_has_its_turn_however_long_turns_take_and_however_seldom_it_asks(seconds: float) -> None:
    """Four ask every 5 ms; one, which has live events to carry, every 15."""
    clock, turns, had = Clock(), dict.fromkeys(range(5), 0), None
    ahead, ends = Ahead(clock), 0.0
    for tick in range(20_000):
        clock.now += 0.001
        if had is not None and clock.now >= ends:
            ahead.done(had)
            had = None
        for who in turns if had is None else ():
            if tick % (15 if who == 4 else 5) == who and ahead.turn(who):
                had, ends = who, clock.now + seconds
                turns[who] += 1
                break
    assert min(turns.values()) >= max(turns.values()) - 1, turns


def test_who_hangs_at_the_head_of_the_line_holds_the_others_up_once() -> None:
    clock = Clock()
    ahead = Ahead(clock)
    carries, hangs, goes_on = object(), object(), object()
    assert ahead.turn(carries) and not ahead.turn(hangs) and not ahead.turn(goes_on)
    ahead.done(carries)
    assert not ahead.turn(goes_on), "another one was first"
    clock.now += PATIENCE_SECONDS
    for _ in range(3):
        assert ahead.turn(goes_on)
        ahead.done(goes_on)


@pytest.mark.parametrize("most", [1, SHARE, SHARE + 1])
def test_a_backfill_goes_on_in_batches_as_small_as_a_share(most: int) -> None:
    consumer = Consumer(live=1, backfill=76_000)
    take = taking(consumer, most, ahead=Ahead(Clock()))
    asyncio.run(take())
    consumer.more("live", BEHIND)
    taken = [record for _ in range(10) for record in asyncio.run(take())]
    assert set(topics(taken)) == {"in.live", "in.backfill"}


def test_a_backfill_is_not_held_back_by_its_own_end_in_another_partition() -> None:
    clock = Clock()
    ahead = Ahead(clock)
    short, long = taking(Consumer(backfill=10), ahead=ahead), taking(Consumer(backfill=76_000), ahead=ahead)
    assert len(asyncio.run(long())) == 1000
    assert len(asyncio.run(short())) == 10
    assert len(asyncio.run(long())) == 1000


def test_who_has_been_silent_for_long_holds_nobody_back() -> None:
    clock, consumer = Clock(), Consumer(live=1, backfill=76_000)
    take = taking(consumer, ahead=Ahead(clock))
    asyncio.run(take())
    assert len(asyncio.run(take())) == SHARE
    clock.now += LIVE_SECONDS
    assert len(asyncio.run(take())) == 1000


def test_markers_of_transactions_are_no_work() -> None:
    consumer = Consumer(live=3)
    consumer.markers = 1
    take = taking(consumer)
    assert take.waiting() == 4
    assert len(asyncio.run(take())) == 3
    assert take.waiting() == 0


def test_nothing_is_taken_from_a_paused_agency() -> None:
    take = taking(Consumer(broken=5, live=2), paused=lambda topic: topic == "in.broken")
    assert topics(asyncio.run(take())) == {"in.live": 2} and asyncio.run(take()) == []


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2000), min_size=1), st.integers(1, 1200))
@settings(deadline=None)
def test_every_record_is_taken_once_and_in_order(waiting: dict[str, int], most: int) -> None:
    consumer, taken = Consumer(**waiting), []
    take = taking(consumer, most, ahead=Ahead(Clock()))

    async def all_of_it() -> None:
        while any(consumer.left.values()):
            batch = await take()
            assert 0 < len(batch) <= most
            taken.extend(batch)

    asyncio.run(all_of_it())
    for name, count in waiting.items():
        assert [r.offset for r in taken if r.topic == f"in.{name}"] == list(range(count))
    assert take.waiting() == 0 and BEHIND > 0
