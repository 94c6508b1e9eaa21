"""How long an idle consumer waits, at the broker and by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.protocol.fetch import FetchRequest

from hub.kafka import fetching
from hub.kafka.batch import record_batches

WAIT, IDLE = 20, 250
BACKFILL, LIVE = TopicPartition("backfill", 0), TopicPartition("live", 0)


class Asker:
    """Answers as told: whether it found records, and after how long. `waits` is what it would ask the broker for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, idle_ms: int | None = IDLE) -> None:
        self.now, self._fetch_max_wait_ms, self.naps = 100.0, WAIT, list[int]()
        monkeypatch.setattr(fetching, "time", SimpleNamespace(monotonic=lambda: self.now))
        # its own asyncio: other event loops of this process, as the embedded broker's, sleep as they do
        own = SimpleNamespace(sleep=self._sleep, CancelledError=asyncio.CancelledError)
        monkeypatch.setattr(fetching, "asyncio", own)
        fetching.be_patient(SimpleNamespace(_fetcher=self), WAIT, idle_ms)  # type: ignore[arg-type]

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: tuple[bool, float]) -> bool:
        found, seconds = request
        self.now += seconds
        return found

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.naps.append(round(seconds * 1000))

    def fetch(self, *, found: bool, seconds: float) -> bool:
        return asyncio.run(self._proc_fetch_request(None, 1, (found, seconds)))  # type: ignore[arg-type]

    def idle(self, *, held: bool) -> None:
        """Nothing comes for two seconds."""
        until = self.now + 2
        while self.now < until:
            self.fetch(found=False, seconds=self._fetch_max_wait_ms / 1000 if held else 0.001)


@pytest.mark.parametrize("held", [True, False])
def test_an_idle_consumer_asks_seldom_and_the_first_record_makes_it_quick(
    monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    fetcher = Asker(monkeypatch)
    fetcher.fetch(found=False, seconds=0.001)
    assert (fetcher._fetch_max_wait_ms, fetcher.naps) == (WAIT, [19])
    fetcher.idle(held=held)
    assert fetcher._fetch_max_wait_ms == IDLE
    assert fetcher.naps[-1] == (0 if held else fetching.LONGEST_NAP_MS - 1)
    naps = len(fetcher.naps)
    assert fetcher.fetch(found=True, seconds=0.004)
    assert (fetcher._fetch_max_wait_ms, len(fetcher.naps)) == (WAIT, naps), "and nobody sleeps on a record"


def test_without_another_wait_for_idle_times_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher = Asker(monkeypatch, idle_ms=None)
    fetcher.idle(held=False)
    assert fetcher._fetch_max_wait_ms == WAIT and set(fetcher.naps) == {19}


class Clockwork(asyncio.SelectorEventLoop):
    """Time stands still while there is anything to do, and then goes on to just behind the next timer: who asks how
    long it has been finds all of it gone, whatever a float makes of that."""

    now = 100.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        timers = self._scheduled  # type: ignore[attr-defined]
        if not self._ready and timers:  # type: ignore[attr-defined]
            self.now = max(self.now, timers[0]._when + 1e-6)
        super()._run_once()  # type: ignore[misc]


class Node:
    """A broker of one node, as aiokafka's fetcher sees it; what it is asked waits in `asked` for an answer."""

    def __init__(self) -> None:
        self._loop, self._metadata_max_age_ms = asyncio.get_running_loop(), 1000
        self.cluster = SimpleNamespace(leader_for_partition=lambda tp: 1)
        self.asked = asyncio.Queue[tuple[set[str], asyncio.Future[Any]]]()

    async def send(self, node_id: int, request: FetchRequest) -> Any:
        answer: asyncio.Future[Any] = self._loop.create_future()
        self.asked.put_nowait(({topic for topic, _ in request.topics}, answer))
        return await answer


def answer(**values: list[bytes]) -> SimpleNamespace:
    """Of the broker: records of partition 0 of topics."""
    topics = []
    for topic, found in values.items():
        (batch,) = record_batches([(topic, 0, None, value, []) for value in found], 0, 1 << 20)
        topics.append((topic, [(0, 0, len(found), len(found), [], batch.written(-1, -1, -1, 0))]))
    return SimpleNamespace(API_VERSION=4, topics=topics)


def asked_in_turn(monkeypatch: pytest.MonkeyPatch, test: Callable[[Node, Fetcher], Coroutine[Any, Any, None]]) -> None:
    """On a clockwork, with aiokafka's own fetcher, made prompt, which reads `backfill` and `live`."""

    async def scenario() -> None:
        own = SimpleNamespace(time=lambda: 0.0, monotonic=asyncio.get_running_loop().time)
        monkeypatch.setattr("aiokafka.consumer.fetcher.time", own)
        subscriptions = SubscriptionState()
        subscriptions.assign_from_user([BACKFILL, LIVE])
        for tp in (BACKFILL, LIVE):
            subscriptions.seek(tp, 0)
        node = Node()
        fetcher = Fetcher(node, subscriptions)
        fetching.be_prompt(SimpleNamespace(_fetcher=fetcher))  # type: ignore[arg-type]
        try:
            await test(node, fetcher)
        finally:
            await fetcher.close()

    with asyncio.Runner(loop_factory=Clockwork) as runner:
        runner.run(scenario())


def test_what_nobody_has_taken_yet_keeps_no_other_partition_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(node: Node, fetcher: Fetcher) -> None:
        topics, first = await node.asked.get()
        assert topics == {"backfill", "live"}
        first.set_result(answer(backfill=[b"1", b"2"]))
        async with asyncio.timeout(2 * fetching.HOLD_SECONDS):
            assert (await node.asked.get())[0] == {"live"}

    asked_in_turn(monkeypatch, test)


def test_what_is_taken_at_once_is_in_the_next_question(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(node: Node, fetcher: Fetcher) -> None:
        (await node.asked.get())[1].set_result(answer(live=[b"1"]))
        assert len(await fetcher.fetched_records([LIVE], timeout=1)) == 1
        async with asyncio.timeout(2 * fetching.HOLD_SECONDS):
            assert (await node.asked.get())[0] == {"backfill", "live"}

    asked_in_turn(monkeypatch, test)


def test_a_node_is_free_as_soon_as_it_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are taken in the very turn of the event loop in which an answer comes."""

    async def test(node: Node, fetcher: Fetcher) -> None:
        (await node.asked.get())[1].set_result(answer(live=[b"1"]))
        await asyncio.sleep(2 * fetching.HOLD_SECONDS)
        topics, second = await node.asked.get()
        assert topics == {"backfill"}
        assert len(await fetcher.fetched_records([LIVE])) == 1
        second.set_result(answer())
        async with asyncio.timeout(2 * fetching.HOLD_SECONDS):
            assert (await node.asked.get())[0] == {"backfill", "live"}
        await asyncio.sleep(3 * fetcher._fetcher_timeout)
        assert node.asked.empty() and fetcher._in_flight == {1}, "and is asked one thing at a time"

    asked_in_turn(monkeypatch, test)
