"""A broker that goes away: aiokafka is told so, and ends when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from hub.kafka.outage import broken_is_broken, ends_in_the_end


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """On the loop that workers use."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario, 10))


def test_a_write_to_a_closed_transport_is_a_broken_connection() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        connection = AIOKafkaConnection(host, port, request_timeout_ms=1000)
        connection._reader, connection._writer = await asyncio.open_connection(host, port)
        connection._read_task = asyncio.ensure_future(asyncio.sleep(0))
        connection._versions = {3: (0, 1)}
        connection._writer.transport.abort()
        await asyncio.sleep(0)
        with pytest.raises(KafkaConnectionError):
            broken_is_broken(AIOKafkaConnection.send)(connection, MetadataRequest([]))
        assert not connection.connected()
        server.close()

    run(scenario())


def test_a_fetcher_whose_task_swallows_a_cancellation_is_closed_all_the_same() -> None:
    async def fetches() -> None:
        with suppress(asyncio.CancelledError):  # that of a fetch, it believes
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def scenario() -> None:
        fetcher = SimpleNamespace(_fetch_task=asyncio.ensure_future(fetches()), _fetch_waiters=(), _pending_tasks=())
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        await ends_in_the_end(Fetcher.close)(fetcher)
        assert asyncio.get_running_loop().time() - began < 5  # of itself it ends when the test is given up

    run(scenario())
