"""What an audit enters in its books, one kind for each kind of topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Place(NamedTuple):
    """Coordinates of a record: prefix of its topic, the topic's agency, partition, offset."""

    kind: str
    agency: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.kind}.{self.agency}/{self.partition}/{self.offset}"


class Arrival(NamedTuple):
    """An input record; `at` in milliseconds since 1970."""

    at: int
    headers: Mapping[str, bytes]
    value: bytes | None


class Verdict(NamedTuple):
    """What a receipt says; `name` is APPLIED, DUPLICATE or REJECTED, `decided` in milliseconds since 1970."""

    name: str
    code: str | None
    event_id: str | None
    version: int | None
    late: bool
    decided: int


class Offer(NamedTuple):
    """A record of `out.<agency>`; `accepted` in milliseconds since 1970."""

    place: Place
    attributes: Mapping[str, bytes]
    value: bytes
    accepted: int


class Applied(NamedTuple):
    """What is kept of an applied event: what is due and not offered yet, and for whom all it was."""

    open: dict[str, bytes]
    agencies: frozenset[str]
    place: Place
    at: int
    late: bool
    version: int | None
