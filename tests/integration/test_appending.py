"""A partition that takes nothing holds nobody else up. On the embedded broker, whose answers are bent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError, NotEnoughReplicasError
from kafka.admin import NewTopic

from hub.avro.packed import NO_HEADERS
from hub.errors import Retry
from hub.kafka import appending, idempotent
from hub.kafka.appending import Appender, Line, Place
from hub.kafka.clients import admin
from hub.kafka.connection import Connection

Name = Callable[[str], str]
SECONDS = 1.0


def lines(key: bytes = b"key") -> list[Line]:
    return [(key, b"value", NO_HEADERS)]


@pytest.fixture
def topics(embedded: Connection, name: Name, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A topic whose partitions can be made to take nothing, and another one."""
    monkeypatch.setattr(idempotent, "STUCK_SECONDS", SECONDS / 4)
    found = name("bad"), name("good")
    with admin(embedded) as client:
        client.create_topics([NewTopic(each, num_partitions=4, replication_factor=1) for each in found])
    return found


def not_enough_replicas(monkeypatch: pytest.MonkeyPatch, topic: str) -> None:
    """As a leader answers whose followers are down: the batch is to be sent again."""
    _answers(monkeypatch, topic, NotEnoughReplicasError.errno)


def refuses(monkeypatch: pytest.MonkeyPatch, topic: str) -> None:
    """As a leader answers that will never take a batch."""
    _answers(monkeypatch, topic, MessageSizeTooLargeError.errno)


def _answers(monkeypatch: pytest.MonkeyPatch, topic: str, error: int) -> None:
    honest = idempotent._told

    def told(answer: Any) -> Any:
        return [(tp, error if tp.topic == topic else code, offset) for tp, code, offset in honest(answer)]

    monkeypatch.setattr(idempotent, "_told", told)


def no_leader(appender: Appender, topic: str) -> None:
    cluster: Any = appender._producer.client.cluster  # type: ignore[union-attr]
    honest = cluster.leader_for_partition
    cluster.leader_for_partition = lambda tp: -1 if tp.topic == topic else honest(tp)


def counted(client: Any) -> list[None]:
    """One for every time that the client asks where the leaders are."""
    honest, found = client._metadata_update, list[None]()

    def asked(*given: Any) -> Any:
        found.append(None)
        return honest(*given)

    client._metadata_update = asked
    return found


async def started(embedded: Connection, topics: tuple[str, str]) -> Appender:
    appender = Appender(embedded, topics, 4, SECONDS)
    await appender.start()
    return appender


async def refused(appender: Appender, topic: str, key: bytes = b"key") -> float:
    """Seconds until that was said."""
    began = asyncio.get_running_loop().time()
    with pytest.raises(Retry):
        await appender.append(topic, lines(key))
    return asyncio.get_running_loop().time() - began


async def taken(appender: Appender, topic: str) -> list[Place]:
    """As soon as the partition is no longer stuck; before, nothing is put there."""
    while True:
        try:
            return await appender.append(topic, lines())
        except Retry:
            await asyncio.sleep(SECONDS / 20)


def test_a_partition_that_takes_nothing_is_refused_alone(
    embedded: Connection, topics: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = topics

    async def scenario() -> None:
        appender = await started(embedded, topics)
        with monkeypatch.context() as bent:
            not_enough_replicas(bent, bad)
            waited = await refused(appender, bad)
            held = appender.waiting_bytes
            assert await refused(appender, bad) < waited / 2, "what is known to be stuck is refused at once"
            assert appender.waiting_bytes == held > 0
            assert await appender.append(good, lines()), "another topic has a turn, however long nothing was sent"
            assert not appender.away and await appender.reachable(), "the broker answers"
        assert [offset for _, offset in await taken(appender, bad)] == [1], "what waited is there, once"
        await appender.stop(SECONDS)

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_partition_without_a_leader_costs_nobody_the_producer(embedded: Connection, topics: tuple[str, str]) -> None:
    bad, good = topics

    async def scenario() -> None:
        appender = await started(embedded, topics)
        producer: Any = appender._producer
        no_leader(appender, bad)
        asked = counted(producer.client)
        assert await refused(appender, bad) > SECONDS / 2, "it is waited for"
        assert await appender.append(good, lines()) and appender._producer is producer
        assert 1 <= len(asked) <= 2 * SECONDS / idempotent.LEADER_SECONDS, "the broker is not asked without a pause"
        await appender.stop(SECONDS)

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_broker_that_answers_nothing_is_not_reachable(
    embedded: Connection, topics: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "PROBE_SECONDS", SECONDS / 4)

    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        appender = await started(embedded, topics)
        assert await appender.reachable()
        monkeypatch.setattr(AIOKafkaConnection, "send", never)
        await refused(appender, topics[0])
        assert not await appender.reachable()
        await appender.stop(SECONDS / 4)
        assert appender.away and not await appender.reachable()

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_batch_that_is_refused_for_good_holds_nobody_else_up(
    embedded: Connection, topics: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its producer still sends what others wait for, however long; who comes meanwhile has another one."""
    bad, good = topics

    async def scenario() -> None:
        appender = await started(embedded, topics)
        old: Any = appender._producer
        with monkeypatch.context() as bent:
            not_enough_replicas(bent, good)
            slow = asyncio.create_task(appender.append(good, lines(b"other")))
            await asyncio.sleep(SECONDS / 10)
            refuses(bent, bad)
            assert await refused(appender, bad) < SECONDS / 2
        assert not appender.away, "a request that comes now is read"
        began = asyncio.get_running_loop().time()
        assert await appender.append(good, lines()) and appender._producer is not old
        assert asyncio.get_running_loop().time() - began < SECONDS / 2
        assert len(await slow) == 1, "what waited is sent all the same"
        await asyncio.gather(*appender._leaving.values())
        assert appender.waiting_bytes == 0
        await appender.stop(SECONDS)

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_producer_that_cannot_be_had_is_not_waited_for(
    embedded: Connection, topics: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: Any) -> None:
        raise KafkaConnectionError

    async def scenario() -> None:
        appender = await started(embedded, topics)
        with monkeypatch.context() as bent:
            refuses(bent, topics[0])
            bent.setattr(idempotent.IdempotentProducer, "start", none)
            await refused(appender, topics[0])
            await asyncio.sleep(SECONDS / 5)
            assert appender.away and await refused(appender, topics[1]) < SECONDS / 10
        assert await taken(appender, topics[1])
        await appender.stop(SECONDS)

    asyncio.run(asyncio.wait_for(scenario(), 30))
