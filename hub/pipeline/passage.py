"""Passage: the gate's way of nearly every record, with all that can be known beforehand looked up at once.

A passage is kept per (agency's topic, type, schema id). What goes through it the gate's steps let through as well,
with the same output (`tests/laws`); what does not, they look at and say why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub.avro.records import WIRE_HEADER_BYTES
from hub.avro.scanner import Refused
from hub.event import CONTENT_TYPE, EVENT_MAX_BYTES, SOURCE_PREFIX, Record, Row
from hub.pipeline.attributes import EVENT_ID_BYTES, SEQUENCE_LENGTH, trusted_time
from hub.pipeline.headers import CarriedHeaders, InboundHeaders
from hub.pipeline.identify import Contents, Pseudonyms
from hub.pipeline.reader import Reader
from hub.pipeline.rulebook import Rulebook
from hub.pipeline.validate import exposes


class Passage:
    """What one agency's events of one type, written with one schema, have in common."""

    def __init__(self, rules: Rulebook, reader: Reader, agency: str) -> None:
        of = reader.type
        self.of, self.agency, self.wants = of, agency, reader.wants
        self.scan, self.check = reader.scanner.scan, rules.checks[of.name]
        self.source, self.topic = (SOURCE_PREFIX + agency).encode(), rules.stream_topics[of.name]
        self.personal, self.key = of.key_kind == "person", of.key_field
        self.inbound = InboundHeaders(self.source, of.name.encode())
        self.carried, self.origin = CarriedHeaders(self.source, of.name.encode()), f"in.{agency}/".encode()
        self.content = Contents(of.name)


class Passages:
    """All passages; made as they are met."""

    def __init__(self, rules: Rulebook) -> None:
        self._rules, self._person_id = rules, Pseudonyms(rules.secret).person_id
        self._known: dict[tuple[str, bytes | None, bytes], Passage | None] = {}

    def through(self, record: Record) -> tuple[Passage, Row] | None:
        """The record's passage and what goes to `events.*`; None: the gate's steps have to look."""
        named = dict(record.headers)
        found = self.judge(record.topic, record.value, named) if len(named) == len(record.headers) else None
        if found is None:
            return None
        passage, key = found
        origin = b"%b%d/%d" % (passage.origin, record.partition, record.offset)
        headers = passage.carried(named, origin, b"%d" % record.timestamp)
        return passage, (passage.topic, None, key, record.value, headers)

    def judge(
        self, topic: str, value: bytes | None, named: Mapping[str, bytes], read: Sequence[Any] | None = None
    ) -> tuple[Passage, bytes] | None:
        """The passage of what may go through, and whose event it is; None as above. `named`: its headers, by name.
        `read`: what the passage wants of the value, of who has just written that himself."""
        if value is None or len(value) > EVENT_MAX_BYTES:
            return None
        place = (topic, named.get("ce_type"), value[:WIRE_HEADER_BYTES])
        passage = self._known.get(place) or self._passage(*place)
        if passage is None:
            return None
        text = _said(named, passage.source)
        if text is None:
            return None
        if read is None:
            try:
                canonical, *read = passage.scan(value)
            except Refused:
                return None
            if not canonical:
                return None
        fields: dict[str, Any] = dict(zip(passage.wants, read, strict=True))
        if passage.check(fields, passage.agency) or exposes(passage.of, fields, text):
            return None
        subject = fields[passage.key].encode()
        return passage, self._person_id(subject) if passage.personal else subject

    def _passage(self, topic: str, named: bytes | None, header: bytes) -> Passage | None:
        """A new passage, where the agency may publish the type and the schema is the catalogue's own version of it."""
        reader = self._rules.gate_readers.get(int.from_bytes(header[1:], "big"))
        agency = self._rules.agency_of_topic[topic]
        if len(header) < WIRE_HEADER_BYTES or header[0] or reader is None or reader.older:
            return None
        if reader.type.name.encode() != named or not self._rules.catalogue.may_publish(agency, reader.type.name):
            return None
        passage = self._known[topic, named, header] = Passage(self._rules, reader, agency)
        return passage


def _said(named: Mapping[str, bytes], source: bytes) -> bytes | None:
    """The publisher's own words in its headers, upper-case; None where they are not the plain ones."""
    try:
        id, time = named["ce_id"], named["ce_time"]
        if named["ce_specversion"] != b"1.0" or named["ce_source"] != source:
            return None
        sequence, content_type = named.get("ce_sequence", b""), named.get("content-type")
        known = 5 + ("ce_sequence" in named) + (content_type is not None)
        if known != len(named) or (content_type is not None and content_type != CONTENT_TYPE):
            return None
        if "ce_sequence" in named and not (sequence.isdigit() and len(sequence) <= SEQUENCE_LENGTH):
            return None
        trusted_time(time)
        return b"%b\n%b\n%b" % (id.upper(), time, sequence) if EVENT_ID_BYTES.fullmatch(id) else None
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
