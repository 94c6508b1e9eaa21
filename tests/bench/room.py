"""One broker and its topics for all sides of a run; what the sides are told about the job."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.events import TYPE, Event, events, raw_schema
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from hub import registry
from hub.catalogue import Catalogue, load
from hub.errors import ConfigError
from hub.kafka.brokers import open_broker
from hub.kafka.connection import Connection
from hub.kafka.java import find_jars, find_java
from hub.machine.hub import prepare
from hub.settings import Settings

SECRET = "b" * 32
T = TypeVar("T")
PARTITIONS = 4
KEPT = {"_schemas"}
QUIET: dict[str, Any] = {"log_level": 0}
LINGER: dict[str, Any] = QUIET | {
    "linger.ms": 20,
    "batch.num.messages": 5000,
    "queue.buffering.max.messages": 1_000_000,
    "acks": "all",
}


@dataclass(frozen=True)
class Room:
    """A broker that runs, its process, and the folder of the run."""

    connection: Connection
    broker: str
    broker_pid: int
    folder: Path
    admin: AdminClient

    @property
    def bootstrap(self) -> str:
        return self.connection.bootstrap

    def prepare_hub(self, schemas: Path) -> Catalogue:
        """The hub's topics, empty but for `in.*`, and its schemas."""
        catalogue = load(schemas)
        wanted = {f"in.{agency}" for agency in catalogue.agencies}
        self.delete(
            topic
            for topic in self.topics()
            if topic not in KEPT | wanted and not topic.startswith(("__", "in.", "peer"))
        )
        settings = Settings(name="bench", schemas=schemas, data_dir=self.folder, person_secret=SECRET)
        retried(lambda: prepare(self.connection, catalogue, settings, lambda text: None))
        return catalogue

    def topics(self) -> list[str]:
        return sorted(self.admin.list_topics(timeout=20).topics)

    def create(self, names: Iterable[str], **configs: str) -> None:
        made = self.admin.create_topics([NewTopic(name, PARTITIONS, 1, config=configs) for name in names])
        for each in made.values():
            each.result(30)

    def delete(self, names: Iterable[str]) -> None:
        """Gone when it returns, so that the same names can be made anew."""
        doomed = list(names)
        if not doomed:
            return
        for each in self.admin.delete_topics(doomed).values():
            each.result(30)
        deadline = time.monotonic() + 30
        while set(doomed) & set(self.topics()) and time.monotonic() < deadline:
            time.sleep(0.05)

    def schema_id(self) -> int:
        return registry.read(self.connection).id_of(TYPE)

    def tell(self, catalogue: Catalogue) -> Path:
        """A file with the event's schema and the two projections, as registered, for sides that are not the hub."""
        ids = registry.read(self.connection)
        masks = [catalogue.entitlements[TYPE][i].mask for i in range(2)]
        views = [catalogue.projections[mask] for mask in masks]
        told = {
            "event": raw_schema(catalogue.types[TYPE].schema),
            "views": [{"id": ids.id_of(view.name), "schema": raw_schema(view.schema)} for view in views],
        }
        path = self.folder / "job.json"
        path.write_text(json.dumps(told))
        return path

    def load(self, topic: str, count: int, persons: int) -> int:
        """`count` different events and the resent ones; returns the number of records."""
        return send(self.bootstrap, topic, events(count, self.schema_id(), persons))


def send(bootstrap: str, topic: str, batch: Iterable[Event]) -> int:
    """Records on `topic` when it returns: how many."""
    producer, sent = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"} | LINGER), 0
    for sent, event in enumerate(batch, 1):
        producer.produce(topic, event.value, event.key, headers=event.headers)
        if sent % 1000 == 0:
            producer.poll(0)
    producer.flush()
    return sent


@contextmanager
def opened(folder: Path) -> Iterator[Room]:
    """Apache Kafka where there is a JDK, as it runs for years: optimised. Else the embedded broker."""
    kind = broker_kind()
    broker = open_broker(kind, folder, lasting=True)
    with broker as connection:
        admin = AdminClient({"bootstrap.servers": connection.bootstrap} | QUIET)
        yield Room(connection, kind, broker.pid or os.getpid(), folder, admin)


def broker_kind() -> str:
    try:
        find_java()
        find_jars()
    except ConfigError:
        return "embedded"
    return "apache"


def retried(call: Callable[[], T], seconds: float = 20.0) -> T:
    """A topic just deleted may still be in the way for a moment, and one just made has no leader yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
