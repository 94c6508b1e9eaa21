"""Records as the lanes take them: what a step reads, and no more.

aiokafka makes a frozen dataclass of eleven fields for each record, at the cost of a whole scan of the event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.consumer import fetcher


class Taken(NamedTuple):
    """One record of Kafka. `timestamp` is in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    # What Faust's driver asks beyond that.

    @property
    def timestamp_type(self) -> int:
        """The time is taken as it is, whoever set it."""
        return 0

    @property
    def checksum(self) -> None:
        """Batches have one, records have not."""

    @property
    def serialized_key_size(self) -> int:
        """Bytes of the key, -1 without one."""
        return -1 if self.key is None else len(self.key)

    @property
    def serialized_value_size(self) -> int:
        """Bytes of the value, -1 without one."""
        return -1 if self.value is None else len(self.value)


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    def __init__(self, tp: Any, records: Any, *more: Any, **named: Any) -> None:
        super().__init__(tp, records, *more, **named)
        self.oldest: int | None = getattr(records, "oldest", None)
        """When the first of them was written, in milliseconds since 1970."""

    def _consumer_record(self, tp: Any, record: Any) -> Taken:
        return Taken(tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, record.headers)


def install() -> None:
    """For every consumer of this process; none of them may have deserializers."""
    fetcher.PartitionRecords = _PartitionRecords
