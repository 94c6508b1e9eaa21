"""A lane that must not go on ends its worker, once; one that ends begins nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from aiokafka import TopicPartition
from mode import Service

from hub.engine import lane as engine
from hub.engine.lane import Lane
from hub.engine.spec import LaneSpec
from hub.errors import Fatal


def test_a_fatal_error_crashes_the_lane_and_whoever_runs_it_once() -> None:
    async def scenario() -> tuple[Lane, Service]:
        worker = cast(Service, type("Worker", (Service,), {})())
        spec = LaneSpec("gate", "g", (), (), cast(Any, None))
        lane = Lane(spec, cast(Any, None), beacon=worker.beacon)
        lane._fatal(Fatal("no further"))
        await asyncio.wait_for(lane._ending, 2)
        return lane, worker

    lane, worker = asyncio.run(scenario())
    assert isinstance(lane.crash_reason, Fatal)
    assert worker.crashed


def test_an_assignment_that_comes_while_the_lane_ends_begins_nothing() -> None:
    """It comes where a rebalance is under way; its numbers would outlive the consumer."""

    class Consumer:
        lane: Lane
        _coordinator = SimpleNamespace(generation=4, member_id="me")

        async def stop(self) -> None:
            self.lane.on_partitions_assigned([TopicPartition("in.mod", 1)])

        def seek(self, *_: Any) -> None: ...
        def pause(self, *_: Any) -> None: ...

    async def scenario(*, ends: bool) -> list[Any]:
        lane = Lane(LaneSpec("gate", "g", (), (), cast(Any, None)), cast(Any, None))
        lane._consumer = consumer = cast(Any, Consumer())
        consumer.lane = lane
        with mock.patch.object(engine, "Number") as begun:
            await (lane.stop() if ends else consumer.stop())
        return begun.call_args_list

    [call] = asyncio.run(scenario(ends=False))
    assert call.args[6].member == ("g", 4, "me"), "its offsets are given as a member of this generation"
    assert not asyncio.run(scenario(ends=True))


def test_a_lane_that_ends_is_not_ready() -> None:
    """Nor is the worker: its last answer is not that it carries."""
    said = list[bool]()

    class Consumer:
        lane: Lane
        _coordinator = SimpleNamespace(generation=4, member_id="me")

        def assignment(self) -> set[TopicPartition]:
            return set()

        async def stop(self) -> None:
            said.append(self.lane.ready)

    async def scenario() -> None:
        lane = Lane(LaneSpec("gate", "g", (), (), cast(Any, None)), cast(Any, None))
        lane._consumer = consumer = cast(Any, Consumer())
        consumer.lane = lane
        lane.on_partitions_assigned([])
        said.append(lane.ready)
        await lane.stop()

    asyncio.run(scenario())
    assert said == [True, False]
