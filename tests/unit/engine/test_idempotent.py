"""Records appended over HTTP, as a broker is told of them: by a broker of lists, which answers what a test wants."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NotLeaderForPartitionError, RequestTimedOutError, TopicAuthorizationFailedError
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from hub.avro.packed import NO_HEADERS
from hub.errors import Retry
from hub.kafka import idempotent
from hub.kafka.connection import Connection
from hub.kafka.idempotent import UNKNOWN, Batch, IdempotentProducer

ONE, TWO, ELSEWHERE = (TopicPartition("t", n) for n in range(3))
LOST, FEW_REPLICAS, NOT_LEADER, FORBIDDEN, TOO_LARGE, GAP = -1, 19, 6, 29, 10, 45
"""LOST: the broker does as it is asked, and its answer is lost."""

Codes = Callable[[TopicPartition], int]


class Broker:
    """What `AIOKafkaClient` is to the producer: two nodes, of which one leads `ELSEWHERE`; a batch is known by its
    sequence number, and one that does not follow the last is refused."""

    def __init__(self, codes: Codes = lambda tp: 0) -> None:
        self.codes, self.logs = codes, defaultdict[TopicPartition, list[bytes]](list)
        self.under_way, self.most, self.requests, self.asked = defaultdict[int, int](int), 0, 0, 0
        self.cluster = SimpleNamespace(leader_for_partition=lambda tp: 2 if tp == ELSEWHERE else 1)
        self.closed = False
        self.no_ids = 2

    async def bootstrap(self) -> None: ...
    async def set_topics(self, topics: list[str]) -> None: ...
    async def close(self) -> None:
        self.closed = True

    def get_random_node(self) -> int:
        return 1

    def force_metadata_update(self) -> asyncio.Future[bool]:
        self.asked += 1
        done = asyncio.get_running_loop().create_future()
        done.set_result(True)
        return done

    async def send(self, node: int, request: Any, *, group: Any) -> Any:
        if type(request).__name__ == "InitProducerIdRequest":
            self.no_ids -= 1
            return SimpleNamespace(error_code=14 if self.no_ids > 0 else 0, producer_id=7, producer_epoch=0)
        self.requests += 1
        self.under_way[node] += 1
        self.most = max(self.most, self.under_way[node])
        await asyncio.sleep(0)
        self.under_way[node] -= 1
        lost, topics = False, []
        for topic, rows in request._topics:
            answers = []
            for number, data in rows:
                code, offset = self._append(TopicPartition(topic, number), data)
                lost |= code == LOST
                answers.append((number, code, offset, 0, 0))
            topics.append((topic, answers))
        if lost:
            raise RequestTimedOutError
        return SimpleNamespace(topics=topics)

    def _append(self, tp: TopicPartition, data: bytes) -> tuple[int, int]:
        code = self.codes(tp)
        if code not in (0, LOST):
            return code, -1
        batch: Any = MemoryRecords(data).next_batch()
        assert batch.validate_crc() and not batch.is_transactional and batch.producer_id == 7
        log, first = self.logs[tp], batch.base_sequence
        if first > len(log):
            return GAP, -1
        if first < len(log):
            return (46 if code == 0 else code), -1
        log += [record.value for record in batch]
        return code, first


@contextmanager
def with_broker(broker: Broker) -> Iterator[None]:
    with (
        patch.object(idempotent, "AIOKafkaClient", lambda **_: broker),
        patch.multiple(idempotent, AGAIN_SECONDS=0, LEADER_SECONDS=0),
    ):
        yield


async def started(failures: list[str] | None = None) -> IdempotentProducer:
    producer = IdempotentProducer(Connection(("127.0.0.1:1",)), (failures if failures is not None else []).append)
    await producer.start(["t"])
    return producer


def put(producer: IdempotentProducer, tp: TopicPartition, value: bytes) -> tuple[Batch, int]:
    return producer.put(tp, (tp.topic, tp.partition, b"key", value, NO_HEADERS), 3 + len(value) + 1)


def run(broker: Broker, scenario: Callable[[], Any]) -> Any:
    with with_broker(broker):
        return asyncio.run(asyncio.wait_for(scenario(), 10))


codes = st.lists(st.sampled_from([0, 0, LOST, FEW_REPLICAS, NOT_LEADER]), max_size=40)
loads = st.lists(st.lists(st.sampled_from([ONE, TWO, ELSEWHERE]), max_size=6), min_size=1, max_size=8)


@given(codes, loads)
def test_each_record_is_there_once_in_order_and_where_it_was_said(codes: list[int], loads: Any) -> None:
    answers = itertools.chain(codes, itertools.repeat(0))
    broker = Broker(lambda _: next(answers))
    put_there = defaultdict[TopicPartition, list[bytes]](list)

    async def scenario() -> None:
        producer, homes, number = await started(), [], itertools.count()
        for load in loads:
            for tp in load:
                put_there[tp].append(value := b"%d" % next(number))
                homes.append((tp, value, *put(producer, tp, value)))
            await asyncio.sleep(0)
        for tp, value, batch, place in homes:
            first = await batch.kept
            assert first == UNKNOWN or broker.logs[tp][first + place] == value
        assert producer.waiting_bytes == 0 and not producer.all_stuck
        await producer.close(1)

    run(broker, scenario)
    assert broker.logs == put_there and broker.closed
    assert broker.most <= 1, "a node has one request under way"


def test_what_comes_while_a_request_is_under_way_goes_with_the_next_one() -> None:
    async def scenario() -> int:
        producer = await started()
        homes = [put(producer, tp, b"%d" % n) for n in range(50) for tp in (ONE, TWO)]
        for _ in range(2):  # the request is made, and begun
            await asyncio.sleep(0)
        homes += [put(producer, tp, b"%d" % n) for n in range(50) for tp in (ONE, TWO)]
        await asyncio.gather(*{batch.kept for batch, _ in homes})
        await producer.close(1)
        return broker.requests

    broker = Broker()
    assert run(broker, scenario) == 2


def test_a_batch_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotent, "BATCH_BYTES", 1000)

    async def scenario() -> list[int]:
        producer = await started()
        homes = [put(producer, ONE, bytes(size)) for size in (100, 100, 5000, 100, 700, 700)]
        await asyncio.gather(*{batch.kept for batch, _ in homes})
        await producer.close(1)
        return [place for _, place in homes]

    assert run(Broker(), scenario) == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize("code", [FORBIDDEN, TOO_LARGE, GAP])
def test_what_is_refused_is_told_once_and_costs_the_other_partitions_nothing(code: int) -> None:
    failures: list[str] = []

    async def scenario() -> None:
        producer = await started(failures)
        bad, good = [put(producer, ONE, b"1") for _ in range(3)], [put(producer, tp, b"2") for tp in (TWO, ELSEWHERE)]
        assert [await batch.kept for batch, _ in good] == [0, 0]
        for batch, _ in bad:
            with pytest.raises(Exception, match=r"t/0"):
                await batch.kept
        await producer.close(1)
        assert producer.waiting_bytes == 0

    run(Broker(lambda tp: code if tp == ONE else 0), scenario)
    assert len(failures) == 1


def test_a_request_that_will_never_be_answered_well_is_refused() -> None:
    failures: list[str] = []

    async def scenario() -> None:
        producer = await started(failures)
        broker.send = forbidden  # type: ignore[method-assign]
        batch, _ = put(producer, ONE, b"1")
        with pytest.raises(TopicAuthorizationFailedError):
            await batch.kept
        await producer.close(1)

    async def forbidden(*_: Any, **__: Any) -> Any:
        raise TopicAuthorizationFailedError

    broker = Broker()
    run(broker, scenario)
    assert failures == ["TopicAuthorizationFailedError"]


def test_what_is_not_there_in_time_is_given_up_at_the_end() -> None:
    async def scenario() -> None:
        producer = await started()
        (stuck, _), (kept, _) = put(producer, ONE, b"1"), put(producer, TWO, b"2")
        await producer.close(0.05)
        assert kept.kept.result() == 0 and producer.waiting_bytes == 0
        with pytest.raises(Retry):
            await stuck.kept
        await asyncio.sleep(0.02)  # what was to be sent again is not

    broker = Broker(lambda tp: FEW_REPLICAS if tp == ONE else 0)
    run(broker, scenario)
    assert broker.logs == {TWO: [b"2"]}


def test_a_partition_without_a_leader_is_looked_for_and_holds_up_nobody() -> None:
    leaders = {ONE: -1}

    async def scenario() -> None:
        producer = await started()
        broker.cluster.leader_for_partition = lambda tp: leaders.get(tp, 1)
        (without, _), (beside, _) = put(producer, ONE, b"1"), put(producer, TWO, b"2")
        assert await beside.kept == 0 and not without.kept.done()
        leaders.clear()
        assert await without.kept == 0
        await producer.close(1)

    broker = Broker()
    run(broker, scenario)
    assert broker.asked


def test_where_the_leader_is_another_now_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NotLeaderForPartitionError.invalid_metadata
    answers = iter([NOT_LEADER, 0])

    async def scenario() -> None:
        producer = await started()
        batch, _ = put(producer, ONE, b"1")
        assert await batch.kept == 0
        await producer.close(1)

    broker = Broker(lambda _: next(answers))
    run(broker, scenario)
    assert broker.asked
