"""The doors for questions: `GET /v1/events/{id}`, `GET /v1/receipts`, `POST /v1/status/query`.

A FİN comes in a body alone. It is in no answer, no error, no log and no metric; an error says a place and what was
expected there, never what was found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.catalogue.fields import FIN_IN_WORDS
from hub.errors import Question, Retry
from hub.event import EVENT_ID
from hub.gateway.answers import StatusQuestion
from hub.gateway.questions import Questions
from hub.texts import Language
from hub.views.receipts import Cursor, Expired
from hub.views.store import NotReady

WAIT_MAX = 30.0
LIMIT, LIMIT_MAX = 100, 500
RETRY_AFTER = 1
NOW = "now"
SECONDS = re.compile(r"[0-9]{1,2}(\.[0-9]{1,3})?")
COUNT = re.compile(r"[1-9][0-9]{0,2}")


class Desk(Protocol):
    """What the gateway gives to every door."""

    async def caller(self, request: Request) -> str:
        """The agency that asks; raises what the gateway answers 401, 403 and 429 with."""

    async def json(self, request: Request) -> Any:
        """The body as JSON, within the gateway's limits; raises what it answers 400, 413, 415 with."""

    def waiting(self, request: Request, seconds: float) -> AbstractContextManager[None]:
        """Around what may wait so long; raises what it answers 429 and 503 with."""

    def language(self, request: Request) -> Language:
        """Of what is for people."""

    def problem(
        self,
        request: Request,
        status: int,
        code: str,
        detail: str = "",
        pointer: str = "",
        retry_after: int | None = None,
    ) -> Response:
        """RFC 9457, with the texts of the code."""

    async def denied(self, agency: str, action: str, code: str) -> None:
        """To the audit."""

    async def answered(self, agency: str, left: Counter[tuple[str, str]]) -> None:
        """To the audit: how many parts of statuses left for the agency, by (event type, legal basis)."""


class Wrong(Exception):
    """A question that cannot be answered as it stands; `detail` quotes nothing of it."""

    def __init__(self, code: Question, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail, self.pointer = code, detail, pointer


Door = Callable[[Request], Awaitable[Response]]


def routes(desk: Desk, questions: Questions) -> list[Route]:
    """The routes of this room."""
    doors = _Doors(desk, questions)
    return [
        Route("/v1/events/{id}", doors.guarded(doors.event), methods=["GET"], name="event"),
        Route("/v1/receipts", doors.guarded(doors.receipts), methods=["GET"], name="receipts"),
        Route("/v1/status/query", doors.guarded(doors.status), methods=["POST"], name="status"),
    ]


class _Doors:
    def __init__(self, desk: Desk, questions: Questions) -> None:
        self._desk, self._questions = desk, questions

    def guarded(self, door: Callable[[Request, str], Awaitable[Response]]) -> Door:
        """Who asks, first; then the answer, or why there is none."""

        async def answer(request: Request) -> Response:
            agency = await self._desk.caller(request)
            try:
                return await door(request, agency)
            except Wrong as wrong:
                return self._desk.problem(request, 400, wrong.code, detail=wrong.detail, pointer=wrong.pointer)
            except Expired as expired:
                return self._desk.problem(request, 410, Question.CURSOR_EXPIRED, detail=str(expired))
            except (NotReady, Retry):
                return self._desk.problem(request, 503, Question.NOT_READY, retry_after=RETRY_AFTER)

        return answer

    async def event(self, request: Request, agency: str) -> Response:
        """The caller's own event: where it was accepted, what became of it, what every receiver did."""
        _known(request, {"wait"})
        wait, id = _wait(request), request.path_params["id"]
        found = None
        if EVENT_ID.fullmatch(id):
            with self._desk.waiting(request, wait):
                found = await self._questions.event(agency, id, self._desk.language(request), wait)
        if found is None:  # whether another agency has such an id is nobody else's business
            return self._desk.problem(request, 404, Question.EVENT_UNKNOWN)
        return _answer(found)

    async def receipts(self, request: Request, agency: str) -> Response:
        """The caller's receipts after a cursor, in order."""
        _known(request, {"since", "limit", "wait"})
        limit, wait = _limit(request), _wait(request)
        text = request.query_params.get("since")
        since = self._questions.end(agency) if text == NOW else _cursor(text)
        with self._desk.waiting(request, wait):
            found = await self._questions.receipts(agency, since, limit, self._desk.language(request), wait)
        return _answer(found)

    async def status(self, request: Request, agency: str) -> Response:
        """A person's current status, as far as the caller may see it."""
        _known(request, ())
        if not self._questions.entitled.covers(agency):
            await self._desk.denied(agency, "ask for a status", Question.STATUS_NOT_ENTITLED)
            return self._desk.problem(request, 403, Question.STATUS_NOT_ENTITLED)
        question = _question(await self._desk.json(request))
        told = await self._questions.status(agency, question)
        if told.left:
            await self._desk.answered(agency, Counter(told.left))
        return _answer(told.answer, exclude_unset=True)


def _answer(found: BaseModel, *, exclude_unset: bool = False) -> Response:
    """Nobody on the way may keep it: it is about a person, or old in a moment."""
    content = found.model_dump_json(by_alias=True, exclude_unset=exclude_unset)
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})


def _question(body: Any) -> StatusQuestion:
    try:
        return StatusQuestion.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        member = first["loc"][0] if first["loc"] else ""
        # the name of an unknown member is the caller's own text: it may be anything
        named = member if member in StatusQuestion.model_fields and first["type"] != "missing" else ""
        expected = _EXPECTED.get(str(named), "an object with `fin`, and no other members than `as_of` and `after`")
        raise Wrong(Question.QUESTION_INVALID, f"expected {expected}", f"/{named}" if named else "") from None


_EXPECTED = {
    "fin": FIN_IN_WORDS,
    "as_of": "a day as 2026-11-22",
    "after": "an id of an event of yours: 1 to 64 of A-Z a-z 0-9 . _ : -",
}


def _known(request: Request, names: Collection[str]) -> None:
    if any(name not in names for name in request.query_params):
        expected = f"no other parameters than {', '.join(sorted(names))}" if names else "no parameters"
        raise Wrong(Question.PARAMETER_INVALID, f"expected {expected}")
    if len(request.query_params.multi_items()) != len(request.query_params):
        raise Wrong(Question.PARAMETER_INVALID, "expected each parameter once")


def _wait(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    if not SECONDS.fullmatch(text):
        raise Wrong(Question.PARAMETER_INVALID, f"wait: expected seconds, 0 to {WAIT_MAX:.0f}")
    return min(float(text), WAIT_MAX)


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(LIMIT))
    if not COUNT.fullmatch(text) or int(text) > LIMIT_MAX:
        raise Wrong(Question.PARAMETER_INVALID, f"limit: expected a number from 1 to {LIMIT_MAX}")
    return int(text)


def _cursor(text: str | None) -> Cursor | None:
    try:
        return None if text is None else Cursor.parse(text)
    except ValueError:
        raise Wrong(Question.PARAMETER_INVALID, "since: expected a `next` that the hub gave, or `now`") from None
