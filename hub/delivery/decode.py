"""Records of `out.<agency>` and of `receipts.<agency>` → deliveries."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import fastavro

from hub.errors import Retry
from hub.event import Record
from hub.sdk import Delivery

WIRE_HEADER_BYTES = 5
UNKNOWN_SCHEMA_WAIT = 5.0
HUB = "urn:az:hub"
"""`source` of receipts."""
VERDICT, DELIVERY_RECEIPT = "hub.Receipt", "hub.DeliveryReceipt"


class Registered(Protocol):
    """The part of the registry that is needed here."""

    def by_id(self, id: int, /) -> Any:
        """Something whose `schema` is the Avro schema's text. Raises `KeyError`."""


class Decoder:
    """Knows the schemas registered so far; reads them again when it meets an id that is none of theirs.

    These are the hub's own bytes, checked when they were made, so fastavro reads them as they are.
    Safe to be used by several threads.
    """

    def __init__(self, read: Callable[[], Registered]) -> None:
        self._read = read
        self._registered: Registered | None = None
        self._parsed: dict[int, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, records: Sequence[Record]) -> list[Delivery]:
        """One delivery a record. Raises `Retry` for a schema id that nobody has registered yet."""
        return [self._delivery(record) for record in records]

    def _delivery(self, record: Record) -> Delivery:
        raw = record.value
        assert raw is not None and record.key is not None, "out.* holds no tombstones and no keyless records"
        headers = {name: value.decode() for name, value in record.headers}
        version = headers.get("ce_statusversion")
        schema_id = int.from_bytes(raw[1:WIRE_HEADER_BYTES], "big")
        return Delivery(
            event_id=headers["ce_id"],
            originid=headers["ce_originid"],
            type=headers["ce_type"],
            source=headers["ce_source"],
            time=datetime.fromisoformat(headers["ce_time"].upper()),
            key=record.key.decode(),
            version=int(version) if version else None,
            late=headers.get("ce_late") == "true",
            data=self._data(schema_id, raw),
            raw=raw,
            schema_id=schema_id,
            partition=record.partition,
            offset=record.offset,
            accepted=int(headers["hub_accepted"]),
            sequence=headers.get("ce_sequence"),
            correlationid=headers.get("ce_correlationid"),
            causationid=headers.get("ce_causationid"),
        )

    def receipts(self, records: Sequence[Record]) -> list[Delivery]:
        """Receipts as deliveries: an id that is the same at every attempt, the record's time, the receipt as data."""
        return [self._receipt(record) for record in records]

    def _receipt(self, record: Record) -> Delivery:
        raw = record.value
        assert raw is not None and record.key is not None, "receipts.* holds no tombstones and no keyless records"
        schema_id = int.from_bytes(raw[1:WIRE_HEADER_BYTES], "big")
        data = self._data(schema_id, raw)
        where = f"{record.topic}-{record.partition}-{record.offset}"
        return Delivery(
            event_id=where,
            originid=where,
            type=DELIVERY_RECEIPT if "receiver" in data else VERDICT,
            source=HUB,
            time=datetime.fromtimestamp(record.timestamp / 1000, UTC),
            key=record.key.decode(),
            version=None,
            late=False,
            data=data,
            raw=raw,
            schema_id=schema_id,
            partition=record.partition,
            offset=record.offset,
            accepted=record.timestamp,
        )

    def _data(self, schema_id: int, raw: bytes) -> dict[str, Any]:
        schema = self._parsed.get(schema_id) or self._learn(schema_id)
        body = io.BytesIO(raw)
        body.seek(WIRE_HEADER_BYTES)
        data = fastavro.schemaless_reader(body, schema, None)
        assert isinstance(data, dict)
        return data

    def _learn(self, schema_id: int) -> Any:
        with self._lock:
            if schema_id not in self._parsed:
                text = self._text(self._registered, schema_id) or self._text(self._anew(), schema_id)
                if text is None:
                    raise Retry(f"schema id {schema_id} is not registered", UNKNOWN_SCHEMA_WAIT)
                self._parsed[schema_id] = fastavro.parse_schema(json.loads(text))
            return self._parsed[schema_id]

    def _anew(self) -> Registered:
        self._registered = self._read()
        return self._registered

    @staticmethod
    def _text(registered: Registered | None, schema_id: int) -> str | None:
        try:
            return None if registered is None else registered.by_id(schema_id).schema
        except KeyError:
            return None
