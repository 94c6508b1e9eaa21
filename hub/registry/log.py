"""Reads and writes the topic `_schemas`, or another registry where the connection names one."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from kafka import KafkaProducer
from kafka.errors import KafkaError

from hub.errors import Fatal, Retry
from hub.kafka.clients import producer
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all
from hub.registry.external import External
from hub.registry.schemas import TOPIC, Entry, Schemas

# One writer at a time: whoever opens this id ends what another one has begun, so that no id is given out twice.
WRITER = "hub.registry"
READ_BACK_SECONDS = 15.0
LOOK_SECONDS = 3.0
"""Whoever waits asks again by itself."""

SETTLE_SECONDS = 0.5
"""So far behind one another nodes of a registry may be."""


def read(connection: Connection) -> Schemas:
    """The log from its start to its end now; empty when there is no such topic. Raises `Fatal` at a record that no
    registry writes: ids that follow it could not be trusted."""
    if connection.schema_registry:
        return External(connection.schema_registry, connection.schema_registry_auth).read()
    schemas = Schemas()
    for record in read_all(connection, TOPIC):
        try:
            schemas.apply(record.key, record.value)
        except ValueError as error:
            raise Fatal(f"{record.coordinates} is no record of a schema registry: {error}") from error
    return schemas


def look_up(connection: Connection, ids: Collection[int]) -> Schemas:
    """As `read`, for somebody who waits for these ids: another registry is not asked for long."""
    if not connection.schema_registry:
        return read(connection)
    external = External(connection.schema_registry, connection.schema_registry_auth, seconds=LOOK_SECONDS, attempts=1)
    found = external.read()
    if max(ids, default=0) > found.highest_id:
        # ids are given out in order: a node of it may have given this one out, and the one asked does not have it yet
        time.sleep(SETTLE_SECONDS)
        found = external.read()
    return found


def missing(connection: Connection, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of these (subject, schema) that are not on offer."""
    known = read(connection)
    return [(subject, text) for subject, text in pairs if known.same(subject, text) is None]


def register(connection: Connection, pairs: Iterable[tuple[str, str]]) -> Schemas:
    """Make sure that each (subject, schema) is in the log, and return what the log then says.

    Writes only what is new. Raises `Retry` when another registrar took over, `ConfigError` without the topic.
    """
    wanted = list(pairs)
    if connection.schema_registry:
        return External(connection.schema_registry, connection.schema_registry_auth).register(wanted)
    schemas = read(connection)
    if not schemas.assign(wanted):
        return schemas
    with producer(connection, transactional_id=WRITER) as writer:
        _write(connection, writer, wanted)
    return _read_back(connection, wanted)


def _write(connection: Connection, writer: KafkaProducer, wanted: list[tuple[str, str]]) -> None:
    try:
        writer.init_transactions()
        new = read(connection).assign(wanted)  # again: another writer may have finished before it was fenced
        if new:
            _send(writer, new)
    except KafkaError as error:
        raise Retry(f"the schemas were not registered: {error}") from error


def _send(writer: KafkaProducer, new: list[Entry]) -> None:
    writer.begin_transaction()
    sent = [writer.send(TOPIC, key=entry.key(), value=entry.value(), partition=0) for entry in new]
    for each in sent:
        each.get(timeout=READ_BACK_SECONDS)
    writer.commit_transaction()


def _read_back(connection: Connection, wanted: list[tuple[str, str]]) -> Schemas:
    """A commit is answered before its markers are written: read until it shows."""
    deadline = time.monotonic() + READ_BACK_SECONDS
    while True:
        schemas = read(connection)
        if not schemas.assign(wanted):
            return schemas
        if time.monotonic() > deadline:
            raise Retry(f"the schemas written do not show in {TOPIC}")
        time.sleep(0.05)
