"""Taking: which records make the next batch of a number, so that no agency waits behind another's backfill.

While an agency is live, those that are far behind are carried in shares beside it:

    share    a turn is one share, of one partition
    turn     one number of the gate after the other has one: the transactions of all others are those of live events
             alone, and as short
    rest     after a turn nobody has one for `REST` times as long: what the backfill costs is a part of what there is
    ahead    what the gate lets through the ledger has to carry, in the order of arrival: while more work than
             `AHEAD_SECONDS` waits there, nobody has a turn

So a live event waits for one share at the gate and for `AHEAD_SECONDS` of work, however long the backfill is.
Memory stays bounded: a partition with records at hand is not fetched from again (aiokafka), so that a lane holds at
most `FETCH_BYTES` of each of its partitions, and one record more where that is larger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError

from hub.engine.company import SMALL

SHARE = 50
"""Records of an agency that is behind in a turn, and as many more as it has sent since its last one: with each turn
it is less behind."""

MOST_SHARE = 1000
"""Of one that sends more than the ledger carries; it stays behind for as long, and the others do not."""

AHEAD_SECONDS = 0.002
"""Work that may wait at the ledger before agencies that are behind are held back at the gate."""

REST, REST_SECONDS = 4, 0.08
"""Times as long as a turn took nobody has another one; but none rests for longer than that after a turn began, so that
whose turn it is next can take it before patience ends."""

PATIENCE_SECONDS = 0.1
"""Since the last turn began: then the next one begins whatever waits and whoever hangs, so that no load of live
events, and no broker that is away, stops a backfill."""

LIVE_SECONDS = 5.0
"""Nobody is held back where no other agency has sent anything for so long: a backfill alone runs at full speed."""

BEHIND = 500
"""A partition with more records than that waiting is behind, and so is its agency."""

FETCH_BYTES = 1 << 20
"""Of one partition in one answer of the broker."""

WAIT_MS = 100
HELD_WAIT_MS = 5


class Ahead:
    """What the numbers of this process know together: how much work waits at the ledger, whether an agency is live,
    and whose turn it is to carry of one that is behind."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.most = 0
        """Records that the ledger takes in a batch at the most, once it has told."""
        self._waiting: dict[int, int] = {}
        self._cost = 1e-4
        self._line: dict[object, None] = {}
        self._turn: object = None
        self._began, self._rested = -PATIENCE_SECONDS, 0.0
        self._live: dict[str, float] = {}
        self._late: dict[str, float] = {}

    def tell(self, number: int, waiting: int) -> None:
        self._waiting[number] = waiting

    def forget(self, number: int) -> None:
        """The number is not this process's any more."""
        self._waiting.pop(number, None)

    def cost(self, seconds: float, records: int) -> None:
        """A batch took so long: an event costs what the last ones did, on average."""
        self._cost += 0.1 * (seconds / records - self._cost)

    @property
    def full(self) -> bool:
        """Whether those that are behind have to wait."""
        return sum(self._waiting.values()) * self._cost > AHEAD_SECONDS

    def heard(self, topic: str, *, behind: bool) -> None:
        """Records of an agency were taken of which few were left waiting; or it is behind."""
        (self._late if behind else self._live)[topic] = self._clock()

    @property
    def live(self) -> bool:
        """Whether an agency has sent something lately that is nowhere behind."""
        since = self._clock() - LIVE_SECONDS
        return any(at > since and self._late.get(topic, since) <= since for topic, at in self._live.items())

    def turn(self, who: object) -> bool:
        """Whether it is the turn of `who`, who else stands in line, in the order of asking."""
        if self._turn is who:
            return True
        self._line.setdefault(who)
        now, first = self._clock(), next(iter(self._line))
        if self._turn is not None or first is not who or now < self._rested or self.full:
            if now - self._began < PATIENCE_SECONDS:
                return False
            del self._line[first]  # should it hang, the others do not wait for it again
        self._line.pop(who, None)
        self._turn, self._began = who, now
        return True

    def done(self, who: object) -> bool:
        """What was taken in the turn, if there was one, is committed; whether there was one."""
        had = self._turn is who
        if had:
            now, self._turn = self._clock(), None
            self._rested = min(now + REST * (now - self._began), self._began + REST_SECONDS)
        return had

    def leave(self, who: object) -> None:
        """Out of the line, too."""
        self.done(who)
        self._line.pop(who, None)


def nobody(topic: str) -> bool:
    return False


