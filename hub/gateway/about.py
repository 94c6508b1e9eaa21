"""`GET /v1/whoami`, `GET /v1/catalogue`: who the hub takes the caller for, what it may publish and what it receives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from hub.catalogue import Catalogue, Entitlement, EventType
from hub.errors import Question
from hub.event import SOURCE_PREFIX
from hub.gateway.answers import (
    Allowance,
    CatalogueAnswer,
    FieldOfType,
    Publishable,
    Receivable,
    SchemaLink,
    WhoamiAnswer,
)
from hub.gateway.data_schema import reference
from hub.gateway.desk import HttpDesk
from hub.gateway.refused import Refused
from hub.gateway.story import Teller
from hub.pipeline.readers import SchemaIds
from hub.texts import Language


class Granted(Protocol):
    """What an agency may send (`hub.settings.Limit`)."""

    events: float
    events_burst: float
    mib: float
    mib_burst: float
    day: int
    questions: float
    questions_burst: float


class Grants(Protocol):
    """`hub.access.Limits`."""

    def of(self, agency: str) -> Any: ...


class About:
    """Both doors."""

    def __init__(self, desk: HttpDesk, catalogue: Catalogue, ids: SchemaIds, limits: Grants) -> None:
        self._desk, self._catalogue, self._ids, self._limits = desk, catalogue, ids, limits

    async def whoami(self, request: Request) -> Response:
        caller = self._desk.asks(request)
        _no_parameters(request)
        known, language = self._catalogue.agencies[caller.agency], self._desk.language(request)
        answer = WhoamiAnswer(
            agency=caller.agency,
            name=known.name.az if language == "az" else known.name.en,
            source=SOURCE_PREFIX + caller.agency,
            proof=caller.proof,
            token_id=caller.token_id,
            publishes=sorted(known.publishes & self._catalogue.types.keys()),
            receives=[e.type for e in self._entitled(caller.agency)],
            limits=_allowance(self._limits.of(caller.agency)),
        )
        return _answer(answer, language)

    async def catalogue(self, request: Request) -> Response:
        agency = self._desk.asks(request).agency
        _no_parameters(request)
        language = self._desk.language(request)
        publishes = sorted(self._catalogue.agencies[agency].publishes & self._catalogue.types.keys())
        teller = Teller(self._catalogue, language)
        answer = CatalogueAnswer(
            version=self._catalogue.version,
            publishes=[self._publishable(self._catalogue.types[name]) for name in publishes],
            receives=[self._receivable(e, teller) for e in self._entitled(agency)],
        )
        return _answer(answer, language)

    def _entitled(self, agency: str) -> Iterator[Entitlement]:
        return (e for rows in self._catalogue.entitlements.values() for e in rows if e.agency == agency)

    def _id_of(self, subject: str) -> int:
        return self._ids.id_of(subject, self._catalogue.text(subject))

    def _publishable(self, of: EventType) -> Publishable:
        return Publishable(
            type=of.name,
            stream=of.stream,
            doc=of.schema["doc"],
            subject=of.key_kind,
            key=of.key_field,
            fields=[_field(field) for field in of.schema["fields"]],
            avro=SchemaLink(subject=of.name, id=self._id_of(of.name), json_schema=reference(of.name)),
            receivers=[e.agency for e in self._catalogue.entitlements[of.name]],
        )

    def _receivable(self, e: Entitlement, teller: Teller) -> Receivable:
        of, projection = self._catalogue.types[e.type], self._catalogue.projections[e.mask]
        return Receivable(
            type=e.type,
            stream=of.stream,
            doc=of.schema["doc"],
            basis=e.basis,
            law=teller.law(e.basis),
            assumed=e.assumed,
            when={name: sorted(values) for name, values in e.when.items()} or None,
            fields=teller.seen(e),
            projection=SchemaLink(subject=projection.name, id=self._id_of(projection.name)),
        )


def _field(field: dict[str, Any]) -> FieldOfType:
    named = {name: field[name] for name in ("name", "doc", "classification")}
    return FieldOfType(**named, required="default" not in field)


def _allowance(limit: Granted) -> Allowance:
    return Allowance(
        events_per_second=limit.events,
        events_at_once=limit.events_burst,
        mib_per_second=limit.mib,
        mib_at_once=limit.mib_burst,
        events_per_day=limit.day,
        questions_per_second=limit.questions,
        questions_at_once=limit.questions_burst,
    )


def _no_parameters(request: Request) -> None:
    if request.query_params:
        raise Refused(400, Question.PARAMETER_INVALID, "expected no parameters")


def _answer(found: BaseModel, language: Language) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Language": language}
    return Response(found.model_dump_json(), 200, headers, "application/json")
