"""Confluent's REST interface of a schema registry, over a `Store`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.access.places import PLACE, Places
from hub.registry import refusals
from hub.registry.answers import AT_ONCE, JUDGED_AT_ONCE, JUDGES, OPEN, ROUTES, WRITES, Handler
from hub.registry.asked import Asked, Text
from hub.registry.refusals import Refused
from hub.registry.rights import Authenticate, Caller, Rights
from hub.registry.store import Store

log = structlog.get_logger(__name__)
JSON = "application/vnd.schemaregistry.v1+json"
ACCEPTED = (JSON, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream", "")
MAX_BODY = 1 << 20
BODY_SECONDS = 20.0
"""For a body to arrive."""
REQUESTS = 64
"""At once, each with its body; of one agency, or of strangers where the registry is open, half of them."""
Observe = Callable[[str, int, float], None]
"""Told of each answer: route, HTTP status, seconds."""


def _unobserved(route: str, status: int, seconds: float) -> None:
    pass


def registry_app(
    store: Store,
    rights: Rights,
    authenticate: Authenticate,
    extra: Sequence[Route] = (),
    observe: Observe = _unobserved,
) -> Starlette:
    """The ASGI application; `extra` are routes of whoever serves it (health, metrics)."""
    routes = _routes(store, rights, authenticate)
    handlers: dict[Any, Any] = {Refused: _refused, HTTPException: _http}
    outside = Middleware(_Outside, {route.endpoint: route.path for route in routes}, observe)
    return Starlette(routes=[*extra, *routes], exception_handlers=handlers, middleware=[outside])


class _Outside:
    """Routes by the path as it was sent, since a subject may hold an escaped slash; tells of each answer."""

    def __init__(self, app: ASGIApp, routes: Mapping[Any, str], observe: Observe) -> None:
        self._app, self._routes, self._observe = app, routes, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw, began, status = scope.get("raw_path"), time.perf_counter(), 500
        if raw:
            scope["path"] = raw.decode("latin-1")

        async def sending(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = self._routes.get(scope.get("endpoint"), "other")
            self._observe(route, status, time.perf_counter() - began)


def _routes(store: Store, rights: Rights, authenticate: Authenticate) -> list[Route]:
    """One route a path, so that a wrong method is told apart from a wrong path."""
    paths: dict[str, dict[str, Handler]] = {}
    for method, path, handler in ROUTES:
        paths.setdefault(path, {})[method] = handler
    writing, judging = CapacityLimiter(AT_ONCE), CapacityLimiter(JUDGED_AT_ONCE)
    turns = dict.fromkeys(WRITES, writing) | dict.fromkeys(JUDGES, judging)
    places = Places(REQUESTS, REQUESTS // 2)
    return [
        Route(path, _endpoint(path, handlers, store, rights, authenticate, turns, places), methods=list(handlers))
        for path, handlers in paths.items()
    ]


def _endpoint(
    path: str,
    handlers: Mapping[str, Handler],
    store: Store,
    rights: Rights,
    authenticate: Authenticate,
    turns: Mapping[Handler, CapacityLimiter],
    places: Places,
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            return await admit(request)
        except (Refused, HTTPException):
            raise
        except Exception as error:
            log.error("a request to the registry failed", error=type(error).__name__, path=path)  # noqa: TRY400
            raise refusals.store_failed("the request could not be carried out; the registry's log says more") from error

    async def admit(request: Request) -> Response:
        """Nothing is read of who may not ask."""
        handler = handlers["GET" if request.method == "HEAD" else request.method]
        caller = authenticate(request)
        if path not in OPEN:
            rights.read(caller)
        with _place(places, request, caller):
            asked = Asked(request, await _body(request), caller, store, rights)
            return await to_thread.run_sync(lambda: _response(handler(asked)), limiter=turns.get(handler))

    return endpoint


@contextmanager
def _place(places: Places, request: Request, caller: Caller | None) -> Iterator[None]:
    """Raises `Refused` (429, 503) where there is none."""
    who = caller.agency if caller else ""
    if places.full_of(who) or places.full:
        raise refusals.busy(429 if places.full_of(who) else 503)
    places.add(who)
    if caller:
        request.scope[PLACE] = who
    try:
        yield
    finally:
        places.add(who, -1)


async def _body(request: Request) -> bytes:
    """Raises `Refused` (408, 413, 415) before more than `MAX_BODY` bytes are kept."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in ("POST", "PUT") and kind not in ACCEPTED:
        raise Refused(415, 415, f"HTTP 415 Unsupported Media Type: {JSON} is expected")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, 415, "HTTP 415 Unsupported Media Type: a body without content-encoding is expected")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY:
                    raise Refused(413, 413, f"HTTP 413 Request Entity Too Large: at most {MAX_BODY} bytes")
    except TimeoutError:
        raise refusals.too_slow(BODY_SECONDS) from None
    except ClientDisconnect:
        raise refusals.malformed("the body ended early") from None
    return bytes(body)


def _response(answer: Any, status: int = 200) -> Response:
    text = answer if isinstance(answer, Text) else json.dumps(answer, separators=(",", ":"))
    return Response(text, status, media_type=JSON)


async def _refused(request: Request, found: Exception) -> Response:
    assert isinstance(found, Refused)
    return refused(found)


def refused(found: Refused) -> Response:
    """The answer that says so."""
    response = _response({"error_code": found.code, "message": str(found)}, found.status)
    if found.status == 401:
        response.headers["www-authenticate"] = 'Basic realm="schema registry"'
    if found.status == 408:
        response.headers["connection"] = "close"
    if found.status in (429, 503):
        response.headers["retry-after"] = "1"
    return response


async def _http(request: Request, found: Exception) -> Response:
    assert isinstance(found, HTTPException)
    said = {"error_code": found.status_code, "message": f"HTTP {found.status_code} {found.detail}"}
    response = _response(said, found.status_code)
    response.headers.update(found.headers or {})
    return response
