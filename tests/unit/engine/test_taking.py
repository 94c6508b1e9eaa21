"""Taking: a live record waits for a share of a backfill, not for the backfill."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.engine.taking import AHEAD, BEHIND, SHARE, Ahead, Taking


class Consumer:
    """Partitions as lists; `getmany` drains one after the other in the order of arrival, as aiokafka's does."""

    def __init__(self, **waiting: int) -> None:
        self.left = {TopicPartition(f"in.{name}", 0): list(range(count)) for name, count in waiting.items()}
        self.counts = {tp: len(offsets) for tp, offsets in self.left.items()}
        self.most_taken = 0

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
    batch = asyncio.run(taking(Consumer(backfill=76_000, live=1))())
    assert topics(batch) == {"in.backfill": SHARE, "in.live": 1}


def test_a_backfill_alone_has_whole_batches() -> None:
    assert topics(asyncio.run(taking(Consumer(backfill=76_000, live=0))())) == {"in.backfill": 1000}


def test_while_the_ledger_is_behind_only_live_agencies_pass() -> None:
    ahead = Ahead()
    consumer = Consumer(backfill=76_000, live=3)
    take = taking(consumer, held=lambda: ahead.full)
    ahead.tell(0, AHEAD + 1)
    assert topics(asyncio.run(take())) == {"in.live": 3}
    assert asyncio.run(take()) == [], "the backfill waits"
    ahead.tell(0, AHEAD)
    assert topics(asyncio.run(take())) == {"in.backfill": 1000}
    ahead.tell(0, AHEAD + 1)
    ahead.forget(0)
    assert topics(asyncio.run(take())) == {"in.backfill": 1000}, "a number that went away holds nobody back"


def test_nothing_is_taken_from_a_paused_agency() -> None:
    take = taking(Consumer(broken=5, live=2), paused=lambda topic: topic == "in.broken")
    assert topics(asyncio.run(take())) == {"in.live": 2} and asyncio.run(take()) == []


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2000), min_size=1), st.integers(1, 1200))
@settings(deadline=None)
def test_every_record_is_taken_once_and_in_order(waiting: dict[str, int], most: int) -> None:
    consumer, taken = Consumer(**waiting), []
    take = taking(consumer, most)

    async def all_of_it() -> None:
        while any(consumer.left.values()):
            batch = await take()
            assert 0 < len(batch) <= most
            taken.extend(batch)

    asyncio.run(all_of_it())
    for name, count in waiting.items():
        assert [r.offset for r in taken if r.topic == f"in.{name}"] == list(range(count))
    assert take.waiting() == 0 and BEHIND > 0
