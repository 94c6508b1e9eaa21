"""Confluent's REST interface of a schema registry, over a `Store`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
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

from hub.registry import refusals
from hub.registry.answers import AT_ONCE, OPEN, ROUTES, WRITES, Handler
from hub.registry.asked import Asked, Text
from hub.registry.refusals import Refused
from hub.registry.rights import Authenticate, Rights
from hub.registry.store import Store

log = structlog.get_logger(__name__)
JSON = "application/vnd.schemaregistry.v1+json"
ACCEPTED = (JSON, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream", "")
MAX_BODY = 1 << 20
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
        inner = {**scope, "path": raw.decode("latin-1")} if raw else scope

        async def sending(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(inner, receive, sending)
        finally:
            route = self._routes.get(inner.get("endpoint"), "other")
            self._observe(route, status, time.perf_counter() - began)


def _routes(store: Store, rights: Rights, authenticate: Authenticate) -> list[Route]:
    """One route a path, so that a wrong method is told apart from a wrong path."""
    paths: dict[str, dict[str, Handler]] = {}
    for method, path, handler in ROUTES:
        paths.setdefault(path, {})[method] = handler
    writing = CapacityLimiter(AT_ONCE)
    return [
        Route(path, _endpoint(path, handlers, store, rights, authenticate, writing), methods=list(handlers))
        for path, handlers in paths.items()
    ]


def _endpoint(
    path: str,
    handlers: Mapping[str, Handler],
    store: Store,
    rights: Rights,
    authenticate: Authenticate,
    writing: CapacityLimiter,
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        body = await _body(request)
        handler = handlers["GET" if request.method == "HEAD" else request.method]
        limiter = writing if handler in WRITES else None
        return await to_thread.run_sync(answer, request, body, handler, limiter=limiter)

    def answer(request: Request, body: bytes, handler: Handler) -> Response:
        try:
            caller = authenticate(request)
            if path not in OPEN:
                rights.read(caller)
            return _response(handler(Asked(request, body, caller, store, rights)))
        except (Refused, HTTPException):
            raise
        except Exception as error:
            log.error("a request to the registry failed", error=type(error).__name__, path=path)  # noqa: TRY400
            raise refusals.store_failed("the request could not be carried out; the registry's log says more") from error

    return endpoint


async def _body(request: Request) -> bytes:
    """Raises `Refused` (413, 415) before more than `MAX_BODY` bytes are kept."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in ("POST", "PUT") and kind not in ACCEPTED:
        raise Refused(415, 415, f"HTTP 415 Unsupported Media Type: {JSON} is expected")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, 415, "HTTP 415 Unsupported Media Type: a body without content-encoding is expected")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise Refused(413, 413, f"HTTP 413 Request Entity Too Large: at most {MAX_BODY} bytes")
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
    return response


async def _http(request: Request, found: Exception) -> Response:
    assert isinstance(found, HTTPException)
    said = {"error_code": found.status_code, "message": f"HTTP {found.status_code} {found.detail}"}
    response = _response(said, found.status_code)
    response.headers.update(found.headers or {})
    return response
