"""From records to jobs to commits, with a consumer in memory."""

from __future__ import annotations

import asyncio
from queue import SimpleQueue

from kafka import OffsetAndMetadata
from kafka.errors import (
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
)

from hub.delivery.gone import Gone, Why
from hub.delivery.receiver import Job
from hub.delivery.session import BATCH, Session
from hub.sdk import Log
from tests.unit.delivery.fakes import HERE, THERE, FakeConsumer, FakeReceiver, records


class Rig:
    def __init__(self, consumer: FakeConsumer) -> None:
        self.done: SimpleQueue[Job] = SimpleQueue()
        self.consumer = consumer
        self.receiver = FakeReceiver(self.done)
        self.commits = 0
        receivers = {"out.mod": self.receiver}
        self.session = Session(consumer, receivers, self.done, self._committed, Log())  # type: ignore[arg-type]
        self.session.join()

    def _committed(self) -> None:
        self.commits += 1


def test_a_partition_is_paused_from_the_hand_out_to_the_commit() -> None:
    rig = Rig(FakeConsumer({HERE: records(3, first=5)}))
    rig.session.turn()
    assert rig.consumer.paused == {HERE} and rig.consumer.commits == []
    rig.receiver.finish()
    rig.session.turn()
    assert rig.consumer.paused == set() and rig.consumer.commits == [{HERE: 8}] and rig.commits == 1


def test_a_large_fetch_goes_out_batch_by_batch() -> None:
    rig = Rig(FakeConsumer({HERE: records(BATCH + 10)}))
    rig.session.turn()
    assert [len(job.records) for job in rig.receiver.jobs] == [BATCH]
    rig.receiver.finish()
    rig.session.turn()
    assert [job.records[0].offset for job in rig.receiver.jobs] == [BATCH] and rig.consumer.paused == {HERE}
    rig.receiver.finish()
    rig.session.turn()
    assert rig.consumer.commits == [{HERE: BATCH}, {HERE: BATCH + 10}] and rig.consumer.paused == set()


def test_a_commit_that_fails_is_tried_again_and_the_partition_waits() -> None:
    rig = Rig(FakeConsumer({HERE: records(1)}))
    rig.consumer.fail = [RebalanceInProgressError()]
    rig.session.turn()
    rig.receiver.finish()
    rig.session.turn()
    assert rig.consumer.paused == {HERE} and rig.consumer.commits == []
    rig.session.finish()
    assert rig.consumer.commits == [{HERE: 1}]


def test_what_ends_while_a_partition_is_handed_back_is_committed() -> None:
    rig = Rig(FakeConsumer({HERE: records(2), THERE: records(2, partition=1)}))
    rig.session.turn()
    rig.receiver.during = rig.receiver.finish
    asyncio.run(rig.consumer.listener.on_partitions_revoked({HERE}))
    assert rig.consumer.commits == [{HERE: 2}] and rig.receiver.revoked == {HERE}


def test_what_ends_after_its_partition_was_lost_is_not_committed() -> None:
    rig = Rig(FakeConsumer({HERE: records(2)}))
    rig.session.turn()
    asyncio.run(rig.consumer.listener.on_partitions_lost({HERE}))
    rig.receiver.finish()
    rig.session.turn()
    assert rig.consumer.commits == [] and rig.receiver.revoked == {HERE}


def test_a_job_of_an_earlier_ownership_does_not_commit_for_a_later_one() -> None:
    rig = Rig(FakeConsumer({HERE: records(5)}, {HERE: records(2)}))
    rig.session.turn()
    asyncio.run(rig.consumer.listener.on_partitions_lost({HERE}))
    rig.session.turn()
    rig.receiver.finish()
    rig.session.turn()
    assert rig.consumer.commits == []
    rig.receiver.finish()
    rig.session.turn()
    assert rig.consumer.commits == [{HERE: 2}]


def test_what_is_gone_is_said_and_reading_goes_on_once_that_is_committed() -> None:
    rig = Rig(FakeConsumer(OffsetOutOfRangeError({HERE: 3}), {HERE: records(1, first=8)}))
    rig.consumer.first, rig.consumer.end = 8, 9
    rig.session.turn()
    assert rig.receiver.told == [Gone(HERE, Why.RETENTION, 3, 8, 5)]
    assert rig.consumer.positions == {HERE: 8} and rig.consumer.paused == {HERE}
    rig.session.turn()
    assert rig.consumer.commits == [{HERE: 8}] and [job.next_offset for job in rig.receiver.jobs] == [9]


def test_a_log_cut_off_under_a_batch_in_flight_is_read_from_where_that_begins() -> None:
    """What becomes of the batch commits nothing: it may never have been delivered, and its offsets mean other records
    now."""
    cut = LogTruncationError({HERE: OffsetAndMetadata(4, "", 2), THERE: None})
    rig = Rig(FakeConsumer({HERE: records(5)}, cut))
    rig.session.turn()
    rig.consumer.positions, rig.consumer.first, rig.consumer.end = {HERE: 5, THERE: 9}, 1, 4
    rig.session.turn()
    assert rig.receiver.told == [Gone(HERE, Why.TAIL, 5, 0, 1), Gone(THERE, Why.TAIL, 9, 1, 5)]
    assert rig.consumer.positions == {HERE: 0, THERE: 1} and rig.receiver.revoked == {HERE, THERE}
    rig.receiver.finish()
    rig.session.turn()
    assert rig.consumer.commits == [{HERE: 0, THERE: 1}]


def test_a_partition_that_nobody_has_read_begins_without_a_word() -> None:
    unread = NoOffsetForPartitionError({HERE, THERE})
    rig = Rig(FakeConsumer(unread, {HERE: records(1), THERE: records(1, first=2, partition=1)}))
    for _ in range(2):
        rig.session.turn()
    assert rig.receiver.told == [], "an aborted record has an offset too"
    assert len(rig.receiver.jobs) == 2


def test_a_group_that_is_joined_anew_is_waited_for() -> None:
    """kafka-python forgets a join that ends between two polls, and begins the next one, without end."""
    rig = Rig(FakeConsumer({HERE: records(1)}, {HERE: records(1, first=1)}))
    rig.session.turn()
    rig.consumer.joining = True
    rig.session.turn()
    assert rig.consumer.waits[0] == 0 and rig.consumer.waits[1] > 0
