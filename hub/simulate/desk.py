"""The desk where agencies write their events: ids, sequence numbers, headers, Avro bytes."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple

import fastavro

from hub.avro.records import wire_header, without_logical_types
from hub.catalogue import Catalogue, EventType
from hub.event import CONTENT_TYPE, SOURCE_PREFIX, Headers
from hub.simulate.fill import Filler, Scene
from hub.simulate.people import Population
from hub.simulate.planned import Draft, Planned, Sort


class Written(NamedTuple):
    """A good event as it was written, kept to make variations of it."""

    draft: Draft
    body: Mapping[str, Any]
    planned: Planned


class Form:
    """One event type ready to be written: filler, parsed schema, wire header."""

    def __init__(self, of: EventType, catalogue: Catalogue, schema_id: int) -> None:
        self.type, self.filler, self.head = of, Filler(of, catalogue), wire_header(schema_id)
        self.publishers = frozenset(c for c in catalogue.agencies if catalogue.may_publish(c, of.name))
        self.schema = fastavro.parse_schema(without_logical_types(of.schema))

    def encode(self, body: Mapping[str, Any]) -> bytes:
        """Wire bytes of a raw body."""
        buffer = io.BytesIO()
        buffer.write(self.head)
        fastavro.schemaless_writer(buffer, self.schema, body)
        return buffer.getvalue()


class Desk:
    """Writes events under ids that start with the agency and `tag`; `start` is the run's, in milliseconds."""

    def __init__(self, forms: Mapping[str, Form], population: Population, rng: Random, tag: str, start: int) -> None:
        self.forms, self.population, self.rng, self.tag, self.start = forms, population, rng, tag, start
        self._written: Counter[str] = Counter()
        self._sequences: Counter[tuple[str, str, str]] = Counter()

    def write(self, draft: Draft, at: float, sort: Sort = Sort.LIVE, counted: bool = True) -> Written:
        """The event of a draft. `counted`: it takes the subject's next sequence number (a bad one has none)."""
        form = self.forms[draft.type]
        event_id = self._next_id(draft.agency)
        body = self.fill(draft, at, event_id)
        key = subject_key(body[form.type.key_field])
        sequence = self._next_sequence(draft.agency, form.type.stream, key) if counted else None
        headers = attributes(draft.agency, draft.type, event_id, self.now(at), sequence)
        planned = Planned(at, draft.agency, draft.type, sort, key, headers, form.encode(body))
        return Written(draft, body, planned)

    def fill(self, draft: Draft, at: float, mark: str) -> dict[str, Any]:
        """A raw body from what the draft gives; `mark` makes its numbers its own."""
        form = self.forms[draft.type]
        scene = Scene(self.rng, draft.person, self.population, self.now(at), draft.agency, mark)
        given = dict(draft.given)
        if form.type.key_kind == "case":
            given[form.type.key_field] = draft.case or f"{mark.upper()}/C"[-32:]
        return form.filler.fill(scene, given)

    def now(self, at: float) -> int:
        """Milliseconds since 1970 at an offset of the run."""
        return self.start + int(at * 1000)

    def _next_id(self, agency: str) -> str:
        self._written[agency] += 1
        return f"{agency}-{self.tag}-{self._written[agency]}"

    def _next_sequence(self, agency: str, stream: str, key: bytes) -> int:
        subject = (agency, stream, key.hex())
        self._sequences[subject] += 1
        return self._sequences[subject]


def subject_key(subject: str) -> bytes:
    """A key for Kafka that is the same for one person or case, and says nothing about them."""
    return blake2b(subject.encode(), digest_size=8, person=b"simulate").hexdigest().encode()


def attributes(
    agency: str,
    type_name: str,
    event_id: str,
    now: int,
    sequence: int | None = None,
    correlation: str | None = None,
    causation: str | None = None,
) -> Headers:
    """CloudEvents attributes as Kafka headers; `now` in milliseconds since 1970."""
    time = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds")
    named = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": SOURCE_PREFIX + agency,
        "ce_type": type_name,
        "ce_time": time.replace("+00:00", "Z"),
        "ce_sequence": None if sequence is None else str(sequence),
        "ce_correlationid": correlation,
        "ce_causationid": causation,
    }
    headers = [(name, value.encode()) for name, value in named.items() if value is not None]
    return (*headers, ("content-type", CONTENT_TYPE))


def run_tag(seed: int, start: int) -> str:
    """Four hex digits and a half-byte more that tell one run's ids from another's."""
    return blake2b(b"%d/%d" % (seed, start), digest_size=4).hexdigest()


def forms_of(catalogue: Catalogue, ids: Mapping[str, int]) -> dict[str, Form]:
    """A form per event type; `ids` are the registered schema ids by type."""
    return {name: Form(of, catalogue, ids[name]) for name, of in catalogue.types.items()}
