"""Forms: a fact as an entry keeps it, without what all facts of its kind from its agency say.

Of a `hub.Fact` source, stream, kind and transition (and that it has no slot, where it has none) are its *form*. Forms
are numbered; a compact fact is that number and the other fields as they were written:

    form, a varint │ sequence │ time │ id │ [slot │ transition] │ effective │ until │ document │ voids │ attributes

The numbers are a catalogue's own: state is always rebuilt from the facts in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, NamedTuple

from hub.avro.packer import number
from hub.avro.records import WIRE_HEADER_BYTES, RecordCodec
from hub.pipeline.fold import Fact

IDENTITY, DIGESTS = 16, 32
REMEMBERED = 65_536
"""So many facts of persons whose status changed last are kept read."""

_BEFORE, _AFTER = ("sequence", "time", "id"), ("effective", "until", "document", "voids", "attributes")
_HEADER = bytes(WIRE_HEADER_BYTES)


Name = tuple[str, str, str, str | None]
"""Of a form: source, stream, kind and transition; no transition where facts have slots."""


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
    """The forms of `names`, numbered in that order, and after them those that only the facts know.

    `channel` numbers a source and stream.
    """

    def __init__(self, codec: RecordCodec, channel: Callable[[str, str], int], names: Iterable[Name] = ()) -> None:
        self._channel, self._numbers = channel, {name: number for number, name in enumerate(dict.fromkeys(names))}
        self._known: dict[tuple[bytes, bytes], Form] = {}
        self._readers: dict[int, Callable[[bytes], Fact]] = {}
        self._who, self._kind = codec.scanner("source", "stream"), codec.scanner("kind")
        self._kind_to_transition = codec.scanner("kind", "slot", "transition")
        self._with_slot = codec.scanner(*_BEFORE, "slot", "transition", *_AFTER, cut="attributes")
        self._without_slot = codec.scanner(*_BEFORE, *_AFTER, cut="attributes")
        self.read: Callable[[bytes], Fact] = lru_cache(maxsize=REMEMBERED)(self._read)
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
        """A form seen for the first time: `source │ stream`, and `kind`, `kind │ slot │ transition` or nothing."""
        _, source, stream = self._who(_HEADER + who)
        channel, prefix = self._channel(source, stream), b""
        if kind:
            name, read = self._reader(source, stream, kind)
            form = self._numbers.setdefault(name, len(self._numbers))
            self._readers[form], prefix = read, number(form)
        self._known[who, kind] = found = Form(channel, prefix, len(kind), bool(kind))
        return found

    def _reader(self, source: str, stream: str, kind: bytes) -> tuple[Name, Callable[[bytes], Fact]]:
        """The form's name, and a function from five bytes of any kind and what is left of a fact to the fact."""
        if len(kind) == _end(kind, 1):
            _, name = self._kind(_HEADER + kind)
            return (source, stream, name, None), partial(_slotted, self._with_slot, source, stream, name)
        _, name, _slot, transition = self._kind_to_transition(_HEADER + kind)
        plain = partial(_plain, self._without_slot, source, stream, name, transition)
        return (source, stream, name, transition), plain

    def _read(self, fact: bytes) -> Fact:
        at, form = _number(fact, 0)
        return self._readers[form](_HEADER + fact[at:])


Scan = Callable[[bytes], tuple[Any, ...]]


def _slotted(scan: Scan, source: str, stream: str, kind: str, fact: bytes) -> Fact:
    _, sequence, time, id, slot, transition, effective, until, document, voids, shown = scan(fact)
    order = (effective, time, source, -1 if sequence is None else sequence, id)
    return Fact(*order, stream, kind, slot, transition, until, document, voids, shown[WIRE_HEADER_BYTES:])


def _plain(scan: Scan, source: str, stream: str, kind: str, transition: str, fact: bytes) -> Fact:
    _, sequence, time, id, effective, until, document, voids, shown = scan(fact)
    order = (effective, time, source, -1 if sequence is None else sequence, id)
    return Fact(*order, stream, kind, None, transition, until, document, voids, shown[WIRE_HEADER_BYTES:])


def key_of(value: bytes) -> bytes:
    """The person id or case number of a `hub.Fact` in its wire bytes."""
    start, end = _text(value, WIRE_HEADER_BYTES)
    return value[start:end]


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
