"""What delivery tells whoever watches it. It knows no Prometheus: that is wrapped around it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class Attempt(StrEnum):
    """How one attempt to deliver ended; closed, the label `outcome` of `hub_delivery_total`."""

    DELIVERED = "delivered"
    RETRY = "retry"  # the sink asked for it again
    PARKED = "parked"  # the sink takes it only after somebody mended something
    ERROR = "error"  # an exception that the sink did not foresee


class DeliveryObserver(Protocol):
    """Called from several threads at once."""

    def delivered(self, agency: str, outcome: str, count: int, latencies: Sequence[float]) -> None:
        """`count` events were tried, with one `Attempt`. `latencies`: seconds from accepted to acknowledged by
        the receiver, one for each event that was delivered, else empty."""

    def progress(self, connector: str, at: float) -> None:
        """Offsets were committed at `at`, in seconds since 1970."""

    def up(self, connector: str, up: bool) -> None:
        """Whether the process reaches the broker."""

    def parked(self, agency: str, code: str, count: int) -> None:
        """How many events of the agency wait under that code now; 0 when none does any more."""

    def gone(self, agency: str, reason: str, count: int) -> None:
        """The broker no longer had what was to be read next, at most `count` events; `reason` is a
        `hub.delivery.gone.Why`."""


class Unobserved:
    """Watches nothing."""

    def delivered(self, agency: str, outcome: str, count: int, latencies: Sequence[float]) -> None:
        pass

    def progress(self, connector: str, at: float) -> None:
        pass

    def up(self, connector: str, up: bool) -> None:
        pass

    def parked(self, agency: str, code: str, count: int) -> None:
        pass

    def gone(self, agency: str, reason: str, count: int) -> None:
        pass
