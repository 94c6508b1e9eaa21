"""Wrapped around the lanes: turns what they did into metrics."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hub import metrics as m
from hub.engine.spec import LaneSpec, Progress
from hub.event import Outcome, Result

COUNTED = {
    Outcome.ACCEPTED: m.ACCEPTED,
    Outcome.APPLIED: m.APPLIED,
    Outcome.DUPLICATE: m.DUPLICATE,
    Outcome.REJECTED: m.REJECTED,
}


class LaneMetrics:
    """Implements `hub.engine.spec.Observer`. Lag is what the broker has and the lane has not taken."""

    def __init__(self, metrics: m.Metrics) -> None:
        self._metrics = metrics
        self._lag: dict[tuple[str, Any], tuple[int, float]] = {}
        self._rebuilds: dict[str, dict[int, Progress]] = defaultdict(dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._metrics.observe(m.PROCESSING, step, seconds=time.perf_counter() - began)

    def committed(self, lane: str, result: Result) -> None:
        for tally, count in result.tally.items():
            labels = [tally.agency, tally.stream]
            if tally.outcome is Outcome.REJECTED:
                labels.append(tally.code)
                self._metrics.count(m.DLQ, tally.agency, tally.code, by=count)
            self._metrics.count(COUNTED[tally.outcome], *labels, by=count)

    def restarted(self, lane: str, reason: str) -> None:
        self._metrics.count(m.RESTARTS, lane, reason)

    def broker(self, lane: str, up: bool) -> None:
        self._metrics.set(m.BROKER_UP, lane, to=up)

    def rebuilding(self, lane: str, number: int, progress: Progress | None) -> None:
        """A lane is done when all its numbers are; a number that gives up (None) does not count."""
        under_way = self._rebuilds[lane]
        if progress is not None:
            under_way[number] = progress
        else:
            under_way.pop(number, None)
        total = sum(each.total for each in under_way.values())
        left = total - sum(each.done for each in under_way.values())
        pace = max((each.per_second for each in under_way.values()), default=0.0)
        self._metrics.set(m.REBUILD, lane, to=1 - left / total if total else 1.0)
        self._metrics.set(m.REBUILD_LEFT, lane, to=left / pace if pace else 0.0)
        if left <= 0:
            under_way.clear()

    def paused(self, agency: str, holds: bool) -> None:
        self._metrics.set(m.AGENCY_PAUSED, agency, to=holds)

    def position(self, spec: LaneSpec, consumer: Any, tps: Sequence[Any], records: Sequence[Any]) -> None:
        newest = {(r.topic, r.partition): r for r in records}
        for tp in tps:
            record = newest.get((tp.topic, tp.partition))
            if record is None and self._lag.get((spec.group, tp), (0, 0.0))[0] == 0:
                continue
            stable = consumer.last_stable_offset(tp)
            position = record.offset + 1 if record else stable
            events = max(0, (stable or 0) - (position or 0))
            # A transaction's marker takes an offset and is no event: 1 behind the last record is level.
            self._lag[spec.group, tp] = (events, record.timestamp / 1000) if record and events > 1 else (0, 0.0)

    def refresh(self) -> None:
        """Bring the lag gauges up to now: called before a scrape."""
        events: dict[tuple[str, str], int] = defaultdict(int)
        oldest: dict[tuple[str, str], float] = {}
        for (group, tp), (count, since) in list(self._lag.items()):
            key = (group, tp.topic)
            events[key] += count
            if count:
                oldest[key] = min(oldest.get(key, since), since)
        now = time.time()
        for key, count in events.items():
            self._metrics.set(m.LAG_EVENTS, *key, to=count)
            self._metrics.set(m.LAG_SECONDS, *key, to=now - oldest[key] if key in oldest else 0.0)
