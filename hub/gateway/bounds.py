"""How much the gateway takes of one request and of all together, so that nobody can fill its memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hub.errors import Door
from hub.gateway.refused import Refused

MIB = 1 << 20
VALUE_BYTES = 100
"""Of memory that a value of JSON takes, with its name: 75 in events, 122 at the most that was found."""
BUSY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one request: bytes of its body, values of its JSON, events of a batch, seconds for its body to arrive. Of all
    together: bytes that wait, requests at once; one agency has half of these at the most. Questions that wait are
    counted apart: as many, and an eighth for one agency."""

    body_bytes: int = 4 * MIB
    values: int = 100_000
    batch_events: int = 1_000
    body_seconds: float = 20.0
    waiting_bytes: int = 64 * MIB
    requests: int = 256

    @property
    def largest(self) -> int:
        """Bytes that one request takes at the most, as text and parsed; a value has a byte that opens or parts it."""
        return self.body_bytes + min(self.values, self.body_bytes + 1) * VALUE_BYTES


class Budget:
    """Bytes that may wait at once; `elsewhere` says how many more wait that no request holds any longer. Used in one
    event loop."""

    def __init__(self, most: int, elsewhere: Callable[[], int] = lambda: 0) -> None:
        self._most, self._elsewhere, self._held = most, elsewhere, 0

    @property
    def used(self) -> int:
        return self._held + self._elsewhere()

    def hold(self) -> Hold:
        return Hold(self)

    def take(self, size: int) -> None:
        """Raises `Refused` (503) where there is no room."""
        if self._held + size + self._elsewhere() > self._most:
            raise Refused(503, Door.BUSY, retry_after=BUSY_SECONDS)
        self._held += size

    def give(self, size: int) -> None:
        self._held -= size


class Hold:
    """What one request has taken of the budget, for the `size` of its text and for what that became; given back at the
    end of the `with`."""

    __slots__ = ("_budget", "_parsed", "size")

    def __init__(self, budget: Budget) -> None:
        self._budget, self.size, self._parsed = budget, 0, 0

    def take(self, size: int) -> None:
        """Of text."""
        self._budget.take(size)
        self.size += size

    def parse(self, size: int) -> None:
        """Text becomes so much more."""
        self._budget.take(size)
        self._parsed += size

    def forget(self) -> None:
        """What it became is gone."""
        self._budget.give(self._parsed)
        self._parsed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give(self.size + self._parsed)
