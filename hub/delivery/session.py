"""One membership of the consumer group: from records to jobs, from jobs that are done to offsets committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from queue import Empty, SimpleQueue

from kafka import AsyncConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import (
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
)

from hub.delivery.backoff import Backoff
from hub.delivery.gone import Gone, out_of_range, unread
from hub.delivery.receiver import Job, Receiver
from hub.event import Record
from hub.sdk import Log

BATCH = 1000
ALL = 1 << 30  # kafka-python 3.0.12 never returns the rest of a partition taken in part and then paused
BUSY_POLL_MS = 4  # how late a batch that is done is noticed; doubles up to the next while nothing happens
IDLE_POLL_MS = 200
NAP_MS, LONGEST_NAP_MS = 20, 80  # how late a record can be seen where nothing else is going on: longer when all is idle
COMMIT_MS = 5_000
REBALANCE_SECONDS = 0.05  # until a commit that met a rebalance is tried again: turns in between complete it
REVOKE_SECONDS = 1.0  # blocks the client's heartbeats: far below the session timeout


class Session:
    """Used by one thread; the rebalance listener runs only while that thread is inside a call of the consumer.

    A partition has at most one job and the rest of one fetch. It is paused until both are committed, so that what
    a receiver does not take stays in the broker and memory stays flat.
    """

    def __init__(
        self,
        consumer: KafkaConsumer,
        receivers: Mapping[str, Receiver],
        done: SimpleQueue[Job],
        committed: Callable[[], None],
        log: Log,
    ) -> None:
        self._consumer = consumer
        self._receivers = receivers
        self._done = done
        self._committed = committed
        self._log = log
        self._jobs: dict[TopicPartition, Job] = {}
        self._rest: dict[TopicPartition, Sequence[Record]] = {}
        self._offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        self._unread: set[TopicPartition] = set()
        self._backoff = Backoff(first=0.1, cap=5.0)
        self._commit_at = 0.0
        self._poll_ms, self._nap_ms = IDLE_POLL_MS, NAP_MS

    def join(self) -> None:
        """Subscribe; the assignment comes with the first turns."""
        self._consumer.subscribe(topics=sorted(self._receivers), listener=_Rebalance(self))

    def turn(self) -> bool:
        """Commit what is done, hand out what came; whether anything came or was committed.

        Raises `KafkaError` where this membership is of no use any more.
        """
        worked = self._commit()
        polled = self._taken()
        for partition, records in polled.items():
            self._consumer.pause(partition)
            self._begun(partition, records[0].offset)
            self._hand_out(partition, records)
        worked = worked or bool(polled)
        self._poll_ms = BUSY_POLL_MS if worked else min(self._poll_ms * 2, IDLE_POLL_MS)
        return worked

    def _taken(self) -> Mapping[TopicPartition, Sequence[Record]]:
        """What came; the client has no policy by which it would jump over what is gone without a word."""
        try:
            return self._poll()
        except NoOffsetForPartitionError as error:
            self._unread.update(error.args[0])
            self._consumer.seek_to_beginning(*error.args[0])
        except (OffsetOutOfRangeError, LogTruncationError) as error:
            for gone in out_of_range(self._consumer, error):
                self._go_on_behind(gone)
        return {}

    def _go_on_behind(self, gone: Gone) -> None:
        """Committed at once: the next start would else find it again, or be content with a log that has grown since.
        What is in hand was not delivered, as far as is known: it is read again."""
        job = self._jobs.get(gone.where)
        if job is not None:
            gone = gone._replace(on=min(gone.on, job.records[0].offset))
        self._receivers[gone.where.topic].gone(gone)
        self.forget([gone.where])
        self._consumer.seek(gone.where, gone.on)
        self._consumer.pause(gone.where)
        self._offsets[gone.where] = OffsetAndMetadata(gone.on, "", -1)

    def _begun(self, partition: TopicPartition, offset: int) -> None:
        """The first records of a partition without a committed offset; one that was aborted has an offset as well."""
        if partition in self._unread:
            self._unread.remove(partition)
            gone = unread(self._consumer, partition) if offset else None
            if gone is not None:
                self._receivers[partition.topic].gone(gone)

    def _poll(self) -> Mapping[TopicPartition, Sequence[Record]]:
        """What came. A poll with a timeout spins where the broker does not hold an empty fetch: once there are
        partitions to read, this waits itself.

        Not so while the group is joined anew: kafka-python 3.0.12 forgets a join that ends while nobody waits for it,
        and begins the next one, without end.
        """
        if not self._consumer.assignment() or self._consumer._coordinator.need_rejoin():
            return self._consumer.poll(IDLE_POLL_MS, max_records=ALL)  # type: ignore[no-any-return]
        polled = self._consumer.poll(0, max_records=ALL)
        if polled:
            self._nap_ms = NAP_MS
        else:
            time.sleep((self._poll_ms if self._jobs else self._nap_ms) / 1000)
            self._nap_ms = min(2 * self._nap_ms, LONGEST_NAP_MS)
        return polled  # type: ignore[no-any-return]

    def finish(self) -> None:
        """Commit what is done by now and forget the rest."""
        self._commit_at = 0.0
        try:
            self._commit()
        finally:
            self.forget([*self._jobs, *self._offsets])

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """These partitions are no longer ours: whatever becomes of their jobs is not committed."""
        self._revoke(partitions)
        for partition in partitions:
            for kept in (self._jobs, self._rest, self._offsets):
                kept.pop(partition, None)
            self._unread.discard(partition)

    def give_up(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """Hand nothing more out of these partitions, wait a little for what is in flight; offsets to commit."""
        self._revoke(partitions)
        until = time.monotonic() + REVOKE_SECONDS
        for receiver in self._receivers.values():
            receiver.settle(partitions, until)
        self._collect()
        offsets = {partition: self._offsets[partition] for partition in partitions if partition in self._offsets}
        self.forget(partitions)
        return offsets

    async def hand_back(self, partitions: Collection[TopicPartition]) -> None:
        """Before others get these partitions."""
        offsets = self.give_up(partitions)
        try:
            if offsets:
                await self._consumer.commit_async(offsets)
        except KafkaError as error:
            self._log.failed("not committed when handed back, comes again elsewhere", error, partitions=len(offsets))

    def _hand_out(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        job = self._jobs[partition] = Job(partition, records[:BATCH])
        if len(records) > BATCH:
            self._rest[partition] = records[BATCH:]
        self._receivers[partition.topic].submit(job)

    def _revoke(self, partitions: Collection[TopicPartition]) -> None:
        for receiver in self._receivers.values():
            receiver.revoke(partitions)

    def _collect(self) -> None:
        while True:
            try:
                job = self._done.get_nowait()
            except Empty:
                return
            if self._jobs.get(job.where) is job:
                del self._jobs[job.where]
                self._offsets[job.where] = OffsetAndMetadata(job.next_offset, "", -1)

    def _commit(self) -> bool:
        self._collect()
        if not self._offsets or time.monotonic() < self._commit_at:
            return False
        try:
            self._consumer.commit(self._offsets, timeout_ms=COMMIT_MS)
        except RebalanceInProgressError:  # no failure: what moves is committed as it is handed back
            self._commit_at = time.monotonic() + REBALANCE_SECONDS
            return False
        except KafkaError as error:
            # Kept: what is still ours after a rebalance is committed later, what is not is forgotten there.
            wait = self._backoff.failed()
            self._commit_at = time.monotonic() + wait
            self._log.failed("offsets are not committed, tried again", error, wait_seconds=wait)
            return False
        self._backoff.succeeded()
        self._go_on(list(self._offsets))
        self._offsets.clear()
        self._committed()
        return True

    def _go_on(self, partitions: Collection[TopicPartition]) -> None:
        """Hand out the rest of these partitions, have new records fetched where there is none."""
        for partition in partitions:
            if partition in self._rest:
                self._hand_out(partition, self._rest.pop(partition))
            else:
                self._consumer.resume(partition)


class _Rebalance(AsyncConsumerRebalanceListener):  # type: ignore[misc, unused-ignore]
    """Runs on the client's own thread. The assignor is a cooperative one: only what moves is revoked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._session.hand_back(revoked)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        pass

    async def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self._session.forget(lost)
