"""Reads many topics again and again, each time only what is new."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.consumer.fetcher import ConsumerRecord
from kafka.protocol.consumer import IsolationLevel

from hub.errors import Retry
from hub.kafka.clients import admin, consumer
from hub.kafka.connection import Connection

STALLED_SECONDS = 30.0
AT_ONCE = 5000
COMMITTED = IsolationLevel.build_from("read_committed")


class Following:
    """Follows whole topics from their first records on, `read_committed`; `open` and `close` go around `read`."""

    def __init__(self, connection: Connection, topics: Iterable[str]) -> None:
        self._connection, self._topics = connection, sorted(set(topics))
        self._places: dict[TopicPartition, int] = {}
        self._parts: list[TopicPartition] = []
        self._clients: ExitStack | None = None
        self._admin: KafkaAdminClient
        self._consumer: KafkaConsumer

    def open(self) -> None:
        """Connect. Raises `ConfigError` when no broker answers. Harmless when it is open."""
        if self._clients is None:
            self._clients = ExitStack()
            self._admin = self._clients.enter_context(admin(self._connection))
            self._consumer = self._clients.enter_context(consumer(self._connection))

    def close(self) -> None:
        """Safe to call again; a later `open` goes on where reading ended."""
        if self._clients is not None:
            self._clients.close()
            self._clients = None

    def read(self) -> Iterator[ConsumerRecord]:
        """Records from where the last call ended to the end that the topics have now, in order within each
        partition. Raises `Retry` when the broker stops answering; what was given is not given again."""
        self.open()
        left = self._news()
        if not left:
            return
        self._consumer.assign(list(left))
        for part in left:
            self._consumer.seek(part, self._places[part])
        yield from self._poll(left)

    def _poll(self, left: dict[TopicPartition, int]) -> Iterator[ConsumerRecord]:
        """By position, not by record: a transaction's marker has an offset and is never delivered."""
        deadline = time.monotonic() + STALLED_SECONDS
        while left:
            found = self._consumer.poll(timeout_ms=100, max_records=AT_ONCE)
            for part, batch in found.items():
                for record in batch:
                    if record.offset < left.get(part, 0):
                        self._places[part] = record.offset + 1
                        yield record
            if self._finish(left) or found:
                deadline = time.monotonic() + STALLED_SECONDS
            elif time.monotonic() > deadline:
                raise Retry(f"reading {next(iter(left)).topic} has stalled for {STALLED_SECONDS:.0f} seconds")

    def _finish(self, left: dict[TopicPartition, int]) -> bool:
        # Not consumer.position(): it walks over all partitions each time.
        assigned = self._consumer._subscription.assignment
        done = [part for part, end in left.items() if assigned[part].position.offset >= end]
        for part in done:
            self._places[part] = left.pop(part)
        self._consumer.pause(*done)
        return bool(done)

    def _news(self) -> dict[TopicPartition, int]:
        """Where to stop, of every partition that has something new."""
        if not self._parts:
            self._find()
        asked = dict.fromkeys(self._parts, OffsetSpec.LATEST)
        ends = self._admin.list_partition_offsets(asked, COMMITTED) if asked else {}
        return {part: found.offset for part, found in ends.items() if found.offset > self._places[part]}

    def _find(self) -> None:
        """The partitions there are, and where each begins."""
        described = [t for t in self._admin.describe_topics(self._topics) if t["error_code"] == 0]
        self._parts = [
            TopicPartition(topic["name"], part["partition_index"])
            for topic in described
            for part in topic["partitions"]
        ]
        asked = dict.fromkeys(self._parts, OffsetSpec.EARLIEST)
        first = self._admin.list_partition_offsets(asked, COMMITTED) if asked else {}
        self._places = {part: found.offset for part, found in first.items()}
