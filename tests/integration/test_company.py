"""Numbers that travelled in one transaction, on Apache Kafka: who has one of them next knows what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ProducerFenced
from brokers import make_topic

from hub.engine.company import Cargo, Company
from hub.engine.rebuild import rebuild
from hub.engine.transaction import Transactions
from hub.event import Output
from hub.kafka.connection import Connection
from hub.kafka.member import Member
from hub.kafka.reading import read_all

Name = Callable[[str], str]
BEFORE, AFTER = 5, 9


class Values:
    """A state that is the values in order."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes] = {}
        self.taken, self.settled, self.full = 1, 1, False

    def take(self, values: object) -> None:
        self.state |= {b"%d" % (len(self.state) + at): value for at, value in enumerate(values)}  # type: ignore[arg-type]

    def settle(self) -> list[None]:
        return []


class Worker:
    """Two numbers of a lane, whose offsets and outputs are those of `topic`."""

    def __init__(self, connection: Connection, topic: str, group: str, member: Member) -> None:
        self.tps = [TopicPartition(topic, number) for number in range(2)]
        self.company = Company(member)
        self.numbers = [Transactions(connection, f"{group}.{n}", member, [topic], 2) for n in range(2)]

    async def carry(self, offset: int, value: bytes) -> None:
        """A batch of each number."""

        async def batch(tp: TopicPartition, producer: Transactions) -> None:
            async with self.company.turn(1, 1) as seat:
                await seat.commit(Cargo(producer, [Output(tp.topic, tp.partition, b"k", value)], {tp: offset}))

        await asyncio.gather(*map(batch, self.tps, self.numbers))


@asynccontextmanager
async def joined(connection: Connection, topic: str, group: str) -> AsyncIterator[Member]:
    """A member of the group, until it leaves."""
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        topic, **connection.aiokafka(), group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        yield Member(group, consumer._coordinator.generation, consumer._coordinator.member_id)
    finally:
        await consumer.stop()


def values(connection: Connection, topic: str) -> list[bytes | None]:
    return sorted(record.value for record in read_all(connection, topic, settle=5))


def test_a_successor_waits_for_the_transaction_in_which_its_number_had_company(apache: Connection, name: Name) -> None:
    topic, group = make_topic(apache, name("out"), 2), name("g")
    given = asyncio.Event()

    async def frozen() -> None:
        given.set()
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with joined(apache, topic, group) as member:
            worker = Worker(apache, topic, group, member)
            first, second = worker.numbers
            for number in worker.numbers:
                await number.start()
            await worker.carry(BEFORE, b"before")
            assert await second.settled(worker.tps) == dict.fromkeys(worker.tps, BEFORE)
            first._producer.end = frozen  # type: ignore[method-assign]
            batch = asyncio.create_task(worker.carry(AFTER, b"after"))
            await given.wait()
        heir = Worker(apache, topic, group, Member(group))
        await heir.numbers[1].start()
        begins = asyncio.create_task(heir.numbers[1].settled(heir.tps[1:]))
        rebuilds = asyncio.create_task(
            rebuild(apache, topic, 1, Values, asyncio.Lock(), lambda _: None)  # type: ignore[arg-type]
        )
        _, waiting = await asyncio.wait({begins, rebuilds}, timeout=1.0)
        assert waiting == {begins, rebuilds}, "it may still be committed: nobody has fenced who leads it"
        await heir.numbers[0].start()
        assert await begins == {heir.tps[1]: BEFORE}
        assert list((await rebuilds).values()) == [b"before"]
        batch.cancel()
        for number in (*worker.numbers, *heir.numbers):
            await number.close()

    asyncio.run(scenario())
    assert values(apache, topic) == [b"before", b"before"]


def test_whoever_the_group_has_given_up_commits_for_none_of_its_numbers(apache: Connection, name: Name) -> None:
    topic, group = make_topic(apache, name("out"), 2), name("g")

    async def scenario() -> None:
        async with joined(apache, topic, group) as member:
            worker = Worker(apache, topic, group, member)
            for number in worker.numbers:
                await number.start()
            await worker.carry(BEFORE, b"before")
        with pytest.raises(ProducerFenced):
            await worker.carry(AFTER, b"after")
        for number in worker.numbers:
            await number.close()
        heir = Worker(apache, topic, group, Member(group))
        for number in heir.numbers:
            await number.start()
        assert await heir.numbers[1].settled(heir.tps) == dict.fromkeys(heir.tps, BEFORE)
        for number in heir.numbers:
            await number.close()

    asyncio.run(scenario())
    assert values(apache, topic) == [b"before", b"before"]
