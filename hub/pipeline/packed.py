"""Headers as they are written: how many, then each name and value with its length before it.

Kafka writes lengths as Avro does, so that whoever makes headers for many records writes what they share once.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.avro.packer import data, number
from hub.event import Headers

NO_HEADERS = b"\0"
_NO_BYTES = number(-1)


def varint(value: int) -> bytes:
    """A number as Kafka and Avro write it."""
    return number(value)


def pack_headers(headers: Headers | bytes) -> bytes:
    """What is packed already passes. A header may have no value."""
    if isinstance(headers, bytes):
        return headers
    return number(len(headers)) + b"".join(pack_header(name, value) for name, value in headers)


def pack_header(name: str, value: bytes | None) -> bytes:
    """One header."""
    return data(name.encode()) + (_NO_BYTES if value is None else data(value))


def unpack_headers(headers: Headers | bytes) -> Sequence[tuple[str, bytes]]:
    """Pairs again. Trusted: the hub packed them, each with a value."""
    if not isinstance(headers, bytes):
        return headers
    found, (count, at) = [], _number(headers, 0)
    for _ in range(count):
        name, at = _sized(headers, at)
        value, at = _sized(headers, at)
        found.append((name.decode(), value))
    return found


def _sized(packed: bytes, at: int) -> tuple[bytes, int]:
    length, at = _number(packed, at)
    return packed[at : at + length], at + length


def _number(packed: bytes, at: int) -> tuple[int, int]:
    shift = zigzag = 0
    while True:
        byte = packed[at]
        zigzag |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return zigzag >> 1 ^ -(zigzag & 1), at
        shift += 7
