"""Status: the `hub.PersonStatus` of a person, written from the facts about them, or from what stood before.

A decision that comes in order, later than all that are known, and that annuls and replaces none, changes little: it
ends the last interval of its kind and slot, and begins one. So what *stands* is kept, and such a decision, as most are,
is written without reading the facts:

    the last fact: i32 effective day │ i64 time │ i64 sequence │ u16 bytes of its source │ source │ facets
    facet: lengths of head, done and tail │ u16 intervals │ i32 start │ i64 until │ head │ done │ tail
           head: kind and slot │ done: all intervals but the last, as they are written │ tail: the last one's source and
           attributes; `start` and `until` are its days

Nothing stands where a decision annuls or replaces another one: then it takes all facts to say what holds.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from hub.avro.packer import SIZE, array, data, number
from hub.avro.records import RecordCodec
from hub.pipeline.facts import Facts, Placed
from hub.pipeline.fold import Fact, Interval, fold

_LAST, _FACET = struct.Struct("<iqqH"), struct.Struct("<HIIHiq")
OPEN = 1 << 40
"""For `until`, where an interval has no end."""

Order = tuple[int, int, bytes, int]
"""Of a fact: effective day, time, source and sequence. Where they are equal the id decides, which is not kept."""

Written = tuple[bytes, bytes]
"""The wire bytes of a status, and what stands."""


class _Facet(NamedTuple):
    """The intervals of one kind and slot, of which there is one at least."""

    head: bytes
    done: bytes
    tail: bytes
    intervals: int
    start: int
    until: int | None

    def kept(self) -> bytes:
        head, done, tail, intervals, start, until = self
        until = OPEN if until is None else until
        return _FACET.pack(len(head), len(done), len(tail), intervals, start, until) + head + done + tail


class StatusWriter:
    """`write(key, version, facts)` gives the wire bytes: facets in order of (kind, slot)."""

    def __init__(self, codec: RecordCodec) -> None:
        self._person = codec.partial(raw=("person_id", "statuses"))
        self._status = codec.nested("statuses", raw=("intervals",))
        self._interval = codec.nested("statuses", "intervals", raw=("source", "attributes"))
        self._facet = cache(lambda kind, slot: self._status(kind, slot, b""))
        self._source = cache(lambda source: data(source.encode()))

    def one(self, key: bytes, version: int, kind: str, source: bytes, placed: Placed) -> bytes:
        """The status that one fact alone makes, as `write` writes it; `source` is given as it is written."""
        slot, effective, until, shown, _ = placed
        between = self._interval(effective, until, source, shown)
        return self._person(SIZE[len(key)] + key, version, b"\2%b\2%b\0\0" % (self._facet(kind, slot), between))

    def write(self, key: bytes, version: int, facts: Sequence[Fact]) -> Written:
        """`key` is the person id; `version` the number of events applied."""
        folded = fold(facts)
        order = sorted(folded, key=_order) if len(folded) > 1 else folded
        facets = [self._of(kind, slot, folded[kind, slot]) for kind, slot in order if folded[kind, slot]]
        status = self._person(data(key), version, array(facets, self._bytes))
        if not facts or any(fact.voids is not None or fact.transition == "annul" for fact in facts):
            return status, b""
        last = max(facts)
        return status, _standing((last.effective, last.time, last.source.encode(), last.sequence), facets)

    def after(
        self, key: bytes, version: int, standing: bytes, of: Facts, placed: Placed | None, time: int, sequence: int
    ) -> Written | None:
        """As `write`, with one more fact that is of `of` and `placed`, or with none (an event that touches no status).
        None where all facts have to be read."""
        last, facets = _stood(standing)
        if placed is not None:
            now = placed[1], time, of.agency, sequence
            if not placed[4] or now <= last or not self._changed(facets, of, placed):
                return None
            standing = _standing(now, facets)
        return self._person(data(key), version, array(facets, self._bytes)), standing

    def _changed(self, facets: list[_Facet], of: Facts, placed: Placed) -> bool:
        """Whether a fact in order could be put in its place."""
        slot, effective, until, shown, _ = placed
        head = self._facet(of.kind, slot)
        place = next((at for at, facet in enumerate(facets) if facet.head == head), None)
        if place is None:
            return False
        _, done, tail, intervals, start, ends = facets[place]
        if ends is None or effective < ends:
            ends = effective
        stays, begins = start < ends, of.sets and (until is None or effective < until)
        if begins:
            if stays:
                done, intervals = done + self._interval(start, ends, tail, b""), intervals + 1
            facets[place] = _Facet(head, done, of.source + shown, intervals, effective, until)
        elif stays:
            facets[place] = _Facet(head, done, tail, intervals, start, ends)
        return begins or stays

    def _of(self, kind: str, slot: str | None, intervals: Sequence[Interval]) -> _Facet:
        *before, (start, until, source, attributes) = intervals
        done = b"".join(map(self._between, before)) if before else b""
        return _Facet(self._facet(kind, slot), done, self._source(source) + attributes, len(intervals), start, until)

    def _bytes(self, facet: _Facet) -> bytes:
        head, done, tail, intervals, start, until = facet
        return b"".join((head, number(intervals), done, self._interval(start, until, tail, b""), b"\0"))

    def _between(self, interval: Interval) -> bytes:
        start, until, source, attributes = interval
        return self._interval(start, until, self._source(source), attributes)


def _standing(last: Order, facets: Sequence[_Facet]) -> bytes:
    effective, time, source, sequence = last
    return b"".join((_LAST.pack(effective, time, sequence, len(source)), source, *(facet.kept() for facet in facets)))


def _stood(standing: bytes) -> tuple[Order, list[_Facet]]:
    effective, time, sequence, length = _LAST.unpack_from(standing)
    facets, at = list[_Facet](), _LAST.size + length
    last = effective, time, standing[_LAST.size : at], sequence
    while at < len(standing):
        a, b, c, intervals, start, until = _FACET.unpack_from(standing, at)
        head = at + _FACET.size
        done = head + a
        tail = done + b
        at = tail + c
        ends = None if until == OPEN else until
        facets.append(_Facet(standing[head:done], standing[done:tail], standing[tail:at], intervals, start, ends))
    return last, facets


def _order(facet: tuple[str, str | None]) -> tuple[str, str]:
    return facet[0], facet[1] or ""
