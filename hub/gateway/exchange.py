"""Starlette's request and response, without what they do anew for each: headers are looked up and not searched, and
those of an answer that are always the same are ready."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

RawHeaders = Sequence[tuple[bytes, bytes]]
AT_ONCE = "hub.at_once"
"""Among a request's extensions: writes a head that is ready up to its length, and a body."""


class IndexedRequest(Request):
    """A request; each has its headers looked at."""

    headers: Headers = None  # type: ignore[assignment]  # starlette's is a property, which asks each time

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self.headers = IndexedHeaders(scope["headers"])


class IndexedHeaders(Headers):
    """The headers of a request, by name."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        super().__init__(raw=raw)
        self._first = dict(reversed(raw))
        self._each_once = len(self._first) == len(raw)

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        found = self._first.get(_raw(key))
        return default if found is None else found.decode("latin-1")

    def getlist(self, key: str) -> list[str]:
        if not self._each_once:
            return super().getlist(key)
        found = self._first.get(_raw(key))
        return [] if found is None else [found.decode("latin-1")]

    def __getitem__(self, key: str) -> str:
        return self._first[_raw(key)].decode("latin-1")


@lru_cache(maxsize=256)
def _raw(name: str) -> bytes:
    return name.lower().encode("latin-1")


class ReadyHead:
    """Status line and headers of an answer, ready but for its length."""

    def __init__(self, status: int, headers: RawHeaders) -> None:
        self.status, self.headers = status, list(headers)
        lines = [
            b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode()),
            *(name + b": " + value for name, value in headers),
            b"content-length: ",
        ]
        self.lines = b"\r\n".join(lines)


class ReadyResponse(Response):
    """An answer whose head is ready; written in one go where the server can (`AT_ONCE`)."""

    def __init__(self, text: str, head: ReadyHead) -> None:
        self.status_code, self.background, self.body, self._head = head.status, None, text.encode(), head

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        return [*self._head.headers, (b"content-length", b"%d" % len(self.body))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at_once = scope.get("extensions", {}).get(AT_ONCE)
        if at_once is not None:
            await at_once(self._head.lines, self.body)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})
