"""What can be asked of the gateway, route by route: what goes in, what comes out, what it may be refused with.

The OpenAPI document is made from this table; a test holds it against the routes, and against what they answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from hub.errors import Admission, Door, Question
from hub.event import EVENT_ID
from hub.gateway import ask
from hub.gateway.answers import (
    CatalogueAnswer,
    EventAnswer,
    PublishAnswer,
    ReceiptsAnswer,
    StatusAnswer,
    StatusQuestion,
    WhoamiAnswer,
)
from hub.gateway.publish import BATCH, SINGLE

Codes = Mapping[int, Sequence[str]]
Node = dict[str, Any]

EVENT, EVENTS = "Event", "Events"
"""Components: one CloudEvent, and a batch of them."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`takes`: media type → name of a component, or a model. `answers`: status → model and description; a text where
    the answer is plain. `problems`: status → codes, beside those that every guarded door has."""

    method: str
    path: str
    id: str
    summary: str
    answers: Mapping[int, tuple[type[BaseModel] | None, str]]
    problems: Codes = field(default_factory=dict)
    description: str = ""
    parameters: Sequence[Node] = ()
    takes: Mapping[str, str | type[BaseModel]] = field(default_factory=dict)
    guarded: bool = True
    media: str = "application/json"


ANYWHERE: Codes = {
    400: [Door.REQUEST_MALFORMED],
    403: [Admission.CERTIFICATE_MISSING],
    408: [Door.BODY_TOO_SLOW],
    414: [Door.ADDRESS_TOO_LONG],
    431: [Door.HEADERS_TOO_LARGE],
    500: [Door.FAILED],
}
GUARDED: Codes = {
    400: [Question.PARAMETER_INVALID],
    401: [
        Admission.CREDENTIALS_MISSING,
        Admission.TOKEN_MALFORMED,
        Admission.TOKEN_UNKNOWN,
        Admission.TOKEN_EXPIRED,
        Admission.TOKEN_REVOKED,
    ],
    403: [Admission.CERTIFICATE_UNKNOWN, Admission.PROOFS_DIFFER, Admission.AGENCY_UNKNOWN],
    406: [Door.NOT_ACCEPTABLE],
    429: [Admission.RATE_LIMITED],
    503: [Door.BUSY],
}
WITH_BODY: Codes = {
    400: [Door.JSON_INVALID, Door.JSON_DUPLICATE_KEY, Door.JSON_TOO_DEEP],
    413: [Door.BODY_TOO_LARGE],
    415: [Door.CONTENT_TYPE_UNSUPPORTED, Door.CONTENT_ENCODING_UNSUPPORTED],
}


def query(name: str, schema: Node, description: str) -> Node:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


WAIT = query(
    "wait",
    {"type": "string", "pattern": f"^{ask.SECONDS.pattern}$", "default": "0"},
    f"Seconds to wait for something to tell; {ask.WAIT_MAX:.0f} at the most",
)

OPERATIONS: Sequence[Operation] = (
    Operation(
        "post",
        "/v1/events",
        "publish",
        "Publish one event, or a batch of them",
        {
            202: (PublishAnswer, "All are accepted (durable) or here already"),
            200: (PublishAnswer, "With dry_run: all would be accepted. Nothing is stored"),
            207: (PublishAnswer, "Some are rejected: see each item"),
        },
        {
            400: [Door.ENVELOPE_INVALID],
            413: [Door.BATCH_TOO_LONG],
            429: [Admission.QUOTA_EXCEEDED],
            503: [Door.BROKER_AWAY],
        },
        "`accepted` means that the broker has it on all its replicas. The verdict of the hub comes as a receipt. Send "
        "the same event again as often as it takes, with the same id and time: it counts once. After 503 nothing "
        "is known of the request: send it again.",
        [query("dry_run", {"type": "string", "enum": ["true", "false"]}, "true: validate, say who would receive what")],
        {SINGLE: EVENT, BATCH: EVENTS},
    ),
    Operation(
        "get",
        "/v1/events/{id}",
        "event",
        "What became of an event of yours",
        {200: (EventAnswer, "Its timeline, and what every receiver did")},
        {404: [Question.EVENT_UNKNOWN], 503: [Question.NOT_READY]},
        parameters=[
            {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": f"^{EVENT_ID.pattern}$"},
                "description": "Your own id of the event",
            },
            WAIT,
        ],
    ),
    Operation(
        "get",
        "/v1/receipts",
        "receipts",
        "What became of all your events, as a feed",
        {200: (ReceiptsAnswer, "Receipts after the cursor, oldest first")},
        {410: [Question.CURSOR_EXPIRED], 503: [Question.NOT_READY]},
        parameters=[
            query("since", {"type": "string"}, "A `next` of an earlier answer, or `now`; without it, from the oldest"),
            query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": ask.LIMIT_MAX, "default": ask.LIMIT},
                "How many at the most",
            ),
            WAIT,
        ],
    ),
    Operation(
        "post",
        "/v1/status/query",
        "status",
        "A person's status, as far as you may see it",
        {200: (StatusAnswer, "The statuses that hold on that day")},
        {
            400: [Question.QUESTION_INVALID],
            403: [Question.STATUS_NOT_ENTITLED],
            503: [Question.NOT_READY],
        },
        "The FİN stands in the body, never in an address.",
        takes={"application/json": StatusQuestion},
    ),
    Operation("get", "/v1/whoami", "whoami", "Who the hub takes you for", {200: (WhoamiAnswer, "The agency, proved")}),
    Operation(
        "get",
        "/v1/catalogue",
        "catalogue",
        "What you may publish and what you receive",
        {200: (CatalogueAnswer, "Types with their fields; entitlements with their legal basis")},
    ),
    Operation("get", "/healthz", "alive", "Whether the process answers", {200: (None, "It does")}, guarded=False),
    Operation(
        "get",
        "/readyz",
        "ready",
        "Whether it can do its work",
        {200: (None, "It can"), 503: (None, "It cannot yet; the text says what is missing")},
        guarded=False,
    ),
    Operation(
        "get", "/metrics", "metrics", "Metrics, for Prometheus", {200: (None, "Text format 0.0.4")}, guarded=False
    ),
    Operation(
        "get",
        "/openapi.json",
        "openapi",
        "This document",
        {200: (None, "OpenAPI 3.1")},
        guarded=False,
        media="application/json",
    ),
)


def problems_of(operation: Operation) -> dict[int, list[str]]:
    """Every status and code that a request to it may be refused with."""
    found: dict[int, list[str]] = {}
    groups = [ANYWHERE, GUARDED if operation.guarded else {}, WITH_BODY if operation.takes else {}, operation.problems]
    for group in groups:
        for status, codes in group.items():
            found.setdefault(status, []).extend(map(str, codes))
    return found
