"""What a transaction tells the broker, and when; by aiokafka's own book of it, without a broker."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import TopicPartition

from hub.engine.transaction import Transactions
from hub.event import Output
from hub.kafka.connection import Connection

TP = TopicPartition("events.veteran", 1)


def test_offsets_follow_the_outputs_and_the_group_is_named_before() -> None:
    async def run() -> None:
        transactions = Transactions(Connection(("127.0.0.1:1",)), "test.1", "group", ["out.one"], 4)
        producer: Any = transactions._producer
        book, kept = producer._txn_manager, asyncio.get_running_loop().create_future()
        book.set_pid_and_epoch(1, 0)

        async def send_batch(*_: Any, **__: Any) -> Any:
            return kept

        producer.send_batch = send_batch
        commit = asyncio.create_task(transactions.commit([Output("out.one", 1, b"k", b"v")], {TP: 7}))
        await _until(lambda: book.consumer_group_to_add() == "group")
        assert book.partitions_to_add() == {TopicPartition("out.one", 1)}
        book.partition_added(TopicPartition("out.one", 1))
        book.consumer_group_added("group")
        assert book.offsets_to_commit() is None  # the broker would answer one of both with an error

        waiter = book.make_task_waiter()
        kept.set_result(None)
        await _until(waiter.done)  # the sender looks again
        assert book.offsets_to_commit() == ({TP: (7, "")}, "group")
        book.offset_committed(TP, 7, "group")
        await _until(lambda: book.needs_transaction_commit() is not None)
        book.complete_transaction()
        await commit

    asyncio.run(run())


async def _until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 — what is looked at is no event
            await asyncio.sleep(0)
