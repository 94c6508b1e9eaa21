"""Numbers and strings read from bytes that the hub itself wrote: trusted, so nothing is checked on the way."""

from __future__ import annotations


def number_at(value: bytes, at: int) -> tuple[int, int]:
    """Where an int or long ends, and it."""
    zigzag = value[at]
    at += 1
    if zigzag > 127:
        zigzag &= 127
        shift = 7
        while True:
            byte = value[at]
            at += 1
            zigzag |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
    return at, zigzag >> 1 ^ -(zigzag & 1)


def text_at(value: bytes, at: int) -> tuple[int, int]:
    """Where a string's own bytes begin and end."""
    at, length = number_at(value, at)
    return at, at + length
