"""Who waits for the broker waits no longer than was said, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from hub.avro.packed import NO_HEADERS
from hub.errors import Retry
from hub.kafka.appending import Appender

SECONDS = 0.2
PARTITION = 1
"""Of the key `key`, of four: as Java's default partitioner has it."""
LINE = (b"key", b"value", NO_HEADERS)


class Batch:
    """A record batch on its way: kept after `after` seconds, never, or refused."""

    def __init__(self, after: float | None, error: Exception | None = None) -> None:
        self.kept: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if after is not None:
            asyncio.get_running_loop().call_later(after, self._end, error)

    def _end(self, error: Exception | None) -> None:
        if error:
            self.kept.set_exception(error)
        else:
            self.kept.set_result(40)


def appender(*batches: Batch) -> Appender:
    connection: Any = None
    made: Any = Appender(connection, [], 4, SECONDS)
    homes = iter(batches)
    made._producer = SimpleNamespace(stuck=lambda tp: False, put=lambda *_: (next(homes), 2))
    return made  # type: ignore[no-any-return]


def test_where_each_line_is() -> None:
    async def scenario() -> None:
        assert await appender(Batch(0.0), Batch(0.05)).append("t", [LINE, LINE]) == [(PARTITION, 42)] * 2

    asyncio.run(scenario())


@pytest.mark.parametrize(("after", "error"), [(None, None), (0.05, OSError("refused"))])
def test_what_is_not_kept_is_told_in_time(after: float | None, error: Exception | None) -> None:
    async def scenario() -> float:
        began = time.monotonic()
        with pytest.raises(Retry):
            await appender(Batch(0.0), Batch(after, error)).append("t", [LINE, LINE])
        return time.monotonic() - began

    assert asyncio.run(scenario()) < 5 * SECONDS


def test_each_waits_as_long_as_was_said_whenever_it_began() -> None:
    async def scenario() -> list[float]:
        waited, shared = list[float](), appender(*(Batch(0.05 if number % 2 else None) for number in range(20)))

        async def one() -> None:
            began = time.monotonic()
            try:
                await shared.append("t", [LINE])
            except Retry:
                waited.append(time.monotonic() - began)

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(one())
                await asyncio.sleep(SECONDS / 10)
        return waited

    waited = asyncio.run(scenario())
    assert len(waited) == 10 and all(SECONDS * 0.9 < each < 5 * SECONDS for each in waited)
