"""The asking doors behind a desk of the tests' own: the token is the agency's code, problems are plain."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.gateway.ask import routes
from hub.gateway.questions import Questions
from hub.texts import explain


class PlainDesk:
    """Implements `hub.gateway.ask.Desk`; keeps what would go to the audit."""

    def __init__(self) -> None:
        self.denials: list[tuple[str, str, str]] = []
        self.left: Counter[tuple[str, str, str]] = Counter()

    async def caller(self, request: Request) -> str:
        return request.headers["authorization"].removeprefix("Bearer ")

    async def json(self, request: Request) -> Any:
        return json.loads(await request.body())

    def waiting(self, request: Request, seconds: float) -> AbstractContextManager[None]:
        return nullcontext()

    def language(self, request: Request) -> Any:
        return request.headers.get("accept-language", "en")

    def problem(
        self, request: Request, status: int, code: str, *, detail: str = "", pointer: str = "", retry_after: int = 0
    ) -> Response:
        text = explain(code, self.language(request))
        body = {"code": code, "title": text.what, "fix": text.fix, "detail": detail, "pointer": pointer}
        headers = {"Retry-After": str(retry_after)} if retry_after else {}
        return JSONResponse(body, status, headers, "application/problem+json")

    async def denied(self, agency: str, action: str, code: str) -> None:
        self.denials.append((agency, action, code))

    async def answered(self, agency: str, left: Counter[tuple[str, str]]) -> None:
        self.left += Counter({(agency, *what): count for what, count in left.items()})


class Asking:
    """Asks as an agency would: `asking("mod", "GET", "/v1/receipts")`."""

    def __init__(self, questions: Questions) -> None:
        self.desk = PlainDesk()
        self.app = Starlette(routes=routes(self.desk, questions))

    def __call__(self, agency: str, method: str, path: str, **given: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            headers = {"Authorization": f"Bearer {agency}", **given.pop("headers", {})}
            async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers) as client:
                return await client.request(method, path, timeout=60, **given)

        return asyncio.run(ask())
