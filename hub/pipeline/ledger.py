"""The ledger: `events.<stream>` → status, `out.<agency>`, receipts.

    read → recognise → write the fact → fold the status → offer to receivers → receipt

The state it is given never changes under its hands: what a batch makes of it comes back as `changes`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from types import MappingProxyType
from typing import Any

from hub.avro.packed import NO_HEADERS
from hub.avro.packer import SIZE, number
from hub.avro.records import schema_id_of
from hub.catalogue import Catalogue
from hub.errors import Code, Fatal, SchemaWanted
from hub.event import SOURCE_PREFIX, Outcome, Record, Rejection, Result, Row, Tally
from hub.pipeline import person
from hub.pipeline.attributes import Attributes, read_attributes, trusted_time
from hub.pipeline.facts import Facts, Placed
from hub.pipeline.fold import is_late
from hub.pipeline.forms import Forms, Name
from hub.pipeline.headers import OutboundHeaders
from hub.pipeline.identify import Contents, identity, pseudonym
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
WITHDRAWN = Rejection(
    Code.TYPE_UNKNOWN, "read", "the type was taken out of the catalogue after the event had passed the gate"
)
RAW = ("id", "event_id", "version", "accepted", "decided")
"""Fields of a receipt that are given as the bytes they are written as."""

HEX_ID = b"\2" + SIZE[32]
NO_REJECTION = {"step": None, "code": None, "detail": None, "pointer": None}
NOT_APPLIED = {"version": None, "late": False, "sequence_gap": False}


class Way:
    """All that is known beforehand of one agency's events of one type, written with one schema."""

    def __init__(self, rules: Rulebook, forms: Forms, reader: Reader, agency: str, channel: int) -> None:
        of, receipts = reader.type, rules.codecs.receipt
        self.of, self.read, self.agency, self.channel = of, reader.read, agency, channel
        self.personal = of.key_kind == "person"
        self.routes: Routes = rules.routes[of.name]
        self.fields = reader.fields
        self.facts = Facts(rules.codecs.fact, forms, of, agency, reader.wants)
        self.content = Contents(of.name)
        self.headers = OutboundHeaders((SOURCE_PREFIX + agency).encode(), of.name.encode())
        self.receipts = f"receipts.{agency}"
        topic = {"origin_topic": f"in.{agency}", "type": of.name} | NO_REJECTION
        self.applied = receipts.partial(topic | {"verdict": Outcome.APPLIED}, RAW)
        self.duplicate = receipts.partial(topic | {"verdict": Outcome.DUPLICATE} | NOT_APPLIED, RAW)


Arrived = tuple[Record, Way, Mapping[str, bytes], Reading, bytes, bytes, bytes, int, int | None]
"""One record that passed the gate, as the ledger needs it: the record, its way, its headers by name, what was read,
the digests of 16 bytes of its identity and content, its event id in hex, its time (ms) and its sequence."""


