"""The ledger: `events.<stream>` → status, `out.<agency>`, receipts.

    read → recognise → record → fold → route → receipt

The state it is given never changes under its hands: what a batch makes of it comes back as `changes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from hub.catalogue import EventType
from hub.errors import Code, Fatal
from hub.event import CONTENT_TYPE, Headers, Outcome, Output, Record, Rejection, Result, Tally
from hub.pipeline.attributes import Attributes, read_attributes
from hub.pipeline.fold import status_value
from hub.pipeline.identify import content, identity
from hub.pipeline.person import EMPTY, Entry, is_late, remember, sequence_gap
from hub.pipeline.reader import Reading
from hub.pipeline.recognise import Recognised, recognise
from hub.pipeline.record_fact import stored_fact
from hub.pipeline.refuse import Origin, dead_letter, receipt
from hub.pipeline.route import addressed
from hub.pipeline.rulebook import Rulebook

CASE = "case/"
"""Prefix of a case's state key: whatever a case is numbered, it is never taken for a person."""

CONFLICT = Rejection(
    Code.IDENTITY_CONFLICT, "recognise", "expected the content first sent under this id, found other content"
)


class Arrived(NamedTuple):
    """One record that passed the gate, as the ledger needs it; `identity` and `content` are 16-byte digests."""

    record: Record
    origin: Origin
    attributes: Attributes
    type: EventType
    reading: Reading
    key: str
    identity: bytes
    content: bytes


class Ledger:
    """A step over a batch; `clock` gives milliseconds since 1970."""

    name = "ledger"

    def __init__(self, rules: Rulebook, clock: Callable[[], int]) -> None:
        self._rules, self._clock = rules, clock

    def __call__(self, state: Mapping[str, Entry], records: Sequence[Record]) -> Result:
        """One batch of records of `events.*` under the state before it → what to write, and the changes."""
        result = Result()
        for record in records:
            event = self._read(record)
            entry_key = state_key(event.key, event.type)
            entry = result.changes.get(entry_key) or state.get(entry_key, EMPTY)
            match recognise(entry, event.identity, event.content):
                case Recognised.NEW:
                    result.changes[entry_key] = self._apply(entry, entry_key, event, result)
                case Recognised.DUPLICATE:
                    self._duplicate(event, result)
                case Recognised.CONFLICT:
                    self._reject(record, event.attributes, CONFLICT, result)
        return result

    def refuse(self, record: Record, rejection: Rejection) -> Result:
        """What is written when the engine refuses a record that the steps could not finish."""
        result = Result()
        found = read_attributes(record.headers)
        self._reject(record, found if isinstance(found, Attributes) else None, rejection, result)
        return result

    def restore(self, value: bytes, entries: MutableMapping[str, Entry]) -> None:
        """Take one record of `state.ledger` back into the state."""
        stored = self._rules.codecs.fact.unpack(value)
        key = stored["person_id"]
        entries[key] = remember(entries.get(key, EMPTY), stored)

    def _read(self, record: Record) -> Arrived:
        attributes = read_attributes(record.headers)
        value = record.value or b""
        reader = self._rules.ledger_readers.get(int.from_bytes(value[1:5], "big"))
        if reader is None or isinstance(attributes, Rejection):
            raise Fatal(f"{record.topic} holds a record that the gate did not write")
        reading, key = reader.read(value), (record.key or b"").decode()
        return Arrived(
            record,
            origin_of(record),
            attributes,
            reader.type,
            reading,
            key,
            identity(attributes.source, attributes.id, key),
            content(attributes.type, attributes.time, attributes.sequence, reading.body),
        )

    def _apply(self, entry: Entry, entry_key: str, event: Arrived, result: Result) -> Entry:
        stored = stored_fact(
            event.type,
            event.attributes,
            event.origin.agency,
            entry_key,
            (event.identity, event.content),
            event.reading.fields,
        )
        after = remember(entry, stored)
        late = len(after.facts) > len(entry.facts) and is_late(entry, after.facts[-1])
        self._keep(event, stored, after, result)
        self._offer(event, after.version, late, result)
        self._applied(entry, event, after.version, late, result)
        return after

    def _keep(self, event: Arrived, stored: dict[str, Any], after: Entry, result: Result) -> None:
        """The fact for the rebuild, and the person's status with it."""
        codecs, partition = self._rules.codecs, event.record.partition
        fact_key = f"{event.key}/{event.identity.hex()}".encode()
        result.outputs.append(Output("state.ledger", partition, fact_key, codecs.fact.pack(stored)))
        if event.type.key_kind == "person":
            status = codecs.status.pack(status_value(event.key, after.version, after.facts))
            result.outputs.append(Output("status.person", partition, event.record.key, status))

    def _offer(self, event: Arrived, version: int, late: bool, result: Result) -> None:
        """To each entitled agency its projection."""
        record, name = event.record, event.type.name
        receivers = self._rules.routes[name].entitled(event.reading.fields)
        headers = outbound_headers(record.headers, event.identity.hex(), version, late)
        key = record.key or b""
        result.outputs += addressed(receivers, event.reading.bodies, key, headers, record.partition)
        for receiver in receivers:
            result.left[receiver.agency, name] += 1

    def _applied(self, before: Entry, event: Arrived, version: int, late: bool, result: Result) -> None:
        origin, attributes, of = event.origin, event.attributes, event.type
        result.outputs.append(
            receipt(
                self._rules.codecs,
                origin,
                Outcome.APPLIED,
                self._clock(),
                event.record.partition,
                id=attributes.id,
                event_id=event.identity.hex(),
                type=of.name,
                version=version,
                late=late,
                sequence_gap=sequence_gap(before, origin.agency, of.stream, attributes.sequence),
            )
        )
        result.tally[Tally(origin.agency, of.stream, Outcome.APPLIED)] += 1

    def _duplicate(self, event: Arrived, result: Result) -> None:
        result.outputs.append(
            receipt(
                self._rules.codecs,
                event.origin,
                Outcome.DUPLICATE,
                self._clock(),
                event.record.partition,
                id=event.attributes.id,
                event_id=event.identity.hex(),
                type=event.type.name,
            )
        )
        result.tally[Tally(event.origin.agency, event.type.stream, Outcome.DUPLICATE)] += 1

    def _reject(self, record: Record, attributes: Attributes | None, rejection: Rejection, result: Result) -> None:
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
    named = dict(record.headers)
    try:
        topic, partition, offset = named["hub_origin"].decode().split("/")
        return Origin(topic[len("in.") :], topic, int(partition), int(offset), int(named["hub_accepted"]))
    except (KeyError, ValueError) as error:
        raise Fatal(f"{record.topic} holds a record without its origin") from error


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
