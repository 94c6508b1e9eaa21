"""What generated scanners call where the common case does not apply: wide numbers, long texts, blocks, map keys.

Offsets in, offsets out. Running over the end shows as IndexError or as an offset past the end, which the scanner
turns into a refusal; every step moves forward, so neither can be missed.
"""

from __future__ import annotations

from hub.avro.logical import FIRST_DAY, FIRST_MILLI, LAST_DAY, LAST_MILLI


class Refused(Exception):
    """The scanner does not take these bytes; the careful path says why, or takes them."""


def coded(v: bytes, o: int) -> tuple[int, int]:
    """A varint in the fewest bytes, at most 64 bits wide: still zigzag-coded, and where it ends."""
    c = v[o]
    n = c & 127
    shift = 7
    o += 1
    while c > 127:
        if shift > 63:
            raise Refused
        c = v[o]
        o += 1
        n |= (c & 127) << shift
        shift += 7
    if (not c and shift > 7) or n >> 64:
        raise Refused
    return n, o


def int_value(v: bytes, o: int) -> tuple[int, int]:
    n, o = coded(v, o)
    if n >> 32:
        raise Refused
    return n >> 1 ^ -(n & 1), o


def long_value(v: bytes, o: int) -> tuple[int, int]:
    n, o = coded(v, o)
    return n >> 1 ^ -(n & 1), o


def date_value(v: bytes, o: int) -> tuple[int, int]:
    days, o = int_value(v, o)
    if not FIRST_DAY <= days <= LAST_DAY:
        raise Refused
    return days, o


def timestamp_value(v: bytes, o: int) -> tuple[int, int]:
    millis, o = long_value(v, o)
    if not FIRST_MILLI <= millis <= LAST_MILLI:
        raise Refused
    return millis, o


TEXT = tuple(0 if first & 129 else 1 + (first >> 1) for first in range(256))
"""By the first byte of a string: its size with its length, when it has fewer than 64 bytes; else 0."""


def span(v: bytes, o: int, text: bool = False) -> tuple[int, int]:
    """Start and end of what a length announces; with `text`, its UTF-8 is checked."""
    n, o = coded(v, o)
    end = o + (n >> 1)
    if n & 1 or end > len(v):
        raise Refused
    if text:
        v[o:end].decode()
    return o, end


def block(v: bytes, o: int, smallest: int) -> tuple[int, int, int]:
    """Count of a block's items, the offset it says it ends at (0: it does not say), where its items start."""
    n, o = coded(v, o)
    if not n & 1:
        count, stop = n >> 1, 0
    else:
        count, (size, o) = (n >> 1) + 1, coded(v, o)
        stop = o + (size >> 1)
        if size & 1 or stop > len(v):
            raise Refused
    if count * smallest > len(v) - o:
        raise Refused
    return count, stop, o


def map_key(v: bytes, o: int, seen: set[bytes]) -> tuple[bytes, int]:
    """A key not met before in this map, as bytes, and where it ends."""
    start, end = span(v, o, True)
    key = v[start:end]
    if key in seen:
        raise Refused
    seen.add(key)
    return key, end
