"""GET /v1/events/{id} in memory: who asks for what is not known holds up nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import httpx
from gateway_room import Room

from hub.gateway.questions import LOOKS_EACH

MANY = 40
LONG = 20.0


def test_unknown_ids_hold_up_no_other_agency() -> None:
    room, release = Room(), threading.Event()

    def latest(*_: Any) -> Any:
        assert release.wait(2 * LONG)
        return iter(()), {}

    room.lookup.latest = latest

    async def asked() -> Counter[int]:
        def get(path: str, agency: str) -> Any:
            return client.get(path, headers={"Authorization": f"Bearer {agency}"})

        async with httpx.AsyncClient(transport=httpx.ASGITransport(room.app), base_url="http://hub") as client:
            unknown = [asyncio.create_task(get(f"/v1/events/nothere-{i}", "mod")) for i in range(MANY)]
            try:
                await asyncio.wait(unknown, return_when=asyncio.FIRST_COMPLETED, timeout=LONG)
                answer = await asyncio.wait_for(get("/v1/receipts", "moc"), LONG)
                assert answer.status_code == 200
            finally:
                release.set()
            answers = await asyncio.gather(*unknown)
            assert all(a.headers["retry-after"] for a in answers if a.status_code == 503)
            return Counter(a.status_code for a in answers)

    assert asyncio.run(asked()) == {404: LOOKS_EACH, 503: MANY - LOOKS_EACH}
    assert room.ask("GET", "/v1/events/nothere").status_code == 404
