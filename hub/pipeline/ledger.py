"""The ledger: `events.<stream>` → status, `out.<agency>`, receipts.

    read → recognise → record → fold → route → receipt

The state it is given never changes under its hands: what a batch makes of it comes back as `changes`.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, MutableMapping, Sequence

from hub.catalogue import EventType
from hub.errors import Code, Fatal
from hub.event import CONTENT_TYPE, Headers, Outcome, Output, Record, Rejection, Result, Tally, header
from hub.pipeline.attributes import Attributes, read_attributes
from hub.pipeline.fold import status_value
from hub.pipeline.identify import content, identity
from hub.pipeline.person import EMPTY, Entry, fact_of, is_late, remember, sequence_gap
from hub.pipeline.reader import Reader, Reading
from hub.pipeline.recognise import Recognised, recognise
from hub.pipeline.record_fact import stored_fact
from hub.pipeline.refuse import Origin, dead_letter, receipt
from hub.pipeline.route import addressed
from hub.pipeline.rulebook import Rulebook

CASE = "case/"
"""Prefix of a case's state key: whatever a case is numbered, it is never taken for a person."""


class Ledger:
    """A step over a batch; `clock` gives milliseconds since 1970."""

    name = "ledger"

    def __init__(self, rules: Rulebook, clock: Callable[[], int]) -> None:
        self._rules, self._clock = rules, clock

    def __call__(self, state: Mapping[str, Entry], records: Sequence[Record]) -> Result:
        """One batch of records of `events.*` under the state before it → what to write, and the changes."""
        result = Result()
        draft: MutableMapping[str, Entry] = ChainMap(result.changes, state)  # type: ignore[arg-type]
        for record in records:
            self._one(draft, record, result)
        return result

    def refuse(self, record: Record, rejection: Rejection) -> Result:
        """What is written when the engine refuses a record that the steps could not finish."""
        result = Result()
        attributes = read_attributes(record.headers)
        known = attributes if isinstance(attributes, Attributes) else None
        self._reject(result, record, known, rejection)
        return result

    def restore(self, value: bytes, entries: MutableMapping[str, Entry]) -> None:
        """Take one record of `state.ledger` back into the state."""
        stored = self._rules.codecs.fact.unpack(value)
        key = stored["person_id"]
        entries[key] = remember(entries.get(key, EMPTY), stored)

    def _one(self, draft: MutableMapping[str, Entry], record: Record, result: Result) -> None:
        attributes, reader, reading = self._read(record)
        key = (record.key or b"").decode()
        entry_key = state_key(key, reader.type)
        entry = draft.get(entry_key, EMPTY)
        digests = (
            identity(attributes.source, attributes.id, key),
            content(attributes.type, attributes.time, attributes.sequence, reading.body),
        )
        match recognise(entry, *digests):
            case Recognised.NEW:
                draft[entry_key] = self._apply(
                    entry, record, attributes, reader.type, reading, digests, result
                )
            case Recognised.DUPLICATE:
                self._duplicate(result, record, attributes, digests[0])
            case Recognised.CONFLICT:
                detail = "expected the content first sent under this id, found other content"
                self._reject(
                    result, record, attributes, Rejection(Code.IDENTITY_CONFLICT, "recognise", detail)
                )

    def _read(self, record: Record) -> tuple[Attributes, Reader, Reading]:
        attributes = read_attributes(record.headers)
        value = record.value or b""
        reader = self._rules.ledger_readers.get(int.from_bytes(value[1:5], "big"))
        if reader is None or isinstance(attributes, Rejection):
            raise Fatal(f"{record.topic} holds a record that the gate did not write")
        return attributes, reader, reader.read(value)

    def _apply(
        self,
        entry: Entry,
        record: Record,
        attributes: Attributes,
        of: EventType,
        reading: Reading,
        digests: tuple[bytes, bytes],
        result: Result,
    ) -> Entry:
        rules, origin, partition = self._rules, origin_of(record), record.partition
        key = record.key or b""
        stored = stored_fact(
            of, attributes, origin.agency, state_key(key.decode(), of), digests, reading.fields
        )
        after = remember(entry, stored)
        late = is_late(entry, fact_of(stored))
        gap = sequence_gap(entry, origin.agency, of.stream, attributes.sequence)
        event_id = digests[0].hex()
        fact_key = b"%s/%s" % (key, event_id.encode())
        result.outputs.append(Output("state.ledger", partition, fact_key, rules.codecs.fact.pack(stored)))
        if of.key_kind == "person":
            status = rules.codecs.status.pack(status_value(key.decode(), after.version, after.facts))
            result.outputs.append(Output("status.person", partition, key, status))
        receivers = rules.routes[of.name].entitled(reading.fields)
        headers = outbound_headers(record.headers, event_id, after.version, late)
        result.outputs += addressed(receivers, reading.bodies, key, headers, partition)
        result.left.update((receiver.agency, of.name) for receiver in receivers)
        result.outputs.append(
            receipt(
                rules.codecs,
                origin,
                Outcome.APPLIED,
                self._clock(),
                partition,
                id=attributes.id,
                event_id=event_id,
                type=of.name,
                version=after.version,
                late=late,
                sequence_gap=gap,
            )
        )
        result.tally[Tally(origin.agency, of.stream, Outcome.APPLIED)] += 1
        return after

    def _duplicate(self, result: Result, record: Record, attributes: Attributes, seen: bytes) -> None:
        origin = origin_of(record)
        result.outputs.append(
            receipt(
                self._rules.codecs,
                origin,
                Outcome.DUPLICATE,
                self._clock(),
                record.partition,
                id=attributes.id,
                event_id=seen.hex(),
                type=attributes.type,
            )
        )
        result.tally[Tally(origin.agency, self._rules.stream_of(attributes.type), Outcome.DUPLICATE)] += 1

    def _reject(
        self, result: Result, record: Record, attributes: Attributes | None, rejection: Rejection
    ) -> None:
        """Towards `dlq.*` without a key: the inbound one is copied nowhere, ours is not the sender's."""
        rules, origin, now = self._rules, origin_of(record), self._clock()
        received = (None, record.value, [pair for pair in record.headers if not pair[0].startswith("hub_")])
        known = attributes.type if attributes else None
        result.outputs += (
            dead_letter(rules.codecs, origin, rejection, received, now, record.partition),
            receipt(
                rules.codecs,
                origin,
                Outcome.REJECTED,
                now,
                record.partition,
                id=attributes and attributes.id,
                type=known,
                rejection=rejection,
            ),
        )
        result.tally[Tally(origin.agency, rules.stream_of(known), Outcome.REJECTED, rejection.code)] += 1


def state_key(key: str, of: EventType) -> str:
    """The key of a person's or a case's entry in the state."""
    return CASE + key if of.key_kind == "case" else key


def origin_of(record: Record) -> Origin:
    """Where a record of `events.*` came in; the gate wrote it into the headers."""
    where, accepted = header(record.headers, "hub_origin"), header(record.headers, "hub_accepted")
    if where is None or accepted is None:
        raise Fatal(f"{record.topic} holds a record without its origin")
    topic, partition, offset = where.decode().split("/")
    return Origin(topic.removeprefix("in."), topic, int(partition), int(offset), int(accepted))


def outbound_headers(headers: Headers, event_id: str, version: int, late: bool) -> Headers:
    """The attributes towards receivers: the hub's own id, the publisher's as `originid`."""
    passed = [
        ("ce_originid" if name == "ce_id" else name, value)
        for name, value in headers
        if name.startswith("ce_") or name == "hub_accepted"
    ]
    passed.append(("ce_id", event_id.encode()))
    passed.append(("ce_statusversion", b"%d" % version))
    passed.append(("content-type", CONTENT_TYPE))
    if late:
        passed.append(("ce_late", b"true"))
    return passed
