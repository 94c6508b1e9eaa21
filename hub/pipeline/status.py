"""Status: the `hub.PersonStatus` of a person, written from the facts about them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from hub.avro.packer import SIZE, array, data
from hub.avro.records import RecordCodec
from hub.pipeline.facts import Placed
from hub.pipeline.fold import Fact, Interval, fold


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
        slot, effective, until, shown = placed
        between = self._interval(effective, until, source, shown)
        return self._person(SIZE[len(key)] + key, version, b"\2%b\2%b\0\0" % (self._facet(kind, slot), between))

    def write(self, key: bytes, version: int, facts: Sequence[Fact]) -> bytes:
        """`key` is the person id; `version` the number of events applied."""
        folded = fold(facts)
        facets = sorted(folded, key=_order) if len(folded) > 1 else folded
        standing = [(kind, slot, folded[kind, slot]) for kind, slot in facets if folded[kind, slot]]
        return self._person(data(key), version, array(standing, self._of))

    def _of(self, facet: tuple[str, str | None, list[Interval]]) -> bytes:
        kind, slot, intervals = facet
        return self._facet(kind, slot) + array(intervals, self._between)

    def _between(self, interval: Interval) -> bytes:
        start, until, source, attributes = interval
        return self._interval(start, until, self._source(source), attributes)


def _order(facet: tuple[str, str | None]) -> tuple[str, str]:
    return facet[0], facet[1] or ""
