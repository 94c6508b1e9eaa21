"""A broker that goes away: aiokafka is told so, and ends when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from aiokafka import TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupLoadInProgressError, KafkaConnectionError, NotCoordinatorForGroupError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v2, OffsetFetchResponse_v3
from aiokafka.protocol.metadata import MetadataRequest

from hub.kafka.outage import broken_is_broken, ends_in_the_end, hears_the_group


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


def coordinator(answers: list[Any]) -> tuple[Any, list[str]]:
    """A group's coordinator as aiokafka has it, whose broker gives these answers; and when it was looked for again."""
    lost: list[str] = []

    async def send(self: Any, request: Any) -> Any:
        return answers.pop(0)

    async def known() -> None:
        """It is."""

    made = SimpleNamespace(group_id="zefer.gate", _retry_backoff_ms=1, ensure_coordinator_known=known)
    made.coordinator_dead = lambda: lost.append("lost")
    made._send_req = partial(hears_the_group(send), made)
    made._do_fetch_commit_offsets = partial(GroupCoordinator._do_fetch_commit_offsets, made)
    return made, lost


def test_a_coordinator_that_is_loading_is_asked_again_and_never_taken_for_an_empty_one() -> None:
    """Such an answer names no partition: read as it stands, nothing was ever committed, and all would be read anew."""
    there, nothing = [("in.mod", [(0, 42, "", 0)])], list[Any]()
    loading, moved = GroupLoadInProgressError.errno, NotCoordinatorForGroupError.errno
    answers = [
        OffsetFetchResponse_v3(0, nothing, loading),
        OffsetFetchResponse_v2(nothing, moved),
        OffsetFetchResponse_v3(0, there, 0),
    ]
    made, lost = coordinator(answers)

    async def scenario() -> None:
        tp = TopicPartition("in.mod", 0)
        found = await GroupCoordinator.fetch_committed_offsets(made, [tp])
        assert found[tp].offset == 42

    run(scenario())
    assert lost == ["lost"] and not answers


def test_a_group_that_may_not_be_read_is_an_error() -> None:
    made, _ = coordinator([OffsetFetchResponse_v3(0, [], 30)])

    async def scenario() -> None:
        with pytest.raises(for_code(30)):
            await made._send_req(OffsetFetchRequest("zefer.gate", []))

    run(scenario())
