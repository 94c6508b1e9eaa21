"""Runs the registry's REST interface until it is told to stop."""

from __future__ import annotations

import socket

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hub.errors import ConfigError
from hub.registry.store import Store

STOP_SECONDS = 10


def listening(host: str, port: int) -> socket.socket:
    """A socket on that port (0: a free one). Raises `ConfigError` that names a port that is taken."""
    try:
        return socket.create_server((host, port), reuse_port=False)
    except OSError as error:
        raise ConfigError(f"port {port} on {host} cannot be used ({error.strerror}): set HUB_REGISTRY_PORT") from error


def health(store: Store) -> list[Route]:
    """`/healthz`: the process answers; `/readyz`: it knows the log of schemas."""

    async def alive(request: Request) -> PlainTextResponse:
        return PlainTextResponse("alive")

    async def ready(request: Request) -> PlainTextResponse:
        return PlainTextResponse(store.failed or "ready", 503 if store.failed else 200)

    return [Route("/healthz", alive), Route("/readyz", ready)]


def serve(app: Starlette, bound: socket.socket) -> None:
    """Until SIGTERM or SIGINT; requests under way are finished."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        h11_max_incomplete_event_size=32 << 10,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[bound])
