"""What the hub relies on from a broker: one suite, on the embedded broker and on Apache Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, KafkaError, MessageSizeTooLargeError, ProducerFenced
from brokers import make_topic

from hub.kafka.clients import admin
from hub.kafka.connection import Connection
from hub.kafka.reading import Record, read_all, tail

Name = Callable[[str], str]
MIB = 1 << 20
PATIENCE = 60.0
KEPT = {"retention_ms": "-1"}
"""For records of years ago: retention goes by a record's time, and takes them whenever the broker looks for such."""


async def produce(broker: Connection, topic: str, values: Iterable[bytes], **more: Any) -> list[int]:
    async with AIOKafkaProducer(**broker.aiokafka(), linger_ms=0) as producer:
        return [(await producer.send_and_wait(topic, value, **more)).offset for value in values]


async def transact(broker: Connection, tid: str, topic: str, values: Iterable[bytes], commit: bool) -> None:
    async with AIOKafkaProducer(**broker.aiokafka(), transactional_id=tid, linger_ms=0) as producer:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value)
        await (producer.commit_transaction() if commit else producer.abort_transaction())


async def consume(broker: Connection, topic: str, count: int, isolation: str = "read_committed") -> list[bytes]:
    """What a lane would see: `count` values, and all that comes in a moment more."""
    consumer = AIOKafkaConsumer(topic, **broker.aiokafka(), auto_offset_reset="earliest", isolation_level=isolation)
    async with consumer:
        found: list[bytes] = []
        deadline = time.monotonic() + PATIENCE
        while len(found) < count and time.monotonic() < deadline:
            found += await _poll(consumer, 500)
        return found + await _poll(consumer, 200)


async def _poll(consumer: AIOKafkaConsumer, milliseconds: int) -> list[bytes]:
    batches = await consumer.getmany(timeout_ms=milliseconds)
    return [record.value for records in batches.values() for record in records]


def values(records: Iterable[Record]) -> list[bytes | None]:
    return [record.value for record in records]


def test_topics_are_made_with_their_partitions_and_limits(broker: Connection, name: Name) -> None:
    topic = make_topic(broker, name("made"), 4, max_message_bytes="2097152")
    with admin(broker) as client:
        found = client.describe_topics([topic])[0]
    assert sorted(part["partition_index"] for part in found["partitions"]) == [0, 1, 2, 3]


def test_a_topic_does_not_come_about_by_being_named(broker: Connection, name: Name) -> None:
    topic = name("missing")

    async def send() -> None:
        async with AIOKafkaProducer(**broker.aiokafka(), request_timeout_ms=500) as producer:
            await producer.send_and_wait(topic, b"x")

    with pytest.raises(KafkaError):
        asyncio.run(send())
    assert list(read_all(broker, topic)) == []


def test_a_record_comes_back_as_it_was_sent(broker: Connection, name: Name) -> None:
    topic = make_topic(broker, name("as-sent"), 2, **KEPT)
    headers = [("ce_id", b"1"), ("ce_id", b"2"), ("empty", b"")]
    asyncio.run(produce(broker, topic, [b"\x00value"], headers=headers, partition=1))
    asyncio.run(produce(broker, topic, [b"keyed"], key=b"k", partition=0, timestamp_ms=1_700_000_000_000))
    keyed, sent = sorted(read_all(broker, topic), key=lambda record: record.partition)
    assert (sent.key, sent.value, sent.headers) == (None, b"\x00value", tuple(headers))
    assert (keyed.key, keyed.timestamp, keyed.headers) == (b"k", 1_700_000_000_000, ())
    assert sent.coordinates == f"{topic}/1/0"


def test_a_tombstone_is_a_record_without_a_value(broker: Connection, name: Name) -> None:
    topic = make_topic(broker, name("tombstone"), cleanup_policy="compact")
    asyncio.run(produce(broker, topic, [b"v"], key=b"k"))
    asyncio.run(produce(broker, topic, [None], key=b"k"))  # type: ignore[list-item]
    assert values(read_all(broker, topic)) == [b"v", None]


