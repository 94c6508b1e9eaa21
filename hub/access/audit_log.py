"""One writer's chain in the topic `audit`: goes on where it ended, whatever ended it.

Entries are written in a transaction of the writer's own id. When an attempt fails, its outcome may be either: the
producer is dropped, a new one is opened (which ends the old transaction one way or the other, and fences whoever else
writes under this name), and the end of the chain is read from the topic before anything is written again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple
from zlib import crc32

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from hub.access.audit import Entry
from hub.avro.records import RecordCodec
from hub.errors import Retry
from hub.kafka.clients import consumer, producer
from hub.kafka.connection import Connection
from hub.kafka.following import describe
from hub.pipeline.summarise import TOPIC, Chain

WRITE_SECONDS = 10.0
SETTINGS = {"max_block_ms": 5_000, "request_timeout_ms": 5_000, "delivery_timeout_ms": 8_000}
DECIDED_SECONDS = 30.0
"""After so long the broker has ended the transaction of a worker that was killed."""
STEP = 256
"""Records looked at first, from the end backwards, for the last entry of a writer."""


class Codecs(NamedTuple):
    """What a chain packs its entries with."""

    audit: RecordCodec


class AuditLog:
    """Used by one thread. `writer` names the chain: a process that starts under the same name goes on with it.

    `hub` names the hub towards the broker. `codec` gives what `hub.AuditEntry` is packed with; it is asked when the
    first entry comes, since the schema may be registered after a door has opened.
    """

    def __init__(self, connection: Connection, codec: Callable[[], RecordCodec], writer: str, hub: str) -> None:
        self._connection, self._codec, self._writer, self._hub = connection, codec, writer, hub
        self._codecs: Codecs | None = None
        self._opened: tuple[contextlib.ExitStack, KafkaProducer, TopicPartition] | None = None
        self._chain = self._tried = Chain(writer)

    def write(self, entries: list[Entry]) -> None:
        """Durable, and in the chain once. Raises `KafkaError`, `Retry`, `ConfigError`: give the same entries again."""
        try:
            codecs = self._codecs = self._codecs or Codecs(self._codec())
            client, part, written = self._open(codecs)
            if not written:
                self._send(client, part, codecs, entries)
        except Exception:
            self._drop()
            raise

    def close(self) -> None:
        self._drop()

    def _send(self, client: KafkaProducer, part: TopicPartition, codecs: Codecs, entries: list[Entry]) -> None:
        chain, values = self._chain, []
        for entry in entries:
            value, chain = chain.add(codecs, entry)
            values.append(value)
        self._tried = chain
        client.begin_transaction()
        key = self._writer.encode()
        sent = [client.send(TOPIC, key=key, value=value, partition=part.partition) for value in values]
        for each in sent:
            each.get(timeout=WRITE_SECONDS)
        client.commit_transaction()
        self._chain = chain

    def _open(self, codecs: Codecs) -> tuple[KafkaProducer, TopicPartition, bool]:
        """A producer, where to write, and whether the last attempt turns out to have been committed."""
        if self._opened is not None:
            return self._opened[1], self._opened[2], False
        topics = describe(self._connection, [TOPIC])
        if not topics:
            raise Retry(f"the broker has no topic {TOPIC}: `hub topics apply` makes it")
        part = TopicPartition(TOPIC, crc32(self._writer.encode()) % len(topics[0].partitions))
        with contextlib.ExitStack() as opening:
            client = opening.enter_context(
                producer(self._connection, transactional_id=f"{self._hub}.audit.{self._writer}", **SETTINGS)
            )
            client.init_transactions()
            found = list(_tail(self._connection, codecs.audit, part, self._writer))
            self._chain = found[-1] if found else Chain(self._writer)
            self._opened = opening.pop_all(), client, part
        return client, part, self._tried.number > 0 and self._tried in found

    def _drop(self) -> None:
        if self._opened is not None:
            (opened, _, _), self._opened = self._opened, None
            with contextlib.suppress(KafkaError):  # as a failure: nothing is left to be flushed
                opened.__exit__(KafkaError, KafkaError("ended"), None)


def _tail(connection: Connection, codec: RecordCodec, part: TopicPartition, writer: str) -> Iterator[Chain]:
    """The writer's newest entries in order, as ends of its chain; at least the last one, where there is any."""
    with consumer(connection) as client:
        client.assign([part])
        first, end = client.beginning_offsets([part])[part], _decided(connection, client, part)
        start, step, found = end, STEP, list[Chain]()
        while not found and start > first:
            upto, start, step = start, max(first, start - step), step * 4
            client.seek(part, start)
            deadline = time.monotonic() + WRITE_SECONDS
            while client.position(part, timeout_ms=5_000) < upto:
                records = client.poll(timeout_ms=200).get(part, ())
                if records:
                    deadline = time.monotonic() + WRITE_SECONDS
                elif time.monotonic() > deadline:
                    raise Retry(f"reading {TOPIC}/{part.partition} has stalled")
                for record in records:
                    if record.offset < upto and record.key == writer.encode():
                        entry = codec.unpack(record.value)
                        found.append(Chain(writer, entry["number"], entry["hash"]))
        yield from found


def _decided(connection: Connection, client: KafkaConsumer, part: TopicPartition) -> int:
    """The end, once all is decided that is there now: an open transaction of another writer, of a worker that was
    killed perhaps, hides from a reader of what is committed whatever came after it."""
    with consumer(connection, isolation="read_uncommitted") as all_of_it:
        there = all_of_it.end_offsets([part])[part]
    deadline = time.monotonic() + DECIDED_SECONDS
    while (end := client.end_offsets([part])[part]) < there:
        if time.monotonic() > deadline:
            raise Retry(f"a transaction in {TOPIC}/{part.partition} stays open")
        time.sleep(0.1)
    return int(end)
