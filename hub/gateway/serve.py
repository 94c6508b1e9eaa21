"""Runs the gateway until it is told to stop; requests under way are finished, and what was appended is sent."""

from __future__ import annotations

import contextlib
import gc
import math
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog
import uvicorn
import uvloop

from hub.access import Audit
from hub.access.connections import Loop, open_files
from hub.access.from_settings import open_audit, open_doorkeeper, open_limits
from hub.access.tls import uvicorn_tls
from hub.errors import ConfigError
from hub.gateway import ask, health
from hub.gateway.about import About
from hub.gateway.app import DOOR, Gateway
from hub.gateway.bounds import MIB, Bounds, Budget
from hub.gateway.desk import HttpDesk
from hub.gateway.examine import Examiner
from hub.gateway.known import Known
from hub.gateway.openapi import Document
from hub.gateway.protocol import IDLE_SECONDS, BoundedProtocol
from hub.gateway.publish import SINGLE_VALUES, Publishing
from hub.gateway.questions import Questions
from hub.gateway.read_back import ReadBack
from hub.gateway.table import table
from hub.kafka import outage
from hub.kafka.appending import Appender
from hub.kafka.connection import Connection
from hub.kafka.following import Lookup
from hub.metrics import GATEWAY_WAITING, Metrics
from hub.pipeline.readers import LookUp, SchemaIds
from hub.pipeline.rulebook import Rulebook
from hub.settings import Settings
from hub.views.views import Views

log = structlog.get_logger(__name__)

VALUES_EACH = 100
"""So many values of JSON an event of a full batch may have on average; those of the catalogue have 15 to 40."""
STOP_SECONDS = 2
"""So much longer than the broker may take: then what is still under way is answered 503."""
LAST_SECONDS = 5.0


@dataclass(frozen=True)
class Parts:
    """What the gateway is made of, beside what it makes itself."""

    settings: Settings
    bounds: Bounds
    connection: Connection
    rules: Rulebook
    ids: SchemaIds
    views: Views
    audit: Audit
    metrics: Metrics
    lookup: Lookup
    read_back: ReadBack


def run(
    settings: Settings, connection: Connection, rules: Rulebook, ids: SchemaIds, look_up: LookUp, bound: socket.socket
) -> None:
    """Serve on that socket until SIGTERM or SIGINT. Raises `ConfigError` before it begins.

    `ids` is what was registered at the start, `look_up` tells what is since.
    """
    bounds = bounds_of(settings)
    open_files()
    with _parts(settings, bounds, connection, rules, ids, look_up) as parts:
        uvloop.run(_serve(parts, bound), loop_factory=Loop)


@contextlib.contextmanager
def _parts(
    settings: Settings, bounds: Bounds, connection: Connection, rules: Rulebook, ids: SchemaIds, look_up: LookUp
) -> Iterator[Parts]:
    metrics = Metrics()
    metrics.build(rules.catalogue.version)
    lookup, read_back = Lookup(connection), ReadBack(Lookup(connection), rules, look_up)
    try:
        with (
            open_audit(DOOR, settings, connection, lambda: ids, metrics) as audit,
            Views(settings, connection) as views,
        ):
            yield Parts(settings, bounds, connection, rules, ids, views, audit, metrics, lookup, read_back)
    finally:
        lookup.close()
        read_back.close()


async def _serve(parts: Parts, bound: socket.socket) -> None:
    outage.install()
    topics = sorted(parts.rules.agency_of_topic)
    appender = Appender(parts.connection, topics, parts.rules.partitions, parts.settings.gateway_ack_seconds)
    try:
        await appender.start()
    except Exception as error:
        raise ConfigError(f"no producer at {parts.connection.bootstrap}: {type(error).__name__}") from error
    app = application(parts, appender, lambda: server.should_exit)
    gc.collect()
    gc.freeze()  # catalogue and rules live as long as the process: a collection need not walk them each time
    gc.set_threshold(20_000, 20, 20)  # an event is a few hundred objects without cycles
    server = _Server(_config(parts, app))
    for number in (signal.SIGTERM, signal.SIGINT):
        # until uvicorn has handlers of its own; it raises them again when it has ended, and all is told already
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    try:
        await server.serve([bound])
    finally:
        await appender.stop(LAST_SECONDS)


def application(parts: Parts, appender: Appender, ending: Callable[[], bool]) -> Gateway:
    """All doors. Once `ending`, questions are answered with what there is."""
    settings, bounds, rules, metrics = parts.settings, parts.bounds, parts.rules, parts.metrics
    budget = Budget(bounds.waiting_bytes, lambda: appender.waiting_bytes)
    limits = open_limits(settings, rules.catalogue)
    keeper = open_doorkeeper(DOOR, settings, rules.catalogue, parts.audit)
    desk = HttpDesk(keeper, parts.audit, metrics, bounds, budget, limits)
    receipts = parts.views.receipts
    known = Known(receipts.verdicts_on, receipts.verdicts, parts.read_back)
    publishing = Publishing(desk, rules.catalogue, Examiner(rules), known, appender, limits, parts.audit, metrics)
    questions = Questions(rules.catalogue, parts.views, parts.lookup, parts.views.unpack, rules.secret, ending=ending)
    about = About(desk, rules.catalogue, parts.ids, limits)

    async def not_ready() -> list[str]:
        found = {"broker": await appender.reachable(), "views": parts.views.ready}
        return [name for name, well in found.items() if not well]

    def refresh() -> None:
        metrics.set(GATEWAY_WAITING, to=budget.used)
        parts.views.refresh(metrics)

    document = Document(rules.catalogue, bounds)
    routes = table(publishing, about, document, ask.routes(desk, questions), health.routes(metrics, not_ready, refresh))
    return Gateway(desk, routes, metrics)


def bounds_of(settings: Settings) -> Bounds:
    """Raises `ConfigError` where what one request may have would be 503 for ever."""
    bounds = Bounds(
        body_bytes=int(settings.gateway_body_mib * MIB),
        values=max(SINGLE_VALUES, VALUES_EACH * settings.gateway_batch_events),
        batch_events=settings.gateway_batch_events,
        body_seconds=settings.gateway_body_seconds,
        waiting_bytes=int(settings.gateway_waiting_mib * MIB),
        requests=settings.gateway_requests,
    )
    if bounds.largest > bounds.waiting_bytes:
        raise ConfigError(
            f"HUB_GATEWAY_WAITING_MIB is {settings.gateway_waiting_mib:g}, and one request of HUB_GATEWAY_BODY_MIB "
            f"{settings.gateway_body_mib:g} and HUB_GATEWAY_BATCH_EVENTS {settings.gateway_batch_events} may take "
            f"more: set HUB_GATEWAY_WAITING_MIB to {math.ceil(bounds.largest / MIB)} or more, or the other two lower"
        )
    return bounds


def _config(parts: Parts, app: Gateway) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        **uvicorn_tls(parts.settings, BoundedProtocol, app),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=math.ceil(parts.settings.gateway_ack_seconds) + STOP_SECONDS,
    )


class _Server(uvicorn.Server):
    """Says when it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            log.info("the gateway serves", host=host, port=port)
