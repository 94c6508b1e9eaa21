"""What is noted in `state.hub` is read to its real end, also while a transaction of somebody who was killed is open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from brokers import make_topic
from kafka import KafkaProducer

from hub.admin import operators
from hub.engine import notes as engine
from hub.errors import Retry
from hub.kafka.clients import producer
from hub.kafka.connection import Connection


@pytest.fixture
def topic(broker: Connection, name: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> str:
    made = make_topic(broker, name("notes"), 1)
    for room in (operators, engine):
        monkeypatch.setattr(room, "TOPIC", made)
    return made


@pytest.fixture
def killed(broker: Connection, topic: str) -> Iterator[KafkaProducer]:
    """It has left a transaction open, behind which another has noted something."""
    with producer(broker, transactional_id=f"killed.{topic}") as client, producer(broker) as other:
        client.init_transactions()
        client.begin_transaction()
        client.send(topic, key=b"undecided", value=b"1").get(timeout=10)
        other.send(topic, key=b"noted", value=b"2").get(timeout=10)
        yield client


def test_a_number_waits_for_what_is_hidden(broker: Connection, killed: KafkaProducer) -> None:
    async def run() -> bytes | None:
        followed: Any = engine.Notes(broker, 1, SimpleNamespace(paused=lambda *_: None))
        async with followed:
            waits = asyncio.create_task(followed.read_to_end())
            await asyncio.wait({waits}, timeout=1)
            assert not waits.done()
            killed.abort_transaction()
            async with asyncio.timeout(30):
                await waits
            found: bytes | None = followed.get(b"noted")
            return found

    assert asyncio.run(run()) == b"2"


def test_a_number_begins_anew_where_it_stays_hidden(
    broker: Connection, killed: KafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "DECIDED_SECONDS", 0.5)

    async def run() -> None:
        followed: Any = engine.Notes(broker, 1, SimpleNamespace(paused=lambda *_: None))
        async with followed:
            await followed.read_to_end()

    with pytest.raises(Retry, match="stays open"):
        asyncio.run(run())
    killed.abort_transaction()


def test_an_operator_does_nothing_on_half_of_what_is_noted(
    broker: Connection, killed: KafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "DECIDED_SECONDS", 0.2)
    with pytest.raises(Retry, match="stays open: try again"):
        operators.read_notes(broker)
    killed.abort_transaction()
    monkeypatch.setattr(operators, "DECIDED_SECONDS", 30.0)
    assert operators.read_notes(broker) == {b"noted": b"2"}
