"""Forms: a fact as an entry keeps it, without what all facts of its kind from its agency say.

Of a `hub.Fact` source, stream, kind and transition (and that it has no slot, where it has none) are its *form*. Forms
are numbered; a compact fact is that number and the other fields as they were written:

    form, a varint │ sequence │ time │ id │ [slot │ transition] │ effective │ until │ document │ voids │ attributes

The numbers are a catalogue's own: state is always rebuilt from the facts in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from hub.avro.packer import number
from hub.avro.reading import number_at, text_at
from hub.avro.records import WIRE_HEADER_BYTES, RecordCodec
from hub.pipeline.fold import Fact

IDENTITY, DIGESTS = 16, 32

_SIX, _SIX_END, _THREE, _THREE_END = 0x8080_8080_8081, 0x0080_8080_8080, 0x80_8081, 0x00_8080
"""Of six and of three bytes, little-endian, the bits that say whether a number goes on, and its sign; and how they are
where it has just that many bytes and is not negative: as nearly every time (1970 to 2039) and day (1992 to 4840) is."""
_number, _fact = int.from_bytes, tuple.__new__

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
        self._channel, self._transitions = channel, codec.symbols("transition")
        self._names = list(dict.fromkeys(names))
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._known: dict[tuple[bytes, bytes], Form] = {}

    def kept(self, value: bytes) -> Kept:
        """Cut the wire bytes of a `hub.Fact`; trusted, the hub wrote them."""
        start, digests = text_at(value, WIRE_HEADER_BYTES)
        contents, about = digests + IDENTITY, digests + DIGESTS
        source = _end(value, about)
        said = at = _end(value, _end(value, source))
        sequence = None
        if value[at]:
            at, sequence = number_at(value, at + 1)
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

    def read(self, fact: bytes) -> Fact:
        """What the fold reads of a compact fact: once for each event of a person who has had some before."""
        at, form = (1, fact[0] >> 1) if fact[0] < 128 else number_at(fact, 0)
        source, stream, kind, transition = self._names[form]
        at, sequence = number_at(fact, at + 1) if fact[at] else (at + 1, -1)
        time = _number(fact[at : at + 6], "little")
        if time & _SIX == _SIX_END:  # without a step for each byte: 7 bits of each, 14 of two, all
            time = (time & 0x7F00_7F00_7F00) >> 1 | time & 0x007F_007F_007F
            time = (time & 0x3FFF_0000_0000) >> 5 | (time & 0x3FFF_0000) >> 3 | (time & 0x3FFF) >> 1
            at += 6
        else:
            at, time = number_at(fact, at)
        at, id = _text(fact, at)
        slot = None
        if transition is None:
            at, slot = _text(fact, at + 1) if fact[at] else (at + 1, None)
            transition = self._transitions[fact[at + 1] >> 1]
            at += 2
        effective = _number(fact[at + 1 : at + 4], "little")
        if fact[at] and effective & _THREE == _THREE_END:
            at, effective = at + 4, (effective & 0x7F_0000) >> 3 | (effective & 0x7F00) >> 2 | (effective & 0x7F) >> 1
        else:
            assert fact[at], "every status has its first day"
            at, effective = number_at(fact, at + 1)
        at, until = number_at(fact, at + 1) if fact[at] else (at + 1, None)
        at, document = _text(fact, at + 1) if fact[at] else (at + 1, None)
        at, voids = _text(fact, at + 1) if fact[at] else (at + 1, None)
        found = effective, time, source, sequence, id, stream, kind, slot, transition, until, document, voids, fact[at:]
        return _fact(Fact, found)

    def _met(self, who: bytes, kind: bytes) -> Form:
        """A form seen for the first time: `source │ stream`, and `kind`, `kind │ slot │ transition` or nothing."""
        start, end = text_at(who, 0)
        source, (start, end) = who[start:end].decode(), text_at(who, end)
        stream = who[start:end].decode()
        prefix = number(self._number_of(source, stream, kind)) if kind else b""
        self._known[who, kind] = found = Form(self._channel(source, stream), prefix, len(kind), bool(kind))
        return found

    def _number_of(self, source: str, stream: str, kind: bytes) -> int:
        start, end = text_at(kind, 1)
        transition = None if end == len(kind) else self._transitions[kind[-1] >> 1]
        name = (source, stream, kind[start:end].decode(), transition)
        if name not in self._numbers:
            self._numbers[name] = len(self._names)
            self._names.append(name)
        return self._numbers[name]


def key_of(value: bytes) -> bytes:
    """The person id or case number of a `hub.Fact` in its wire bytes."""
    start, end = text_at(value, WIRE_HEADER_BYTES)
    return value[start:end]


def _end(value: bytes, at: int) -> int:
    """Where the string at `at` ends."""
    length = value[at]
    return at + 1 + (length >> 1) if length < 128 else text_at(value, at)[1]


def _text(value: bytes, at: int) -> tuple[int, str]:
    """Where the string at `at` ends, and it."""
    length = value[at]
    start, end = (at + 1, at + 1 + (length >> 1)) if length < 128 else text_at(value, at)
    return end, value[start:end].decode()
