"""Reads records that aiokafka's parser cannot: a header whose name is not UTF-8, which any broker accepts.

Without this one such record would stop its partition for every reader, for good. Its name is shown with
backslashes instead; value, key and the other headers are as they came.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

OVERHEAD = 12
"""Bytes before a batch's own: base offset and length."""

HEADER, MAGIC_AT, ATTRIBUTES_AT, LOG_APPEND_TIME = 61, 16, 21, 0x08
"""Of a batch; source: Apache Kafka, "Message Format"."""


class TolerantRecords:
    """What aiokafka's fetcher takes for `MemoryRecords`: the same, but a batch that cannot be read is read anew."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._records: Any = MemoryRecords(data)

    @property
    def oldest(self) -> int | None:
        """When the first batch was written (the last of its records, where the broker says when), in milliseconds since
        1970; None where there is no whole one, or it is of a format before Kafka 0.11."""
        if len(self._data) < HEADER or self._data[MAGIC_AT] < 2:
            return None
        attributes, _, first, last = struct.unpack_from(">hiqq", self._data, ATTRIBUTES_AT)
        return int(last if attributes & LOG_APPEND_TIME else first)

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        return int(self._records.size_in_bytes())

    def next_batch(self) -> Any:
        start = self._at
        self._at += OVERHEAD + struct.unpack_from(">i", self._data, start + 8)[0]
        return _Batch(self._records.next_batch(), memoryview(self._data)[start : self._at])


class _Batch:
    """A record batch; anything but its records is asked of aiokafka's own."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return self._leniently()

    def _leniently(self) -> Iterator[Any]:
        batch: Any = _DefaultRecordBatchPy(self._raw)
        batch._maybe_uncompress()
        batch._buffer = _Lenient(batch._buffer)
        return iter(batch)


class _Lenient(bytearray):
    """A buffer whose parts decode whatever they hold; aiokafka decodes nothing but the names of headers."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return bytes(self).decode(encoding, "backslashreplace")


def install() -> None:
    """From now on every aiokafka consumer of this process reads so."""
    fetcher.MemoryRecords = TolerantRecords
