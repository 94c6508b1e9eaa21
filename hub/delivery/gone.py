"""What delivery was to read next and the broker no longer has.

Retention takes what a receiver did not have in time; a log loses its tail; a topic is made anew. Left to itself the
client goes on at the earliest record and says nothing. Going on there is right for a delivery: the events are in
`events.*`, what a receiver has already it knows by the event's id, and nobody else waits. It is said and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import LogTruncationError, OffsetOutOfRangeError

ASK_MS = 3_000


class Why(StrEnum):
    """Closed: the label `reason` of `hub_delivery_gone_total`."""

    RETENTION = "retention"  # the records from the position on
    UNREAD = "unread"  # the first ones, and no offset is committed: they may have been delivered or not
    TAIL = "tail"  # the log ends before the position: what comes there now is not what was read


class Gone(NamedTuple):
    """Offsets of one partition, at most so many events: a transaction's marker has an offset, too."""

    where: TopicPartition
    why: Why
    position: int
    """What was to be read next; 0 where no offset is committed."""
    on: int
    """Where reading goes on."""
    events: int


def out_of_range(consumer: KafkaConsumer, error: OffsetOutOfRangeError | LogTruncationError) -> Sequence[Gone]:
    """What the client's error says is gone. Raises `KafkaError` where the broker does not say what it has."""
    if isinstance(error, LogTruncationError):
        known = {where: found.offset for where, found in error.divergent_offsets.items() if found is not None}
        positions = {where: consumer.position(where) for where in error.divergent_offsets}
    else:
        known, positions = {}, dict(error.args[0])
    first = consumer.beginning_offsets(list(positions), timeout_ms=ASK_MS)
    end = consumer.end_offsets(list(positions), timeout_ms=ASK_MS)
    return [
        Gone(where, Why.RETENTION, position, first[where], first[where] - position)
        if position < first[where]
        # From the earliest: a log that has grown again, or another one, holds events that nobody was given.
        else Gone(where, Why.TAIL, position, known.get(where, first[where]), max(1, position - end[where]))
        for where, position in positions.items()
    ]


def unread(consumer: KafkaConsumer, where: TopicPartition) -> Gone | None:
    """What is gone of a partition without a committed offset: Kafka forgets those of a group that is away for a week,
    long before retention takes the records. Raises `KafkaError` where the broker does not say what it has."""
    first = consumer.beginning_offsets([where], timeout_ms=ASK_MS)[where]
    return Gone(where, Why.UNREAD, 0, first, first) if first else None