def test_only_committed_records_are_seen(broker: Connection, name: Name) -> None:
    topic = make_topic(broker, name("isolation"))

    async def write() -> None:
        await transact(broker, name("t"), topic, [b"a", b"b"], commit=True)
        await transact(broker, name("t"), topic, [b"lost"], commit=False)
        await transact(broker, name("t"), topic, [b"c"], commit=True)
        await transact(broker, name("t"), topic, [b"lost"], commit=False)

    asyncio.run(write())
    assert asyncio.run(consume(broker, topic, 3)) == [b"a", b"b", b"c"]
    assert values(read_all(broker, topic, settle=5)) == [b"a", b"b", b"c"]
    assert values(read_all(broker, topic, "read_uncommitted")) == [b"a", b"b", b"lost", b"c", b"lost"]


def test_reading_ends_before_an_open_transaction(broker: Connection, name: Name) -> None:
    topic = make_topic(broker, name("open"))

    async def write_and_read() -> list[bytes | None]:
        async with AIOKafkaProducer(**broker.aiokafka(), transactional_id=name("t")) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"open")
            await produce(broker, topic, [b"behind it"])
            found = await asyncio.to_thread(lambda: values(read_all(broker, topic)))
            await producer.commit_transaction()
            return found

    assert asyncio.run(write_and_read()) == []


def test_a_zombie_is_fenced_and_what_it_wrote_is_gone(broker: Connection, name: Name) -> None:
    topic, tid = make_topic(broker, name("fence")), name("t")

    async def two_lives() -> None:
        zombie = AIOKafkaProducer(**broker.aiokafka(), transactional_id=tid)
        await zombie.start()
        await zombie.begin_transaction()
        await zombie.send_and_wait(topic, b"of the zombie")
        await transact(broker, tid, topic, [b"of its successor"], commit=True)
        with pytest.raises((ProducerFenced, InvalidProducerEpoch)):
            await zombie.commit_transaction()
        await zombie.stop()

    asyncio.run(two_lives())
    assert asyncio.run(consume(broker, topic, 1)) == [b"of its successor"]


@pytest.mark.parametrize(("kind", "seen"), [("apache", [b"follows"]), ("embedded", [])])
def test_a_reader_that_begins_behind_an_aborted_transaction(
    request: pytest.FixtureRequest, name: Name, kind: str, seen: list[bytes]
) -> None:
    """Of the same producer, as after a restart. The embedded broker goes on naming the aborted transaction in each
    answer, and clients then hide what the producer commits later. Once it does not, its tests can be as the other's."""
    broker: Connection = request.getfixturevalue(kind)
    topic, tid = make_topic(broker, name("behind")), name("t")

    async def write_and_read() -> list[bytes]:
        await transact(broker, tid, topic, [b"cut off"], commit=False)
        await transact(broker, tid, topic, [b"follows"], commit=True)
        consumer = AIOKafkaConsumer(**broker.aiokafka(), isolation_level="read_committed", enable_auto_commit=False)
        async with consumer:
            consumer.assign([TopicPartition(topic, 0)])
            consumer.seek(TopicPartition(topic, 0), 2)  # behind the record and its marker
            return await _poll(consumer, 60_000 if seen else 1_000)

    assert asyncio.run(write_and_read()) == seen


@pytest.mark.parametrize(("commit", "expected"), [(True, 3), (False, None)])
def test_offsets_ride_in_the_transaction(broker: Connection, name: Name, commit: bool, expected: int | None) -> None:
    source, group = TopicPartition(make_topic(broker, name("source")), 0), name("group")

    async def move() -> int | None:
        await produce(broker, source.topic, [b"1", b"2", b"3"])
        async with AIOKafkaProducer(**broker.aiokafka(), transactional_id=name("t")) as producer:
            await producer.begin_transaction()
            await producer.send_offsets_to_transaction({source: 3}, group)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        return await committed(broker, group, source)

    assert asyncio.run(move()) == expected


