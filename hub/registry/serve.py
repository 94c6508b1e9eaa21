"""Runs the registry's REST interface until it is told to stop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Container, Mapping
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hub.access import Audit
from hub.access import Denied as NotLetIn
from hub.access.connections import Loop, open_files
from hub.access.doorkeeper import Doorkeeper, Tells
from hub.errors import Admission
from hub.metrics import HTTP_REJECTED, HTTP_REQUESTS, HTTP_SECONDS, Metrics
from hub.registry import refusals
from hub.registry.rest import Observe, refused
from hub.registry.rights import Told
from hub.registry.store import Store

log = structlog.get_logger(__name__)
DOOR = "registry"
STOP_SECONDS = 10
NOBODY = "nobody"


def health(store: Store, metrics: Metrics) -> list[Route]:
    """`/healthz`: the process answers; `/readyz`: it knows the log of schemas; `/metrics`."""

    async def alive(request: Request) -> PlainTextResponse:
        return PlainTextResponse("alive")

    async def ready(request: Request) -> PlainTextResponse:
        return PlainTextResponse(store.failed or "ready", 503 if store.failed else 200)

    async def scraped(request: Request) -> PlainTextResponse:
        return PlainTextResponse(metrics.page(), media_type="text/plain; version=0.0.4")

    return [Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", scraped)]


def observer(metrics: Metrics) -> Observe:
    """Counts and times what the registry answers."""

    def observe(route: str, status: int, seconds: float) -> None:
        metrics.count(HTTP_REQUESTS, DOOR, route, str(status))
        metrics.observe(HTTP_SECONDS, DOOR, route, seconds=seconds)

    return observe


def denials(metrics: Metrics, audit: Tells, types: Container[str]) -> Told:
    """Counts and logs what was denied, and tells the audit; both of a subject only where it is an event type, since a
    stranger may ask for any."""

    def denied(agency: str | None, operation: str, subject: str) -> None:
        code = Admission.REGISTRY_RIGHT_MISSING if agency else Admission.CREDENTIALS_MISSING
        metrics.count(HTTP_REJECTED, agency or NOBODY, code)
        known = subject if subject in types else ""
        audit.denied(agency, f"{DOOR}: {operation.lower()} {known}".rstrip(), code)
        log.warning("denied", door=DOOR, agency=agency, operation=operation, subject=known)

    return denied


def changes(audit: Audit, types: Container[str]) -> Told:
    """Logs what is changed and tells the audit; of a subject as `denials` does."""

    def changing(agency: str | None, operation: str, subject: str) -> None:
        known = subject if subject in types else ""
        audit.operated(agency, f"{DOOR}: {operation} {known}".rstrip())
        log.info("changing", door=DOOR, agency=agency, operation=operation, subject=known)

    return changing


def not_let_in(metrics: Metrics) -> Callable[[NotLetIn], None]:
    """Counts proofs that are wrong; the doorkeeper has told the audit."""

    def told(denied: NotLetIn) -> None:
        metrics.count(HTTP_REJECTED, denied.agency or NOBODY, denied.code)

    return told


class Unproved:
    """Those whom TLS does not prove (`hub.access.tls.Unproved`)."""

    def __init__(self, keeper: Doorkeeper, metrics: Metrics) -> None:
        self._keeper, self._metrics = keeper, metrics

    def bad_certificate(self) -> None:
        self._keeper.bad_certificate()
        self._metrics.count(HTTP_REJECTED, NOBODY, Admission.CERTIFICATE_INVALID)

    async def without_certificate(self, scope: Scope, receive: Receive, send: Send) -> None:
        denied = self._keeper.without_certificate()
        self._metrics.count(HTTP_REJECTED, NOBODY, denied.code)
        answer = refused(refusals.denied("Read", "Cluster", denied.detail))
        await answer(scope, receive, send)


def serve(app: Starlette, bound: socket.socket, tls: Mapping[str, Any]) -> None:
    """Until SIGTERM or SIGINT; requests under way are finished."""
    open_files()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, lambda *_: None
        )  # uvicorn raises them again at its end: the audit's end is yet to be written
    config = uvicorn.Config(
        app,
        loop=f"{Loop.__module__}:{Loop.__name__}",
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        **tls,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[bound])
