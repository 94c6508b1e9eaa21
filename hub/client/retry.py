"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from hub.client.errors import HubAway, sendable

BUSY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` in all, over at most `patience` seconds; `sleep` and `clock` are passed in by tests.

    The wait doubles from `first` up to `longest`, with full jitter so that many clients do not come back together;
    what the hub says in `Retry-After` is waited for.
    """

    attempts: int = 8
    patience: float = 120.0
    first: float = 0.2
    longest: float = 20.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random

    def send(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        """The first answer that is not "busy". Raises `HubAway` when there is none in time, `NotSent`."""
        deadline, said = self.clock() + self.patience, "no attempt"
        for attempt in range(self.attempts):
            wait = self.jitter() * min(self.longest, self.first * 2**attempt)
            try:
                with sendable():
                    answer = request()
                if answer.status_code not in BUSY:
                    return answer
                said = f"it answered {answer.status_code}"
                wait = max(wait, _retry_after(answer))
            except httpx.TransportError as error:
                said = type(error).__name__  # its text may have the address and more
            if attempt + 1 == self.attempts or self.clock() + wait > deadline:
                break
            self.sleep(wait)
        raise HubAway(f"the hub could not take the request: {said}, after {attempt + 1} attempts")


def _retry_after(answer: httpx.Response) -> float:
    """Seconds, or a date (RFC 9110); 0 where it says neither."""
    text = answer.headers.get("retry-after", "")
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
