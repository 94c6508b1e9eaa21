"""The ledger: `events.<stream>` → status, `out.<agency>`, receipts.

    read → recognise → write the fact → fold the status → offer to receivers → receipt

The state it is given never changes under its hands: what a batch makes of it comes back as `changes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from hub.avro.packer import data, number
from hub.catalogue import Catalogue
from hub.errors import Code, Fatal
from hub.event import CONTENT_TYPE, Headers, Outcome, Record, Rejection, Result, Row, Tally
from hub.pipeline import person
from hub.pipeline.attributes import OPTIONAL, Attributes, Said, read_attributes, said
from hub.pipeline.facts import Facts, Stored
from hub.pipeline.fold import is_late
from hub.pipeline.forms import Forms, Name
from hub.pipeline.identify import content, identity, pseudonym
from hub.pipeline.reader import Reader, Reading
from hub.pipeline.recognise import Recognised, recognise
from hub.pipeline.refuse import Origin, dead_letter, receipt
from hub.pipeline.restore import Restoring
from hub.pipeline.route import Routes
from hub.pipeline.rulebook import Rulebook
from hub.pipeline.status import StatusWriter

CASE = b"case/"
"""Prefix of a case's state key: whatever a case is numbered, it is never taken for a person."""

CONFLICT = Rejection(
    Code.IDENTITY_CONFLICT, "recognise", "expected the content first sent under this id, found other content"
)
RAW = ("origin_topic", "id", "event_id", "version", "accepted", "decided")
"""Fields of a receipt that are given as the bytes they are written as."""

NO_REJECTION = {"step": None, "code": None, "detail": None, "pointer": None}
NOT_APPLIED = {"version": None, "late": False, "sequence_gap": False}


class Way:
    """All that is known beforehand of one agency's events of one type, written with one schema."""

    def __init__(self, rules: Rulebook, forms: Forms, reader: Reader, agency: str, channel: int) -> None:
        of, receipts = reader.type, rules.codecs.receipt
        self.of, self.reader, self.agency, self.channel = of, reader, agency, channel
        self.personal = of.key_kind == "person"
        self.routes: Routes = rules.routes[of.name]
        self.facts = Facts(rules.codecs.fact, forms, of, agency, reader.wants)
        self.receipts, self.topic = f"receipts.{agency}", data(f"in.{agency}".encode())
        self.applied = receipts.partial({"type": of.name, "verdict": Outcome.APPLIED} | NO_REJECTION, RAW)
        duplicate = {"type": of.name, "verdict": Outcome.DUPLICATE} | NO_REJECTION | NOT_APPLIED
        self.duplicate = receipts.partial(duplicate, RAW)


class Arrived(NamedTuple):
    """One record that passed the gate, as the ledger needs it: its headers by name, its key, `event_id` in hex.

    `key` is the person id or case number, `state_key` what the state knows it under; digests have 16 bytes.
    """

    record: Record
    way: Way
    named: Mapping[str, bytes]
    said: Said
    reading: Reading
    key: bytes
    state_key: bytes
    identity: bytes
    content: bytes
    event_id: bytes


