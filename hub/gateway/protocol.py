"""uvicorn's httptools protocol with bounds: httptools itself takes any number of headers of any size, for any time.

What is out of bounds is answered (431, 414, 408, 400) with a problem document; then the connection is closed, a moment
later, so that the answer is read before it is reset.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.errors import Door
from hub.gateway.desk import PROBLEM, problem_text
from hub.gateway.negotiate import DEFAULT

ADDRESS_BYTES = 4 << 10
HEADERS_BYTES = 32 << 10
HEADERS = 100
HEAD_SECONDS = 10.0
"""For a request's head to arrive, from the connection's beginning or from its first byte."""
IDLE_SECONDS = 30
PIPELINED = 16
LINGER_SECONDS = 2.0
LEFTOVER_BYTES = 16 << 20
"""So much of a body that nobody wants any more is taken and thrown away, so that its sender reads the answer."""
CONNECTIONS = 2_000
TOO_LARGE = f"expected at most {HEADERS} headers and {HEADERS_BYTES} bytes of them"


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._timer: TimerHandle | None = None
        self._head_bytes, self._headers_left = 0, HEADERS
        self._unread, self._leftover, self._deaf = 0, 0, False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Httptools keeps a header until its end, however long it is: what it has kept is counted."""
        if self._deaf:
            return
        self._unread += len(data)
        super().data_received(data)
        if self._unread > ADDRESS_BYTES + HEADERS_BYTES and not self._deaf:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, Door.HEADERS_TOO_LARGE, TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes, self._headers_left, self._leftover = 0, HEADERS, 0
        self._expect_head()

    def on_url(self, url: bytes) -> None:
        if len(self.url) + len(url) > ADDRESS_BYTES:
            self._refuse(
                HTTPStatus.REQUEST_URI_TOO_LONG, Door.ADDRESS_TOO_LONG, f"expected at most {ADDRESS_BYTES} bytes"
            )
            raise _OutOfBounds
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        self._headers_left -= 1
        if self._head_bytes > HEADERS_BYTES or self._headers_left < 0:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, Door.HEADERS_TOO_LARGE, TOO_LARGE)
            raise _OutOfBounds
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._unread = 0
        if len(self.pipeline) >= PIPELINED:
            self._refuse(
                HTTPStatus.BAD_REQUEST, Door.REQUEST_MALFORMED, f"expected at most {PIPELINED} requests at once"
            )
            raise _OutOfBounds
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        if self.cycle.response_complete:
            self._throw_away(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        self._stop_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What httptools cannot read, and what raised above."""
        if not self._deaf:
            self._refuse(HTTPStatus.BAD_REQUEST, Door.REQUEST_MALFORMED, "expected an HTTP/1.1 request")

    def _throw_away(self, size: int) -> None:
        """What is left of a body after its answer: for a while, and not without end."""
        self._leftover += size
        if self._leftover > LEFTOVER_BYTES:
            self.transport.close()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _expect_head(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT, Door.BODY_TOO_SLOW, f"expected the head within {HEAD_SECONDS:.0f} seconds"
        )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: HTTPStatus, code: Door, detail: str) -> None:
        """The last answer on this connection."""
        self._deaf = True
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # not into the middle of another answer
            body = problem_text(status, code, DEFAULT, detail)
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {PROBLEM}\r\n"
            head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode() + body)
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


class _OutOfBounds(Exception):
    """Ends the parsing of what has come."""
