"""The gateway as an ASGI application: its routes, what a failure is answered with, what is counted."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.access import Denied
from hub.errors import Door
from hub.gateway.bounds import BUSY_SECONDS
from hub.gateway.desk import HttpDesk
from hub.gateway.refused import Refused
from hub.metrics import HTTP_REQUESTS, HTTP_SECONDS, Metrics

log = structlog.get_logger(__name__)

DOOR = "gateway"
OTHER = "other"
OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
"""Answered however much there is to do."""
CODES = {404: Door.ROUTE_UNKNOWN, 405: Door.METHOD_NOT_ALLOWED}

Answer = Callable[[Request], Awaitable[Response]]


def gateway_app(desk: HttpDesk, routes: Sequence[Route], metrics: Metrics) -> ASGIApp:
    """All routes behind one entrance."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return desk.refused(request, error)

    async def not_let_in(request: Request, error: Exception) -> Response:
        assert isinstance(error, Denied)
        return desk.not_let_in(request, error)

    async def wrong_way(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = CODES.get(error.status_code, Door.REQUEST_MALFORMED)
        return desk.problem(request, error.status_code, code, headers=error.headers)

    async def failed(request: Request, error: Exception) -> Response:
        return desk.problem(request, 500, Door.FAILED)

    handlers: dict[Any, Any] = {Refused: refused, Denied: not_let_in, HTTPException: wrong_way, Exception: failed}
    app = Starlette(routes=list(routes), exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Entrance(app, desk, {route.endpoint: route.path for route in routes}, metrics)


class Entrance:
    """Lets in as many requests as may be at once; tells of each what became of it."""

    def __init__(self, app: ASGIApp, desk: HttpDesk, paths: Mapping[Any, str], metrics: Metrics) -> None:
        self._app, self._desk, self._paths, self._metrics = app, desk, paths, metrics
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        self.inside += 1
        try:
            await self._enter(scope, receive, sending)
        finally:
            self.inside -= 1
            route = self._paths.get(scope.get("endpoint"), OTHER)
            self._metrics.count(HTTP_REQUESTS, DOOR, route, str(status))
            self._metrics.observe(HTTP_SECONDS, DOOR, route, seconds=time.perf_counter() - began)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.inside > self._desk.bounds.requests and scope["path"] not in OPEN:
            answer = self._desk.problem(Request(scope), 503, Door.BUSY, retry_after=BUSY_SECONDS)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)
