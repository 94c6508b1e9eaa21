"""A place in Avro bytes: numbers, lengths and stretches of bytes, taken strictly."""

from __future__ import annotations

from hub.avro.invalid import Invalid, invalid
from hub.errors import Code


class Cursor:
    """Where a reader stands in the bytes; `canonical` turns False when an encoder had a choice and used it."""

    __slots__ = ("at", "canonical", "data", "end")

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        self.end = len(data)
        self.canonical = True

    def varint(self) -> int:
        """A zigzag number of at most 64 bits in the fewest bytes."""
        data, at, end = self.data, self.at, self.end
        if at < end and (byte := data[at]) < 128:
            self.at = at + 1
            return byte >> 1 ^ -(byte & 1)
        return self._wide_varint(data, at, end)

    def _wide_varint(self, data: bytes, at: int, end: int) -> int:
        coded = shift = 0
        while at < end and shift < 70:
            byte = data[at]
            at += 1
            coded |= (byte & 127) << shift
            if byte < 128:
                self._check_varint(byte, shift, coded)
                self.at = at
                return coded >> 1 ^ -(coded & 1)
            shift += 7
        if shift < 70:
            raise self.truncated("the rest of a number", 1)
        raise Invalid(Code.BODY_OVERLONG, "a number of at most 10 bytes", f"more at offset {self.at}")

    def _check_varint(self, last: int, shift: int, coded: int) -> None:
        if shift and not last:
            raise Invalid(Code.BODY_OVERLONG, "a number in the fewest bytes", f"needless bytes at offset {self.at}")
        if coded >> 64:
            raise invalid("a number of at most 64 bits", f"a wider one at offset {self.at}")

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes."""
        at = self.at
        if count > self.end - at:
            raise self.truncated(what, count)
        self.at = at + count
        return self.data[at : at + count]

    def sized(self, what: str) -> bytes:
        """A length and that many bytes."""
        count = self.varint()
        if count < 0:
            raise invalid(f"{what} of a length of 0 or more", f"a negative length before offset {self.at}")
        return self.take(count, what)

    def truncated(self, what: str, count: int) -> Invalid:
        left = self.end - self.at
        found = f"the end of the body, {left} bytes on, at offset {self.at}"
        return Invalid(Code.BODY_TRUNCATED, f"{what} ({count} bytes or more)", found)
