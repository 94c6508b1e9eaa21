"""An idempotent producer: record batches, sent until the broker has them, each once, over aiokafka's client.

A node has one request under way, with one batch of each of its partitions; what comes meanwhile goes with the next one.
So nothing waits for company, and there is company where there is load. A batch keeps its bytes and sequence number from
its first attempt on: sent again, the broker knows whether it has it. A partition that takes nothing keeps nobody else's
records waiting.

What will not pass ends its partition's queue: later batches would leave a gap in the numbers. Then the producer is to
be closed, which sends for a while yet what others wait for.

Source: Apache Kafka, "Protocol" (APIs 0 and 22) and KIP-98.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import DuplicateSequenceNumber, KafkaError, NoError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from hub.errors import Retry
from hub.event import Row
from hub.kafka.batch import BATCH_BYTES, RECORDS, record_batches
from hub.kafka.connection import Connection
from hub.kafka.requests import ALL_REPLICAS, REQUEST_MS, SEQUENCES, ask, by_topic, passing

RECORD_BYTES = 64
"""What a record takes beside its parts, at the most."""

AGAIN_SECONDS, LEADER_SECONDS = 0.1, 0.1
"""Until a batch is sent again, and from one question for a missing leader to the next."""

STUCK_SECONDS = 3.0
"""When records wait for a partition and it takes none for so long, it is stuck."""

UNKNOWN = -1
"""The offset of what the broker had before and no longer knows where."""


class Batch:
    """Rows of one partition that travel together. `kept` gives the offset of the first, or raises."""

    __slots__ = ("data", "kept", "rows", "size")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.size = 0
        self.data: bytes | None = None
        self.kept: asyncio.Future[int] = asyncio.get_running_loop().create_future()


class _Queue:
    """Batches on their way to one partition, the oldest first; since when it has taken none of them."""

    __slots__ = ("batches", "busy", "sequence", "since")

    def __init__(self) -> None:
        self.batches = deque[Batch]()
        self.busy, self.sequence, self.since = False, 0, 0.0

    @property
    def stuck(self) -> bool:
        return bool(self.batches) and time.monotonic() - self.since > STUCK_SECONDS


class IdempotentProducer:
    """Used in one event loop. `failed` is called, once, with what a broker refused for good."""

    def __init__(self, connection: Connection, failed: Callable[[str], None]) -> None:
        self.client = AIOKafkaClient(**connection.aiokafka(), client_id="hub", request_timeout_ms=REQUEST_MS)
        self._failed: Callable[[str], None] | None = failed
        self._producer = -1, -1
        self._queues = defaultdict[TopicPartition, _Queue](_Queue)
        self._ready, self._nodes = set[TopicPartition](), set[int]()
        self._woken: asyncio.Handle | None = None
        self._tasks = set[asyncio.Task[None]]()
        self._leaders: asyncio.Task[None] | None = None
        self._empty = asyncio.Event()
        self.waiting_bytes = 0

    async def start(self, topics: Iterable[str]) -> None:
        """Raises what aiokafka raises where no broker answers. `topics` are looked up now, so that the first record for
        each does not wait for it."""
        await self.client.bootstrap()
        while self._producer[0] < 0:
            answer = await ask(self.client, self.client.get_random_node(), InitProducerIdRequest(None, REQUEST_MS))
            if answer.error_code == NoError.errno:
                self._producer = answer.producer_id, answer.producer_epoch
            else:  # a node that has just started has no ids to give yet
                passing(answer.error_code, "a producer's id")
                await asyncio.sleep(AGAIN_SECONDS)
        await self.client.set_topics(list(topics))

    def put(self, tp: TopicPartition, row: Row, size: int) -> tuple[Batch, int]:
        """The batch that the row lies in now, and its place there. `size`: its bytes."""
        queue, size = self._queues[tp], size + RECORD_BYTES
        batch = queue.batches[-1] if queue.batches else None
        if batch is None or batch.data is not None or batch.size + size > BATCH_BYTES or len(batch.rows) == RECORDS:
            batch = Batch()
            if not queue.batches:
                queue.since = time.monotonic()
            queue.batches.append(batch)
        batch.rows.append(row)
        batch.size += size
        self.waiting_bytes += size
        if not queue.busy:
            self._is_ready(tp)
        return batch, len(batch.rows) - 1

    def stuck(self, tp: TopicPartition) -> bool:
        """Whether records wait for the partition, and it has taken none for long."""
        return tp in self._queues and self._queues[tp].stuck

    @property
    def all_stuck(self) -> bool:
        """Whether records wait, and those for partitions that take nothing alone."""
        waiting = [queue for queue in self._queues.values() if queue.batches]
        return bool(waiting) and all(queue.stuck for queue in waiting)

    async def close(self, seconds: float) -> None:
        """What was put is sent, for so long; then it is given up."""
        self._failed = None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(queue.batches for queue in self._queues.values()):
                    self._empty.clear()
                    await self._empty.wait()
        for task in (*self._tasks, *filter(None, [self._leaders])):
            task.cancel()
        if self._woken is not None:
            self._woken.cancel()
        self._ready.clear()
        for queue in self._queues.values():
            self._give_up(queue, Retry("the producer was given up"))
        with suppress(Exception):
            async with asyncio.timeout(1):
                await self.client.close()

    def _is_ready(self, tp: TopicPartition) -> None:
        self._ready.add(tp)
        self._wake()

    def _wake(self) -> None:
        if self._woken is None:
            self._woken = asyncio.get_running_loop().call_soon(self._send_all)

    def _send_all(self) -> None:
        """A request to each node that has none under way."""
        self._woken = None
        by_node = defaultdict[int, list[TopicPartition]](list)
        for tp in self._ready:
            node = self.client.cluster.leader_for_partition(tp)
            if node is None or node < 0:
                self._look_for_leaders()
            elif node not in self._nodes:
                by_node[node].append(tp)
                self._queues[tp].busy = True
        for node, tps in by_node.items():
            self._ready.difference_update(tps)
            self._nodes.add(node)
            task = asyncio.create_task(self._send(node, tps))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, node: int, tps: Sequence[TopicPartition]) -> None:
        """One request; what it did not settle is ready again after a while."""
        left = set(tps)
        request = ProduceRequest(
            None, ALL_REPLICAS, REQUEST_MS, by_topic((tp, (tp[1], self._written(tp))) for tp in tps)
        )
        try:
            answer = await ask(self.client, node, request)
            left -= {tp for tp, code, offset in _told(answer) if self._settled(tp, code, offset)}
        except KafkaError as error:
            if error.retriable:
                self.client.force_metadata_update()
            else:
                self._refused(tps, error)
                left.clear()
        finally:
            self._nodes.discard(node)
            for tp in left:
                asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._again, tp)
            if self._ready:
                self._wake()

    def _again(self, tp: TopicPartition) -> None:
        queue = self._queues[tp]
        if queue.batches:  # not given up meanwhile
            queue.busy = False
            self._is_ready(tp)

    def _written(self, tp: TopicPartition) -> bytes:
        """The oldest batch of a partition, as it is sent each time."""
        queue = self._queues[tp]
        batch = queue.batches[0]
        if batch.data is None:
            (written,) = record_batches(batch.rows, int(time.time() * 1000), batch.size)
            batch.data = written.written(*self._producer, queue.sequence, attributes=0)
            queue.sequence = (queue.sequence + written.count) % SEQUENCES
        return batch.data

    def _settled(self, tp: TopicPartition, code: int, offset: int) -> bool:
        """Whether the batch is kept or refused; else it is sent again."""
        if code == DuplicateSequenceNumber.errno:  # kept by an earlier attempt
            code, offset = NoError.errno, UNKNOWN
        if code != NoError.errno:
            try:
                passes = passing(code, f"{tp.topic}/{tp.partition}")
            except KafkaError as error:
                self._refused([tp], error)
                return True
            if passes.invalid_metadata:
                self.client.force_metadata_update()
            return False
        queue = self._queues[tp]
        batch = queue.batches.popleft()
        queue.busy, queue.since = False, time.monotonic()
        self.waiting_bytes -= batch.size
        if queue.batches:
            self._ready.add(tp)
        else:
            self._empty.set()
        if not batch.kept.done():
            batch.kept.set_result(offset)
        return True

    def _refused(self, tps: Iterable[TopicPartition], error: KafkaError) -> None:
        for tp in tps:
            self._give_up(self._queues[tp], error)
        failed, self._failed = self._failed, None
        if failed is not None:
            failed(type(error).__name__)

    def _give_up(self, queue: _Queue, error: Exception) -> None:
        queue.busy = False
        for batch in queue.batches:
            self.waiting_bytes -= batch.size
            if not batch.kept.done():
                batch.kept.set_exception(error)
                batch.kept.exception()  # who put it may have gone
        queue.batches.clear()
        self._empty.set()

    def _look_for_leaders(self) -> None:
        if self._leaders is None or self._leaders.done():
            self._leaders = asyncio.create_task(self._look())

    async def _look(self) -> None:
        await self.client.force_metadata_update()
        await asyncio.sleep(LEADER_SECONDS)
        self._wake()


def _told(answer: object) -> Iterator[tuple[TopicPartition, int, int]]:
    """Each partition with its code and the first record's offset."""
    for topic, partitions in answer.topics:  # type: ignore[attr-defined]
        for partition, code, offset, *_ in partitions:
            yield TopicPartition(topic, partition), code, offset
