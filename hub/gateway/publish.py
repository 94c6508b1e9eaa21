"""`POST /v1/events`: one CloudEvent or a batch of them; answered once the broker has what was accepted.

    who asks → its bounds → strict JSON → the gate's steps → known already? → in.<agency> → an item for every event

What is accepted is durable. Where that is not sure the answer is 503, for the whole request: sent again, what is
there counts once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, get_args

from starlette.requests import Request
from starlette.responses import Response

from hub.catalogue import Catalogue
from hub.errors import Door, Question, Retry
from hub.event import Rejection
from hub.gateway import body
from hub.gateway.bounds import Hold
from hub.gateway.desk import PROBLEM, HttpDesk, Tells, problem_text
from hub.gateway.details import in_language
from hub.gateway.examine import LOOKED_THROUGH, Examined, Examiner, Refusal
from hub.gateway.exchange import ReadyHead, ReadyResponse
from hub.gateway.known import Found, Known
from hub.gateway.refused import Refused
from hub.gateway.story import Teller
from hub.kafka.appending import Line, Place
from hub.metrics import GATEWAY_EVENTS, Metrics
from hub.pipeline.ledger import CONFLICT
from hub.pipeline.refuse import DENIALS
from hub.texts import Language, explain

JSON = "application/json"
SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
SINGLE_BYTES = 2 << 20
"""Of JSON that one event may have: as Avro it has 1 MiB at the most, and others wait while it is read."""
SINGLE_VALUES = LOOKED_THROUGH
SLICE = 25
"""Events looked at before others have a turn."""
AWAY_SECONDS = 2
PLAIN = (
    '{"index":%d,"id":"%s","status":"%s","step":null,"code":null,"detail":null,"pointer":null,"what":null,"fix":null,'
    '"record":%s}'
)
SUMS = '{"accepted":%d,"duplicate":%d,"rejected":%d,"items":[%s]}'
HEADS = {
    (status, language): ReadyHead(
        status,
        [
            (b"cache-control", b"no-store"),
            (b"content-language", language.encode()),
            (b"content-type", (PROBLEM if status == 422 else JSON).encode()),
        ],
    )
    for status in (200, 202, 207, 422)
    for language in get_args(Language)
}


class Appends(Protocol):
    """Where events are kept (`hub.kafka.appending.Appender`)."""

    @property
    def away(self) -> bool: ...
    async def append(self, topic: str, lines: Sequence[Line]) -> list[Place]: ...


class Allows(Protocol):
    """How much an agency may send (`hub.access.Limits`): None, or how long it has to wait; `look` counts nothing."""

    def look(self, agency: str, events: int, bytes: int) -> Any: ...
    def take(self, agency: str, events: int, bytes: int) -> Any: ...


class Told(NamedTuple):
    """What became of one event; `rejection` where it was rejected, `record` where it is known."""

    status: str
    id: str | None
    rejection: Rejection | None = None
    record: str | None = None


class Publishing:
    """The door."""

    def __init__(
        self,
        desk: HttpDesk,
        catalogue: Catalogue,
        examiner: Examiner,
        known: Known,
        appender: Appends,
        limits: Allows,
        audit: Tells,
        metrics: Metrics,
    ) -> None:
        self._desk, self._examiner, self._known, self._appender = desk, examiner, known, appender
        self._limits, self._audit, self._published = limits, audit, metrics.counts(GATEWAY_EVENTS)
        bytes, values = min(desk.bounds.body_bytes, SINGLE_BYTES), min(desk.bounds.values, SINGLE_VALUES)
        self._single = replace(desk.bounds, body_bytes=bytes, values=values)
        self._tellers: dict[Language, Teller] = {"en": Teller(catalogue, "en"), "az": Teller(catalogue, "az")}

    async def post(self, request: Request) -> Response:
        """Raises `Refused` and `hub.access.Denied`."""
        agency = self._desk.who(request).agency
        dry_run = _dry_run(request)
        if self._appender.away and not dry_run:
            raise _away("the broker takes nothing at the moment")
        if not body.is_here(request):
            _check(self._limits.look(agency, 1, body.announced(request)))
        with self._desk.budget.hold() as hold:
            events = await self._charged(request, agency, hold)
            found = await self._examined(agency, events)
            tried = events if dry_run else None
            del events
            if tried is None:  # nobody needs them again: they are gone while the broker is waited for
                hold.forget()
            told = await self._told(agency, found, dry_run)
            return self._answer(request, agency, found, told, tried)

    async def _charged(self, request: Request, agency: str, hold: Hold) -> list[Any]:
        """What is refused as a whole counts as one event, or rubbish would be free; not where the gateway is busy."""
        try:
            events = await self._events(request, hold)
        except Refused as refused:
            if refused.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                _check(self._limits.take(agency, 1, hold.size))
            raise
        _check(self._limits.take(agency, len(events), hold.size))
        return events

    async def _events(self, request: Request, hold: Hold) -> list[Any]:
        media = body.check_type(request, (SINGLE, BATCH))
        bounds = self._single if media == SINGLE else self._desk.bounds
        said = body.parse(await body.read(request, bounds, hold), bounds, hold)
        if media == SINGLE:
            if not isinstance(said, dict):
                raise Refused(400, Door.ENVELOPE_INVALID, "expected one JSON object")
            return [said]
        if not isinstance(said, list):
            raise Refused(400, Door.ENVELOPE_INVALID, "expected an array of JSON objects")
        if len(said) > bounds.batch_events:
            raise Refused(413, Door.BATCH_TOO_LONG, f"expected at most {bounds.batch_events} events, found {len(said)}")
        return said

    async def _examined(self, agency: str, events: Sequence[Any]) -> list[Examined | Refusal]:
        found: list[Examined | Refusal] = []
        for at in range(0, len(events), SLICE):
            if at:
                await asyncio.sleep(0)
            found += [self._examiner.examine(agency, event) for event in events[at : at + SLICE]]
        return found

    async def _told(self, agency: str, found: Sequence[Examined | Refusal], dry_run: bool) -> list[Told]:
        good = [each for each in found if isinstance(each, Examined)]
        known = await self._known.look(agency, good) if good else []
        if len(good) == len(found) == len({each.identity for each in good}) and not any(known):
            records = [None] * len(good) if dry_run else await self._kept(agency, good)
            return [Told("accepted", each.id, None, record) for each, record in zip(good, records, strict=True)]
        said = self._judged(agency, found, known)
        new = [each for each, told in zip(found, said, strict=True) if told is None and isinstance(each, Examined)]
        records = await self._kept(agency, new) if new and not dry_run else [None] * len(new)
        left = iter(records)
        return [told or Told("accepted", each.id, None, next(left)) for each, told in zip(found, said, strict=True)]

    def _judged(
        self, agency: str, found: Sequence[Examined | Refusal], known: Sequence[Found | None]
    ) -> list[Told | None]:
        """What can be said of each; None: it is to be taken."""
        about, first, said = iter(known), dict[bytes, Examined](), list[Told | None]()
        for each in found:
            if isinstance(each, Examined):
                said.append(_compared(each, next(about), first))
                continue
            said.append(Told("rejected", each.id, each.rejection))
            if each.rejection.code in DENIALS:
                self._audit.denied(agency, f"publish {each.type or 'unknown'}", each.rejection.code)
        return said

    async def _kept(self, agency: str, events: Sequence[Examined]) -> list[str | None]:
        """Coordinates of each, once the broker has all of them."""
        topic = f"in.{agency}"
        try:
            places = await self._appender.append(topic, [event.line for event in events])
        except Retry as retry:
            raise _away(str(retry)) from None
        except asyncio.CancelledError:  # the gateway stops; the events may be there all the same
            raise _away("") from None
        records = [f"{topic}/{partition}/{offset}" if offset >= 0 else None for partition, offset in places]
        self._known.took(events, records)
        return records

    def _answer(
        self,
        request: Request,
        agency: str,
        found: Sequence[Examined | Refusal],
        told: Sequence[Told],
        tried: Sequence[Any] | None,
    ) -> Response:
        """`tried`: the events of a dry run."""
        language, dry_run = self._desk.language(request), tried is not None
        items = [_item(index, each, language) for index, each in enumerate(told)]
        if tried is not None:
            teller = self._tellers[language]
            items = [_with_receivers(*each, teller) for each in zip(items, found, told, tried, strict=True)]
        statuses, all_ = [each.status for each in told], len(told)
        accepted, refused = statuses.count("accepted"), statuses.count("rejected")
        duplicate = all_ - accepted - refused
        if not dry_run:
            self._count(agency, accepted, duplicate, refused)
        for each in told if refused else ():
            if each.rejection is not None:
                self._desk.count(request, each.rejection.code)
        status = 207 if 0 < refused < all_ else 422 if refused else 200 if dry_run else 202
        text = SUMS % (accepted, duplicate, refused, ",".join(items))
        if status == 422:
            said = problem_text(422, Door.EVENTS_REJECTED, language, f"{refused} of {all_} events rejected")
            text = said.decode()[:-1] + ", " + text[1:]
        return ReadyResponse(text, HEADS[status, language])

    def _count(self, agency: str, accepted: int, duplicate: int, rejected: int) -> None:
        if accepted:
            self._published[agency, "accepted"] += accepted
        if duplicate:
            self._published[agency, "duplicate"] += duplicate
        if rejected:
            self._published[agency, "rejected"] += rejected


def _compared(event: Examined, found: Found | None, first: dict[bytes, Examined]) -> Told | None:
    """With what is known, or else with the first of that identity in the same request; None: it is to be taken, and the
    ledger says what it is."""
    if found is not None:
        return Told("duplicate", event.id, record=found.record) if found.same else Told("rejected", event.id, CONFLICT)
    earlier = first.setdefault(event.identity, event)
    repeats = earlier is not event and earlier.content == event.content
    return Told("duplicate", event.id) if repeats else None


def _with_receivers(item: str, found: Examined | Refusal, told: Told, event: Any, teller: Teller) -> str:
    if told.rejection is not None or not isinstance(found, Examined):
        return item
    receivers = [each.model_dump(mode="json") for each in teller.would_receive(found.of.name, event["data"])]
    return f'{item[:-1]},"receivers":{json.dumps(receivers, ensure_ascii=False)}}}'


def _item(index: int, told: Told, language: Language) -> str:
    """As JSON; what is nearly always the same is written down once."""
    record = f'"{told.record}"' if told.record else "null"
    if told.rejection is None:
        return PLAIN % (index, told.id, told.status, record)
    rejection, meaning = told.rejection, explain(told.rejection.code, language)
    said = {"index": index, "id": told.id, "status": told.status, "step": rejection.step, "code": rejection.code}
    said |= {"detail": in_language(rejection.detail, language), "pointer": rejection.pointer}
    said |= {"what": meaning.what, "fix": meaning.fix}
    return json.dumps(said | {"record": None}, ensure_ascii=False)


def _dry_run(request: Request) -> bool:
    if not request.scope["query_string"]:
        return False
    query = request.query_params.multi_items()
    if len(query) == 1 and query[0] in (("dry_run", "true"), ("dry_run", "false")):
        return query[0][1] == "true"
    raise Refused(400, Question.PARAMETER_INVALID, "expected no other parameter than dry_run, true or false")


def _check(wait: Any) -> None:
    if wait is not None:
        raise Refused(429, wait.code, retry_after=int(wait))


def _away(detail: str) -> Refused:
    return Refused(503, Door.BROKER_AWAY, detail, retry_after=AWAY_SECONDS)
