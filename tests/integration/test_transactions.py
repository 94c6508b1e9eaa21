"""A lane's transactions on a real broker: what a broken connection leaves in doubt is committed once more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.conn import CloseReason
from brokers import make_topic

from hub.engine import transaction
from hub.engine.transaction import Transactions
from hub.errors import Fatal
from hub.event import Output
from hub.kafka.connection import Connection
from hub.kafka.member import Member
from hub.kafka.reading import read_all

Name = Callable[[str], str]


def test_partitions_of_a_commit_before_a_break_are_committed_again(apache: Connection, name: Name) -> None:
    topic = make_topic(apache, name("out"), 2)
    written = [TopicPartition(topic, 0), TopicPartition(topic, 1)]

    async def scenario() -> None:
        reader = AIOKafkaConsumer(**apache.aiokafka())
        await reader.start()
        transactions = Transactions(apache, name("t"), Member(name("g")), [topic], 2)
        await transactions.start()
        await transactions.commit([Output(topic, 0, b"k", b"first")], {written[0]: 1})
        assert transactions.doubtful_since is None
        for connection in list(transactions._producer.client._conns.values()):
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
        assert transactions.doubtful_since is not None
        await transactions.commit([Output(topic, 1, b"k", b"second")], {written[0]: 2})
        assert transactions.doubtful_since is None
        await transactions.commit([Output(topic, 1, b"k", b"third")], {written[0]: 3})
        ends = await reader.end_offsets(written)
        assert ends == {written[0]: 3, written[1]: 4}, "a record and two markers; two records, each with its own"
        await transactions.close()
        await reader.stop()

    asyncio.run(scenario())


def test_an_agency_that_was_taken_out_still_gets_its_receipts(broker: Connection, name: Name) -> None:
    """As long as its topics are there; else the worker says which are not, and ends."""
    own, theirs, away = make_topic(broker, name("out"), 2), make_topic(broker, name("receipts"), 2), name("receipts")
    source = TopicPartition(make_topic(broker, name("events"), 2), 0)

    async def scenario() -> None:
        transactions = Transactions(broker, name("t"), Member(name("g")), [own], 2)
        await transactions.start()
        for offset, topic in enumerate((theirs, own, theirs), 1):
            await transactions.commit([Output(topic, 0, b"k", b"v")], {source: offset})
        with pytest.raises(Fatal, match=f"^{away}: not there.*hub topics apply"):
            await transactions.commit([Output(away, 0, b"k", b"v")], {source: 4})
        await transactions.close()

    asyncio.run(scenario())
    assert [len(list(read_all(broker, topic, settle=5))) for topic in (own, theirs)] == [1, 2]


def test_a_commit_that_never_ends_is_given_up(apache: Connection, name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = make_topic(apache, name("out"), 2)

    async def scenario() -> None:
        transactions = Transactions(apache, name("t"), Member(name("g")), [topic], 2)
        await transactions.start()
        await transactions.commit([Output(topic, 0, b"k", b"v")], {TopicPartition(topic, 0): 1})  # it has its leader
        monkeypatch.setattr(transaction, "COMMIT_SECONDS", 0.5)

        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(transactions._producer, "end", never)
        with pytest.raises(TimeoutError):
            await transactions.commit([Output(topic, 0, b"k", b"v")], {TopicPartition(topic, 0): 2})
        began = time.monotonic()
        await transactions.close()
        assert time.monotonic() - began < 4 * transaction.CLOSE_SECONDS

    asyncio.run(scenario())
