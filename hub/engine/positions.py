"""Where a number goes on: at its committed offsets, unless the log has lost what they stand for.

    committed < first    retention, or a person, took records before they were read
    committed > end      the log has lost its tail, as a single copy does when the power fails

Neither is jumped over: both end the worker. The second would heal by itself, into a silent loss, once the log has grown
past the offset; so it is noted in `state.hub` before, and holds until somebody has set the offset anew. What a paused
agency has lost stops nobody: it is said, and ends the worker when it would be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiokafka import TopicPartition

from hub.engine.notes import Notes
from hub.engine.transaction import Transactions
from hub.errors import Fatal
from hub.event import Output
from hub.pipeline.pause import TOPIC as STATE

log = structlog.get_logger(__name__)


async def seek(
    lane: str, consumer: Any, tps: Sequence[TopicPartition], notes: Notes, producer: Transactions
) -> tuple[dict[TopicPartition, int], Mapping[TopicPartition, int]]:
    """Move the consumer to where each partition goes on, and return that (without a committed offset it is the first)
    and where each ends.

    `notes` are read to their end, and `producer` has fenced the predecessor and waited for what is settled: nobody else
    commits. Raises `Fatal`.
    """
    first, end = await consumer.beginning_offsets(list(tps)), await consumer.end_offsets(list(tps))
    positions = {tp: first[tp] for tp in tps} | await producer.settled(tps)
    for tp, offset in positions.items():
        if offset < first[tp]:
            _gone(tp, offset, first[tp], paused=notes.paused(tp.topic))
        await _tail(lane, tp, offset, end[tp], notes, producer)
        consumer.seek(tp, offset)
    return positions, end


def _gone(tp: TopicPartition, offset: int, first: int, *, paused: bool) -> None:
    said = (
        f"{tp.topic}/{tp.partition}: offset {offset} is committed, but records before {first} are gone: events may be "
        "lost; see the runbook, 'Offset out of range'"
    )
    if not paused:
        raise Fatal(said)
    log.error("records of a paused agency are gone", fix=f"before it is resumed: {said}")


async def _tail(lane: str, tp: TopicPartition, offset: int, end: int, notes: Notes, producer: Transactions) -> None:
    key = f"tail/{lane}/{tp.topic}/{tp.partition}".encode()
    noted = notes.get(key)
    lost = json.loads(noted) if noted else None
    if lost is None or lost["offset"] != offset:  # nothing is known of this offset
        lost = {"offset": offset, "end": end} if offset > end else None
        if lost or noted:
            note = json.dumps(lost).encode() if lost else None
            await producer.commit([Output(STATE, tp.partition, key, note)], {tp: offset})
            notes.hear(key, note)
    if lost:
        raise Fatal(
            f"{tp.topic}/{tp.partition}: offset {offset} is committed, but the log ended at {lost['end']}: it has lost "
            "its tail, and events with it; see the runbook, 'A log has lost its tail'"
        )
