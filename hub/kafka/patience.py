"""Keeps an idle consumer idle on a broker that answers an empty fetch at once.

Apache Kafka holds a fetch that finds nothing for `fetch.max.wait.ms`; the embedded broker does not, and
an aiokafka consumer would ask again and again, a whole core's worth. On a broker that waits, this adds nothing.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer

IDLE_SECONDS = 1.0
"""After so long without a record a consumer is idle: whatever comes, all its partitions are in the fetch under way."""
LONGEST_NAP_MS = 100


def be_patient(consumer: AIOKafkaConsumer[bytes, bytes], wait_ms: int, idle_ms: int | None = None) -> None:
    """After `start`: a fetch that found nothing takes at least `wait_ms`, whoever does the waiting.

    With `idle_ms` an idle consumer's fetch waits so long at the broker, which costs no latency: the first record ends
    it. `wait_ms` bounds how late a partition just emptied is asked about again. A broker that does not hold a fetch
    is asked again after `LONGEST_NAP_MS` at the latest.
    """
    fetcher: Any = consumer._fetcher
    fetch, heard = fetcher._proc_fetch_request, time.monotonic()

    async def patiently(assignment: Any, node_id: int, request: Any) -> bool:
        nonlocal heard
        began = time.monotonic()
        found: bool = await fetch(assignment, node_id, request)
        now = time.monotonic()
        if found:
            heard = now
        wait = wait_ms
        if idle_ms is not None:
            fetcher._fetch_max_wait_ms = wait = idle_ms if now - heard > IDLE_SECONDS else wait_ms
        if not found:
            nap = (min(wait, LONGEST_NAP_MS) if idle_ms else wait) / 1000 - (now - began)
            with suppress(asyncio.CancelledError):  # the fetcher's close cancels, and awaits a plain answer
                await asyncio.sleep(max(0.0, nap))
        return found

    fetcher._proc_fetch_request = patiently
