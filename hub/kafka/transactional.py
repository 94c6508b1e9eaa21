"""One transactional id at Kafka: a transaction is record batches and a group's offsets, told over aiokafka's client.

    partitions named → outputs ∥ group named → its offsets → end

aiokafka's own producer learns of a transaction step by step and passes each step through queues and a task of its own.
Here all of one is known before it begins, and what may be told at once is: outputs and offsets travel together.

Whatever the broker says to be passing is asked again, with a growing wait, for as long as the caller waits: the broker
knows by their sequence numbers the batches that it has already. All else is raised: `ProducerFenced` where another
producer has taken the id, or aiokafka's error of that name.

Source: Apache Kafka, "Protocol" (APIs 0, 22, 24, 25, 26, 28) and KIP-98.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.conn import CloseReason
from aiokafka.errors import DuplicateSequenceNumber, IllegalOperation, KafkaConnectionError, KafkaError, NoError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)

from hub.kafka.clients import TRANSACTION_MS
from hub.kafka.connection import Connection
from hub.kafka.member import Member, offsets_given, offsets_wanted
from hub.kafka.requests import ALL_REPLICAS, PASSING, REQUEST_MS, SEQUENCES, ask, by_topic, passing

FIRST_WAIT, LONGEST_WAIT = 0.002, 0.1
"""Seconds until a request is made again. The broker may still write the last transaction's markers, which takes it a
millisecond or two; where it is away, a tenth of a second is soon enough."""


class Batch(Protocol):
    """A record batch that is written once it knows its producer (`hub.kafka.batch.RecordBatch`)."""

    @property
    def count(self) -> int: ...
    def written(self, producer_id: int, producer_epoch: int, base_sequence: int) -> bytes: ...


class TransactionalProducer:
    """Used in one event loop, one transaction after the other. After any exception of a transaction, a cancellation
    too, its outcome may be either: the producer takes no other one then, and is to be closed."""

    def __init__(self, connection: Connection, transactional_id: str) -> None:
        self.transactional_id = transactional_id
        self.client = AIOKafkaClient(**connection.aiokafka(), client_id=transactional_id, request_timeout_ms=REQUEST_MS)
        self.producer_id, self.producer_epoch = -1, -1
        self.last: KafkaError | None = None
        """What the broker said last of the step under way that may pass: why it takes so long."""
        self._spent = False
        self._sequences = defaultdict[TopicPartition, int](int)
        self._coordinators: dict[int, int] = {}

    async def start(self, topics: Iterable[str]) -> None:
        """Fences a predecessor with the same id, and ends the transaction that it left open."""
        await self.client.bootstrap()
        answer = await self._coordinated(InitProducerIdRequest(self.transactional_id, TRANSACTION_MS), _error)
        self.producer_id, self.producer_epoch = answer.producer_id, answer.producer_epoch
        # all at once: looked up one by one, at the first record for each, they would hold up the first transactions
        await self.client.set_topics(list(topics))

    async def know(self, topics: Iterable[str]) -> Collection[str]:
        """Look up where these topics are; returns those that are not there. Raises `KafkaError` where no node says."""
        asked = list(topics)
        if not await self.client.set_topics(asked):
            raise KafkaConnectionError("no node tells which topics there are")
        return [topic for topic in asked if not self.client.cluster.partitions_for_topic(topic)]

    async def close(self) -> None:
        """A transaction that is open is ended by the successor's start."""
        await self.client.close()

    def on_break(self, tell: Callable[[], None]) -> None:
        """`tell` of each connection that ends by other means than our own."""
        client: Any = self.client
        closed = client._on_connection_closed

        def heard(connection: Any, reason: CloseReason) -> None:
            if reason in (CloseReason.CONNECTION_BROKEN, CloseReason.CONNECTION_TIMEOUT):
                tell()
            closed(connection, reason)

        client._on_connection_closed = heard

    async def transact(
        self,
        batches: Mapping[TopicPartition, Sequence[Batch]],
        also: Iterable[TopicPartition],
        member: Member,
        offsets: Mapping[TopicPartition, int],
    ) -> None:
        """Committed when it returns: `batches`, in order within each partition, and the `offsets` of a group, which
        refuses them where `member` is not in it any more. `also` are partitions to commit in without a record. Raises
        `IllegalOperation` after a transaction that did not end: what is left of that one would be committed with this.
        """
        if self._spent:
            raise IllegalOperation("the last transaction did not end")
        self._spent, self.last = True, None
        partitions = {*batches, *also}
        if partitions:
            await self.name_partitions(partitions)
        self.last = None
        await _together(self.send(batches), self.give_offsets(member, offsets))
        self.last = None
        if partitions or offsets:
            await self.end()
        self._spent = False

    @property
    def _me(self) -> tuple[str, int, int]:
        return self.transactional_id, self.producer_id, self.producer_epoch

    async def name_partitions(self, partitions: Collection[TopicPartition]) -> None:
        rows = by_topic((tp, tp[1]) for tp in partitions)
        await self._coordinated(AddPartitionsToTxnRequest(*self._me, rows), _errors)

    async def give_offsets(self, member: Member, offsets: Mapping[TopicPartition, int]) -> None:
        if not offsets:
            return
        await self._coordinated(AddOffsetsToTxnRequest(*self._me, member.group), _error)
        request = offsets_given(member, self._me, offsets)
        await self._coordinated(request, _told, member.group)

    async def settled(self, group: str, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The group's offset of each partition that has one, once no transaction is open that may change it."""
        answer = await self._coordinated(offsets_wanted(group, tps), _told, group)
        offsets: dict[TopicPartition, int] = answer.offsets
        return offsets

    async def end(self) -> None:
        await self._coordinated(EndTxnRequest(*self._me, transaction_result=True), _error)

    async def send(self, batches: Mapping[TopicPartition, Sequence[Batch]]) -> None:
        """A request has one batch of a partition; the next ones follow its answer."""
        for turn in range(max(map(len, batches.values()), default=0)):
            now = {tp: of[turn] for tp, of in batches.items() if turn < len(of)}
            await self._keep({tp: self._written(tp, batch) for tp, batch in now.items()})

    def _written(self, tp: TopicPartition, batch: Batch) -> bytes:
        first = self._sequences[tp]
        self._sequences[tp] = (first + batch.count) % SEQUENCES
        return batch.written(self.producer_id, self.producer_epoch, first)

    async def _keep(self, left: dict[TopicPartition, bytes]) -> None:
        """Until the leader of each partition has its batch."""
        wait = FIRST_WAIT
        while True:
            by_node = defaultdict[int | None, list[TopicPartition]](list)
            for tp in left:
                by_node[self.client.cluster.leader_for_partition(tp)].append(tp)
            await _together(*(self._keep_at(node, tps, left) for node, tps in by_node.items()))
            if not left:
                return
            wait = await _waited(wait)

    async def _keep_at(
        self, node: int | None, tps: Sequence[TopicPartition], left: dict[TopicPartition, bytes]
    ) -> None:
        """Take from `left` what this node has."""
        rows = by_topic((tp, (tp[1], left[tp])) for tp in tps)
        request = ProduceRequest(self.transactional_id, ALL_REPLICAS, REQUEST_MS, rows)
        try:
            if node is None or node < 0:
                await self.client.force_metadata_update()
                return
            answer = await ask(self.client, node, request)
        except KafkaError as error:
            await self._again(error)
            return
        stale = False
        for topic, partitions in answer.topics:
            for partition, code, *_ in partitions:
                if code in (NoError.errno, DuplicateSequenceNumber.errno):  # it was there, from the last attempt
                    left.pop(TopicPartition(topic, partition), None)
                else:
                    self.last = passing(code, f"{topic}/{partition}")
                    stale |= self.last.invalid_metadata
        if stale:
            await self.client.force_metadata_update()

    async def _coordinated(
        self, request: Any, errors: Callable[[Any], Iterable[tuple[str, int]]], group: str | None = None
    ) -> Any:
        """The answer of the transaction's coordinator, or of the group's, once it has no errors."""
        kind, key = (CoordinationType.GROUP, group) if group else (CoordinationType.TRANSACTION, self.transactional_id)
        wait = FIRST_WAIT
        while True:
            try:
                answer = await ask(
                    self.client, await self._coordinator(kind, key), request, ConnectionGroup.COORDINATION
                )
            except KafkaError as error:
                self._coordinators.pop(kind, None)
                await self._again(error)
            else:
                wrong = list(errors(answer))
                if not wrong:
                    return answer
                for where, code in wrong:
                    self.last = passing(code, where or key)
                if not PASSING.issuperset(code for _, code in wrong):
                    self._coordinators.pop(kind, None)  # it is another node now
            wait = await _waited(wait)

    async def _coordinator(self, kind: int, key: str) -> int:
        if kind not in self._coordinators:
            self._coordinators[kind] = await self.client.coordinator_lookup(kind, key)
        return self._coordinators[kind]

    async def _again(self, error: KafkaError) -> None:
        """Before a request is made again that had no answer. Raises what will not pass."""
        if not error.retriable:
            raise error
        self.last = error
        await self.client.force_metadata_update()


async def _waited(seconds: float) -> float:
    """The next wait."""
    await asyncio.sleep(seconds)
    return min(1.5 * seconds, LONGEST_WAIT)


def _error(answer: Any) -> Iterable[tuple[str, int]]:
    """(Where, code) of an answer that has one code; of none where it is well."""
    return [("", answer.error_code)] if answer.error_code else []


def _errors(answer: Any) -> Iterable[tuple[str, int]]:
    """The same of every partition of an answer."""
    return ((f"{topic}/{partition}", code) for topic, rows in answer.errors for partition, code in rows if code)


def _told(answer: Any) -> Iterable[tuple[str, int]]:
    """The same of an answer that says them itself."""
    errors: Iterable[tuple[str, int]] = answer.errors
    return errors


async def _together(*steps: Coroutine[Any, Any, None]) -> None:
    """All of them; where one fails, the others are ended."""
    if len(steps) == 1:
        await steps[0]
        return
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
