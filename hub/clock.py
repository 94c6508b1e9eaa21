"""What time it is. Steps are given a clock; tests give them another one."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta, timezone

BAKU = timezone(timedelta(hours=4))
"""A day is the calendar's in Baku, which has no summer time, wherever the hub runs."""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def today() -> date:
    """The day in Baku."""
    return datetime.now(BAKU).date()
