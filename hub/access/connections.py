"""Connections to an HTTP door: how many files they take, and the handshakes of TLS that are not over."""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
import uvloop
from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]

log = structlog.get_logger(__name__)

CONNECTIONS = 2_000
HANDSHAKES = 500
"""Of TLS, under way at once: to the door they are no connections yet."""
FILES = CONNECTIONS + HANDSHAKES + 500
"""The others are connections to the broker, and views."""
HEAD_SECONDS = 10.0
"""For a request's head to arrive, from the connection's beginning or from its first byte; and for a handshake."""


def open_files() -> None:
    """A connection is a file, and a shell lets a process have 1 024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if most < FILES:
        log.warning("fewer connections than there may be: a process may not open as many files", found=hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def within_files(wanted: int, share: float) -> int:
    """So many, or where the process may open few files, that share of them."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if files == resource.RLIM_INFINITY else min(wanted, int(files * share))


class Loop(uvloop.Loop):
    """Bounds handshakes of TLS in time and number, for which neither uvicorn nor uvloop has a word."""

    async def create_server(self, *given: Any, **named: Any) -> Any:
        door, *where = given
        context = named.pop("ssl", None)
        if context is not None:
            door = partial(_Knock, _Handshakes(self, door, context))
        return await super().create_server(door, *where, **named)


class _Handshakes:
    """Those under way at one door. Where there are too many the oldest ends: whoever means it is soon done.

    uvloop's servers make the handshake themselves and let nobody end one; so a server of bare connections is opened,
    and each is given uvloop's own protocol of TLS here."""

    def __init__(self, loop: asyncio.AbstractEventLoop, door: Callable[[], Any], context: ssl.SSLContext) -> None:
        self._loop, self._door, self._context = loop, door, context
        self._under_way = dict[asyncio.Transport, None]()

    def begin(self, transport: asyncio.Transport) -> None:
        over = self._loop.create_future()
        over.add_done_callback(partial(self._over, transport))
        tls = SSLProtocol(
            self._loop, self._door(), self._context, over, server_side=True, ssl_handshake_timeout=HEAD_SECONDS
        )
        self._under_way[transport] = None
        if len(self._under_way) > within_files(HANDSHAKES, 1 / 6):
            oldest = next(iter(self._under_way))
            del self._under_way[oldest]
            oldest.abort()
        transport.set_protocol(tls)
        tls.connection_made(transport)

    def _over(self, transport: asyncio.Transport, over: asyncio.Future[None]) -> None:
        self._under_way.pop(transport, None)
        over.exception()  # uvloop has closed what failed; nobody else asks


class _Knock(asyncio.Protocol):
    """A connection before its handshake."""

    def __init__(self, handshakes: _Handshakes) -> None:
        self._handshakes = handshakes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._handshakes.begin(transport)  # type: ignore[arg-type]
