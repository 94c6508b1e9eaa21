"""The Kafka clients of a delivery process, and what it looks up in the schema registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError

from hub.avro.records import RecordCodec
from hub.delivery.receipts import SUBJECT
from hub.kafka.clients import LASTING, consumer_settings, producer_settings
from hub.kafka.connection import Connection
from hub.kafka.joining import sees_joins_through
from hub.registry.log import read
from hub.registry.schemas import Schemas

KIB = 1 << 10
PROBE_MS = 3_000
CLOSE_MS = 5_000

CONSUMER = {
    **LASTING,
    "auto_offset_reset": "none",  # what is gone is not jumped over without a word: see `hub.delivery.gone`
    "partition_assignment_strategy": [CooperativeStickyAssignor],  # only what moves is revoked
    "max_partition_fetch_bytes": 512 * KIB,  # one per partition may wait in memory while its receiver is down
    "fetch_max_bytes": 8 * KIB * KIB,
    "session_timeout_ms": 10_000,  # a killed process holds its partitions no longer
    "heartbeat_interval_ms": 1_000,
    "metadata_max_age_ms": 30_000,  # a topic that is made later is seen
    "reconnect_backoff_max_ms": 2_000,  # a broker that comes back is found at once
}
PRODUCER = {
    "delivery_timeout_ms": 25_000,
    "request_timeout_ms": 10_000,
    "max_block_ms": 10_000,
    "linger_ms": 5,  # a batch's receipts are sent one by one and waited for together
    "batch_size": 256 * KIB,
    "reconnect_backoff_max_ms": 2_000,
}


class Wire:
    """Makes clients for one group; raises what kafka-python raises when no broker answers."""

    def __init__(self, connection: Connection, group: str) -> None:
        self._connection = connection
        self._group = group

    @contextmanager
    def consumer(self) -> Iterator[KafkaConsumer]:
        """Leaves the group at the end, within seconds even where the broker is away."""
        consumer = KafkaConsumer(**consumer_settings(self._connection, self._group, "read_committed") | CONSUMER)
        sees_joins_through(consumer)
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)

    def producer(self) -> KafkaProducer:
        """For receipts; whoever called closes it."""
        return KafkaProducer(**producer_settings(self._connection) | PRODUCER)

    def schemas(self) -> Schemas:
        """What is registered now."""
        return read(self._connection)

    def receipt_codec(self) -> RecordCodec:
        """Packs `hub.DeliveryReceipt` under its registered id. Raises `KeyError` where it is not registered."""
        schemas = self.schemas()
        schema_id = schemas.id_of(SUBJECT)
        return RecordCodec(schema_id, json.loads(schemas.by_id(schema_id).schema))


def answers(consumer: KafkaConsumer, topic: str) -> bool:
    """Whether the broker says where that topic ends, within `PROBE_MS`."""
    try:
        consumer.end_offsets([TopicPartition(topic, 0)], timeout_ms=PROBE_MS)
    except KafkaError:
        return False
    return True
