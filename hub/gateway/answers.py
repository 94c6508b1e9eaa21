"""What the asking doors take and answer: the OpenAPI document is made from these."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
EventId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


def _day(text: Any) -> date:
    """A day and nothing that could be taken for one (pydantic reads numbers and midnights too)."""
    if not isinstance(text, str) or not DAY.fullmatch(text):
        raise ValueError("expected a day as 2026-11-22")
    return date.fromisoformat(text)


Day = Annotated[date, BeforeValidator(_day)]


class Answer(BaseModel):
    """Closed, so that what is not written here cannot slip out."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Refusal(Answer):
    """Why a record was refused, and what its sender does about it."""

    code: str = Field(description="A code of the runbook")
    step: str | None = Field(description="Step of the hub that refused it")
    pointer: str | None = Field(description='JSON pointer to the field in question; "": the whole body')
    detail: str | None = Field(description="Expected and found; quotes no value")
    what: str = Field(description="What the code means, in the language asked for")
    fix: str = Field(description="What to do about it, in the language asked for")


class Station(Answer):
    """One thing that happened to an event."""

    at: datetime
    what: Literal["accepted", "applied", "duplicate", "rejected", "delivered", "parked", "failed"]
    record: str | None = Field(default=None, description="Coordinates of the input record: topic/partition/offset")
    version: int | None = Field(default=None, description="Events of this person or case applied, this one included")
    late: bool | None = Field(
        default=None, description="Effective before another event already applied: it corrects the past"
    )
    sequence_gap: bool | None = Field(
        default=None, description="A number before its `sequence` is missing; nothing waits"
    )
    refusal: Refusal | None = None
    receiver: str | None = None
    connector: str | None = None


class Seen(Answer):
    """Which fields of the event a receiver gets; `absent` and `masked` are withheld by its entitlement."""

    clear: list[str]
    masked: list[str]
    absent: list[str]


class Receiver(Answer):
    """One agency that is entitled to this type of event, and what it did with this one."""

    agency: str
    name: str = Field(description="In the language asked for")
    outcome: Literal["delivered", "parked", "failed", "offered", "withheld", "unknown"] = Field(
        description="offered: in the receiver's topic, no connector has reported yet. withheld: the condition "
        "of its entitlement does not hold for this event. unknown: the event is no longer kept, so that the condition "
        "cannot be looked at"
    )
    at: datetime | None = None
    connector: str | None = None
    basis: str | None = Field(default=None, description="Code of the law that its entitlement rests on")
    law: str | None = Field(default=None, description="That law's name, in the language asked for")
    fields: Seen | None = None
    when: dict[str, list[str]] | None = Field(
        default=None, description="The condition of its entitlement, where it has one"
    )


class Item(Answer):
    """What became of one event of a request. `accepted`: durable, its receipt will say more. `duplicate`: the same
    event is here already. `rejected`: nothing of it is kept; `code` to `fix` say why."""

    index: int = Field(description="Place of the event in the batch, from 0")
    id: str | None = Field(description="The event's own id; null where it is none, or may hold personal data")
    status: Literal["accepted", "duplicate", "rejected"]
    step: str | None = Field(description="Step of the hub that refused it")
    code: str | None = Field(description="A code of the runbook")
    detail: str | None = Field(description="Expected and found; quotes no value")
    pointer: str | None = Field(description='JSON pointer into the event; "": the whole event')
    what: str | None = Field(description="What the code means, in the language asked for")
    fix: str | None = Field(description="What to do about it, in the language asked for")
    record: str | None = Field(
        description="Coordinates of the record: topic/partition/offset; null where it is none or not known"
    )
    receivers: list[Receiver] | None = Field(
        default=None, description="With dry_run: who would get the event and which of its fields, under which law"
    )


class PublishAnswer(Answer):
    """POST /v1/events: an item for every event of the request, in its order."""

    accepted: int
    duplicate: int
    rejected: int
    items: list[Item]


class Problem(Answer):
    """RFC 9457. `code` is stable and for programs; `title`, `detail` and `fix` are for people."""

    type: str = Field(description="urn:az:zefer:hub:<code>")
    title: str = Field(description="What the code means, in the language asked for")
    status: int
    code: str = Field(description="A code; `hub explain CODE` says the same")
    detail: str = Field(default="", description="Expected and found; quotes no value")
    pointer: str = Field(default="", description='JSON pointer to what is wrong in the body; "": the whole')
    fix: str = Field(description="What to do about it, in the language asked for")


class RejectedEvents(Problem):
    """No event of the request was accepted: a problem, with what is wrong with each."""

    accepted: Literal[0]
    duplicate: Literal[0]
    rejected: int
    items: list[Item]


class Allowance(Answer):
    """How much the caller may send to one gateway."""

    events_per_second: float
    events_at_once: float
    mib_per_second: float
    mib_at_once: float
    events_per_day: int


