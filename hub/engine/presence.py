"""Whether the broker answers a lane: said once when it stops, with what to do, and once when it answers again."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

FIX = "nothing to do in the hub: it goes on by itself once the broker answers; see the runbook, 'The broker is away'"


class PresenceObserver(Protocol):
    """Told whenever it is known."""

    def broker(self, lane: str, up: bool) -> None: ...


class Presence:
    """`ask` is called where the lane has not heard from the broker by itself, and may take a few seconds."""

    def __init__(self, lane: str, servers: str, ask: Callable[[], Awaitable[bool]], observer: PresenceObserver) -> None:
        self._lane, self._servers, self._ask, self._observer = lane, servers, ask, observer
        self._away_since: float | None = None

    async def look(self, heard: bool) -> None:
        """`heard`: whether the broker answered lately, anyhow."""
        up = heard or await self._ask()
        if not up and self._away_since is None:
            self._away_since = time.monotonic()
            log.error("the broker does not answer", lane=self._lane, broker=self._servers, fix=FIX)
            _clients_speak(False)
        elif up and self._away_since is not None:
            seconds, self._away_since = round(time.monotonic() - self._away_since), None
            log.warning("the broker answers again", lane=self._lane, broker=self._servers, away_seconds=seconds)
            _clients_speak(True)
        self._observer.broker(self._lane, up)


def _clients_speak(aloud: bool) -> None:
    """A client that looks for its broker logs several lines a second: what there is to say is said here."""
    for name in ("aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING if aloud else logging.CRITICAL)
