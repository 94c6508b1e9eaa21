"""What every door of the gateway shares: who asks, in what language, and how a refusal is said (RFC 9457)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from hub.access import Caller, Denied
from hub.access.places import PLACE, Places
from hub.errors import Admission, Door
from hub.gateway import body, negotiate
from hub.gateway.bounds import BUSY_SECONDS, Bounds, Budget
from hub.gateway.details import in_language
from hub.gateway.refused import Refused
from hub.metrics import HTTP_REJECTED, Metrics
from hub.texts import Language, explain

PROBLEM = "application/problem+json"
JSON = ("application/json",)
URN = "urn:az:zefer:hub:"
NOBODY = "nobody"
AGENCY = "hub.agency"
"""Whose request it is, in its scope, once that is proved."""
"""Whose place the request has, in its scope."""
CHALLENGE = 'Bearer realm="hub"'


class Keeps(Protocol):
    """Who proves callers (`hub.access.Doorkeeper`)."""

    def caller(self, request: Request) -> Caller: ...
    def bad_certificate(self) -> None: ...
    def without_certificate(self) -> Denied: ...


class Tells(Protocol):
    """Who is told of what left and of what was denied (`hub.access.Audit`)."""

    def denied(self, agency: str | None, action: str, code: str, count: int = 1) -> None: ...
    def left(self, agency: str, counts: Mapping[tuple[str, str], int]) -> None: ...


class Allows(Protocol):
    """How much an agency may ask (`hub.access.Limits`): None, or how long it has to wait."""

    def ask(self, agency: str) -> Any: ...


class HttpDesk:
    """Implements `hub.gateway.ask.Desk`."""

    def __init__(
        self, keeper: Keeps, audit: Tells, metrics: Metrics, bounds: Bounds, budget: Budget, limits: Allows
    ) -> None:
        self._keeper, self._audit, self._metrics, self._limits = keeper, audit, metrics, limits
        self.bounds, self.budget = bounds, budget
        self._places = Places(bounds.requests, bounds.requests // 2)
        self._waits = Places(bounds.requests, bounds.requests // 8)

    def asks(self, request: Request) -> Caller:
        """Who has a question. Raises as `who`, and `Refused` (429) for who asks too much."""
        caller = self.who(request)
        wait = self._limits.ask(caller.agency)
        if wait is not None:
            raise Refused(429, wait.code, retry_after=int(wait))
        return caller

    def who(self, request: Request) -> Caller:
        """Raises `hub.access.Denied` (401, 403), and `Refused` (406): nothing is done for who could not read it; 429
        where the agency has too many requests under way."""
        caller = self._keeper.caller(request)
        request.scope[AGENCY] = caller.agency
        if not negotiate.takes_json(request.headers.get("accept", "")):
            raise Refused(406, Door.NOT_ACCEPTABLE, "expected Accept: application/json, or none")
        _take(self._places, caller.agency)
        request.scope[PLACE] = caller.agency
        return caller

    def leave(self, scope: Scope) -> None:
        """The request has been answered."""
        if PLACE in scope:
            self._places.add(scope[PLACE], -1)

    @property
    def waits(self) -> int:
        """Questions that wait: they keep nobody's request out."""
        return self._waits.taken

    @contextmanager
    def waiting(self, request: Request, seconds: float) -> Iterator[None]:
        """A question that may wait gives its place to others. Raises `Refused` where too many wait."""
        if not seconds:
            yield
            return
        agency = request.scope[PLACE]
        _take(self._waits, agency)
        self._places.add(agency, -1)
        try:
            yield
        finally:
            self._waits.add(agency, -1)
            self._places.add(agency)

    async def caller(self, request: Request) -> str:
        return self.asks(request).agency

    async def json(self, request: Request) -> Any:
        body.check_type(request, JSON)
        with self.budget.hold() as hold:
            return body.parse(await body.read(request, self.bounds, hold), self.bounds, hold)

    def language(self, request: Request) -> Language:
        return negotiate.language(request.headers.get("accept-language", ""))

    def problem(
        self,
        request: Request,
        status: int,
        code: str,
        detail: str = "",
        pointer: str = "",
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Response:
        self.count(request, code)
        language = self.language(request)
        said = _headers(language, retry_after) | dict(headers or {})
        return Response(problem_text(status, code, language, detail, pointer, **more), status, said, PROBLEM)

    def count(self, request: Request, code: str, by: int = 1) -> None:
        """One more refusal of that code."""
        self._metrics.count(HTTP_REJECTED, request.scope.get(AGENCY, NOBODY), str(code), by=by)

    async def denied(self, agency: str, action: str, code: str) -> None:
        self._audit.denied(agency, action, code)

    async def answered(self, agency: str, left: Counter[tuple[str, str]]) -> None:
        self._audit.left(agency, left)

    def refused(self, request: Request, refused: Refused) -> Response:
        """The answer to a request that is refused as a whole."""
        return self.problem(
            request, refused.status, refused.code, refused.detail, refused.pointer, refused.retry_after, refused.headers
        )

    def bad_certificate(self) -> None:
        """A handshake of TLS has ended."""
        self._keeper.bad_certificate()
        self._metrics.count(HTTP_REJECTED, NOBODY, Admission.CERTIFICATE_INVALID)

    def without_certificate(self, request: Request) -> Response:
        """The answer to who shows none where one is required."""
        return self.not_let_in(request, self._keeper.without_certificate())

    def not_let_in(self, request: Request, denied: Denied) -> Response:
        """The answer to who is not let in; the audit has been told."""
        if denied.agency:
            request.scope[AGENCY] = denied.agency
        headers = {"WWW-Authenticate": CHALLENGE} if denied.status == 401 else {}
        return self.problem(request, denied.status, denied.code, denied.detail, headers=headers)


def _take(places: Places, agency: str) -> None:
    """Raises `Refused`: 429 where the agency has all that it may have, 503 where all are taken."""
    if places.full_of(agency):
        raise Refused(429, Admission.RATE_LIMITED, retry_after=BUSY_SECONDS)
    if places.full:
        raise Refused(503, Door.BUSY, retry_after=BUSY_SECONDS)
    places.add(agency)


def problem_text(status: int, code: str, language: Language, detail: str = "", pointer: str = "", **more: Any) -> bytes:
    """A problem document as JSON."""
    text = explain(code, language)
    said = {"type": f"{URN}{code}", "title": text.what, "status": status, "code": code}
    said |= {"detail": in_language(detail, language), "pointer": pointer, "fix": text.fix, **more}
    return json.dumps(said, ensure_ascii=False).encode()


def _headers(language: Language, retry_after: int | None) -> dict[str, str]:
    said = {"Content-Language": language, "Cache-Control": "no-store"}
    return said if retry_after is None else said | {"Retry-After": str(retry_after)}
