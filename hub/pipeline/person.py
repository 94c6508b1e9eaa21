"""What the ledger remembers under one key: a person, or a case.

An entry is one string of bytes, so that a million of them fit a process and the collector never looks at them:

    u32 events │ u16 channels │ events × (identity 16 │ content 16) │ channels × (u16 channel │ i64 highest) │ facts
    fact: u32 length │ the tail of its `hub.Fact` (see `hub.pipeline.facts`)

Entries never change; applying an event makes a new one. The same `remember` serves an event that is applied now
and a fact read back from `state.ledger`, so state rebuilt is state as it was.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

DIGEST = 16
_HEAD, _MARK, _LENGTH = struct.Struct("<IH"), struct.Struct("<Hq"), struct.Struct("<I")
EMPTY = _HEAD.pack(0, 0)


def version(entry: bytes) -> int:
    """How many events were applied."""
    return int.from_bytes(entry[:4], "little")


def content_of(entry: bytes, identity: bytes) -> bytes | None:
    """The content digest applied under that identity, or None."""
    start, end = _HEAD.size, _HEAD.size + 2 * DIGEST * version(entry)
    at = entry.find(identity, start, end)
    while at >= 0:
        if (at - start) % (2 * DIGEST) == 0:
            return entry[at + DIGEST : at + 2 * DIGEST]
        at = entry.find(identity, at + 1, end)
    return None


def facts_of(entry: bytes) -> list[bytes]:
    """The facts in the order in which they were applied, each the tail of a `hub.Fact`."""
    events, channels = _HEAD.unpack_from(entry)
    at, end = _HEAD.size + 2 * DIGEST * events + _MARK.size * channels, len(entry)
    found = []
    while at < end:
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(entry, at)[0]
        found.append(entry[start:at])
    return found


class Remembered(NamedTuple):
    """An entry after one more event, how many events that makes, and whether a sequence number before it is missing."""

    entry: bytes
    version: int
    gap: bool


def remember(
    entry: bytes, identity: bytes, content: bytes, channel: int, sequence: int | None, fact: bytes | None
) -> Remembered:
    """`channel` is a source and stream, numbered by the ledger; `fact` is None where the event touches no status."""
    events, channels = _HEAD.unpack_from(entry)
    seen = _HEAD.size + 2 * DIGEST * events
    end = seen + _MARK.size * channels
    marks, gap = entry[seen:end], False
    if sequence is not None:
        marks, gap = _raised(marks, channel, sequence)
    head = _HEAD.pack(events + 1, len(marks) // _MARK.size)
    length = b"" if fact is None else _LENGTH.pack(len(fact))
    after = b"".join((head, entry[_HEAD.size : seen], identity, content, marks, entry[end:], length, fact or b""))
    return Remembered(after, events + 1, gap)


def _raised(marks: bytes, channel: int, sequence: int) -> tuple[bytes, bool]:
    """The marks with this number, and whether it leaves numbers out after the highest one of its channel."""
    if not marks:
        return _MARK.pack(channel, sequence), False
    known = dict(_MARK.iter_unpack(marks))
    before = known.get(channel, sequence)
    known[channel] = max(before, sequence)
    if len(known) == 1:
        return _MARK.pack(channel, known[channel]), sequence > before + 1
    return b"".join([_MARK.pack(*row) for row in known.items()]), sequence > before + 1
