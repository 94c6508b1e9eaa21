"""Wrapped around delivery: turns what it says into metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hub import metrics as m


class DeliveryMetrics:
    """Implements `hub.delivery.observer.DeliveryObserver`; called from several threads."""

    def __init__(self, metrics: m.Metrics) -> None:
        self._metrics = metrics
        self._waiting: dict[str, dict[str, float]] = {}
        self.ready = False

    def delivered(self, agency: str, outcome: str, count: int, latencies: Sequence[float]) -> None:
        self._metrics.count(m.DELIVERED, agency, outcome, by=count)
        for seconds in latencies:
            self._metrics.observe(m.LATENCY, agency, seconds=seconds)

    def progress(self, connector: str, at: float) -> None:
        self._metrics.set(m.PROGRESS, connector, to=at)

    def up(self, connector: str, up: bool) -> None:
        self.ready = up
        self._metrics.set(m.CONNECTOR_UP, connector, to=float(up))

    def parked(self, agency: str, code: str, count: int) -> None:
        self._metrics.set(m.PARKED, agency, code, to=count)
        codes = self._waiting.setdefault(agency, {})
        if count:
            codes.setdefault(code, time.time())
        else:
            codes.pop(code, None)

    def gone(self, agency: str, reason: str, count: int) -> None:
        self._metrics.count(m.GONE, agency, reason, by=count)

    def refresh(self) -> None:
        """Bring the ages up to now: called before a scrape."""
        for agency, codes in list(self._waiting.items()):
            oldest = min(codes.values(), default=None)
            self._metrics.set(m.PARKED_OLDEST, agency, to=time.time() - oldest if oldest else 0.0)
