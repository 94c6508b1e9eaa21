"""Whether the broker answers: kafka-python's consumer keeps silent about a broker that is away."""

from __future__ import annotations

import time
from collections.abc import Callable

from hub.delivery.observer import DeliveryObserver
from hub.sdk import Log

QUIET_SECONDS = 5.0
REPEAT_SECONDS = 30.0


class Watch:
    """Asks the broker something when nothing was heard of it for `QUIET_SECONDS`; says when that changes.

    `answers` asks, and returns within seconds.
    """

    def __init__(self, connector: str, observer: DeliveryObserver, log: Log) -> None:
        self._connector = connector
        self._observer = observer
        self._log = log
        self._up: bool | None = None
        self._heard = self._asked = self._said = time.monotonic()

    def turn(self, worked: bool, answers: Callable[[], bool]) -> None:
        """To be called with every turn of the loop; `worked` says that the broker answered in it."""
        if worked:
            self.heard()
        elif time.monotonic() - max(self._heard, self._asked) >= QUIET_SECONDS:
            if answers():
                self.heard()
            else:
                self.silent()
            self._asked = time.monotonic()

    def heard(self) -> None:
        """The broker answered."""
        self._heard = time.monotonic()
        if not self._up:
            self._log.info("the broker answers")
            self._set(True)

    def silent(self) -> None:
        """The broker did not answer."""
        now = time.monotonic()
        if self._up is not False or now - self._said >= REPEAT_SECONDS:
            self._said = now
            self._log.warning("the broker does not answer, still trying", seconds=round(now - self._heard))
        self._set(False)

    def end(self) -> None:
        """The connector stops."""
        self._set(False)

    def _set(self, up: bool) -> None:
        if up is not self._up:
            self._up = up
            self._observer.up(self._connector, up)