async def committed(broker: Connection, group: str, source: TopicPartition) -> int | None:
    async with AIOKafkaConsumer(**broker.aiokafka(), group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([source])
        found: int | None = await consumer.committed(source)
        return found


def test_a_group_goes_on_where_it_committed(broker: Connection, name: Name) -> None:
    topic, group = make_topic(broker, name("group")), name("group")

    async def read(count: int) -> list[bytes]:
        settings = {"group_id": group, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
        async with AIOKafkaConsumer(topic, **broker.aiokafka(), **settings) as consumer:
            found = [(await asyncio.wait_for(consumer.getone(), PATIENCE)).value for _ in range(count)]
            await consumer.commit({TopicPartition(topic, 0): count})
            return found

    async def twice() -> tuple[list[bytes], list[bytes]]:
        await produce(broker, topic, [b"1", b"2", b"3", b"4"])
        return await read(2), await read(2)

    assert asyncio.run(twice()) == ([b"1", b"2"], [b"3", b"4"])


def test_offsets_are_found_by_time(broker: Connection, name: Name) -> None:
    topic = make_topic(broker, name("time"), **KEPT)
    start = 1_700_000_000_000

    async def write() -> None:
        for i in range(5):
            await produce(broker, topic, [b"%d" % i], timestamp_ms=start + 1000 * i)

    asyncio.run(write())
    assert values(read_all(broker, topic, since=start + 2500)) == [b"3", b"4"]
    assert values(read_all(broker, topic, since=start + 60_000)) == []


@pytest.mark.parametrize(("size", "refused"), [(MIB + MIB // 2, False), (3 * MIB, True), (10 * MIB, True)])
def test_what_is_too_large_is_refused_to_its_publisher(
    broker: Connection, name: Name, size: int, refused: bool
) -> None:
    topic = make_topic(broker, name("large"), max_message_bytes=str(2 * MIB), compression_type="uncompressed")

    async def send() -> None:
        limits = {"max_request_size": 16 * MIB, "max_batch_size": 16 * MIB}
        async with AIOKafkaProducer(**broker.aiokafka(), **limits) as producer:
            await producer.send_and_wait(topic, bytes(size))

    if refused:
        with pytest.raises(MessageSizeTooLargeError):
            asyncio.run(send())
    else:
        asyncio.run(send())
    assert len(list(read_all(broker, topic))) == (0 if refused else 1)


@pytest.mark.parametrize("hours", [-24 * 365, 25])  # Kafka refuses what is an hour ahead where clients say when
def test_the_broker_says_when_where_it_is_told_to(broker: Connection, name: Name, hours: int) -> None:
    topic = make_topic(broker, name("clock"), message_timestamp_type="LogAppendTime")
    before = time.time() * 1000
    asyncio.run(produce(broker, topic, [b"x"], timestamp_ms=int(before) + hours * 3_600_000))
    (record,) = read_all(broker, topic)
    assert before - 5 <= record.timestamp <= time.time() * 1000 + 5


def test_many_topics_are_read_at_once(broker: Connection, name: Name) -> None:
    topics = [name("many") for _ in range(30)]
    with admin(broker) as client:
        client.create_topics(
            {topic: {"num_partitions": 4, "replication_factor": 1} for topic in topics},
            wait_for_metadata=True,
        )

    async def write() -> None:
        async with (
            AIOKafkaProducer(**broker.aiokafka(), transactional_id=name("t")) as producer,
            producer.transaction(),
        ):
            for topic in topics:
                for part in range(4):
                    await producer.send(topic, topic.encode(), partition=part)

    asyncio.run(write())
    found = list(read_all(broker, [*topics, name("missing")], settle=10))
    assert sorted(record.coordinates for record in found) == sorted(
        f"{topic}/{part}/0" for topic in topics for part in range(4)
    )


def test_the_last_records_are_read_from_the_end(broker: Connection, name: Name) -> None:
    topic = make_topic(broker, name("tail"))

    async def write() -> None:
        for first in range(0, 40, 2):  # each transaction ends with a marker, which takes an offset
            await transact(broker, f"{topic}.t", topic, [b"%d" % first, b"%d" % (first + 1)], commit=True)

    asyncio.run(write())
    assert len(list(read_all(broker, topic, settle=5))) == 40
    assert values(tail(broker, topic, 5)) == [b"35", b"36", b"37", b"38", b"39"]
    assert len(tail(broker, topic, 1000)) == 40
