"""uvicorn's httptools protocol with bounds: httptools itself takes any number of headers of any size, for any time.

What is out of bounds is answered (431, 414, 408, 400) with a problem document; then the connection is closed, a moment
later, so that the answer is read before it is reset.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import TimerHandle
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from weakref import ref

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hub.access.connections import CONNECTIONS, HEAD_SECONDS, within_files
from hub.access.places import PLACE
from hub.errors import Door
from hub.gateway import negotiate
from hub.gateway.body import WHOLE
from hub.gateway.desk import PROBLEM, problem_text
from hub.gateway.exchange import AT_ONCE
from hub.texts import Language

ADDRESS_BYTES = 4 << 10
HEADERS_BYTES = 32 << 10
HEADERS = 100
IDLE_SECONDS = 30
ANSWER_SECONDS = 30.0
"""For some of an answer to be taken that is more than the sockets hold; for all of it on a connection that closes."""
PIPELINED = 16
LINGER_SECONDS = 2.0
LEFTOVER_BYTES = 16 << 20
"""So much of a body that nobody wants any more is taken and thrown away, so that its sender reads the answer."""
ROOM = 20
"""One of so many connections is closed where there are too many: to look for one alone each time would be work."""
TOO_LARGE = f"expected at most {HEADERS} headers and {HEADERS_BYTES} bytes of them"


class Gathered:
    """A transport that sends at once what is written in one turn of the event loop: uvicorn writes the head of an
    answer and its body one after the other, which would be two packets. Once closed it ends: a loop waits for as long
    as it takes who is to read the last of it."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._parts = transport, loop, list[bytes]()
        self._end: TimerHandle | None = None
        self.aborted = False

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._send)
        self._parts.append(data)

    def write_now(self, data: bytes) -> None:
        self._parts.append(data)
        self._send()

    def close(self) -> None:
        self._send()
        if not self._transport.is_closing():
            self._end = self._loop.call_later(ANSWER_SECONDS, self.abort)
            self._transport.close()

    def abort(self) -> None:
        self.aborted = True
        self._transport.abort()

    def lost(self) -> None:
        """The connection is gone."""
        if self._end is not None:
            self._end.cancel()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():  # the caller may have gone meanwhile
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    transport: Gathered  # type: ignore[assignment]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._timer: TimerHandle | None = None
        self._due: float | None = None
        self._late: Callable[[], None] = self._head_is_late
        self._head_bytes, self._headers_left = 0, HEADERS
        self._unread, self._leftover, self._deaf = 0, 0, False
        self._heard, self._proved = 0.0, False
        self._unsent: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Gathered(transport, self.loop))  # type: ignore[arg-type]
        self._expect(self._head_is_late)
        if len(self.connections) > (most := within_files(CONNECTIONS, 2 / 3)):
            self._make_room(most)

    def _make_room(self, most: int) -> None:
        """Whoever has proved nothing goes, the oldest first, then whoever asks nothing: neither strangers nor one
        agency keep others out. By what they do and not by address, since many may come by one proxy. One that closes
        is there until it is gone."""
        there = [each for each in cast("set[BoundedProtocol]", self.connections) if not each.transport.aborted]
        if len(there) > most:
            others = [each for each in there if each is not self and (not each.proved or each.idle)]
            going = heapq.nsmallest(most // ROOM or 1, others, key=lambda each: (each.proved, each._heard))
            for each in going or [self]:
                each.transport.abort()

    @property
    def proved(self) -> bool:
        """Whether it was an agency that asked."""
        return self._proved or (self.cycle is not None and PLACE in self.cycle.scope)

    @property
    def idle(self) -> bool:
        """Whether nothing is asked at the moment."""
        return self.cycle is None or self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        self._due = None
        for timer in (self._timer, self._unsent):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self.transport.lost()

    def eof_received(self) -> None:
        """The loop would close it, with no end to it."""
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Httptools keeps a header until its end, however long it is: what it has kept is counted."""
        if self._deaf:
            return
        self._unread += len(data)
        super().data_received(data)
        if self._unread > ADDRESS_BYTES + HEADERS_BYTES and not self._deaf:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, Door.HEADERS_TOO_LARGE, TOO_LARGE)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unsent is not None:
            self._unsent.cancel()

    def on_message_begin(self) -> None:
        self._proved = self.proved
        super().on_message_begin()
        self._head_bytes, self._headers_left, self._leftover = 0, HEADERS, 0
        self._expect(self._head_is_late)

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
        self._due, self._unread = None, 0
        if len(self.pipeline) >= PIPELINED:
            self._refuse(
                HTTPStatus.BAD_REQUEST, Door.REQUEST_MALFORMED, f"expected at most {PIPELINED} requests at once"
            )
            raise _OutOfBounds
        super().on_headers_complete()
        # weak: scope and cycle know each other, and would be rubbish that only a collection finds
        self.scope["extensions"] = {AT_ONCE: partial(_at_once, ref(self.cycle))}  # type: ignore[dict-item]

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        if self.cycle.response_complete:
            self._throw_away(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._due, self._unread = None, 0
        self.scope[WHOLE] = True  # type: ignore[literal-required]
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
        elif self._due is None:
            self._expect(self.transport.close)

    def _expect(self, late: Callable[[], None]) -> None:
        """Something else within `HEAD_SECONDS`, or `late`. The timer is set again only when it rings: a connection
        has a deadline for every request, and hardly ever misses one."""
        self._heard = self.loop.time()
        self._due, self._late = self._heard + HEAD_SECONDS, late
        if self._timer is None:
            self._timer = self.loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self.loop.time() < self._due:
            self._timer = self.loop.call_at(self._due, self._look)
        else:
            self._due = None
            self._late()

    def _head_is_late(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT, Door.BODY_TOO_SLOW, f"expected the head within {HEAD_SECONDS:.0f} seconds"
        )

    def _refuse(self, status: HTTPStatus, code: Door, detail: str) -> None:
        """The last answer on this connection."""
        self._deaf, self._due = True, None
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # not into the middle of another answer
            language = self._language()
            body = problem_text(status, code, language, detail)
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {PROBLEM}\r\n"
            head += f"content-language: {language}\r\n"
            head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode() + body)
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _language(self) -> Language:
        """By the headers that have come, if any."""
        wanted = next((value for name, value in self.headers or () if name == b"accept-language"), b"")
        return negotiate.language(wanted.decode("latin-1"))


async def _at_once(of: ref[RequestResponseCycle], head: bytes, body: bytes) -> None:
    """What `cycle.send` does with the head and the body of an answer, in one go and without a look at each header:
    single events cost 4 % less."""
    cycle = of()
    assert cycle is not None  # its own task runs in it
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    cycle.response_started, cycle.waiting_for_100_continue = True, False
    parts = [head, b"%d\r\n" % len(body)]
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body)
    cast("Gathered", cycle.transport).write_now(b"".join(parts))
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


class _OutOfBounds(Exception):
    """Ends the parsing of what has come."""
