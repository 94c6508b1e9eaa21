"""Watches the receipts while a run goes on: which records have had a verdict, and when it was seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from chaos.readout import Place
from confluent_kafka import Consumer, TopicPartition


class Watch:
    """`seen`: coordinates → seconds (monotonic) when a receipt was first read."""

    def __init__(self, bootstrap: str, first: Mapping[Place, int]) -> None:
        self.seen: dict[str, float] = {}
        self._stop = threading.Event()
        settings = {
            "group.id": "watch",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log_level": 0,
        }
        self._consumer = Consumer({"bootstrap.servers": bootstrap, **settings})
        self._consumer.assign(
            [TopicPartition(*place, at) for place, at in first.items() if place[0].startswith("receipts.")]
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            now = time.monotonic()
            for message in self._consumer.consume(1000, 0.1):
                if not message.error():
                    self.seen.setdefault((message.key() or b"").decode(), now)
