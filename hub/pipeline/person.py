"""What the ledger remembers under one key: a person, or a case.

An entry is one string of bytes, so that a million of them fit a process and the collector never looks at them:

    u32 events │ u16 channels │ events × (identity 16 │ content 16) │ channels × (u16 channel │ i64 highest) │ facts
    fact: u32 length │ the tail of its `hub.Fact` (see `hub.pipeline.facts`)

Entries never change; applying an event makes a new one. The same `remember` serves an event that is applied now
and a fact read back from `state.ledger`, so state rebuilt is state as it was.
"""

from __future__ import annotations

import struct

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


def highest(entry: bytes, channel: int) -> int | None:
    """The highest sequence number applied from a channel (a source and stream, numbered by the ledger)."""
    events, channels = _HEAD.unpack_from(entry)
    if not channels:
        return None
    start = _HEAD.size + 2 * DIGEST * events
    return dict(_MARK.iter_unpack(entry[start : start + _MARK.size * channels])).get(channel)


def sequence_gap(entry: bytes, channel: int, sequence: int | None) -> bool:
    """Whether `sequence` leaves a number out after the highest one applied from that channel."""
    before = None if sequence is None else highest(entry, channel)
    return sequence is not None and before is not None and sequence > before + 1


def remember(
    entry: bytes, identity: bytes, content: bytes, channel: int, sequence: int | None, fact: bytes | None
) -> bytes:
    """The entry after one more event; `fact` is None where the event does not touch a status."""
    events, channels = _HEAD.unpack_from(entry)
    seen = _HEAD.size + 2 * DIGEST * events
    end = seen + _MARK.size * channels
    marks = entry[seen:end] if sequence is None else _raised(entry[seen:end], channel, sequence)
    parts = [_HEAD.pack(events + 1, len(marks) // _MARK.size), entry[_HEAD.size : seen], identity, content, marks]
    parts.append(entry[end:])
    if fact is not None:
        parts += (_LENGTH.pack(len(fact)), fact)
    return b"".join(parts)


def _raised(marks: bytes, channel: int, sequence: int) -> bytes:
    if not marks:
        return _MARK.pack(channel, sequence)
    known = dict(_MARK.iter_unpack(marks))
    known[channel] = max(known.get(channel, sequence), sequence)
    return b"".join(_MARK.pack(*row) for row in known.items())
