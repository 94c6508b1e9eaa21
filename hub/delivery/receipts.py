"""What receivers did, written to the publisher's `receipts.<agency>` before an offset is committed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from kafka import KafkaProducer

from hub.avro.records import RecordCodec
from hub.event import SOURCE_PREFIX
from hub.sdk import Delivery

SUBJECT = "hub.DeliveryReceipt"
ACKNOWLEDGED_SECONDS = 30.0


class Receipts:
    """Used by all receivers' threads. A producer that failed once is closed and never used again."""

    def __init__(self, connector: str, make: Callable[[], KafkaProducer], codec: Callable[[], RecordCodec]) -> None:
        self._connector = connector
        self._make = make
        self._codec = codec
        self._ready: tuple[KafkaProducer, RecordCodec] | None = None
        self._lock = threading.Lock()

    def write(self, receiver: str, deliveries: Sequence[Delivery], at: float) -> None:
        """Return once the broker has a receipt for each delivery; `at` is when the receiver had it, in seconds.

        Raises whatever the client raises; some of the receipts may be there all the same.
        """
        producer, codec = self._open()
        try:
            records = self._records(codec, receiver, deliveries, int(at * 1000))
            for sent in [producer.send(*record) for record in records]:
                sent.get(ACKNOWLEDGED_SECONDS)
        except BaseException:
            self._discard(producer)
            raise

    def close(self) -> None:
        """Safe to call again."""
        if self._ready is not None:
            self._discard(self._ready[0])

    def _open(self) -> tuple[KafkaProducer, RecordCodec]:
        with self._lock:
            if self._ready is None:
                codec = self._codec()  # first: where the registry does not answer, there is no producer to close
                self._ready = self._make(), codec
            return self._ready

    def _discard(self, producer: KafkaProducer) -> None:
        with self._lock:
            if self._ready is not None and self._ready[0] is producer:
                self._ready = None
                producer.close(timeout=0)

    def _records(
        self, codec: RecordCodec, receiver: str, deliveries: Sequence[Delivery], at: int
    ) -> Iterator[tuple[str, bytes, bytes, None, int]]:
        """Topic, value, key, headers, partition: that of the delivery, as no order among receipts means anything
        and every topic has as many (hashing the key in Python costs more than all the rest of a receipt)."""
        for delivery in deliveries:
            value = {
                "event_id": delivery.event_id,
                "receiver": receiver,
                "connector": self._connector,
                "outcome": "DELIVERED",
                "delivered": at,
                "out_partition": delivery.partition,
                "out_offset": delivery.offset,
            }
            topic = f"receipts.{delivery.source.removeprefix(SOURCE_PREFIX)}"
            yield topic, codec.pack(value), delivery.event_id.encode(), None, delivery.partition