class Ledger:
    """A step over a batch; `clock` gives milliseconds since 1970."""

    name = "ledger"

    def __init__(self, rules: Rulebook, clock: Callable[[], int]) -> None:
        self._rules, self._clock = rules, clock
        self._ways: dict[tuple[bytes, bytes], Way] = {}
        known = product(sorted(rules.catalogue.agencies), sorted(rules.catalogue.streams))
        self._channels = {channel: number for number, channel in enumerate(known)}
        self._forms = Forms(rules.codecs.fact, self._channel, _forms(rules.catalogue))
        self._status = StatusWriter(rules.codecs.status)

    def __call__(self, state: Mapping[bytes, bytes], records: Sequence[Record]) -> Result:
        """One batch of records of `events.*` under the state before it → what to write, and the changes."""
        result = Result()
        changes, now = result.changes, number(self._clock())
        applied, duplicate = Counter[Way](), Counter[Way]()
        for record in records:
            event = self._read(record)
            key = event.state_key
            entry = changes.get(key) or state.get(key, person.EMPTY)
            recognised = recognise(entry, event.identity, event.content)
            if recognised is Recognised.NEW:
                changes[key] = self._apply(entry, event, now, result)
                applied[event.way] += 1
            elif recognised is Recognised.DUPLICATE:
                self._receipt(event, event.way.duplicate, now, result)
                duplicate[event.way] += 1
            else:
                self._reject(record, read_attributes(record.headers), CONFLICT, result)
        for counted, outcome in ((applied, Outcome.APPLIED), (duplicate, Outcome.DUPLICATE)):
            for way, count in counted.items():
                result.tally[Tally(way.agency, way.of.stream, outcome)] += count
        return result

    def refuse(self, record: Record, rejection: Rejection) -> Result:
        """What is written when the engine refuses a record that the steps could not finish."""
        result = Result()
        self._reject(record, read_attributes(record.headers), rejection, result)
        return result

    def restore(self) -> Restoring:
        """An empty state, to be restored from records of `state.ledger`."""
        return Restoring(self._forms.kept)

    def _channel(self, source: str, stream: str) -> int:
        """A number for a source and stream; those that are no longer in the catalogue come behind the others."""
        return self._channels.setdefault((source, stream), len(self._channels))

    def _read(self, record: Record) -> Arrived:
        named, value, key = dict(record.headers), record.value or b"", record.key or b""
        try:
            source, id = named["ce_source"], named["ce_id"]
            way = self._ways.get((value[:5], source)) or self._way(value, named)
            about = said(named)
        except (KeyError, ValueError) as error:
            raise Fatal(f"{record.topic} holds a record that the gate did not write") from error
        reading = way.reader.read(value)
        who = identity(source, id, key)
        what = content(way.of.name, about.time, about.sequence, reading[3])
        state_key = key if way.personal else CASE + key
        return Arrived(record, way, named, about, reading, key, state_key, who, what, who.hex().encode())

    def _way(self, value: bytes, named: Mapping[str, bytes]) -> Way:
        reader = self._rules.ledger_readers[int.from_bytes(value[1:5], "big")]
        agency = self._rules.agency_of_topic[named["hub_origin"].decode().split("/")[0]]
        channel = self._channel(agency, reader.type.stream)
        way = self._ways[value[:5], named["ce_source"]] = Way(self._rules, self._forms, reader, agency, channel)
        return way

    def _apply(self, entry: bytes, event: Arrived, now: bytes, result: Result) -> bytes:
        """The entry after the event; the fact, the status, what goes to receivers and the receipt with it."""
        record, way, key, sequence = event.record, event.way, event.key, event.said.sequence
        values, bodies, shown, _ = event.reading
        digests, outputs, partition = (event.identity, event.content), result.outputs, record.partition
        stored = way.facts.write(event.state_key, digests, event.said, values, shown)
        after, version, gap = person.remember(entry, *digests, way.channel, sequence, stored.compact)
        outputs.append(("state.ledger", partition, b"%b/%b" % (key, event.event_id), stored.value, ()))
        late = way.personal and self._update(entry, event, version, stored, outputs)
        headers = outbound_headers(event.named, event.event_id, version, late)
        receivers = way.routes.always or way.routes.entitled(way.reader.fields(event.reading))
        for _agency, topic, secret, _when, body, grant in receivers:
            outputs.append((topic, partition, pseudonym(key, secret), bodies[body], headers))
            result.left[grant] += 1
        self._receipt(event, way.applied, now, result, (b"\2" + number(version), late, gap))
        return after

    def _update(self, before: bytes, event: Arrived, version: int, stored: Stored, outputs: list[Row]) -> bool:
        """Write the person's status anew; says whether the event came late."""
        late, facts = False, [] if before is person.EMPTY else [*map(self._forms.read, person.facts_of(before))]
        if stored.fact is not None:
            late = bool(facts) and is_late(facts, stored.fact)
            facts.append(stored.fact)
        value = self._status.write(event.key, version, facts)
        outputs.append(("status.person", event.record.partition, event.key, value, ()))
        return late

    def _receipt(
        self, event: Arrived, pack: Callable[..., bytes], now: bytes, result: Result, made: tuple[Any, ...] = ()
    ) -> None:
        """The verdict on one record, keyed by its coordinates; `made` are version, late and gap of an applied one."""
        origin, accepted = event.named["hub_origin"], event.named["hub_accepted"]
        _, partition, offset = origin.split(b"/")
        ids = (b"\2" + data(event.said.id), b"\2" + data(event.event_id))
        value = pack(event.way.topic, int(partition), int(offset), *ids, *made, number(int(accepted)), now)
        result.outputs.append((event.way.receipts, event.record.partition, origin, value, ()))

    def _reject(self, record: Record, found: Attributes | Rejection, rejection: Rejection, result: Result) -> None:
        """Towards `dlq.*` without a key: the inbound one is copied nowhere, ours is not the sender's."""
        rules, origin, now = self._rules, origin_of(record), self._clock()
        received = (None, record.value, [pair for pair in record.headers if not pair[0].startswith("hub_")])
        attributes = found if isinstance(found, Attributes) else None
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


def _forms(catalogue: Catalogue) -> Iterator[Name]:
    """The forms of all facts that the catalogue allows, in an order that is the same in every process."""
    for agency in sorted(catalogue.agencies):
        for of in sorted(catalogue.agencies[agency].publishes):
            stream, rule = catalogue.types[of].stream, catalogue.types[of].status
            if rule is not None:
                yield agency, stream, rule.kind, rule.transition
                yield agency, stream, rule.kind, None


def origin_of(record: Record) -> Origin:
    """Where a record of `events.*` came in; the gate wrote it into the headers."""
    named = dict(record.headers)
    try:
        topic, partition, offset = named["hub_origin"].decode().split("/")
        return Origin(topic[len("in.") :], topic, int(partition), int(offset), int(named["hub_accepted"]))
    except (KeyError, ValueError) as error:
        raise Fatal(f"{record.topic} holds a record without its origin") from error


def outbound_headers(named: Mapping[str, bytes], event_id: bytes, version: int, late: bool) -> Headers:
    """The attributes towards receivers: the hub's own id, the publisher's as `originid`."""
    headers = [
        ("ce_specversion", named["ce_specversion"]),
        ("ce_id", event_id),
        ("ce_originid", named["ce_id"]),
        ("ce_source", named["ce_source"]),
        ("ce_type", named["ce_type"]),
        ("ce_time", named["ce_time"]),
        ("ce_statusversion", b"%d" % version),
        ("content-type", CONTENT_TYPE),
        ("hub_accepted", named["hub_accepted"]),
    ]
    headers += [(name, named[name]) for name in OPTIONAL if name in named]
    if late:
        headers.append(("ce_late", b"true"))
    return headers
