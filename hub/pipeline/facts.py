"""Facts: what an applied event leaves behind, as bytes on `state.ledger` and as what the fold reads.

In an entry a fact is the tail of its record, from the field `source` on: taken back as it was written, and read
only when the person's status changes again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from hub.avro.packer import data, number
from hub.avro.records import WIRE_HEADER_BYTES, RecordCodec
from hub.catalogue import EventType
from hub.pipeline.fold import Fact

DIGESTS = 32
REMEMBERED = 65_536
"""So many facts of persons whose status changed last are kept read."""

STATUS_FIELDS = ("kind", "slot", "transition", "effective", "until", "document", "voids")
NOTHING: dict[str, Any] = {**dict.fromkeys(STATUS_FIELDS), "attributes": {}}


Placed = tuple[str | None, int, int | None, bytes]
"""Where an event stands in a status: slot, effective day, first day on which it no longer holds, what is shown."""


class Facts:
    """Writes the facts of one event type and source."""

    def __init__(self, codec: RecordCodec, of: EventType, source: str, wants: Sequence[str]) -> None:
        self.kind, self.source = of.status.kind if of.status else "", data(source.encode())
        self._sets = of.status is not None and of.status.transition == "set"
        known: dict[str, Any] = {"type": of.name, "stream": of.stream, "source": source}
        known |= {"kind": of.status.kind, "transition": of.status.transition} if of.status else NOTHING
        self._pack = codec.partial(known, ("person_id", "identity", "content", "sequence", "time", "id", "attributes"))
        self._before_tail = WIRE_HEADER_BYTES + DIGESTS + len(data(of.name.encode()))
        rule = of.status
        names = (rule.slot, rule.effective, rule.until, rule.document, rule.voids) if rule else ()
        self._placed = itemgetter(*(wants.index(name) if name else -1 for name in names)) if rule else None

    def write(
        self,
        key: bytes,
        identity: bytes,
        content: bytes,
        id: bytes,
        time: int,
        sequence: int | None,
        values: Sequence[Any],
        shown: bytes,
    ) -> tuple[bytes, bytes | None, Placed | None]:
        """The wire bytes of a fact; the tail of them that an entry keeps and its place, where it touches a status.

        `key` is the state key, `time` in milliseconds, `values` are raw, in the order of `wants`; `shown` is the map of
        the status.
        """
        person = data(key)
        written = b"\0" if sequence is None else b"\2" + number(sequence)
        if self._placed is None:
            return self._pack(person, identity, content, written, number(time), data(id)), None, None
        slot, effective, until, document, voids = self._placed((*values, None))
        of = (slot, effective, until, document, voids, shown)
        value = self._pack(person, identity, content, written, number(time), data(id), *of)
        return value, value[self._before_tail + len(person) :], (slot, effective, until, shown)

    def begins(self, placed: Placed) -> bool:
        """Whether a status holds from such a fact alone."""
        _, effective, until, _ = placed
        return self._sets and (until is None or effective < until)


def fact_reader(codec: RecordCodec) -> Callable[[bytes], Fact]:
    """A function from a fact's tail to what the fold reads of it."""
    scan = codec.tail_scanner("source", "attributes")
    header = bytes(WIRE_HEADER_BYTES)

    @lru_cache(maxsize=REMEMBERED)
    def read(tail: bytes) -> Fact:
        _, source, stream, sequence, time, id, kind, slot, transition, effective, until, document, voids, shown = scan(
            header + tail
        )
        order = (effective, time, source, -1 if sequence is None else sequence, id)
        return Fact(*order, stream, kind, slot, transition, until, document, voids, shown[WIRE_HEADER_BYTES:])

    return read


class Kept(NamedTuple):
    """One record of `state.ledger`, cut into what an entry keeps."""

    key: bytes
    identity: bytes
    content: bytes
    source: bytes
    stream: bytes
    sequence: int | None
    fact: bytes | None


def kept(value: bytes) -> Kept:
    """Cut the wire bytes that `Facts.write` made; trusted, the hub wrote them."""
    at, key = _text(value, WIRE_HEADER_BYTES)
    identity, content = value[at : at + 16], value[at + 16 : at + DIGESTS]
    tail, _ = _text(value, at + DIGESTS)
    at, source = _text(value, tail)
    at, stream = _text(value, at)
    sequence = None
    if value[at]:
        at, sequence = _number(value, at + 1)
    else:
        at += 1
    at, _when = _number(value, at)
    at, _id = _text(value, at)
    return Kept(key, identity, content, source, stream, sequence, value[tail:] if value[at] else None)


def _text(value: bytes, at: int) -> tuple[int, bytes]:
    """Where a string ends, and its bytes."""
    length = value[at]
    if length < 128:
        at += 1
        length >>= 1
    else:
        at, length = _number(value, at)
    return at + length, value[at : at + length]


def _number(value: bytes, at: int) -> tuple[int, int]:
    """Where an int or long ends, and it."""
    shift = zigzag = 0
    while True:
        byte = value[at]
        at += 1
        zigzag |= (byte & 127) << shift
        if byte < 128:
            return at, zigzag >> 1 ^ -(zigzag & 1)
        shift += 7
