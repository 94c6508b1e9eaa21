"""Facts: what an applied event leaves behind, as bytes on `state.ledger` and as what the fold reads.

In an entry a fact is kept as `hub.pipeline.forms` has it, and read only when the person's status changes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from hub.avro.packer import data, number
from hub.avro.records import WIRE_HEADER_BYTES, RecordCodec
from hub.catalogue import EventType
from hub.pipeline.attributes import Said
from hub.pipeline.fold import Fact
from hub.pipeline.forms import Form, Forms

DIGESTS = 32
STATUS_FIELDS = ("kind", "slot", "transition", "effective", "until", "document", "voids")
NOTHING: dict[str, Any] = {**dict.fromkeys(STATUS_FIELDS), "attributes": {}}


class Stored(NamedTuple):
    """A `hub.Fact` of one event: its wire bytes, what an entry keeps of them, and what the fold reads."""

    value: bytes
    compact: bytes | None
    fact: Fact | None


class Facts:
    """Writes the facts of one event type and source."""

    def __init__(self, codec: RecordCodec, forms: Forms, of: EventType, source: str, wants: Sequence[str]) -> None:
        self._stream, self._source, self._rule = of.stream, source, of.status
        known: dict[str, Any] = {"type": of.name, "stream": of.stream, "source": source}
        known |= {"kind": of.status.kind, "transition": of.status.transition} if of.status else NOTHING
        self._pack = codec.partial(known, ("person_id", "identity", "content", "sequence", "time", "id", "attributes"))
        about = [data(text.encode()) for text in (of.name, source, of.stream)]
        self._before_sequence = WIRE_HEADER_BYTES + DIGESTS + len(b"".join(about))
        rule = of.status
        names = (rule.slot, rule.effective, rule.until, rule.document, rule.voids) if rule else ()
        self._placed = itemgetter(*(wants.index(name) if name else -1 for name in names)) if rule else None
        self._plain = self._form(forms, None)
        self._slotted = self._form(forms, "") if rule and rule.slot else self._plain

    def _form(self, forms: Forms, slot: str | None) -> Form:
        """The form of the type's facts, with or without a slot: any one shows it."""
        empty, digest = b"\0", bytes(DIGESTS // 2)
        placed = (slot, 0, None, None, None, empty) if self._rule else ()
        return forms.kept(self._pack(empty, digest, digest, empty, empty, empty, *placed))[3]

    def write(
        self, key: bytes, digests: tuple[bytes, bytes], said: Said, values: Sequence[Any], shown: bytes
    ) -> Stored:
        """`key` is the state key, `values` are raw, in the order of `wants`; `shown` is the map of the status."""
        rule = self._rule
        person, sequence, time, id = data(key), said.sequence, number(said.time), data(said.id)
        written = b"\0" if sequence is None else b"\2" + number(sequence)
        if rule is None:
            return Stored(self._pack(person, *digests, written, time, id), None, None)
        assert self._placed is not None
        slot, effective, until, document, voids = self._placed((*values, None))
        value = self._pack(person, *digests, written, time, id, slot, effective, until, document, voids, shown)
        order = (effective, said.time, self._source, -1 if sequence is None else sequence, said.id.decode())
        fact = Fact(*order, self._stream, rule.kind, slot, rule.transition, until, document, voids, shown)
        form, about = self._plain if slot is None else self._slotted, self._before_sequence + len(person)
        kind = about + len(written) + len(time) + len(id)
        return Stored(value, form.prefix + value[about:kind] + value[kind + form.skips :], fact)
