"""Forms: a fact as an entry keeps it, without what all facts of its kind from its agency say.

Of a `hub.Fact` source, stream, kind and transition (and that it has no slot, where it has none) are its *form*. A
ledger numbers the forms that it meets; a compact fact is that number and the other fields as they were written:

    form, a varint │ sequence │ time │ id │ [slot │ transition] │ effective │ until │ document │ voids │ attributes

The numbers are a process's own: state is always rebuilt from the facts in full.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from hub.avro.packer import number
from hub.avro.records import WIRE_HEADER_BYTES, RecordCodec
from hub.pipeline.fold import Fact

IDENTITY, DIGESTS = 16, 32
REMEMBERED = 65_536
"""So many facts of persons whose status changed last are kept read."""

_BEFORE, _AFTER = ("sequence", "time", "id"), ("effective", "until", "document", "voids", "attributes")
_HEADER = bytes(WIRE_HEADER_BYTES)

Read = Callable[[bytes], Fact]


class Form(NamedTuple):
    """`channel` is the number of its source and stream; `prefix` the form's own, as a compact fact begins with it.

    `skips` are the bytes of a full fact that are left out after its id; `touches` says whether it touches a status.
    """

    channel: int
    prefix: bytes
    skips: int
    touches: bool


Kept = tuple[bytes, bytes, bytes, Form, int | None, bytes | None]
"""One record of `state.ledger`, cut into what an entry keeps: key, identity, content, form, sequence, and the fact,
compact, None where it touches no status."""


class Forms:
    """The forms that a ledger has met; `channel` numbers a source and stream."""

    def __init__(self, codec: RecordCodec, channel: Callable[[str, str], int]) -> None:
        self._codec, self._channel = codec, channel
        self._known: dict[tuple[bytes, bytes], Form] = {}
        self._readers: list[Read] = []
        self.read: Read = lru_cache(maxsize=REMEMBERED)(self._read)
        """What the fold reads of a compact fact."""

    def kept(self, value: bytes) -> Kept:
        """Cut the wire bytes of a `hub.Fact`; trusted, the hub wrote them."""
        start, digests = _text(value, WIRE_HEADER_BYTES)
        contents, about = digests + IDENTITY, digests + DIGESTS
        source = _end(value, about)
        said = at = _end(value, _end(value, source))
        sequence = None
        if value[at]:
            at, sequence = _number(value, at + 1)
        else:
            at += 1
        while value[at] > 127:  # the time
            at += 1
        kind = at = _end(value, at + 1)
        if value[at]:
            at = _end(value, at + 1)
            if not value[at]:
                at += 3  # the slot, which it has not, and the transition, which every status has: one of three
        common = value[source:said], value[kind:at]
        form = self._known.get(common) or self._met(*common)
        fact = form.prefix + value[said:kind] + value[at:] if form.touches else None
        return value[start:digests], value[digests:contents], value[contents:about], form, sequence, fact

    def _met(self, who: bytes, kind: bytes) -> Form:
        """A form seen for the first time: `source │ stream`, and `kind` or `kind │ slot │ transition`; kind empty: none."""
        _, source, stream = self._codec.scanner("source", "stream")(_HEADER + who)
        prefix = number(len(self._readers))
        if kind:
            self._readers.append(self._reader(source, stream, kind))
        form = Form(self._channel(source, stream), prefix, len(kind), bool(kind))
        self._known[who, kind] = form
        return form

    def _reader(self, source: str, stream: str, kind: bytes) -> Read:
        if len(kind) == _end(kind, 1):
            _, name = self._codec.scanner("kind")(_HEADER + kind)
            scan = self._codec.scanner(*_BEFORE, "slot", "transition", *_AFTER, cut="attributes")

            def read(fact: bytes) -> Fact:
                _, sequence, time, id, slot, transition, effective, until, document, voids, shown = scan(fact)
                order = (effective, time, source, -1 if sequence is None else sequence, id)
                return Fact(*order, stream, name, slot, transition, until, document, voids, shown[WIRE_HEADER_BYTES:])

            return read
        _, name, slot, transition = self._codec.scanner("kind", "slot", "transition")(_HEADER + kind)
        scan = self._codec.scanner(*_BEFORE, *_AFTER, cut="attributes")

        def read_without_slot(fact: bytes) -> Fact:
            _, sequence, time, id, effective, until, document, voids, shown = scan(fact)
            order = (effective, time, source, -1 if sequence is None else sequence, id)
            return Fact(*order, stream, name, slot, transition, until, document, voids, shown[WIRE_HEADER_BYTES:])

        return read_without_slot

    def _read(self, fact: bytes) -> Fact:
        at, form = _number(fact, 0)
        return self._readers[form](_HEADER + fact[at:])


def _end(value: bytes, at: int) -> int:
    """Where the string at `at` ends."""
    length = value[at]
    return at + 1 + (length >> 1) if length < 128 else _text(value, at)[1]


def _text(value: bytes, at: int) -> tuple[int, int]:
    """Where a string's own bytes begin and end."""
    at, length = _number(value, at)
    return at, at + length


def _number(value: bytes, at: int) -> tuple[int, int]:
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
