"""How long to wait before the same thing is tried again."""

from __future__ import annotations

import math
from typing import TypeGuard

LONGEST_SECONDS = 3600.0
"""That may be asked for: a receiver is asked again within the hour, whatever it says."""


class Backoff:
    """Doubles with every failure in a row, up to `cap` seconds; a wait that was asked for is never shortened."""

    __slots__ = ("_cap", "_first", "_row")

    def __init__(self, first: float = 0.5, cap: float = 60.0) -> None:
        self._first = first
        self._cap = cap
        self._row = 0

    @property
    def row(self) -> int:
        """Failures since the last success."""
        return self._row

    def failed(self, asked: float | None = None) -> float:
        """Count a failure; the wait in seconds. `asked` is the wait that the failure stated; what is no number of
        seconds counts as none."""
        first = self._first if not _is_seconds(asked) else min(max(float(asked), 0.0), LONGEST_SECONDS)
        doubled = max(first, self._first) * 2.0 ** min(self._row, 30) if self._row else first
        self._row += 1
        return max(first, min(self._cap, doubled))

    def succeeded(self) -> None:
        self._row = 0


def _is_seconds(asked: object) -> TypeGuard[float]:
    return isinstance(asked, int | float) and not math.isnan(asked)
