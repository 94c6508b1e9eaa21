"""Taking: a live record waits for a share of a backfill, not for the backfill."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.engine.taking import AHEAD_SECONDS, BEHIND, Ahead, Taking


class Consumer:
    """Partitions as lists; `getmany` drains one after the other in the order of arrival, as aiokafka's does."""

    def __init__(self, **waiting: int) -> None:
        self.left = {TopicPartition(f"in.{name}", 0): list(range(count)) for name, count in waiting.items()}
        self.counts = {tp: len(offsets) for tp, offsets in self.left.items()}
        self.most_taken = 0

    def more(self, name: str, count: int) -> None:
        tp = TopicPartition(f"in.{name}", 0)
        self.left[tp] += range(self.counts[tp], self.counts[tp] + count)
        self.counts[tp] += count

    @property
    def _fetcher(self) -> Any:
        return SimpleNamespace(_records={tp: ... for tp, offsets in self.left.items() if offsets})

    def last_stable_offset(self, tp: TopicPartition) -> int:
        return self.counts[tp]

    async def getmany(self, *tps: TopicPartition, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        taken: dict[TopicPartition, list[Any]] = {}
        for tp, offsets in self.left.items():
            if tp in tps and offsets and max_records > 0:
                taken[tp] = [SimpleNamespace(topic=tp.topic, offset=offset) for offset in offsets[:max_records]]
                del offsets[:max_records]
                max_records -= len(taken[tp])
        return taken


def taking(consumer: Consumer, most: int = 1000, **given: Any) -> Taking:
    return Taking(consumer, dict.fromkeys(consumer.left, 0), most, **given)


def topics(records: list[Any]) -> dict[str, int]:
    return {topic: sum(r.topic == topic for r in records) for topic in {r.topic for r in records}}


def test_a_live_record_is_in_the_next_batch() -> None:
    ahead, consumer = Ahead(), Consumer(live=1, backfill=76_000)
    take = taking(consumer, ahead=ahead)
    assert topics(asyncio.run(take()))["in.live"] == 1
    consumer.more("live", 1)
    batch = topics(asyncio.run(take()))
    assert batch["in.live"] == 1 and 0 < batch["in.backfill"] <= ahead.share


def test_a_backfill_alone_has_whole_batches() -> None:
    assert topics(asyncio.run(taking(Consumer(backfill=76_000, live=0), ahead=Ahead())())) == {"in.backfill": 1000}


def test_while_the_ledger_is_behind_only_live_agencies_pass() -> None:
    ahead = Ahead()
    consumer = Consumer(live=3, backfill=76_000)
    take = taking(consumer, ahead=ahead)
    for _ in range(100):
        ahead.cost(0.001, 1)
    much, little = int(AHEAD_SECONDS / 0.001) + 2, int(AHEAD_SECONDS / 0.001) - 2
    ahead.tell(0, much)
    assert topics(asyncio.run(take()))["in.live"] == 3
    assert asyncio.run(take()) == [], "the backfill waits"
    ahead.tell(0, little)
    assert topics(asyncio.run(take())) == {"in.backfill": ahead.share}
    ahead.tell(0, much)
    ahead.forget(0)
    assert "in.backfill" in topics(asyncio.run(take())), "a number that went away holds nobody back"


def test_nothing_is_taken_from_a_paused_agency() -> None:
    take = taking(Consumer(broken=5, live=2), paused=lambda topic: topic == "in.broken")
    assert topics(asyncio.run(take())) == {"in.live": 2} and asyncio.run(take()) == []


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2000), min_size=1), st.integers(1, 1200))
@settings(deadline=None)
def test_every_record_is_taken_once_and_in_order(waiting: dict[str, int], most: int) -> None:
    consumer, taken = Consumer(**waiting), []
    take = taking(consumer, most, ahead=Ahead())

    async def all_of_it() -> None:
        while any(consumer.left.values()):
            batch = await take()
            assert 0 < len(batch) <= most
            taken.extend(batch)

    asyncio.run(all_of_it())
    for name, count in waiting.items():
        assert [r.offset for r in taken if r.topic == f"in.{name}"] == list(range(count))
    assert take.waiting() == 0 and BEHIND > 0
