"""What a record in `in.*` says, read back from Kafka to be compared with what comes again."""

from __future__ import annotations

import threading
import time

from hub.avro.invalid import Invalid
from hub.avro.records import schema_id_of
from hub.errors import Retry
from hub.kafka.following import Lookup
from hub.pipeline.attributes import said
from hub.pipeline.identify import content
from hub.pipeline.reader import Reader
from hub.pipeline.readers import LookUp
from hub.pipeline.rulebook import Rulebook

ASK_AGAIN_SECONDS = 5.0


class ReadBack:
    """Safe for threads: one after the other."""

    def __init__(self, lookup: Lookup, rules: Rulebook, look_up: LookUp) -> None:
        self._lookup, self._rules, self._lock = lookup, rules, threading.Lock()
        self._look_up, self._asking, self._asked = look_up, threading.Lock(), -ASK_AGAIN_SECONDS

    def __call__(self, coordinates: str) -> bytes | None:
        """16 bytes as the ledger has them; None where the record is gone or says nothing. Raises `Retry`."""
        topic, partition, offset = coordinates.split("/")
        with self._lock:
            record = self._lookup.record(topic, int(partition), int(offset))
        if record is None or record.value is None:
            return None
        reader = self._reader(schema_id_of(record.value))
        if reader is None:
            return None
        try:
            told, body = said(dict(record.headers)), reader.read(record.value)[3]
        except (Invalid, KeyError, ValueError):
            return None
        return content(reader.type.name, told.time, told.sequence, body)

    def _reader(self, schema_id: int) -> Reader | None:
        """A record that was applied may be of a version registered since this process started: that is looked up,
        seldom, and by one at a time. None where it is not known. Raises `Retry`."""
        readers = self._rules.gate_readers
        if schema_id not in readers and self._asking.acquire(blocking=False):
            try:
                self._learn(schema_id)
            finally:
                self._asking.release()
        return readers.get(schema_id)

    def _learn(self, schema_id: int) -> None:
        now = time.monotonic()
        if now - self._asked < ASK_AGAIN_SECONDS:
            return
        self._asked = now
        try:
            self._rules.learn(self._look_up([schema_id]))
        except Exception as error:
            raise Retry(f"the schemas cannot be read: {type(error).__name__}") from error

    def close(self) -> None:
        self._lookup.close()
