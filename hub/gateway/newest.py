"""Which of an agency's newest records carry an id: they have no verdict yet, or it stands.

What was read is remembered for a while, by id and place alone: whoever asks for ids that nobody knows reads no more
than what has come since.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from hub.event import header

LATEST = 1_000
"""Records of each partition among which an id is looked for."""
KEPT_SECONDS = 5.0
KEPT_TOPICS = 8


class Record(Protocol):
    """As Kafka has it."""

    partition: int
    offset: int
    headers: Sequence[tuple[str, bytes]]


class Reads(Protocol):
    """What reads Kafka (`hub.kafka.following.Lookup`)."""

    def latest(
        self, topic: str, partitions: int, count: int, since: Mapping[int, int]
    ) -> tuple[Iterator[Record], Mapping[int, int]]: ...


class _Seen(NamedTuple):
    """Since when (monotonic seconds), up to which offset of each partition, and id → (partition, offset)."""

    began: float
    ends: dict[int, int]
    places: dict[bytes | None, list[tuple[int, int]]]


class Newest:
    """Used by one thread."""

    def __init__(self, lookup: Reads, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup, self._clock = lookup, clock
        self._seen = OrderedDict[str, _Seen]()

    def of(self, topic: str, partitions: int, id: str) -> list[str]:
        """Coordinates of the newest records of that id. Raises `Retry`."""
        seen = self._seen.pop(topic, None)
        if seen is None or self._clock() - seen.began > KEPT_SECONDS:
            seen = _Seen(self._clock(), {}, {})
        records, ends = self._lookup.latest(topic, partitions, LATEST, seen.ends)
        for record in records:
            seen.places.setdefault(header(record.headers, "ce_id"), []).append((record.partition, record.offset))
        seen.ends.update(ends)
        self._seen[topic] = seen  # only now: what was read in part is read again
        if len(self._seen) > KEPT_TOPICS:
            self._seen.popitem(last=False)
        return [f"{topic}/{partition}/{offset}" for partition, offset in seen.places.get(id.encode(), ())]
