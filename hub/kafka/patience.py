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


def be_patient(consumer: AIOKafkaConsumer[bytes, bytes], seconds: float) -> None:
    """After `start`: a fetch that found nothing takes at least `seconds`, whoever does the waiting."""
    fetcher: Any = consumer._fetcher
    fetch = fetcher._proc_fetch_request

    async def patiently(assignment: Any, node_id: int, request: Any) -> bool:
        began = time.monotonic()
        found: bool = await fetch(assignment, node_id, request)
        if not found:
            with suppress(asyncio.CancelledError):  # the fetcher's close cancels, and awaits a plain answer
                await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))
        return found

    fetcher._proc_fetch_request = patiently
