"""What a connector implements, and what the hub hands it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.sdk.delivery import Delivery
from hub.sdk.log import Log

Clock = Callable[[], float]
"""Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Context:
    """For whom a sink works. `data_dir` is its own, exists, and outlives the process."""

    agency: str
    data_dir: Path
    log: Log
    clock: Clock


class Sink(ABC):
    """Puts one agency's deliveries where that agency wants them.

    One sink serves one agency and is used by one thread: no two calls overlap. The same batch comes again after
    a crash and after every failure, whole or cut otherwise, so the receiver needs `Delivery.event_id`.
    """

    def open(self, context: Context) -> None:
        """Called once before the first batch, and anew after an unexpected exception. May raise `Retry`."""

    @abstractmethod
    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Return once the receiver has the whole batch for good. All of it is of one partition, in its order.

        Raises `Retry(after)`: all of the batch again, after that many seconds; `Park(code)`: the receiver takes
        these events only after somebody mended something. Any other exception is taken for a `Retry` and logged
        without its text. Hold no batch back and block no longer than a minute: a stop waits for this call.
        """

    def close(self) -> None:
        """Called once after the last batch, also after a failed `open`. Must not raise."""
