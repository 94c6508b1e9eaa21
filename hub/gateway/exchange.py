"""Starlette's request and response, without what they do anew for each: headers are looked up and not searched, and
those of an answer that are always the same are ready."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

RawHeaders = Sequence[tuple[bytes, bytes]]


class Asked(Request):
    """A request."""

    @cached_property
    def headers(self) -> Headers:
        return Named(self.scope["headers"])


class Named(Headers):
    """The headers of a request, by name."""

    def __init__(self, raw: RawHeaders) -> None:
        super().__init__(raw=list(raw))
        self._named: dict[str, list[str]] = {}
        for name, value in raw:
            self._named.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))

    def getlist(self, key: str) -> list[str]:
        return self._named.get(key.lower(), [])

    def __getitem__(self, key: str) -> str:
        return self._named[key.lower()][0]

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        found = self._named.get(key.lower())
        return found[0] if found else default


class Answer(Response):
    """An answer with headers that are ready but for its length."""

    def __init__(self, text: str, status: int, ready: RawHeaders) -> None:
        self.status_code, self.background, self.body = status, None, text.encode()
        self.raw_headers = [*ready, (b"content-length", b"%d" % len(self.body))]
