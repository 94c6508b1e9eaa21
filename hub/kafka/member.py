"""Offsets of a group, given and asked for as one of its members: the broker takes them in a transaction only from who
is in the group's present generation, and tells them once no transaction is open that may change them.

So whoever is given a partition knows what became of it: the one who had it before has committed, or cannot any more,
under whichever transactional id. aiokafka has older versions of these requests. Ours is one version each, and flexible.

Source: KIP-447; Apache Kafka, "Protocol" (APIs 9, 28).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from hub.kafka.requests import by_topic

Wrong = tuple[str, int]
"""Where, and the error code."""

Text, Tags = CompactString("utf-8"), ("tags", TaggedFields)

NO_EPOCH = -1
"""We follow no leader's epochs."""


class Member(NamedTuple):
    """A member of `group` in one of its generations; without them, somebody outside whom the broker does not ask."""

    group: str
    generation: int = -1
    id: str = ""


def _by_topic(*row: Any) -> tuple[str, CompactArray]:
    return ("topics", CompactArray(("name", Text), ("partitions", CompactArray(*row)), Tags))


class _Response(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = -1, -1


class _Request(RequestStruct):  # type: ignore[misc]
    """Its own builder: there is one version."""

    FLEXIBLE_VERSION = True
    API_KEY, API_VERSION, RESPONSE_TYPE, SCHEMA = -1, -1, _Response, Schema()

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        return self


class TxnOffsetCommitResponse(_Response):
    SCHEMA = Schema(("throttle_time_ms", Int32), _by_topic(("partition", Int32), ("error_code", Int16), Tags), Tags)

    @property
    def errors(self) -> Iterable[Wrong]:
        return ((f"{topic}/{number}", code) for topic, rows, _ in self.topics for number, code, _ in rows if code)


class TxnOffsetCommitRequest(_Request):
    API_KEY, API_VERSION, RESPONSE_TYPE = 28, 3, TxnOffsetCommitResponse
    SCHEMA = Schema(
        ("transactional_id", Text),
        ("group", Text),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation", Int32),
        ("member", Text),
        ("instance", Text),
        _by_topic(("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", Text), Tags),
        Tags,
    )


class OffsetFetchResponse(_Response):
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        _by_topic(
            ("partition", Int32),
            ("offset", Int64),
            ("leader_epoch", Int32),
            ("metadata", Text),
            ("error_code", Int16),
            Tags,
        ),
        ("error_code", Int16),
        Tags,
    )

    @property
    def errors(self) -> Iterable[Wrong]:
        if self.error_code:
            yield "", self.error_code
        yield from ((f"{topic}/{row[0]}", row[4]) for topic, rows, _ in self.topics for row in rows if row[4])

    @property
    def offsets(self) -> dict[TopicPartition, int]:
        """Of the partitions that have one."""
        rows = ((TopicPartition(topic, row[0]), row[1]) for topic, rows, _ in self.topics for row in rows)
        return {tp: offset for tp, offset in rows if offset >= 0}


class OffsetFetchRequest(_Request):
    API_KEY, API_VERSION, RESPONSE_TYPE = 9, 7, OffsetFetchResponse
    SCHEMA = Schema(
        ("group", Text),
        ("topics", CompactArray(("name", Text), ("partitions", CompactArray(Int32)), Tags)),
        ("require_stable", Boolean),
        Tags,
    )


def offsets_given(member: Member, producer: tuple[str, int, int], offsets: Mapping[TopicPartition, int]) -> _Request:
    """Asks to take `offsets` in the open transaction of `producer`: its transactional id, its id and its epoch."""
    rows = by_topic((tp, (tp.partition, offset, NO_EPOCH, "", {})) for tp, offset in offsets.items())
    transactional_id, *me = producer
    where: list[Any] = [(topic, partitions, {}) for topic, partitions in rows]
    return TxnOffsetCommitRequest(transactional_id, member.group, *me, member.generation, member.id, None, where, {})


def offsets_wanted(group: str, tps: Iterable[TopicPartition]) -> _Request:
    """Asks for the offsets that no open transaction may change; the broker says code 88 while one may."""
    where: list[Any] = [(topic, numbers, {}) for topic, numbers in by_topic((tp, tp.partition) for tp in tps)]
    return OffsetFetchRequest(group, where, True, {})
