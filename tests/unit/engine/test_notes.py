"""What was noted anywhere is known before a number begins."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from hub.engine.notes import Notes
from hub.kafka.connection import Connection
from hub.pipeline.pause import TOPIC


def test_a_note_in_any_partition_is_waited_for() -> None:
    """A pause lies where its key falls, not where the numbers of the agency are."""
    read = dict.fromkeys((TopicPartition(TOPIC, partition) for partition in range(3)), 5)
    read[TopicPartition(TOPIC, 2)] = 4

    async def end_offsets(tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 5)

    async def position(tp: TopicPartition) -> int:
        return read[tp]

    async def run() -> None:
        notes: Any = Notes(Connection(("nowhere:1",)), 3, SimpleNamespace(paused=lambda *_: None))
        notes._consumer = SimpleNamespace(position=position)
        notes._ends = SimpleNamespace(end_offsets=end_offsets)
        waits = asyncio.create_task(notes.read_to_end())
        await asyncio.wait({waits}, timeout=0.1)
        assert not waits.done()
        read[TopicPartition(TOPIC, 2)] = 5
        async with asyncio.timeout(5):
            await waits

    asyncio.run(run())
