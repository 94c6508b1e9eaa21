"""How much an agency may send and ask: token buckets for events, bytes and questions, a quota of events a day.

Kept in memory, per process: two gateways let in twice as much, and one that starts anew begins with full buckets.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Self

from hub.clock import BAKU
from hub.errors import Admission
from hub.settings import Limit

DAY_SECONDS = 86_400
MIB = 1 << 20
ROUNDING = 1e-7
"""Of an event or a byte: who comes when told to must not be sent away for a float's last digits; they are owed."""


class Wait(float):
    """Whole seconds until it may be tried again, for `Retry-After`; `code` says which limit it was."""

    code: Admission

    def __new__(cls, seconds: float, code: Admission) -> Self:
        wait = super().__new__(cls, max(1, math.ceil(seconds)))
        wait.code = code
        return wait


class Bucket:
    """Holds `burst` at most, gains `rate` a second. More than `burst` at once is let in when it is full, and owed."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst, self._level, self._at = rate, burst, burst, now

    def lacks(self, amount: float, now: float) -> float:
        """Seconds until so much may be taken; 0: now."""
        if now > self._at:
            gained = self._level + (now - self._at) * self._rate
            self._level, self._at = min(self._burst, gained), now
        if amount <= self._level:
            return 0.0
        short = min(amount, self._burst) - self._level
        return short / self._rate if short > ROUNDING else 0.0

    def take(self, amount: float) -> None:
        self._level -= amount


class _Account:
    def __init__(self, limit: Limit, now: float) -> None:
        self.events = Bucket(limit.events, limit.events_burst, now)
        self.bytes = Bucket(limit.mib * MIB, limit.mib_burst * MIB, now)
        self.questions = Bucket(limit.questions, limit.questions_burst, now)
        self.began, self.ends, self.taken, self.quota = 0.0, 0.0, 0, limit.day


class Limits:
    """`own`: what agencies have instead of the general limit. `clock`: monotonic seconds, `wall`: Unix seconds.

    Safe for threads. `agency` is one that was proved, so that there are never more accounts than agencies.
    """

    def __init__(
        self,
        general: Limit | None = None,
        own: Mapping[str, Limit] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._general, self._own, self._clock, self._wall = general or Limit(), dict(own or {}), clock, wall
        self._accounts: dict[str, _Account] = {}
        self._lock = threading.Lock()

    def of(self, agency: str) -> Limit:
        return self._own.get(agency, self._general)

    def take(self, agency: str, events: int, bytes: int) -> Wait | None:
        """None: let in, and counted. Else nothing is counted, and it says when to come again."""
        with self._lock:
            account = self._account(agency)
            wait = self._wait(account, events, bytes)
            if wait is None:
                account.events.take(events)
                account.bytes.take(bytes)
                account.taken += events
            return wait

    def look(self, agency: str, events: int, bytes: int) -> Wait | None:
        """What `take` would say, without counting: asked before a body is read."""
        with self._lock:
            return self._wait(self._account(agency), events, bytes)

    def ask(self, agency: str) -> Wait | None:
        """One question: None where it may be asked, and counted."""
        with self._lock:
            questions = self._account(agency).questions
            lacking = questions.lacks(1, self._clock())
            if lacking > 0:
                return Wait(lacking, Admission.RATE_LIMITED)
            questions.take(1)
            return None

    def _wait(self, account: _Account, events: int, bytes: int) -> Wait | None:
        if left := self._day_is_over(account, events):
            return Wait(left, Admission.QUOTA_EXCEEDED)
        now = self._clock()
        lacking = max(account.events.lacks(events, now), account.bytes.lacks(bytes, now))
        return Wait(lacking, Admission.RATE_LIMITED) if lacking > 0 else None

    def _account(self, agency: str) -> _Account:
        found = self._accounts.get(agency)
        if found is None:
            found = self._accounts[agency] = _Account(self.of(agency), self._clock())
        return found

    def _day_is_over(self, account: _Account, events: int) -> float:
        """Seconds to the next day, where today's quota does not have so many left; else 0."""
        now = self._wall()
        if not account.began <= now < account.ends:  # a clock may be set back, too
            midnight = datetime.fromtimestamp(now, BAKU).replace(hour=0, minute=0, second=0, microsecond=0)
            account.began, account.taken = midnight.timestamp(), 0
            account.ends = account.began + DAY_SECONDS
        return 0.0 if account.taken + events <= account.quota else account.ends - now
