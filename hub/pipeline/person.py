"""What the ledger remembers under one key: a person, or a case.

An entry is one string of bytes, so that a million of them fit a process and the collector never looks at them:

    u32 events │ u16 channels │ u16 bytes of standing │ events × (identity 16 │ content 8) │
    channels × (u16 channel │ i64 highest) │ standing │ facts
    fact: length, a varint │ the fact, compact (see `hub.pipeline.forms`)

Entries never change; applying an event makes a new one. The same `remember` serves an event that is applied now
and a fact read back from `state.ledger`, so state rebuilt is state as it was, but for what is standing: that follows
from the facts (see `hub.pipeline.status`), and is there once a status was written from all of them.
"""

from __future__ import annotations

import struct

from hub.avro.packer import unsigned

DIGEST = 16
CONTENT = 8
"""Bytes kept of the digest of what an event says: they tell a repeat from another event under a used id, among the
few events of one person."""

_ROW = DIGEST + CONTENT
_HEAD, _MARK = struct.Struct("<IHH"), struct.Struct("<Hq")
_pack_head, _unpack_head = _HEAD.pack, _HEAD.unpack_from
_pack_mark, _unpack_mark = _MARK.pack, _MARK.unpack_from
_HEAD_BYTES, _MARK_BYTES = _HEAD.size, _MARK.size
EMPTY = _pack_head(0, 0, 0)
MOST_STANDING = 1024
"""Bytes, some twenty intervals: what stands of a person with a longer history is found out anew each time, or an entry
would grow with each event by more than the event itself."""


def version(entry: bytes) -> int:
    """How many events were applied."""
    return int.from_bytes(entry[:4], "little")


def content_of(entry: bytes, identity: bytes) -> bytes | None:
    """The first `CONTENT` bytes of the digest of the content applied under that identity, or None."""
    end = _HEAD_BYTES + _ROW * version(entry)
    at = entry.find(identity, _HEAD_BYTES, end)
    while at >= 0:
        if (at - _HEAD_BYTES) % _ROW == 0:
            return entry[at + DIGEST : at + _ROW]
        at = entry.find(identity, at + 1, end)
    return None


def facts_of(entry: bytes) -> list[bytes]:
    """The facts in the order in which they were applied, compact."""
    (_, at), end = standing_at(entry), len(entry)
    found = []
    while at < end:
        length = entry[at]
        at += 1
        if length > 127:
            at, length = _longer(entry, at, length)
        found.append(entry[at : at + length])
        at += length
    return found


def standing_of(entry: bytes) -> bytes:
    """What stands of the facts; empty where they have to be read."""
    start, end = standing_at(entry)
    return entry[start:end]


def standing_at(entry: bytes) -> tuple[int, int]:
    """Where what stands begins, and where the facts do."""
    events, channels, standing = _unpack_head(entry)
    start = _HEAD_BYTES + _ROW * events + _MARK_BYTES * channels
    return start, start + standing


Remembered = tuple[bytes, bool]
"""An entry after one more event, and whether a sequence number before it is missing."""


def remember(
    entry: bytes,
    identity: bytes,
    content: bytes,
    channel: int,
    sequence: int | None,
    fact: bytes | None,
    standing: bytes = b"",
) -> Remembered:
    """`channel` is a source and stream, numbered by the ledger; `fact` is None where the event touches no status;
    `standing` is what stands with it, of all facts."""
    events, channels, old = _unpack_head(entry)
    seen = _HEAD_BYTES + _ROW * events
    end = seen + _MARK_BYTES * channels
    marks, gap = entry[seen:end], False
    if sequence is not None:
        marks, channels, gap = _raised(entry, seen, channels, channel, sequence)
    if len(standing) > MOST_STANDING:
        standing = b""
    head, facts = _pack_head(events + 1, channels, len(standing)), entry[end + old :]
    parts = (head, entry[_HEAD_BYTES:seen], identity, content[:CONTENT], marks, standing, facts)
    if fact is None:
        return b"".join(parts), gap
    return b"".join((*parts, unsigned(len(fact)), fact)), gap


def _raised(entry: bytes, at: int, channels: int, channel: int, sequence: int) -> tuple[bytes, int, bool]:
    """The marks of an entry, which stand at `at`, with this number; how many; whether it leaves numbers out."""
    if channels == 0:
        return _pack_mark(channel, sequence), 1, False
    if channels == 1:
        known, highest = _unpack_mark(entry, at)
        if known == channel:  # most persons
            return _pack_mark(channel, max(highest, sequence)), 1, sequence > highest + 1
    marks = dict(_MARK.iter_unpack(entry[at : at + _MARK_BYTES * channels]))
    before = marks.get(channel, sequence)
    marks[channel] = max(before, sequence)
    return b"".join([_pack_mark(*row) for row in marks.items()]), len(marks), sequence > before + 1


def _longer(entry: bytes, at: int, length: int) -> tuple[int, int]:
    """Where a length of several bytes ends, and it; `length` is its first byte, just before `at`."""
    length &= 127
    shift = 7
    while True:
        byte = entry[at]
        at += 1
        length |= (byte & 127) << shift
        if byte < 128:
            return at, length
        shift += 7
