"""A transaction as the broker is told of it: by a broker of lists, which answers what a test wants."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    KafkaConnectionError,
    ProducerFenced,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from hypothesis import given
from hypothesis import strategies as st

from hub.engine import transaction
from hub.engine.transaction import Transactions
from hub.event import Output
from hub.kafka import transactional
from hub.kafka.connection import Connection
from hub.kafka.member import Member, OffsetFetchResponse, TxnOffsetCommitResponse
from hub.kafka.transactional import TransactionalProducer

IN, ONE, TWO, ELSEWHERE = (TopicPartition(f"t{n}", n) for n in range(4))
NAMING, PRODUCE = "AddPartitionsToTxnRequest", "ProduceRequest"
GROUP, OFFSETS, END = "AddOffsetsToTxnRequest", "TxnOffsetCommitRequest", "EndTxnRequest"
WANTED = "OffsetFetchRequest"
ME = Member("group", 4, "me")
ALL = (NAMING, PRODUCE, GROUP, OFFSETS, END)
FENCED, MOVED, CONCURRENT, FEW_REPLICAS, LOADING, NOT_LEADER, FORBIDDEN, UNKNOWN_TOPIC = 47, 16, 51, 19, 14, 6, 29, 3
UNSTABLE, ILLEGAL_GENERATION, UNKNOWN_MEMBER = 88, 22, 25
LOST = -1
"""The broker does as it is asked, and its answer is lost."""


class Written:
    """A record batch whose bytes say what it was written with."""

    def __init__(self, name: str, count: int = 1) -> None:
        self.name, self.count = name, count

    def written(self, *producer: int) -> bytes:
        return json.dumps([self.name, self.count, producer]).encode()


class Broker:
    """What `AIOKafkaClient` is to the producer: two nodes, of which one leads `ELSEWHERE`."""

    def __init__(self, codes: Callable[[str], int] = lambda kind: 0) -> None:
        self.codes, self.asked, self.looked_up = codes, list[str](), Counter[Any]()
        self.logs = defaultdict[TopicPartition, list[Any]](list)
        self.named, self.offsets, self.committed = set[TopicPartition](), dict[TopicPartition, int](), 0
        self.cluster = SimpleNamespace(leader_for_partition=lambda tp: 2 if tp == ELSEWHERE else 1)
        self.before: dict[str, Any] = {}

    def _on_connection_closed(self, connection: Any, reason: Any) -> None: ...
    async def bootstrap(self) -> None: ...
    async def force_metadata_update(self) -> bool:
        return True

    async def set_topics(self, topics: list[str]) -> None: ...
    async def coordinator_lookup(self, kind: int, key: str) -> int:
        self.looked_up[key] += 1
        return 1

    async def send(self, node: int, request: Any, *, group: Any) -> Any:
        kind = type(request).__name__
        if kind == "InitProducerIdRequest":
            return SimpleNamespace(error_code=0, producer_id=7, producer_epoch=3)
        self.asked.append(kind)
        if kind in self.before:
            await self.before[kind]()
        code = self.codes(kind)
        if code in (0, LOST):
            self._done(kind, request)
        if code == LOST:
            raise RequestTimedOutError
        return self._answer(kind, request, code)

    def _done(self, kind: str, request: Any) -> None:
        if kind == NAMING:
            self.named |= {TopicPartition(topic, number) for topic, numbers in request._topics for number in numbers}
        elif kind == PRODUCE:
            for topic, rows in request._topics:
                for number, data in rows:
                    batch = json.loads(data) if data.startswith(b"[") else data
                    log = self.logs[TopicPartition(topic, number)]
                    assert TopicPartition(topic, number) in self.named
                    if batch not in log:  # known by its sequence number
                        log.append(batch)
        elif kind == OFFSETS:
            self.given_by = Member(request.group, request.generation, request.member)
            self.offsets |= {TopicPartition(t, n): offset for t, rows, _ in request.topics for n, offset, *_ in rows}
        elif kind == END:
            self.committed += 1

    @staticmethod
    def _answer(kind: str, request: Any, code: int) -> Any:
        if kind == PRODUCE:
            topics = [(topic, [(number, code, 0, 0, 0) for number, _ in rows]) for topic, rows in request._topics]
            return SimpleNamespace(topics=topics)
        if kind in (GROUP, END):
            return SimpleNamespace(error_code=code)
        if kind == OFFSETS:
            rows = [(topic, [(number, code, {}) for number, *_ in rows], {}) for topic, rows, _ in request.topics]
            return TxnOffsetCommitResponse(0, rows, {})
        if kind == WANTED:
            rows = [(topic, [(n, 5 * n, -1, "", code, {}) for n in of], {}) for topic, of, _ in request.topics]
            return OffsetFetchResponse(0, rows, 0, {})
        numbers = [(t, [row if type(row) is int else row[0] for row in rows]) for t, rows in request._topics]
        return SimpleNamespace(errors=[(topic, [(number, code) for number in of]) for topic, of in numbers])


@contextmanager
def with_broker(broker: Broker) -> Iterator[None]:
    with (
        patch.object(transactional, "AIOKafkaClient", lambda **_: broker),
        patch.object(transactional, "FIRST_WAIT", 0),
    ):
        yield


async def started() -> TransactionalProducer:
    producer = TransactionalProducer(Connection(("127.0.0.1:1",)), "hub.gate.1")
    await producer.start(["t1"])
    return producer


def run(broker: Broker, *transactions: dict[TopicPartition, list[Written]]) -> None:
    async def scenario() -> None:
        producer = await started()
        for number, batches in enumerate(transactions):
            await producer.transact(batches, (), ME, {IN: number + 1})

    with with_broker(broker):
        asyncio.run(asyncio.wait_for(scenario(), 10))


def test_who_takes_part_is_named_first_and_the_end_is_last() -> None:
    broker = Broker()
    run(broker, {ONE: [Written("a", 3)], ELSEWHERE: [Written("b")]}, {ONE: [Written("c")]})
    assert Counter(broker.asked[:6]) == {NAMING: 1, PRODUCE: 2, GROUP: 1, OFFSETS: 1, END: 1}
    assert broker.asked[0] == NAMING and broker.asked[5] == END
    assert broker.asked.index(GROUP) < broker.asked.index(OFFSETS)
    assert broker.logs == {
        ONE: [["a", 3, [7, 3, 0]], ["c", 1, [7, 3, 3]]],
        ELSEWHERE: [["b", 1, [7, 3, 0]]],
    }
    assert broker.offsets == {IN: 2} and broker.committed == 2


def test_offsets_are_on_their_way_while_outputs_are_and_the_end_waits_for_both() -> None:
    broker, offsets_came = Broker(), asyncio.Event()

    async def outputs_wait() -> None:
        await offsets_came.wait()
        await asyncio.sleep(0.05)
        assert END not in broker.asked

    async def came() -> None:
        offsets_came.set()

    broker.before = {PRODUCE: outputs_wait, OFFSETS: came}
    run(broker, {ONE: [Written("a")]})
    assert broker.committed == 1


def test_offsets_alone_and_partitions_without_a_record_are_committed() -> None:
    broker = Broker()

    async def scenario() -> None:
        producer = await started()
        await producer.transact({}, (), ME, {IN: 1})
        assert broker.asked == [GROUP, OFFSETS, END]
        await producer.transact({}, [TWO], ME, {})
        assert broker.asked[3:] == [NAMING, END] and broker.named == {TWO}
        await producer.transact({}, (), ME, {})
        assert len(broker.asked) == 5, "nothing: nothing is said"

    with with_broker(broker):
        asyncio.run(scenario())


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("code", "error"), [(FENCED, ProducerFenced), (90, ProducerFenced), (FORBIDDEN, TopicAuthorizationFailedError)]
)
def test_what_does_not_pass_is_raised_and_nothing_is_committed(kind: str, code: int, error: type[Exception]) -> None:
    broker = Broker(lambda asked: code if asked == kind else 0)
    with pytest.raises(error) as raised:
        run(broker, {ONE: [Written("a")]})
    assert broker.committed == 0
    if error is not ProducerFenced:
        where = {NAMING: "t1/1", PRODUCE: "t1/1", OFFSETS: "t0/0"}.get(kind, "hub.gate.1")
        assert f"{where}: code {code}" in str(raised.value)


@pytest.mark.parametrize("kind", ALL)
def test_what_never_passes_is_told_as_what_the_broker_said(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "COMMIT_SECONDS", 0.1)
    broker = Broker(lambda asked: UNKNOWN_TOPIC if asked == kind else 0)

    async def scenario() -> None:
        transactions = Transactions(Connection(("127.0.0.1:1",)), "hub.gate.1", ME, ["t1"], 4)
        await transactions.start()
        with pytest.raises(UnknownTopicOrPartitionError, match="code 3"):
            await transactions.commit([Output("t1", 1, b"k", b"v")], {IN: 1})

    with with_broker(broker):
        asyncio.run(scenario())


def test_a_coordinator_that_moved_is_looked_up_and_one_that_is_loading_is_not() -> None:
    answers = iter([MOVED, 0])
    broker = Broker(lambda kind: next(answers, 0) if kind == OFFSETS else 0)
    run(broker, {ONE: [Written("a")]})
    assert broker.looked_up == {"hub.gate.1": 1, "group": 2}
    answers = iter([LOADING, CONCURRENT, 0])
    again = Broker(lambda kind: next(answers, 0) if kind == OFFSETS else 0)
    run(again, {ONE: [Written("a")]})
    assert again.looked_up == {"hub.gate.1": 1, "group": 1} and again.asked.count(OFFSETS) == 3


def test_offsets_are_given_as_a_member_and_refused_of_one_whom_the_group_has_given_up() -> None:
    broker = Broker()
    run(broker, {ONE: [Written("a")]})
    assert broker.given_by == ME
    for code in (ILLEGAL_GENERATION, UNKNOWN_MEMBER):
        broker = Broker(lambda kind, code=code: code if kind == OFFSETS else 0)  # type: ignore[misc]
        with pytest.raises(ProducerFenced):
            run(broker, {ONE: [Written("a")]})
        assert not broker.committed


def test_offsets_are_settled_once_no_transaction_may_change_them() -> None:
    answers = iter([UNSTABLE, MOVED, UNSTABLE, 0])
    broker = Broker(lambda kind: next(answers) if kind == WANTED else 0)

    async def scenario() -> None:
        producer = await started()
        assert await producer.settled("group", [ONE, TWO]) == {ONE: 5, TWO: 10}
        assert broker.asked == [WANTED] * 4
        assert repr(producer.last).startswith("UnstableOffsetCommitError"), "what is waited for"

    with with_broker(broker):
        asyncio.run(scenario())


def test_a_lane_that_is_ended_ends_its_transaction_at_once() -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def never() -> None:
            asked.set()
            await asyncio.Event().wait()

        broker.before = {PRODUCE: never}
        producer = await started()
        task = asyncio.create_task(producer.transact({ONE: [Written("a")]}, (), ME, {IN: 1}))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        said = len(broker.asked)
        with pytest.raises(IllegalOperation):  # what the broken one had sent would be committed with it
            await producer.transact({}, (), ME, {IN: 1})
        assert len(broker.asked) == said

    broker = Broker()
    with with_broker(broker):
        asyncio.run(scenario())


def test_a_request_that_aiokafka_gave_up_is_made_again() -> None:
    """It cancels what waits on a connection that it closes."""
    left = iter([asyncio.CancelledError(), KafkaConnectionError("closed")])

    async def given_up() -> None:
        for error in left:
            raise error

    broker = Broker()
    broker.before = {PRODUCE: given_up}
    run(broker, {ONE: [Written("a")]})
    assert broker.logs[ONE] == [["a", 1, [7, 3, 0]]] and broker.asked.count(PRODUCE) == 3


passing = st.lists(st.sampled_from([LOST, CONCURRENT, FEW_REPLICAS, LOADING, MOVED, NOT_LEADER, 0, 0]), max_size=6)
batches = st.dictionaries(
    st.sampled_from([ONE, TWO, ELSEWHERE]), st.lists(st.integers(1, 2**30), min_size=1, max_size=3), min_size=1
)


@given(st.lists(batches, min_size=1, max_size=4), st.fixed_dictionaries(dict.fromkeys(ALL, passing)))
def test_whatever_passes_every_batch_is_there_once_and_in_order(
    transactions: list[dict[TopicPartition, list[int]]], answers: dict[str, list[int]]
) -> None:
    left = {kind: iter(codes) for kind, codes in answers.items()}
    broker, names = Broker(lambda kind: next(left[kind], 0)), iter(range(1000))
    written = [{tp: [Written(str(next(names)), n) for n in of] for tp, of in each.items()} for each in transactions]
    run(broker, *written)
    for tp in (ONE, TWO, ELSEWHERE):
        expected, sequence = [], 0
        for batch in [batch for each in written for batch in each.get(tp, [])]:
            expected.append([batch.name, batch.count, [7, 3, sequence]])
            sequence = (sequence + batch.count) % 2**31
        assert broker.logs[tp] == expected
    assert broker.offsets == {IN: len(transactions)} and broker.committed >= len(transactions)
