"""A whole hub as people run it, and agencies that speak to it with clients of their own (confluent-kafka, avro)."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import pytest
from archive import PATIENCE, Archive
from brokers import require_apache
from confluent_kafka import KafkaException, Message, Producer

from hub.catalogue import load
from hub.machine.hub import Hub, running
from hub.settings import Settings

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def hub_on_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    yield from _hub("embedded", tmp_path_factory.mktemp("hub-embedded"))


@pytest.fixture(scope="session")
def hub_on_apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    require_apache()
    yield from _hub("apache", tmp_path_factory.mktemp("hub-apache"))


@pytest.fixture(params=["embedded", "apache"])
def hub(request: pytest.FixtureRequest) -> Outside:
    """One hub for the whole run on each broker: tests use persons and ids of their own."""
    found: Outside = request.getfixturevalue(f"hub_on_{request.param}")
    return found


def _hub(kind: str, folder: Path) -> Iterator[Outside]:
    settings = Settings(broker=kind, data_dir=folder, registry_port=0, partitions=2)  # type: ignore[arg-type]
    with running(settings, load(), lambda _: None) as hub:
        yield Outside(hub, folder)


@dataclass(frozen=True)
class Sent:
    """An accepted record: where, and what was sent."""

    coordinates: str
    id: str
    value: bytes


class Outside:
    """The hub as agencies see it: topics, schema ids, files. Imports nothing of the pipeline."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        self.bootstrap = hub.connection.bootstrap
        self._producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "acks": "all",
                "message.max.bytes": 20_000_000,
                "log_level": 0,
            }
        )
        self._archive = Archive(self.bootstrap)
        self._schemas = {e["id"]: e for e in self._registered()}

    def schema_id(self, name: str) -> int:
        """As any client of a Confluent registry's topic finds it."""
        return max(i for i, entry in self._schemas.items() if entry["subject"] == name)

    def encode(self, name: str, data: Mapping[str, Any]) -> bytes:
        """Confluent's wire format, the body by Apache Avro's own encoder."""
        text = self._schemas[self.schema_id(name)]["schema"]
        buffer = io.BytesIO(b"\0" + self.schema_id(name).to_bytes(4, "big"))
        buffer.seek(5)
        writer = avro.io.DatumWriter(avro.schema.parse(_plain(text)))
        writer.write(dict(data), avro.io.BinaryEncoder(buffer))
        return buffer.getvalue()

    def decode(self, value: bytes) -> tuple[str, dict[str, Any]]:
        """(schema's full name, values), by Apache Avro's own decoder."""
        entry = self._schemas[int.from_bytes(value[1:5], "big")]
        schema = avro.schema.parse(_plain(entry["schema"]))
        found = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(io.BytesIO(value[5:])))
        return entry["subject"], dict(found)  # type: ignore[arg-type]

    def send(
        self,
        agency: str,
        name: str,
        value: bytes,
        *,
        id: str | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
        **attributes: str,
    ) -> Sent:
        """Publish one record to `in.<agency>` and wait for the broker."""
        event_id = id or unique("e")
        ce = {"specversion": "1.0", "id": event_id, "source": f"urn:az:agency:{agency}", "type": name}
        ce |= {"time": "2026-11-20T09:00:00Z"} | attributes
        pairs = [(f"ce_{k}", v.encode()) for k, v in ce.items()] + [
            ("content-type", b"application/avro"),
            *headers,
        ]
        done: list[Message] = []
        failed: list[Any] = []

        def delivered(error: Any, message: Message) -> None:
            (failed if error else done).append(error or message)

        self._producer.produce(f"in.{agency}", value, key=b"k", headers=pairs, on_delivery=delivered)
        self._producer.flush(PATIENCE)
        if failed:
            raise KafkaException(failed[0])
        at = done[0]
        return Sent(f"{at.topic()}/{at.partition()}/{at.offset()}", event_id, value)

    def receipt(self, sent: Sent) -> dict[str, Any]:
        """The verdict on a record, waited for; fails where there are two."""
        topic = sent.coordinates.split("/")[0].replace("in.", "receipts.")
        found = self.until(
            lambda: [
                value
                for m in self.read(topic)
                if (m.key() or b"").decode() == sent.coordinates
                for name, value in [self.decode(m.value())]
                if name == "hub.Receipt"
            ]
        )
        assert len(found) == 1
        return found[0]

    def received(self, event_id: str) -> dict[str, list[tuple[Message, dict[str, Any]]]]:
        """What `out.*` holds of one event, by agency."""
        found: dict[str, list[tuple[Message, dict[str, Any]]]] = {}
        for message in self.read(*(f"out.{agency}" for agency in self.hub.catalogue.agencies)):
            if dict(message.headers() or ())["ce_id"] == event_id.encode():
                agency = message.topic().removeprefix("out.")
                found.setdefault(agency, []).append((message, self.decode(message.value())[1]))
        return found

    def read(self, *topics: str) -> list[Message]:
        """All committed records of topics, with a client that the hub does not use."""
        return self._archive.read(*topics)

    def until(self, look: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """Look again until there is something."""
        deadline = time.monotonic() + PATIENCE
        while not (found := look()):
            assert time.monotonic() < deadline, "nothing came"
            time.sleep(0.1)
        return found

    def _registered(self) -> list[dict[str, Any]]:
        self._schemas: dict[int, dict[str, Any]] = {}
        return [json.loads(m.value()) for m in self.read("_schemas")]


def unique(prefix: str) -> str:
    """A name that no other test of this run has."""
    return f"{prefix}-{next(_numbers)}"


def fin() -> str:
    """A FİN that no other test of this run has."""
    return f"T{next(_numbers):06d}"


def _plain(text: str) -> str:
    """The schema without logical types: values are then plain integers for this encoder."""

    def strip(node: Any) -> Any:
        if isinstance(node, list):
            return [strip(n) for n in node]
        if isinstance(node, dict):
            return {k: strip(v) for k, v in node.items() if k != "logicalType"}
        return node

    return json.dumps(strip(json.loads(text)))
