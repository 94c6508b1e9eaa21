"""The agents' consumer: what it commits is what Faust's own would."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from hypothesis import given
from hypothesis import strategies as st
from intervaltree import IntervalTree

from hub.engine.app import _CommittedConsumer

PLACE = ("activity", 0)


def consumer(kind: type[Consumer]) -> Any:
    """One without a broker: what counts its offsets, and nothing else."""
    made: Any = object.__new__(kind)
    made._acked, made._acked_index = defaultdict(list), defaultdict(set)
    made._gap, made._committed_offset = defaultdict(IntervalTree), defaultdict(lambda: None)
    return made


async def committed(made: Any, reads: list[tuple[int, bool]]) -> list[int | None]:
    """Each read is how many offsets markers take before a record, and whether there is a commit after it."""
    found, last = [], -1
    for left_out, commit in reads:
        offset = last + 1 + left_out
        if left_out and last >= 0:
            await made._add_gap(PLACE, last + 1, offset)
        made._acked[PLACE].append(offset)
        made._acked_index[PLACE].add(offset)
        last = offset
        if commit:
            at = made._new_offset(PLACE)
            made._committed_offset[PLACE] = made._committed_offset[PLACE] if at is None else at
            found.append(at)
    return found


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40))
def test_gaps_that_are_merged_late_commit_the_same_offsets(reads: list[tuple[int, bool]]) -> None:
    assert asyncio.run(committed(consumer(_CommittedConsumer), reads)) == asyncio.run(
        committed(consumer(Consumer), reads)
    )
