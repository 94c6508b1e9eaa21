"""How long to wait before the same thing is tried again."""

from __future__ import annotations


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
        """Count a failure; the wait in seconds. `asked` is the wait that the failure stated."""
        first = self._first if asked is None else max(asked, 0.0)
        doubled = max(first, self._first) * 2.0 ** min(self._row, 30) if self._row else first
        self._row += 1
        return max(first, min(self._cap, doubled))

    def succeeded(self) -> None:
        self._row = 0
