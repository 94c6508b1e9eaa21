"""Company: of a lane's small transactions two are under way at once, and what comes in meanwhile travels together.

A broker verifies the partitions of one transaction after the other's (KIP-890), so that many small ones at once only
wait for each other there; fewer and larger ones cost less and are sooner done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_ONCE = 2

SMALL = 500
"""Records. A larger batch has company enough."""

WAIT_SECONDS = 0.1
"""Nobody waits longer: a commit may hang for many seconds where one broker of several is away."""


class Company:
    """Shared by the numbers of one lane; not by threads."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def turn(self, records: int, *, crowded: bool = False) -> AsyncIterator[None]:
        """Wait until a batch of so many records may begin its transaction, which is made inside.

        Where it is `crowded` it begins at once: behind a backfill there is company enough, and live events wait in it.
        """
        held = records < SMALL and not crowded and await self._acquired()
        try:
            yield
        finally:
            if held:
                self._free.release()

    async def _acquired(self) -> bool:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await self._free.acquire()
        except TimeoutError:
            return False
