"""Route: who receives an event, each with the projection that is its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub.event import Output
from hub.pipeline.identify import pseudonym
from hub.pipeline.rulebook import Receiver


def entitled(receivers: Sequence[Receiver], fields: Mapping[str, Any]) -> list[Receiver]:
    """Those whose conditions all hold for these body fields."""
    return [r for r in receivers if all(fields[name] in values for name, values in r.when)]


def addressed(
    receivers: Sequence[Receiver],
    bodies: Sequence[bytes],
    key: bytes,
    headers: Sequence[tuple[str, bytes]],
    partition: int,
) -> list[Output]:
    """One record per receiver; `bodies` are the type's projections, each made once."""
    return [Output(r.topic, partition, pseudonym(key, r.secret), bodies[r.body], headers) for r in receivers]
