"""kafka-python clients with the settings that are safe here, each with its reason. No other module makes one.

kafka-python's own defaults lose data quietly (auto-commit, read-uncommitted, `latest`). The lanes use aiokafka;
their settings are in `hub/engine/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaConnectionError, KafkaTimeoutError

from hub.errors import ConfigError
from hub.kafka.connection import Connection

Isolation = Literal["read_committed", "read_uncommitted"]
Client = TypeVar("Client")

MIB = 1 << 20
# The largest record the hub itself writes is a dead letter (an input of 2 MiB in its envelope); dlq.* takes 4 MiB.
MAX_RECORD = 4 * MIB
# How long a client may look for the first broker that answers before it says which one it did not find.
CONNECT_MS = 10_000
CLOSE_MS = 2_000
# How long a transaction may be open before the broker aborts it. It looks every ten seconds: after the second of them
# it has ended what somebody who was killed left open.
TRANSACTION_MS = 15_000
DECIDED_SECONDS = 30.0


@contextmanager
def admin(connection: Connection) -> Iterator[KafkaAdminClient]:
    """An admin client for the length of a `with`; `ConfigError` when no broker answers."""
    client = _connected(connection, lambda: KafkaAdminClient(**admin_settings(connection)))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def consumer(
    connection: Connection, *, group: str | None = None, isolation: Isolation = "read_committed"
) -> Iterator[KafkaConsumer]:
    """A consumer for the length of a `with`; offsets are committed by whoever called, never by a timer."""
    client = _connected(connection, lambda: KafkaConsumer(**consumer_settings(connection, group, isolation)))
    try:
        yield client
    finally:
        client.close(autocommit=False, timeout_ms=CLOSE_MS)


@contextmanager
def producer(connection: Connection, **extra: Any) -> Iterator[KafkaProducer]:
    """An idempotent producer for the length of a `with`; what was sent is flushed before it closes."""
    client = _connected(connection, lambda: KafkaProducer(**producer_settings(connection), **extra))
    try:
        yield client
        client.flush()
    finally:
        client.close(timeout=5)


def admin_settings(connection: Connection) -> dict[str, Any]:
    return _shared(connection) | {
        # A retry asks for the metadata of all topics: asking ten times a second, as is the default, while
        # a thousand partitions are being made slows their making down.
        "retry_backoff_ms": 300,
    }


def consumer_settings(connection: Connection, group: str | None, isolation: Isolation) -> dict[str, Any]:
    return _shared(connection) | {
        "group_id": group,
        "enable_auto_commit": False,  # a timer would commit records whose work is still in flight
        "auto_offset_reset": "earliest",  # `latest` skips what a new topic got before its first reader
        "isolation_level": isolation,  # the library's default shows aborted transactions
        "allow_auto_create_topics": False,  # topics come from the catalogue only
        "max_partition_fetch_bytes": MAX_RECORD,  # one large dead letter must not need a second round trip
        "fetch_max_wait_ms": 100,  # most readers end at a known offset: an idle broker must not hold them
        "metrics_enabled": False,  # thousands of per-partition gauges that nobody reads
    }


LASTING: dict[str, Any] = {"fetch_max_wait_ms": 500}
"""For consumers that read on for as long as they live: what comes ends the wait, so a long one costs no time and spares
the broker most of an idle reader's questions."""


def producer_settings(connection: Connection) -> dict[str, Any]:
    return _shared(connection) | {
        "acks": "all",  # accepted means durable on all in-sync replicas
        "enable_idempotence": True,  # a retry after a lost answer writes nothing twice
        "compression_type": None,  # in.* takes uncompressed records only (a small batch can hide 900 MB)
        "linger_ms": 0,  # every caller waits for the answer
        "max_request_size": MAX_RECORD,
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
    }


def _shared(connection: Connection) -> dict[str, Any]:
    return connection.kafka_python() | {"client_id": "hub", "bootstrap_timeout_ms": CONNECT_MS}


def _connected(connection: Connection, make: Callable[[], Client]) -> Client:
    try:
        return make()
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise ConfigError(f"no Kafka broker answers at {connection.bootstrap}: {error}") from error