class Taking:
    """Takes from one consumer the records of one number, whose partitions are `tps`, each from its position on.

    With `ahead` it is fair among its partitions; `paused` says whether nothing is taken from a topic at all. `most` are
    the records of a batch, and may change.
    """

    def __init__(
        self,
        consumer: Any,
        tps: Collection[TopicPartition],
        most: int,
        ahead: Ahead | None = None,
        paused: Callable[[str], bool] = nobody,
    ) -> None:
        self._consumer, self._tps, self.most = consumer, tuple(tps), most
        self._ahead, self._paused, self._turn = ahead, paused, 0
        self._held: list[TopicPartition] = []
        self._ends: dict[TopicPartition, int] = {}
        """Of those that are behind, as of their last turns."""

    async def __call__(self, already: int = 0) -> list[Any]:
        """The records of the next batch, in order within each partition; none after a short wait without any.

        With `already`: what is at hand to go with so many that were taken before, from those that are not behind. It is
        a few: a backfill may have begun in between.
        """
        ahead, had, most = self._ahead, False, min(self.most - already, SMALL) if already else self.most
        if ahead is not None and not already:
            had, self._held = ahead.done(self), self._behind(ahead)
            if not self._held:
                ahead.leave(self)
        behind = self._held
        live = [tp for tp in self._tps if tp not in behind and not self._paused(tp.topic)]
        theirs = most == 1 and had and bool(self._ready(live))  # a batch of one has room for one of both
        turn = ahead is not None and bool(behind) and not (already or theirs) and ahead.turn(self)
        taken: dict[TopicPartition, list[Any]] = {}
        room = max(most - SHARE, most // 2) if turn else most
        if live and room > 0:
            wait = 0 if already or turn else HELD_WAIT_MS if behind else WAIT_MS
            taken = await self._take(live, wait, room)
        if turn:
            taken |= await self._share(behind, 0 if taken else HELD_WAIT_MS, most - sum(map(len, taken.values())))
        elif not (live or already):
            await asyncio.sleep(HELD_WAIT_MS / 1000)  # others are at work, or ops has to say something
        return [record for records in taken.values() for record in records]

    async def _share(self, behind: Sequence[TopicPartition], wait: int, room: int) -> dict[TopicPartition, list[Any]]:
        """Of those with records at hand another one in each turn."""
        self._turn += 1
        ready = self._ready(behind) or behind
        tp = ready[self._turn % len(ready)]
        end = self._state(tp).lso
        new = end - self._ends.get(tp, end)
        self._ends[tp] = end
        return await self._take([tp], wait, min(SHARE + new, MOST_SHARE, room))

    async def _take(self, tps: Sequence[TopicPartition], wait: int, most: int) -> dict[TopicPartition, list[Any]]:
        taken: dict[TopicPartition, list[Any]]
        try:
            taken = await self._consumer.getmany(*tps, timeout_ms=wait, max_records=most)
        except NoOffsetForPartitionError:
            return {}  # said once of one that was paused before it had a position; what was taken before stays taken
        for tp in taken:
            if self._ahead is not None and not self.behind(tp):
                self._ahead.heard(tp.topic, behind=False)
        return taken

    def _behind(self, ahead: Ahead) -> list[TopicPartition]:
        """Partitions with many waiting while an agency is live; none where nobody would be kept waiting by them."""
        behind = [tp for tp in self._tps if self.behind(tp) and not self._paused(tp.topic)]
        for tp in behind:
            ahead.heard(tp.topic, behind=True)
        self._ends = {tp: end for tp, end in self._ends.items() if tp in behind}
        return behind if behind and ahead.live else []

    def leave(self) -> None:
        """Nothing is taken any more: nobody waits for this one's turn."""
        if self._ahead is not None:
            self._ahead.leave(self)

    def crowded(self) -> bool:
        """Whether an agency was far behind while another one was live, when the last batch was begun."""
        return bool(self._held)

    def at_hand(self) -> bool:
        """Whether records are here already."""
        return bool(self._ready(self._tps))

    def _ready(self, open_: Collection[TopicPartition]) -> list[TopicPartition]:
        """Partitions with records at hand; aiokafka has no other way to ask."""
        fetched = self._consumer._fetcher._records
        return [tp for tp in fetched if tp in self._tps and tp in open_]

    def behind(self, tp: TopicPartition) -> bool:
        """Whether many records of a partition wait."""
        return self._lag(tp) > BEHIND

    def waiting(self) -> int:
        """Records of all partitions that are there and not taken."""
        return sum(map(self._lag, self._tps))

    def _lag(self, tp: TopicPartition) -> int:
        state = self._state(tp)
        left: int = (state.lso or 0) - state.position
        return max(0, left)

    def _state(self, tp: TopicPartition) -> Any:
        """`lso`: where the last transaction that has ended ends; `position`: of what is taken, behind markers and
        aborted records too. aiokafka says it to no one who does not wait."""
        return self._consumer._subscription.subscription.assignment.state_value(tp)
