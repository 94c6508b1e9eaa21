"""The gate: `in.<agency>` → `events.<stream>`, or the dead-letter queue.

    measure → unwrap → authorise → decode → validate → (identify) pass | refuse

Stateless: an event's way through does not depend on any other event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from hub.avro.records import schema_id_of
from hub.errors import Code
from hub.event import Denial, Outcome, Output, Record, Rejection, Result, Tally, coordinates
from hub.pipeline.authorise import authorise
from hub.pipeline.decode import decode
from hub.pipeline.headers import CarriedHeaders
from hub.pipeline.identify import Pseudonyms
from hub.pipeline.inbound import Inbound
from hub.pipeline.measure import measure
from hub.pipeline.passage import Passage, Passages
from hub.pipeline.refuse import DENIALS, Origin, dead_letter, receipt
from hub.pipeline.rulebook import Rulebook
from hub.pipeline.unwrap import unwrap
from hub.pipeline.validate import validate

GateStep = Callable[[Inbound, Rulebook], Rejection | None]
STEPS: Sequence[GateStep] = (measure, unwrap, authorise, decode, validate)


class Gate:
    """A pure step over a batch; `clock` gives milliseconds since 1970."""

    name = "gate"

    def __init__(self, rules: Rulebook, clock: Callable[[], int], steps: Sequence[GateStep] = STEPS) -> None:
        self._rules, self._clock, self._steps = rules, clock, steps
        self._passages, self._person_id = Passages(rules), Pseudonyms(rules.secret).person_id

    def __call__(self, state: Mapping[bytes, bytes], records: Sequence[Record]) -> Result:
        """One batch of records of `in.*` → what to write. `state` is not looked at."""
        result, passed = Result(), Counter[Passage]()
        for record in records:
            through = self._passages.through(record)
            if through is not None:
                passage, output = through
                passed[passage] += 1
                result.outputs.append(output)
                if record.timestamp > result.latest.get(passage.agency, 0):
                    result.latest[passage.agency] = record.timestamp
                continue
            inbound = Inbound(record, self._rules.agency_of_topic[record.topic])
            rejection = self._check(inbound)
            self._count(result, inbound)
            if rejection is None:
                result.outputs.append(self._pass(inbound))
            else:
                self._refuse(result, inbound, rejection)
        for passage, count in passed.items():
            result.tally[Tally(passage.agency, passage.of.stream, Outcome.ACCEPTED)] += count
        return result

    def refuse(self, record: Record, rejection: Rejection) -> Result:
        """What is written when the engine refuses a record that the steps could not finish."""
        result = Result()
        inbound = Inbound(record, self._rules.agency_of_topic[record.topic], headers=record.headers)
        self._count(result, inbound)
        self._refuse(result, inbound, rejection)
        return result

    def _check(self, inbound: Inbound) -> Rejection | None:
        for step in self._steps:
            rejection = step(inbound, self._rules)
            if rejection is not None:
                return rejection
        return None

    def _count(self, result: Result, inbound: Inbound) -> None:
        agency, record = inbound.agency, inbound.record
        result.tally[Tally(agency, self._stream(inbound), Outcome.ACCEPTED)] += 1
        result.latest[agency] = max(result.latest.get(agency, 0), record.timestamp)

    def _pass(self, inbound: Inbound) -> Output:
        reader, fields, record = inbound.reader, inbound.fields, inbound.record
        assert reader is not None and fields is not None
        of = reader.type
        subject = fields[of.key_field].encode()
        key = self._person_id(subject) if of.key_kind == "person" else subject
        named = dict(inbound.headers)
        carried = CarriedHeaders(named["ce_source"], named["ce_type"])
        headers = carried(named, coordinates(record).encode(), b"%d" % record.timestamp)
        return Output(self._rules.stream_topics[of.name], None, key, inbound.value, headers)

    def _refuse(self, result: Result, inbound: Inbound, rejection: Rejection) -> None:
        record, rules, now = inbound.record, self._rules, self._clock()
        agency, partition = inbound.agency, record.partition
        origin = Origin(agency, record.topic, partition, record.offset, record.timestamp)
        received = (record.key, record.value, record.headers)
        attributes = None if rejection.code is Code.FIN_IN_HEADER else inbound.attributes
        known = attributes.type if attributes and attributes.type in rules.catalogue.types else None
        result.outputs += (
            dead_letter(rules.codecs, origin, rejection, received, now, partition),
            receipt(
                rules.codecs,
                origin,
                Outcome.REJECTED,
                now,
                partition,
                id=attributes and attributes.id,
                type=known,
                rejection=rejection,
            ),
        )
        result.tally[Tally(agency, self._stream(inbound), Outcome.REJECTED, rejection.code)] += 1
        if rejection.code is Code.SCHEMA_ID_UNKNOWN:
            result.unknown.add((agency, schema_id_of(inbound.value)))
        if rejection.code in DENIALS:
            result.denials.append(Denial(agency, f"publish {known or 'unknown'}", rejection.code, str(origin)))

    def _stream(self, inbound: Inbound) -> str:
        return self._rules.stream_of(inbound.attributes.type if inbound.attributes else None)
