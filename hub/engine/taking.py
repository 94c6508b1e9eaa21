"""Taking: which records make the next batch of a number, so that no agency waits behind another's backfill.

    share    of one partition's records at most so many go into a batch while others have records, too
    ahead    what the gate lets through the ledger has to carry, in the order of arrival: while more than that waits
             there, the gate takes nothing from agencies that are themselves behind; live ones pass at once

So a live event waits for at most a batch at the gate and `AHEAD` events at the ledger, however long the backfill is.
Memory stays bounded: a partition with records at hand is not fetched from again (aiokafka), so that a lane holds at
most `FETCH_BYTES` of each of its partitions, and one record more where that is larger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

SHARE = 250
"""Records of one partition in a batch, while other partitions have some."""

AHEAD = 500
"""Events that may wait at the ledger before agencies that are behind are held back at the gate."""

BEHIND = 500
"""An agency with more records than that waiting in a partition is behind."""

FETCH_BYTES = 1 << 20
"""Of one partition in one answer of the broker."""

WAIT_MS = 100
HELD_WAIT_MS = 5


class Ahead:
    """How many events wait at the ledger, as far as the numbers of this process know."""

    def __init__(self) -> None:
        self._waiting: dict[int, int] = {}

    def tell(self, number: int, waiting: int) -> None:
        self._waiting[number] = waiting

    def forget(self, number: int) -> None:
        """The number is not this process's any more."""
        self._waiting.pop(number, None)

    @property
    def full(self) -> bool:
        return sum(self._waiting.values()) > AHEAD


def never() -> bool:
    return False


def nobody(topic: str) -> bool:
    return False


class Taking:
    """Takes from one consumer the records of one number; `starts` are the offsets to read from.

    `held` says whether those behind are held back now, `paused` whether nothing is taken from a topic at all.
    """

    def __init__(
        self,
        consumer: Any,
        starts: Mapping[TopicPartition, int],
        most: int,
        held: Callable[[], bool] = never,
        paused: Callable[[str], bool] = nobody,
    ) -> None:
        self._consumer, self._next, self._most = consumer, dict(starts), most
        self._held, self._paused, self._turn = held, paused, 0

    async def __call__(self) -> list[Any]:
        """The records of the next batch, in order within each partition; none after a short wait without any."""
        held = self._held()
        open_ = [tp for tp in self._next if not (self._paused(tp.topic) or (held and self.behind(tp)))]
        if not open_:
            await asyncio.sleep(HELD_WAIT_MS / 1000)  # the ledger is at work, or ops has to say something
            return []
        wait = HELD_WAIT_MS if held else WAIT_MS
        alone = len(self._ready(open_)) < 2
        taken = await self._take(open_, wait, self._most if alone else min(SHARE, self._most))
        if taken and not alone:
            await self._others([tp for tp in self._ready(open_) if tp not in taken], taken)
        return [record for records in taken.values() for record in records]

    async def _others(self, ready: Sequence[TopicPartition], taken: dict[TopicPartition, list[Any]]) -> None:
        """Add a share of each other partition with records at hand; another one is first in each turn."""
        self._turn += 1
        room = self._most - sum(map(len, taken.values()))
        for i in range(len(ready)):
            if room <= 0:
                return
            found = await self._take([ready[(i + self._turn) % len(ready)]], 0, min(SHARE, room))
            room -= sum(map(len, found.values()))
            taken |= found

    async def _take(self, tps: Sequence[TopicPartition], wait: int, most: int) -> dict[TopicPartition, list[Any]]:
        taken: dict[TopicPartition, list[Any]] = await self._consumer.getmany(*tps, timeout_ms=wait, max_records=most)
        for tp, records in taken.items():
            self._next[tp] = records[-1].offset + 1
        return taken

    def _ready(self, open_: Collection[TopicPartition]) -> list[TopicPartition]:
        """Partitions with records at hand; aiokafka has no other way to ask."""
        fetched = self._consumer._fetcher._records
        return [tp for tp in fetched if tp in self._next and tp in open_]

    def behind(self, tp: TopicPartition) -> bool:
        """Whether many records of a partition wait."""
        return self._lag(tp) > BEHIND

    def waiting(self) -> int:
        """Records of all partitions that are there and not taken; markers of transactions count as well."""
        return sum(map(self._lag, self._next))

    def _lag(self, tp: TopicPartition) -> int:
        end: int = self._consumer.last_stable_offset(tp) or 0
        return max(0, end - self._next[tp])