class WhoamiAnswer(Answer):
    """GET /v1/whoami: who the hub takes the caller for."""

    agency: str
    name: str = Field(description="In the language asked for")
    source: str = Field(description="`source` of its events")
    proof: Literal["token", "certificate"]
    token_id: str | None = Field(description="Which of its tokens; no secret")
    publishes: list[str] = Field(description="Types that it may publish")
    receives: list[str] = Field(description="Types that it receives")
    limits: Allowance


class SchemaLink(Answer):
    """Where a schema is."""

    subject: str = Field(description="Its name in the schema registry")
    id: int = Field(description="Its id there: /schemas/ids/<id>")
    json_schema: str | None = Field(default=None, description="The same for JSON: a reference into /openapi.json")


class FieldOfType(Answer):
    """A field of an event's data."""

    name: str
    doc: str
    classification: str = Field(description="identifier, personal, …: how it has to be looked after")
    required: bool = Field(description="false: it has a default")


class Publishable(Answer):
    """A type that the caller may publish."""

    type: str
    stream: str
    doc: str
    subject: Literal["person", "case"] = Field(description="Whom or what an event is about")
    key: str = Field(description="The field that names the person or the case")
    fields: list[FieldOfType]
    avro: SchemaLink
    receivers: list[str] = Field(description="Agencies entitled to it")


class Receivable(Answer):
    """A type that the caller receives, as its entitlement has it."""

    type: str
    stream: str
    doc: str
    basis: str = Field(description="Code of the law that the entitlement rests on")
    law: str = Field(description="That law's name, in the language asked for")
    assumed: bool = Field(description="No source at hand says that the caller gets it")
    when: dict[str, list[str]] | None = Field(description="The condition of the entitlement, where it has one")
    fields: Seen
    projection: SchemaLink


class CatalogueAnswer(Answer):
    """GET /v1/catalogue: what the caller may publish, and what it receives."""

    version: int
    publishes: list[Publishable]
    receives: list[Receivable]


class EventStory(Answer):
    """What became of one event; the same id sent about several persons gives several."""

    event_id: str | None = Field(description="The hub's id of it, as receivers see it; null: it was refused before")
    type: str | None
    state: Literal["applied", "duplicate", "rejected"]
    timeline: list[Station]
    receivers: list[Receiver]


class EventAnswer(Answer):
    """GET /v1/events/{id}."""

    id: str = Field(description="Your own id of the event")
    in_flight: list[str] = Field(description="Records accepted under this id that have no verdict yet")
    events: list[EventStory]


class ReceiptItem(Answer):
    """One receipt of the feed: a verdict on a record of yours, or what a receiver did with an event of yours."""

    kind: Literal["verdict", "delivery"]
    id: str | None = None
    event_id: str | None = None
    type: str | None = None
    record: str | None = None
    verdict: Literal["APPLIED", "DUPLICATE", "REJECTED"] | None = None
    refusal: Refusal | None = None
    version: int | None = None
    late: bool | None = None
    sequence_gap: bool | None = None
    accepted: datetime | None = None
    decided: datetime | None = None
    receiver: str | None = None
    connector: str | None = None
    outcome: Literal["DELIVERED", "PARKED", "FAILED"] | None = None
    delivered: datetime | None = None


class ReceiptsAnswer(Answer):
    """GET /v1/receipts."""

    receipts: list[ReceiptItem]
    next: str = Field(description="Give it as `since` to go on from here; keep it only after what came is kept")
    more: bool = Field(description="Whether there is more already")


class StatusQuestion(BaseModel):
    """POST /v1/status/query."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    fin: str = Field(pattern=r"^[0-9A-Z]{7}$", description="7 upper-case Latin letters and digits")
    as_of: Day | None = Field(default=None, description="The day asked about; default: today")
    after: EventId | None = Field(
        None, description="An id of your own: the answer has that event in it, or says `pending` after 2 seconds"
    )


class StatusPart(Answer):
    """One status that holds on that day. Fields that the caller is not entitled to are not there."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    kind: str
    source: str = Field(description="The agency whose event says so")
    start: date | None = Field(default=None, alias="from")
    until: date | None = Field(default=None, description="First day on which it no longer holds; null: no end is known")
    fields: dict[str, Any]
    masked: list[str] = Field(description="Those of `fields` whose value is hidden")


class Covers(Answer):
    """A kind of status that the caller may ask for."""

    kind: str
    answerable: bool = Field(description="false: your entitlement hangs on a field that a status does not hold")
    when: dict[str, list[str]] = Field(description="Conditions of your entitlement: parts outside are not shown")


class StatusAnswer(Answer):
    """What the caller may see of a person's status. Nothing in `statuses` means: none of the kinds covered."""

    as_of: date
    version: int | None = Field(default=None, description="Events of the person applied; told with at least one status")
    statuses: list[StatusPart]
    covers: list[Covers]
    after: Literal["applied", "rejected", "pending"] | None = Field(
        None, description="What became of the event `after`"
    )
    pending: bool = Field(default=False, description="The event named by `after` is not in this answer yet: ask again")
    lag_seconds: float = Field(description="How old this answer may be")
