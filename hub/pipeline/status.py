"""Status: the `hub.PersonStatus` of a person, written from the facts about them, or from what stood before.

A decision that comes in order, later than all that are known, and that annuls and replaces none, changes little: it
ends the last interval of its kind and slot, and begins one. So what *stands* is kept, and such a decision, as most are,
is written without reading the facts:

    the last fact: i32 effective day │ i64 time │ i64 sequence │ u16 bytes of its source │ source │ facets
    facet: u32 lengths of head, done and tail │ u32 intervals │ i32 start │ i64 until │ head │ done │ tail
           head: kind and slot │ done: all intervals but the last, as they are written │ tail: the last one's source and
           attributes; `start` and `until` are its days

Nothing stands where a decision annuls or replaces another one: then it takes all facts to say what holds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from hub.avro.packer import SIZE, array, data, number
from hub.avro.records import RecordCodec
from hub.pipeline.facts import Facts, Placed
from hub.pipeline.fold import Fact, Interval, fold

_LAST, _FACET = struct.Struct("<iqqH"), struct.Struct("<IIIIiq")
_unpack_last, _pack_facet, _unpack_facet = _LAST.unpack_from, _FACET.pack, _FACET.unpack_from
OPEN = 1 << 40
"""For `until`, where an interval has no end: later than any day."""

SLOTS = 16_384
"""Kept as they are written; a slot may be a case or a contract, of which there is no end."""

_Facet = tuple[bytes, bytes, bytes, int, int, int]
"""Head, done, tail, the number of intervals, of which there is one at least, and the days of the last one."""

Written = tuple[bytes, bytes]
"""The wire bytes of a status, and what stands."""


class StatusWriter:
    """`write(key, version, facts)` gives the wire bytes: facets in order of (kind, slot)."""

    def __init__(self, codec: RecordCodec) -> None:
        self._person = codec.partial(raw=("person_id", "statuses"))
        self._status = codec.nested("statuses", raw=("intervals",))
        self._interval = codec.nested("statuses", "intervals", raw=("source", "attributes"))
        self._facet = lru_cache(SLOTS)(lambda kind, slot: self._status(kind, slot, b""))
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
        status = self._person(data(key), version, array(facets, self._written))
        if not facts or any(fact.voids is not None or fact.transition == "annul" for fact in facts):
            return status, b""
        last = max(facts)
        standing = _standing(last.effective, last.time, last.source.encode(), last.sequence, map(_kept, facets))
        return status, standing

    def after(
        self, key: bytes, version: int, standing: bytes, of: Facts, placed: Placed | None, time: int, sequence: int
    ) -> Written | None:
        """As `write`, with one more fact that is of `of` and `placed`, or with none (an event that touches no status).
        None where all facts have to be read."""
        last_day, last_time, last_sequence, length = _unpack_last(standing)
        at, end = _LAST.size + length, len(standing)
        head, effective, until = b"", 0, None
        if placed is not None:
            slot, effective, until, shown, keeps = placed
            last = last_day, last_time, standing[_LAST.size : at], last_sequence
            if not keeps or (effective, time, of.agency, sequence) <= last:
                return None
            head = self._facet(of.kind, slot)
        facets, kept, changed = list[_Facet](), list[bytes](), placed is None
        while at < end:
            facet, following = _facet_at(standing, at)
            if facet[0] == head and placed is not None:
                found = self._changed(facet, effective, until, of.source + shown, begins=of.begins(placed))
                if found is None:
                    return None
                facet, changed = found, True
                kept.append(_kept(facet))
            else:
                kept.append(standing[at:following])
            facets.append(facet)
            at = following
        if not changed:
            return None
        status = self._person(SIZE[len(key)] + key, version, array(facets, self._written))
        return status, standing if placed is None else _standing(effective, time, of.agency, sequence, kept)

    def _changed(self, facet: _Facet, effective: int, until: int | None, tail: bytes, *, begins: bool) -> _Facet | None:
        """The intervals after a decision in order: the last one ends then, if not before, and another one may begin.
        None where it takes the facts to say which is the last one now."""
        head, done, before, intervals, start, ends = facet
        ends = min(ends, effective)
        if not begins:
            return (head, done, before, intervals, start, ends) if start < ends else None
        if start < ends:
            done, intervals = done + self._interval(start, ends, before, b""), intervals + 1
        return head, done, tail, intervals, effective, OPEN if until is None else until

    def _of(self, kind: str, slot: str | None, intervals: Sequence[Interval]) -> _Facet:
        *before, (start, until, source, attributes) = intervals
        done = b"".join(map(self._between, before)) if before else b""
        ends = OPEN if until is None else until
        return self._facet(kind, slot), done, self._source(source) + attributes, len(intervals), start, ends

    def _written(self, facet: _Facet) -> bytes:
        head, done, tail, intervals, start, ends = facet
        last = self._interval(start, None if ends == OPEN else ends, tail, b"")
        return b"%b%b%b%b\0" % (head, number(intervals), done, last)

    def _between(self, interval: Interval) -> bytes:
        start, until, source, attributes = interval
        return self._interval(start, until, self._source(source), attributes)


def _standing(effective: int, time: int, source: bytes, sequence: int, facets: Iterable[bytes]) -> bytes:
    return b"".join((_LAST.pack(effective, time, sequence, len(source)), source, *facets))


def _kept(facet: _Facet) -> bytes:
    head, done, tail, intervals, start, ends = facet
    return _pack_facet(len(head), len(done), len(tail), intervals, start, ends) + head + done + tail


def _facet_at(standing: bytes, at: int) -> tuple[_Facet, int]:
    """A facet, and where the next one is."""
    a, b, c, intervals, start, ends = _unpack_facet(standing, at)
    head = at + _FACET.size
    done = head + a
    tail = done + b
    end = tail + c
    return (standing[head:done], standing[done:tail], standing[tail:end], intervals, start, ends), end


def _order(facet: tuple[str, str | None]) -> tuple[str, str]:
    return facet[0], facet[1] or ""
