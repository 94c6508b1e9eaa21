"""Mends places in which aiokafka 0.14 waits for ever, or reads on from the wrong place, once a broker has gone away.

A write to a connection that is being closed: asyncio's transport takes it, uvloop's raises RuntimeError, and aiokafka
expects OSError alone. The error ended the task that keeps the cluster's metadata, and whoever waits for metadata (each
send, each fetch) waited for ever. It is told as what it is: a broken connection, which aiokafka retries.

The end of a consumer: the fetcher cancels its task once. Where that meets a rebalance, the task takes the cancellation
for that of a fetch it is just ending, and goes on fetching. It is cancelled again until it has ended.

Committed offsets: a coordinator that is still loading says so of the whole group, not of each partition. aiokafka looks
at the partitions alone, of which there are none then, and takes it that nothing was ever committed: an agent would
begin at the first record again (numbers ask by themselves, see `member`). The group's error is raised, and aiokafka
asks again.

A cancellation of its own that reaches a caller: whoever runs as long as the process asks `asked_to_end`, and goes on.

`pyproject.toml` holds aiokafka to 0.14; look here when that changes.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaConnectionError, NoError, NotCoordinatorForGroupError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

GROUP_ERRORS_SINCE = 2
"""Version of OffsetFetch."""

CANCEL_SECONDS = 0.5
"""How long the fetcher's task may take to end before it is cancelled again."""


def asked_to_end() -> bool:
    """Whether the task that runs was cancelled. Where not, a `CancelledError` is aiokafka's own: a future of a
    connection or of a fetch that it gave up, which reaches whoever waits for it."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def broken_is_broken(send: Callable[..., Any]) -> Callable[..., Any]:
    """`send` of a connection, with a closed transport told as `KafkaConnectionError`."""

    @functools.wraps(send)
    def told(self: Any, *given: Any, **named: Any) -> Any:
        try:
            return send(self, *given, **named)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self._host}:{self._port} broken: {error}") from error

    return told


def ends_in_the_end(close: Callable[..., Any]) -> Callable[..., Any]:
    """`close` of a fetcher, whose task is then over."""

    @functools.wraps(close)
    async def ended(self: Any) -> None:
        self._closed = True
        while not self._fetch_task.done():
            self._fetch_task.cancel()
            await asyncio.wait({self._fetch_task}, timeout=CANCEL_SECONDS)
        await close(self)

    return ended


def hears_the_group(send: Callable[..., Any]) -> Callable[..., Any]:
    """`_send_req` of a group's coordinator, that raises the error which an answer has for the group as a whole."""

    @functools.wraps(send)
    async def heard(self: Any, request: Any) -> Any:
        answer = await send(self, request)
        if isinstance(request, OffsetFetchRequest) and answer.API_VERSION >= GROUP_ERRORS_SINCE:
            error = for_code(answer.error_code)
            if error is NotCoordinatorForGroupError:
                self.coordinator_dead()
            if error is not NoError:
                raise error
        return answer

    return heard


def install() -> None:
    """From now on every aiokafka client of this process does so."""
    if not hasattr(AIOKafkaConnection.send, "__wrapped__"):
        AIOKafkaConnection.send = broken_is_broken(AIOKafkaConnection.send)
        AIOKafkaConnection._send_sasl_token = broken_is_broken(AIOKafkaConnection._send_sasl_token)
        Fetcher.close = ends_in_the_end(Fetcher.close)
        GroupCoordinator._send_req = hears_the_group(GroupCoordinator._send_req)
