"""How an aiokafka consumer asks its broker for records: seldom where nothing comes, at once where something waits."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer

IDLE_SECONDS = 1.0
"""After so long without a record a consumer is idle: whatever comes, all its partitions are in the fetch under way."""
LONGEST_NAP_MS = 100
HOLD_SECONDS = 0.01
"""So long a node is not asked while records that it gave last are not all taken yet: most are by then, and their
partitions are in the next question too. One that is taken empty after that waits for the question under way."""


def be_patient(consumer: AIOKafkaConsumer[bytes, bytes], wait_ms: int, idle_ms: int | None = None) -> None:
    """After `start`: a fetch that found nothing takes at least `wait_ms`, whoever does the waiting. Apache Kafka waits;
    the embedded broker does not, and a consumer would ask it again and again, a whole core's worth.

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


def be_prompt(consumer: AIOKafkaConsumer[bytes, bytes]) -> None:
    """After `start` and `be_patient`: nothing that was fetched keeps what was not waiting at the broker.

    aiokafka asks a node for nothing for 0.1 s while any partition has records that nobody took, as one of a backfill
    always has. And it frees a node by a callback of the fetch, which comes too late where its routine is woken in the
    same turn of the event loop: then nobody asks until a timeout, of 0.2 s. So the routine is woken once more. The mark
    itself is left to the callback, or that would take away the next fetch's.
    """
    fetcher: Any = consumer._fetcher
    fetcher._prefetch_backoff = HOLD_SECONDS
    fetch = fetcher._proc_fetch_request

    async def promptly(assignment: Any, node_id: int, request: Any) -> bool:
        try:
            found: bool = await fetch(assignment, node_id, request)
        finally:
            # before the callback, and heard after it
            asyncio.get_running_loop().call_soon(lambda: fetcher._notify(fetcher._wait_consume_future))
        return found

    fetcher._proc_fetch_request = promptly
