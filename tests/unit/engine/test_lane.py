"""A lane that must not go on ends its worker, once."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from mode import Service

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
