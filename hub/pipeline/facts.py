"""Facts: what an applied event leaves behind, as bytes on `state.ledger`, and compact in an entry.

In an entry a fact is kept as `hub.pipeline.forms` has it, and read only when the person's status changes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from hub.avro.packer import data, number
from hub.avro.records import WIRE_HEADER_BYTES, RecordCodec
from hub.catalogue import EventType
from hub.pipeline.forms import DIGESTS, Form, Forms

STATUS_FIELDS = ("kind", "slot", "transition", "effective", "until", "document", "voids")
RAW = ("person_id", "identity", "content", "sequence", "time", "id", "attributes")
NOTHING: dict[str, Any] = {**dict.fromkeys(STATUS_FIELDS), "attributes": {}}


Placed = tuple[str | None, int, int | None, bytes, bool]
"""Where an event stands in a status: slot, effective day, first day on which it no longer holds, what is shown; and
whether it leaves all other decisions as they are."""


class Facts:
    """Writes the facts of one event type and source."""

    def __init__(self, codec: RecordCodec, forms: Forms, of: EventType, source: str, wants: Sequence[str]) -> None:
        self.kind, self.source = of.status.kind if of.status else "", data(source.encode())
        self.agency = source.encode()
        self._sets = of.status is not None and of.status.transition == "set"
        self._annuls = of.status is not None and of.status.transition == "annul"
        known: dict[str, Any] = {"type": of.name, "stream": of.stream, "source": source}
        known |= {"kind": of.status.kind, "transition": of.status.transition} if of.status else NOTHING
        self._pack = codec.partial(known, RAW)
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
        placed = (slot, 0, None, None, None, empty) if self._placed else ()
        return forms.kept(self._pack(empty, digest, digest, empty, empty, empty, *placed))[3]

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
        """The wire bytes of a fact; what an entry keeps of them, and its place, where it touches a status.

        `key` is the state key, `time` in milliseconds, `values` are raw, in the order of `wants`; `shown` is the map of
        the status.
        """
        person, said = data(key), (b"\0" if sequence is None else b"\2" + number(sequence), number(time), data(id))
        if self._placed is None:
            return self._pack(person, identity, content, *said), None, None
        slot, effective, until, document, voids = self._placed((*values, None))
        value = self._pack(person, identity, content, *said, slot, effective, until, document, voids, shown)
        form = self._plain if slot is None else self._slotted
        begin = self._before_sequence + len(person)
        end = begin + sum(map(len, said))
        kept = voids is None and not self._annuls
        return value, form.prefix + value[begin:end] + value[end + form.skips :], (slot, effective, until, shown, kept)

    def begins(self, placed: Placed) -> bool:
        """Whether a status holds from such a fact alone."""
        _, effective, until, _, _ = placed
        return self._sets and (until is None or effective < until)
