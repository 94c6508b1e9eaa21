"""Taking: which records make the next batch of a number, so that no agency waits behind another's backfill.

    share    while others are live, a batch has of one partition no more than what is `AHEAD_SECONDS` of work for the
             ledger when all numbers take as much
    ahead    what the gate lets through the ledger has to carry, in the order of arrival: while more work than that
             waits there, the gate takes nothing from agencies that are themselves behind; live ones pass at once

So a live event waits for a batch at the gate and for `AHEAD_SECONDS` of work, however long the backfill is.
Memory stays bounded: a partition with records at hand is not fetched from again (aiokafka), so that a lane holds at
most `FETCH_BYTES` of each of its partitions, and one record more where that is larger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

SMALLEST_SHARE = 10
"""Records: however dear an event is, a backfill goes on."""

AHEAD_SECONDS = 0.008
"""Work that may wait at the ledger before agencies that are behind are held back at the gate."""

LIVE_SECONDS = 2.0
"""Nobody is held back where no other agency has sent anything for so long: a backfill alone runs at full speed."""

BEHIND = 500
"""An agency with more records than that waiting in a partition is behind."""

FETCH_BYTES = 1 << 20
"""Of one partition in one answer of the broker."""

WAIT_MS = 100
HELD_WAIT_MS = 5


class Ahead:
    """How much work waits at the ledger, as far as the numbers of this process know."""

    def __init__(self) -> None:
        self._waiting: dict[int, int] = {}
        self._cost = 1e-4

    def tell(self, number: int, waiting: int) -> None:
        self._waiting[number] = waiting

    def forget(self, number: int) -> None:
        """The number is not this process's any more."""
        self._waiting.pop(number, None)

    def cost(self, seconds: float, records: int) -> None:
        """A batch took so long: an event costs what the last ones did, on average."""
        self._cost += 0.1 * (seconds / records - self._cost)

    @property
    def share(self) -> int:
        """Records of one partition in a batch of a gate."""
        return max(SMALLEST_SHARE, int(AHEAD_SECONDS / self._cost / max(1, len(self._waiting))))

    @property
    def full(self) -> bool:
        """Whether those that are behind have to wait."""
        return sum(self._waiting.values()) * self._cost > AHEAD_SECONDS


def nobody(topic: str) -> bool:
    return False


class Taking:
    """Takes from one consumer the records of one number; `starts` are the offsets to read from.

    With `ahead` it is fair among its partitions; `paused` says whether nothing is taken from a topic at all.
    """

    def __init__(
        self,
        consumer: Any,
        starts: Mapping[TopicPartition, int],
        most: int,
        ahead: Ahead | None = None,
        paused: Callable[[str], bool] = nobody,
    ) -> None:
        self._consumer, self._next, self._most = consumer, dict(starts), most
        self._ahead, self._paused, self._turn = ahead, paused, 0
        self._live: dict[TopicPartition, float] = {}
        """When records of a partition were last taken of which few were left waiting."""

    async def __call__(self, already: int = 0) -> list[Any]:
        """The records of the next batch, in order within each partition; none after a short wait without any.

        With `already`: what is at hand to go with so many that were taken before.
        """
        ahead, behind = self._ahead, self._behind()
        held = ahead is not None and bool(behind) and ahead.full
        open_ = [tp for tp in self._next if not (self._paused(tp.topic) or (held and tp in behind))]
        most = self._most - already
        if already and (not open_ or most <= 0):
            return []
        if not open_:
            await asyncio.sleep(HELD_WAIT_MS / 1000)  # the ledger is at work, or ops has to say something
            return []
        wait = 0 if already else HELD_WAIT_MS if held else WAIT_MS
        share = min(ahead.share, most) if ahead is not None and behind else most
        taken = await self._take(open_, wait, share)
        if taken and ahead is not None:
            await self._others([tp for tp in self._ready(open_) if tp not in taken], taken, share, most)
        return [record for records in taken.values() for record in records]

    async def _others(
        self, ready: Sequence[TopicPartition], taken: dict[TopicPartition, list[Any]], share: int, most: int
    ) -> None:
        """Add a share of each other partition with records at hand; another one is first in each turn."""
        self._turn += 1
        room = most - sum(map(len, taken.values()))
        for i in range(len(ready)):
            if room <= 0:
                return
            found = await self._take([ready[(i + self._turn) % len(ready)]], 0, min(share, room))
            room -= sum(map(len, found.values()))
            taken |= found

    async def _take(self, tps: Sequence[TopicPartition], wait: int, most: int) -> dict[TopicPartition, list[Any]]:
        taken: dict[TopicPartition, list[Any]] = await self._consumer.getmany(*tps, timeout_ms=wait, max_records=most)
        for tp, records in taken.items():
            self._next[tp] = records[-1].offset + 1
            if not self.behind(tp):
                self._live[tp] = time.monotonic()
        return taken

    def _behind(self) -> set[TopicPartition]:
        """Partitions with many waiting while another one is live; none where nobody would be kept waiting by them."""
        since = time.monotonic() - LIVE_SECONDS
        live = [tp for tp, at in self._live.items() if at > since] if self._ahead else []
        behind = {tp for tp in self._next if self.behind(tp)} if live else set()
        return behind if any(tp not in behind for tp in live) else set()

    def crowded(self) -> bool:
        """Whether an agency is far behind while another one is live."""
        return bool(self._behind())

    def at_hand(self) -> bool:
        """Whether records are here already."""
        return bool(self._ready(self._next))

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
        behind: int = (self._consumer.last_stable_offset(tp) or 0) - self._next[tp]
        return max(0, behind)
