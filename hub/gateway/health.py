"""`/healthz`: the process answers. `/readyz`: broker and views are there. `/metrics`. For operations, no token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hub.metrics import Metrics

Ready = Callable[[], Awaitable[list[str]]]
"""What is not ready, in words; nothing: all is."""


def routes(metrics: Metrics, not_ready: Ready, refresh: Callable[[], None]) -> list[Route]:
    """`refresh` brings the gauges up to now."""

    async def alive(request: Request) -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    async def ready(request: Request) -> PlainTextResponse:
        missing = await not_ready()
        return PlainTextResponse(
            f"not ready: {', '.join(missing)}\n" if missing else "ready\n", 503 if missing else 200
        )

    async def scraped(request: Request) -> PlainTextResponse:
        refresh()
        return PlainTextResponse(metrics.page(), media_type="text/plain; version=0.0.4")

    return [
        Route("/healthz", alive, name="alive"),
        Route("/readyz", ready, name="ready"),
        Route("/metrics", scraped, name="metrics"),
    ]
