"""How far behind a lane is: of the partitions that are its own now, what the broker has and the lane has not taken.

The client knows how much comes of what it fetches. It fetches nothing more of a partition with records at hand, as
those of a paused agency are for days: there the broker is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition


class Lag(NamedTuple):
    """Records of a partition that wait, and when the oldest of them was written, Unix time."""

    events: int
    since: float


class Backlog:
    """Of one consumer; used in its event loop. aiokafka says to no one who does not wait what it knows."""

    def __init__(self, consumer: AIOKafkaConsumer[bytes, bytes], clock: Callable[[], float] = time.time) -> None:
        self._consumer, self._clock = consumer, clock
        self._ends: Mapping[TopicPartition, int] = {}
        self._since: dict[TopicPartition, float] = {}

    async def ask(self) -> None:
        """Where those partitions end of which nothing is fetched now. Raises what aiokafka raises."""
        held = [tp for tp, state in self._states().items() if state.paused or tp in self._at_hand]
        self._ends = await self._consumer.end_offsets(held) if held else {}

    def lags(self) -> dict[TopicPartition, Lag]:
        """Those of which nothing was fetched yet are left out: a number that reads its state back does not know its
        place."""
        states, ends = self._states(), self._ends
        left = {tp: max(0, max(state.lso, ends.get(tp, 0)) - state.position) for tp, state in states.items()}
        self._since = {tp: self._oldest(tp) for tp, events in left.items() if events}
        return {tp: Lag(events, self._since.get(tp, 0.0)) for tp, events in left.items()}

    def _oldest(self, tp: TopicPartition) -> float:
        """As the first batch at hand says; where none is, from when on this one was behind."""
        at_hand = getattr(self._at_hand.get(tp), "_partition_records", None)
        oldest: int | None = getattr(at_hand, "oldest", None)
        return self._since.get(tp, self._clock()) if oldest is None else oldest / 1000

    @property
    def _at_hand(self) -> Mapping[TopicPartition, Any]:
        fetcher: Any = self._consumer._fetcher
        found: Mapping[TopicPartition, Any] = fetcher._records
        return found

    def _states(self) -> dict[TopicPartition, Any]:
        client: Any = self._consumer
        assignment = client._subscription.subscription and client._subscription.subscription.assignment
        states = {tp: assignment.state_value(tp) for tp in assignment.tps} if assignment else {}
        return {tp: state for tp, state in states.items() if state.lso is not None and state.has_valid_position}
