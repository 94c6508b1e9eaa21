"""Headers as they are written: how many, then each name and value with its length before it.

Kafka writes lengths as Avro does, so that whoever makes headers for many records writes what they share once.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.avro.packer import data, number
from hub.avro.reading import number_at, text_at
from hub.event import Headers

NO_HEADERS = b"\0"
NO_BYTES = number(-1)
"""The length of what is not there."""


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
    return data(name.encode()) + (NO_BYTES if value is None else data(value))


def unpack_headers(headers: Headers | bytes) -> Sequence[tuple[str, bytes]]:
    """Pairs again. Trusted: the hub packed them, each with a value."""
    if not isinstance(headers, bytes):
        return headers
    at, count = number_at(headers, 0)
    found = []
    for _ in range(count):
        start, end = text_at(headers, at)
        begin, at = text_at(headers, end)
        found.append((headers[start:end].decode(), headers[begin:at]))
    return found
