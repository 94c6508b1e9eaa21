"""What the ledger remembers under one key: a person, or a case.

Entries never change; applying an event makes a new one. The same `remember` serves an event that is
applied now and a fact read back from `state.ledger`, so state rebuilt is state as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hub.pipeline.fold import Fact

DIGEST = 16


class Entry(NamedTuple):
    """`version` is the number of events applied; `seen` holds identity and content, 32 bytes an event.

    `sequences` holds the highest sequence number per (source, stream).
    """

    version: int = 0
    seen: bytes = b""
    facts: tuple[Fact, ...] = ()
    sequences: tuple[tuple[str, str, int], ...] = ()


EMPTY = Entry()


def content_of(entry: Entry, identity: bytes) -> bytes | None:
    """The content digest applied under that identity, or None."""
    seen = entry.seen
    at = seen.find(identity)
    while at >= 0:
        if at % (2 * DIGEST) == 0:
            return seen[at + DIGEST : at + 2 * DIGEST]
        at = seen.find(identity, at + 1)
    return None


def is_late(entry: Entry, fact: Fact) -> bool:
    """Whether an event effective later, of the same stream, is applied already."""
    return any(other.effective > fact.effective and other.stream == fact.stream for other in entry.facts)


def sequence_gap(entry: Entry, source: str, stream: str, sequence: int | None) -> bool:
    """Whether `sequence` leaves a number out after the highest one applied from that source and stream."""
    highest = _highest(entry, source, stream)
    return sequence is not None and highest is not None and sequence > highest + 1


def remember(entry: Entry, stored: Mapping[str, Any]) -> Entry:
    """The entry after one more event; `stored` is the plain value of a `hub.Fact`."""
    fact = fact_of(stored)
    return Entry(
        entry.version + 1,
        entry.seen + stored["identity"] + stored["content"],
        entry.facts if fact is None else (*entry.facts, fact),
        _raised(entry, stored["source"], stored["stream"], stored["sequence"]),
    )


def fact_of(stored: Mapping[str, Any]) -> Fact | None:
    """What the fold needs of a stored fact; None where the event does not touch a status."""
    if stored["kind"] is None:
        return None
    sequence = stored["sequence"]
    return Fact(
        stored["effective"],
        stored["time"],
        stored["source"],
        -1 if sequence is None else sequence,
        stored["id"],
        stored["stream"],
        stored["kind"],
        stored["slot"],
        stored["transition"],
        stored["until"],
        stored["document"],
        stored["voids"],
        tuple(sorted(stored["attributes"].items())),
    )


def _highest(entry: Entry, source: str, stream: str) -> int | None:
    return next((n for s, t, n in entry.sequences if s == source and t == stream), None)


def _raised(entry: Entry, source: str, stream: str, sequence: int | None) -> tuple[tuple[str, str, int], ...]:
    highest = _highest(entry, source, stream)
    if sequence is None or (highest is not None and sequence <= highest):
        return entry.sequences
    others = tuple(row for row in entry.sequences if row[:2] != (source, stream))
    return (*others, (source, stream, sequence))
