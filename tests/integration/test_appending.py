"""A partition that takes nothing holds nobody else up. On the embedded broker, whose answers are bent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.producer.sender import SendProduceReqHandler
from kafka.admin import NewTopic

from hub.errors import Retry
from hub.kafka import appending
from hub.kafka.appending import Appender
from hub.kafka.clients import admin
from hub.kafka.connection import Connection

Name = Callable[[str], str]
SECONDS = 1.0


def lines(key: bytes = b"key") -> Any:
    return [(key, b"value", [])]


@pytest.fixture
def topics(embedded: Connection, name: Name, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A topic whose partitions can be made to take nothing, and another one."""
    monkeypatch.setattr(appending, "STUCK_SECONDS", SECONDS / 4)
    found = name("bad"), name("good")
    with admin(embedded) as client:
        client.create_topics([NewTopic(each, num_partitions=4, replication_factor=1) for each in found])
    return found


def not_enough_replicas(monkeypatch: pytest.MonkeyPatch, topic: str) -> None:
    """As a leader answers whose followers are down: the batch is to be sent again."""
    honest = SendProduceReqHandler.handle_response

    def handle(self: Any, response: Any) -> None:
        self._to_reenqueue += [batch for tp, batch in self._batches.items() if tp.topic == topic]
        self._batches = {tp: batch for tp, batch in self._batches.items() if tp.topic != topic}
        honest(self, response)

    monkeypatch.setattr(SendProduceReqHandler, "handle_response", handle)


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
            assert appender.waiting_bytes == held == len(b"value")
            assert await appender.append(good, lines()), "another topic has a turn, however long nothing was sent"
            assert not appender.away and await appender.reachable(), "the broker answers"
        await appender._producer.flush()  # type: ignore[union-attr]
        assert [offset for _, offset in await appender.append(bad, lines())] == [1], "what waited is there, once"
        await appender.stop(SECONDS)

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_partition_without_a_leader_costs_nobody_the_producer(
    embedded: Connection, topics: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = topics
    monkeypatch.setattr(appending, "REQUEST_MS", int(SECONDS * 500))

    async def scenario() -> None:
        appender = await started(embedded, topics)
        producer: Any = appender._producer
        no_leader(appender, bad)
        asked = counted(producer.client)
        assert await refused(appender, bad) > SECONDS / 2, "longer than aiokafka waits for a leader"
        assert await appender.append(good, lines()) and appender._producer is producer
        assert 1 <= len(asked) <= 2 * SECONDS / appending.METADATA_SECONDS, "the broker is not asked without a pause"
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
