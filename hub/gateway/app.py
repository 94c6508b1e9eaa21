"""The gateway as an ASGI application: its routes, what a failure is answered with, what is counted.

Starlette's requests, responses and routes, without its stack of middleware: that took as long as all the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from hub.access import Denied
from hub.errors import Door
from hub.gateway.bounds import BUSY_SECONDS
from hub.gateway.desk import HttpDesk
from hub.gateway.exchange import IndexedRequest
from hub.gateway.refused import Refused
from hub.metrics import HTTP_REQUESTS, HTTP_SECONDS, Metrics

log = structlog.get_logger(__name__)

DOOR = "gateway"
OTHER = "other"
OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
"""Answered however much there is to do."""


class Gateway:
    """Lets in as many requests as may be at once; answers each, and tells of it."""

    def __init__(self, desk: HttpDesk, routes: Sequence[Route], metrics: Metrics) -> None:
        self._desk, self._metrics, self._answered = desk, metrics, metrics.counts(HTTP_REQUESTS)
        self._exact = {route.path: route for route in routes if "{" not in route.path}
        self._patterns = [route for route in routes if "{" in route.path]
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        began, status, request = time.perf_counter(), 500, IndexedRequest(scope, receive)
        route = self._route(scope)
        try:
            answer = await self._answer(request, route)
            status = answer.status_code
            await answer(scope, receive, send)
        finally:
            self._desk.leave(scope)
            path = route.path if route else OTHER
            self._answered[DOOR, path, str(status)] += 1
            self._metrics.observe(HTTP_SECONDS, DOOR, path, seconds=time.perf_counter() - began)

    def bad_certificate(self) -> None:
        """As `hub.access.tls.Unproved` has it."""
        self._desk.bad_certificate()

    async def without_certificate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As `hub.access.tls.Unproved` has it."""
        await self._desk.without_certificate(IndexedRequest(scope, receive))(scope, receive, send)

    def _route(self, scope: Scope) -> Route | None:
        """The route of the path, whatever the method."""
        found = self._exact.get(scope["path"])
        if found is not None:
            return found
        for route in self._patterns:
            match, inner = route.matches(scope)
            if match is not Match.NONE:
                scope.update(inner)
                return route
        return None

    async def _answer(self, request: Request, route: Route | None) -> Response:
        """Inside is who is not answered yet: a stranger who does not take his answer keeps nobody out."""
        self.inside += 1
        try:
            self._check(request, route)
            assert route is not None
            answer: Response = await route.endpoint(request)
            return answer
        except Refused as refused:
            return self._desk.refused(request, refused)
        except Denied as denied:
            return self._desk.not_let_in(request, denied)
        except ClientDisconnect:
            return self._desk.problem(request, 400, Door.REQUEST_MALFORMED, "the body ended early")
        except asyncio.CancelledError:  # the gateway stops and waits no longer
            return self._desk.problem(request, 503, Door.BUSY, retry_after=BUSY_SECONDS)
        except Exception:
            log.exception("a request failed", path=route.path if route else OTHER)
            return self._desk.problem(request, 500, Door.FAILED)
        finally:
            self.inside -= 1

    def _check(self, request: Request, route: Route | None) -> None:
        if route is None:
            raise Refused(404, Door.ROUTE_UNKNOWN)
        if self.inside - self._desk.waits > self._desk.bounds.requests and route.path not in OPEN:
            raise Refused(503, Door.BUSY, retry_after=BUSY_SECONDS)
        if request.method not in (route.methods or ()):
            raise Refused(405, Door.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(route.methods or ()))})
