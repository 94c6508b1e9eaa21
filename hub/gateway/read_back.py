"""What a record in `in.*` says, read back from Kafka to be compared with what comes again."""

from __future__ import annotations

import threading

from hub.avro.invalid import Invalid
from hub.avro.records import WIRE_HEADER_BYTES
from hub.kafka.following import Lookup
from hub.pipeline.attributes import said
from hub.pipeline.identify import content
from hub.pipeline.rulebook import Rulebook


class ReadBack:
    """Safe for threads: one after the other."""

    def __init__(self, lookup: Lookup, rules: Rulebook) -> None:
        self._lookup, self._rules, self._lock = lookup, rules, threading.Lock()

    def __call__(self, coordinates: str) -> bytes | None:
        """16 bytes as the ledger has them; None where the record is gone or says nothing. Raises `Retry`."""
        topic, partition, offset = coordinates.split("/")
        with self._lock:
            record = self._lookup.record(topic, int(partition), int(offset))
        if record is None or record.value is None:
            return None
        reader = self._rules.gate_readers.get(int.from_bytes(record.value[1:WIRE_HEADER_BYTES], "big"))
        if reader is None:
            return None
        try:
            told, body = said(dict(record.headers)), reader.read(record.value)[3]
        except (Invalid, KeyError, ValueError):
            return None
        return content(reader.type.name, told.time, told.sequence, body)

    def close(self) -> None:
        self._lookup.close()
