"""How long an idle consumer waits, at the broker and by itself."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hub.kafka import patience

WAIT, IDLE = 20, 250


class Fetcher:
    """Answers as told: whether it found records, and after how long. `waits` is what it would ask the broker for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, idle_ms: int | None = IDLE) -> None:
        self.now, self._fetch_max_wait_ms, self.naps = 100.0, WAIT, list[int]()
        monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: self.now))
        # its own asyncio: other event loops of this process, as the embedded broker's, sleep as they do
        own = SimpleNamespace(sleep=self._sleep, CancelledError=asyncio.CancelledError)
        monkeypatch.setattr(patience, "asyncio", own)
        patience.be_patient(SimpleNamespace(_fetcher=self), WAIT, idle_ms)  # type: ignore[arg-type]

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: tuple[bool, float]) -> bool:
        found, seconds = request
        self.now += seconds
        return found

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.naps.append(round(seconds * 1000))

    def fetch(self, *, found: bool, seconds: float) -> bool:
        return asyncio.run(self._proc_fetch_request(None, 1, (found, seconds)))  # type: ignore[arg-type]

    def idle(self, *, held: bool) -> None:
        """Nothing comes for two seconds."""
        until = self.now + 2
        while self.now < until:
            self.fetch(found=False, seconds=self._fetch_max_wait_ms / 1000 if held else 0.001)


@pytest.mark.parametrize("held", [True, False])
def test_an_idle_consumer_asks_seldom_and_the_first_record_makes_it_quick(
    monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    fetcher = Fetcher(monkeypatch)
    fetcher.fetch(found=False, seconds=0.001)
    assert (fetcher._fetch_max_wait_ms, fetcher.naps) == (WAIT, [19])
    fetcher.idle(held=held)
    assert fetcher._fetch_max_wait_ms == IDLE
    assert fetcher.naps[-1] == (0 if held else patience.LONGEST_NAP_MS - 1)
    naps = len(fetcher.naps)
    assert fetcher.fetch(found=True, seconds=0.004)
    assert (fetcher._fetch_max_wait_ms, len(fetcher.naps)) == (WAIT, naps), "and nobody sleeps on a record"


def test_without_another_wait_for_idle_times_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher = Fetcher(monkeypatch, idle_ms=None)
    fetcher.idle(held=False)
    assert fetcher._fetch_max_wait_ms == WAIT and set(fetcher.naps) == {19}
