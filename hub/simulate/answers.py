"""Providers that answer: each reads its own `out.<agency>` and tells the centre what became of a request.

Nobody told the provider in advance: without the hub's routing there is no answer. The centre's topics are read as
well, to count what came back to it.
"""

from __future__ import annotations

import io
import json
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, Protocol

import fastavro
from kafka import KafkaConsumer, TopicPartition

from hub.avro.records import WIRE_HEADER_BYTES, without_logical_types
from hub.catalogue import Catalogue
from hub.kafka.clients import consumer
from hub.kafka.connection import Connection
from hub.simulate.desk import Form, attributes, subject_key
from hub.simulate.fill import Scene
from hub.simulate.people import Population
from hub.simulate.planned import Planned, Sort

REQUESTED = "az.zefer.service.ServiceRequested"
COMPLETED = "az.zefer.service.ServiceCompleted"
PAUSE_SECONDS = 0.2
"""Between two looks at the topics. A broker that answers an empty fetch at once would else keep a core busy."""
AT_ONCE = 5000
CLOCK_SECONDS = 0.3
"""The least time that an office takes to answer; the most is five times that."""


class SchemaTexts(Protocol):
    """What stands under a registered schema id; the last of the three is its JSON text."""

    def by_id(self, id: int) -> tuple[str, int, str]: ...


class Received(NamedTuple):
    """An event as a receiver sees it: attributes by name, and the fields that it may see, raw."""

    agency: str
    attributes: Mapping[str, str]
    fields: Mapping[str, Any]


class Receiving:
    """Decodes what arrives in `out.*` by its registered schema, as any receiver would."""

    def __init__(self, schemas: SchemaTexts) -> None:
        self._schemas = schemas
        self._parsed: dict[int, Any] = {}

    def read(self, agency: str, headers: Collection[tuple[str, bytes]], value: bytes) -> Received:
        schema_id = int.from_bytes(value[1:WIRE_HEADER_BYTES], "big")
        parsed = self._parsed.get(schema_id)
        if parsed is None:
            text = self._schemas.by_id(schema_id)[2]
            parsed = self._parsed[schema_id] = fastavro.parse_schema(without_logical_types(json.loads(text)))
        fields = fastavro.schemaless_reader(io.BytesIO(value[WIRE_HEADER_BYTES:]), parsed, None)
        assert isinstance(fields, dict)
        named = {name: content.decode() for name, content in headers if name.startswith("ce_")}
        return Received(agency, named, fields)


class Offices:
    """What providers write in answer; pure, from what they received."""

    def __init__(self, form: Form, population: Population, seed: int, tag: str) -> None:
        self._form, self._population, self._rng, self._tag = form, population, Random(f"answers {seed}"), tag
        self._answered = 0

    def answer(self, received: Received, now: int) -> Planned:
        """The event that completes a request: about its case, correlated with it, caused by it."""
        self._answered += 1
        event_id = f"{received.agency}-{self._tag}a-{self._answered}"
        about = self._population[self._rng.randrange(self._population.size)]
        scene = Scene(self._rng, about, self._population, now, received.agency, event_id)
        given = dict(received.fields) | {"provider": received.agency, "completed_at": now}
        body = self._form.filler.fill(scene, given)
        cause = received.attributes["ce_id"]
        headers = attributes(
            received.agency,
            self._form.type.name,
            event_id,
            now,
            1,
            received.attributes.get("ce_correlationid", cause),
            cause,
        )
        key = subject_key(body[self._form.type.key_field])
        return Planned(0.0, received.agency, self._form.type.name, Sort.ANSWER, key, headers, self._form.encode(body))


@dataclass
class Providers:
    """A thread that reads for all providers and the centre; `send` is called from it with each answer.

    `seen` counts requests that reached a provider, `answered` what was sent in answer, `returned` the answers
    that came back to whoever had asked; all counted by distinct event id.
    """

    connection: Connection
    catalogue: Catalogue
    receiving: Receiving
    offices: Offices
    send: Callable[[Planned], None]
    now: Callable[[], int]
    answered: int = 0
    failure: Exception | None = None
    _seen: set[str] = field(default_factory=set)
    _returned: set[str] = field(default_factory=set)
    _due: deque[tuple[int, Received]] = field(default_factory=deque)
    _stop: threading.Event = field(default_factory=threading.Event)
    _ready: threading.Event = field(default_factory=threading.Event)

    @property
    def seen(self) -> int:
        return len(self._seen)

    @property
    def returned(self) -> int:
        return len(self._returned)

    def start(self) -> None:
        """Return once every topic is being read from its end, so that no answer is to an old request."""
        self._thread = threading.Thread(target=self._run, name="providers", daemon=True)
        self._thread.start()
        self._ready.wait(60)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def agencies(self) -> list[str]:
        """Those that provide a service and may say so, and those that ask."""
        provide = {code for service in self.catalogue.services.values() for code in service.providers}
        may = self.catalogue.may_publish
        return [c for c in self.catalogue.agencies if (c in provide and may(c, COMPLETED)) or may(c, REQUESTED)]

    def _run(self) -> None:
        try:
            with consumer(self.connection) as client:
                self._follow(client)
        except Exception as error:  # the report tells; a run goes on without providers
            self.failure = error
        finally:
            self._ready.set()

    def _follow(self, client: KafkaConsumer) -> None:
        topics = [f"out.{code}" for code in self.agencies()]
        parts = [TopicPartition(t, p) for t in topics for p in client.partitions_for_topic(t) or ()]
        client.assign(parts)
        for part, end in client.end_offsets(parts).items() if parts else ():
            client.seek(part, end)
        self._ready.set()
        while not self._stop.wait(PAUSE_SECONDS):
            while parts and not self._stop.is_set() and (found := client.poll(timeout_ms=0, max_records=AT_ONCE)):
                for received in self._received(found):
                    self.take(received)
            self.answer()

    def _received(self, polled: Mapping[TopicPartition, Any]) -> Iterator[Received]:
        for part, records in polled.items():
            for record in records:
                if dict(record.headers).get("ce_type") in (REQUESTED.encode(), COMPLETED.encode()):
                    yield self.receiving.read(part.topic.removeprefix("out."), record.headers, record.value)

    def take(self, received: Received) -> None:
        """What arrived: a request to answer in a while, or an answer that is back."""
        attributes = received.attributes
        if attributes["ce_type"] == COMPLETED:
            if received.fields.get("centre") == received.agency:
                self._returned.add(attributes["ce_id"])
        elif received.fields.get("provider") == received.agency and attributes["ce_id"] not in self._seen:
            self._seen.add(attributes["ce_id"])
            wait = 1 + int(attributes["ce_id"][:2], 16) % 5  # of the id: an office is not slower the second time
            self._due.append((self.now() + int(CLOCK_SECONDS * 1000) * wait, received))

    def answer(self) -> None:
        """Send the answers that are due."""
        for _ in range(len(self._due)):
            when, received = self._due.popleft()
            if when > self.now():
                self._due.append((when, received))
            else:
                self.send(self.offices.answer(received, self.now()))
                self.answered += 1
