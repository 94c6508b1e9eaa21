"""Wrapped around the lanes: turns what they did into metrics."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hub import metrics as m
from hub.engine.backlog import Lag
from hub.engine.spec import Progress
from hub.event import Outcome, Result

COUNTED = {
    Outcome.ACCEPTED: m.ACCEPTED,
    Outcome.APPLIED: m.APPLIED,
    Outcome.DUPLICATE: m.DUPLICATE,
    Outcome.REJECTED: m.REJECTED,
}


class LaneMetrics:
    """Implements `hub.engine.spec.Observer`."""

    def __init__(self, metrics: m.Metrics) -> None:
        self._metrics = metrics
        self._behind: dict[str, Mapping[Any, Lag]] = {}
        self._shown: set[tuple[str, str]] = set()
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

    def behind(self, group: str, lags: Mapping[Any, Lag]) -> None:
        """Instead of what was told of the group before: a partition that was given back is another process's."""
        self._behind[group] = lags

    def refresh(self) -> None:
        """Bring the lag gauges up to now: called before a scrape."""
        found = defaultdict[tuple[str, str], list[Lag]](list)
        for group, lags in list(self._behind.items()):
            for tp, lag in lags.items():
                found[group, tp.topic].append(lag)
        now = time.time()
        for key, all_of_it in found.items():
            oldest = min((lag.since for lag in all_of_it if lag.events), default=now)
            self._metrics.set(m.LAG_EVENTS, *key, to=sum(lag.events for lag in all_of_it))
            self._metrics.set(m.LAG_SECONDS, *key, to=max(0.0, now - oldest))
        for key in self._shown - found.keys():
            self._metrics.remove(m.LAG_EVENTS, *key)
            self._metrics.remove(m.LAG_SECONDS, *key)
        self._shown = set(found)