class Ledger:
    """A step over a batch; `clock` gives milliseconds since 1970, `ends` where each partition of `events.*` (its topic
    and number) ended when this process started."""

    name = "ledger"

    def __init__(
        self, rules: Rulebook, clock: Callable[[], int], ends: Mapping[tuple[str, int], int] = MappingProxyType({})
    ) -> None:
        self._rules, self._clock, self._ends = rules, clock, ends
        self._ways: dict[tuple[bytes, bytes], Way] = {}
        known = product(sorted(rules.catalogue.agencies), sorted(rules.catalogue.streams))
        self._channels = {channel: number for number, channel in enumerate(known)}
        self._forms = Forms(rules.codecs.fact, self._channel, _forms(rules.catalogue))
        self._status = StatusWriter(rules.codecs.status)

    def __call__(self, state: Mapping[bytes, bytes], records: Sequence[Record]) -> Result:
        """One batch of records of `events.*` under the state before it → what to write, and the changes.

        Raises `SchemaWanted` for a version that is not known here yet.
        """
        result = Result()
        changes, now = result.changes, number(self._clock())
        applied, duplicate = defaultdict[Way, int](int), defaultdict[Way, int](int)
        left = defaultdict[tuple[str, str], int](int)
        for record in records:
            arrived = self._read(record)
            if arrived is None:
                self._reject(record, read_attributes(record.headers), WITHDRAWN, result)
                continue
            way, who, what = arrived[1], arrived[4], arrived[5]
            key = record.key or b""
            state_key = key if way.personal else CASE + key
            entry = changes.get(state_key) or state.get(state_key, person.EMPTY)
            recognised = recognise(entry, who, what)
            if recognised is Recognised.NEW:
                changes[state_key] = self._apply(entry, key, state_key, arrived, now, result.outputs, left)
                applied[way] += 1
            elif recognised is Recognised.DUPLICATE:
                result.outputs.append(self._receipt(arrived, way.duplicate, now))
                duplicate[way] += 1
            else:
                self._reject(record, read_attributes(record.headers), CONFLICT, result)
        for counted, outcome in ((applied, Outcome.APPLIED), (duplicate, Outcome.DUPLICATE)):
            for way, count in counted.items():
                result.tally[Tally(way.agency, way.of.stream, outcome)] += count
        result.left.update(left)
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

    def _read(self, record: Record) -> Arrived | None:
        """None for an event of a type that was taken out of the catalogue."""
        named, value = dict(record.headers), record.value or b""
        try:
            source, id = named["ce_source"], named["ce_id"]
            way = self._ways.get((value[:5], source)) or self._way(record, value, named)
            if way is None:
                return None
            time, sequence = trusted_time(named["ce_time"]), named.get("ce_sequence")
            numbered = None if sequence is None else int(sequence)
        except (KeyError, ValueError) as error:
            raise Fatal(f"{record.topic} holds a record that the gate did not write") from error
        reading = way.read(value)
        who = identity(source, id, record.key or b"")
        what = way.content(time, numbered, reading[3])
        return record, way, named, reading, who, what, who.hex().encode(), time, numbered

    def _way(self, record: Record, value: bytes, named: Mapping[str, bytes]) -> Way | None:
        """None where the catalogue no longer has the type. What passed the gate since the start of this process may be
        of a type that it does not have yet: another worker's catalogue does."""
        schema_id = schema_id_of(value)
        reader = self._rules.ledger_readers.get(schema_id)
        if reader is None:
            if named["ce_type"].decode() not in self._rules.catalogue.types and self._was_there(record):
                return None
            raise SchemaWanted(schema_id)  # the gate knew it: perhaps that of another worker, and since a moment
        # Not asked of the catalogue: what an agency said while it was in there counts, whenever the ledger gets to it.
        agency = named["hub_origin"].decode().split("/")[0].removeprefix("in.")
        channel = self._channel(agency, reader.type.stream)
        way = self._ways[value[:5], named["ce_source"]] = Way(self._rules, self._forms, reader, agency, channel)
        return way

    def _was_there(self, record: Record) -> bool:
        """Before this process: by position, since its clock is not the broker's."""
        return record.offset < self._ends.get((record.topic, record.partition), 0)

    def _apply(
        self,
        entry: bytes,
        key: bytes,
        state_key: bytes,
        arrived: Arrived,
        now: bytes,
        outputs: list[Row],
        left: dict[tuple[str, str], int],
    ) -> bytes:
        """The entry after the event; the fact, the status, what goes to receivers and the receipt with it."""
        record, way, named, reading, who, what, event_id, time, sequence = arrived
        values, bodies, shown, _ = reading
        partition = record.partition
        value, compact, placed = way.facts.write(state_key, who, what, named["ce_id"], time, sequence, values, shown)
        version = person.version(entry) + 1
        outputs.append(("state.ledger", partition, b"%b/%b" % (key, event_id), value, NO_HEADERS))
        late, standing = False, b""
        if way.personal:
            late, status, standing = self._fold(
                entry, key, version, way.facts, compact, placed, (time, -1 if sequence is None else sequence)
            )
            outputs.append(("status.person", partition, key, status, NO_HEADERS))
        after, gap = person.remember(entry, who, what, way.channel, sequence, compact, standing)
        headers = way.headers(named, event_id, version, late=late)
        receivers = way.routes.always or way.routes.entitled(way.fields(reading))
        for _agency, topic, secret, _when, body, grant in receivers:
            outputs.append((topic, partition, pseudonym(key, secret), bodies[body], headers))
            left[grant] += 1
        outputs.append(self._receipt(arrived, way.applied, now, b"\2" + number(version), late, gap))
        return after

    def _fold(
        self,
        before: bytes,
        key: bytes,
        version: int,
        written: Facts,
        compact: bytes | None,
        placed: Placed | None,
        when: tuple[int, int],
    ) -> tuple[bool, bytes, bytes]:
        """Whether the event came late, the person's status with it, and what stands of it; `when` are its time and
        sequence."""
        if before is person.EMPTY and placed is not None and written.begins(placed):  # most persons
            return False, self._status.one(key, version, written.kind, written.source, placed), b""
        standing = person.standing_of(before)
        if standing and (after := self._status.after(key, version, standing, written, placed, *when)):
            return False, *after
        facts = [*map(self._forms.read, person.facts_of(before))]
        if compact is None:
            return False, *self._status.write(key, version, facts)
        fact = self._forms.read(compact)
        late = is_late(facts, fact)
        return late, *self._status.write(key, version, [*facts, fact])

    def _receipt(self, arrived: Arrived, pack: Callable[..., bytes], now: bytes, *made: Any) -> Row:
        """The verdict on one record, keyed by its coordinates; `made` are version, late and gap of an applied one."""
        record, way, named, event_id = arrived[0], arrived[1], arrived[2], arrived[6]
        origin, id = named["hub_origin"], named["ce_id"]
        _, partition, offset = origin.split(b"/")
        ids = (b"\2" + SIZE[len(id)] + id, HEX_ID + event_id)
        value = pack(int(partition), int(offset), *ids, *made, _number_of(named["hub_accepted"]), now)
        return way.receipts, record.partition, origin, value, NO_HEADERS

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


def origin_of(record: Record) -> Origin:
    """Where a record of `events.*` came in; the gate wrote it into the headers."""
    named = dict(record.headers)
    try:
        topic, partition, offset = named["hub_origin"].decode().split("/")
        return Origin(topic[len("in.") :], topic, int(partition), int(offset), int(named["hub_accepted"]))
    except (KeyError, ValueError) as error:
        raise Fatal(f"{record.topic} holds a record without its origin") from error


@lru_cache(maxsize=4096)  # a batch has come in within a few milliseconds
def _number_of(text: bytes) -> bytes:
    """Digits as the number they are written as."""
    return number(int(text))


def _forms(catalogue: Catalogue) -> Iterator[Name]:
    """The forms of all facts that the catalogue allows, in an order that is the same in every process."""
    for agency in sorted(catalogue.agencies):
        for of in sorted(catalogue.agencies[agency].publishes):
            stream, rule = catalogue.types[of].stream, catalogue.types[of].status
            if rule is not None:
                yield agency, stream, rule.kind, rule.transition
                yield agency, stream, rule.kind, None
