"""Record batches of Kafka's format (version 2), written for an idempotent producer or a transaction.

All records of a batch have one time, and headers come as the bytes that they are written as, so that a record is its
parts put together: cheaper than a compiled writer that takes every header apart, for every receiver again.

Source: Apache Kafka, "Message Format" (record batch, magic 2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from crc32c import crc32c

from hub.avro.packed import NO_BYTES, pack_headers, varint
from hub.avro.packer import SIZE
from hub.event import Row

MAGIC, TRANSACTIONAL = 2, 0x10
BATCH_BYTES = (512 << 10) - 64
"""Record batches are cut at this size; one record may be larger and then travels alone. With its head one is what a
delivery fetches of a partition: of a larger first one the broker would give nothing but that one."""

RECORDS = 8192
"""A batch has no more."""

LENGTH = 5
"""Bytes that the length of a record takes at the most."""

_BEFORE_CRC = struct.Struct(">qiibI")  # base offset, length, leader epoch, magic, CRC
_AFTER_CRC = struct.Struct(">hiqqqhii")  # attributes, last offset, times, producer's id and epoch, sequence, count
_BEFORE_LENGTH = 12
_BEGIN = tuple(b"\0\0" + varint(offset) for offset in range(RECORDS))  # flags, difference in time, offset


def record_batches(rows: Iterable[Row], timestamp: int, limit: int) -> Iterator[RecordBatch]:
    """`rows` of one partition, in order, in batches of at most `limit` bytes; one record may be larger, then alone.

    `timestamp` is in milliseconds since 1970.
    """
    parts: list[bytes] = []
    count, room = 0, limit
    for _topic, _partition, key, value, headers in rows:
        packed = headers if type(headers) is bytes else pack_headers(headers)
        if count == RECORDS:
            yield RecordBatch(parts, count, timestamp)
            parts, count, room = [], 0, limit
        try:
            record = b"".join((_BEGIN[count], SIZE[len(key)], key, SIZE[len(value)], value, packed))  # type: ignore[arg-type]
        except (TypeError, IndexError):  # none of it, or much
            record = b"".join((_BEGIN[count], _sized(key), _sized(value), packed))
        room -= len(record) + LENGTH
        if room < 0 and count:
            yield RecordBatch(parts, count, timestamp)
            record = _BEGIN[0] + record[len(_BEGIN[count]) :]
            parts, count, room = [], 0, limit - len(record) - LENGTH
        parts += (_size(record), record)
        count += 1
    if count:
        yield RecordBatch(parts, count, timestamp)


def _sized(value: bytes | None) -> bytes:
    """A value with its length before it; -1 where there is none."""
    return NO_BYTES if value is None else _size(value) + value


def _size(value: bytes) -> bytes:
    length = len(value)
    return SIZE[length] if length < len(SIZE) else varint(length)


class RecordBatch:
    """Records put together; written when its producer is known (`hub.kafka.transactional`, `hub.kafka.idempotent`)."""

    __slots__ = ("_parts", "_timestamp", "count")

    def __init__(self, parts: list[bytes], count: int, timestamp: int) -> None:
        self._parts, self.count, self._timestamp = parts, count, timestamp

    def written(
        self, producer_id: int, producer_epoch: int, base_sequence: int, attributes: int = TRANSACTIONAL
    ) -> bytes:
        """As it is sent."""
        time, last = self._timestamp, self.count - 1
        producer = producer_id, producer_epoch, base_sequence
        body = b"".join((_AFTER_CRC.pack(attributes, last, time, time, *producer, self.count), *self._parts))
        return _BEFORE_CRC.pack(0, _BEFORE_CRC.size - _BEFORE_LENGTH + len(body), -1, MAGIC, crc32c(body)) + body
