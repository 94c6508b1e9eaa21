"""The whole gateway in memory: its doors over the shipped catalogue, tokens that are codes, a broker of lists."""

from __future__ import annotations

import asyncio
import copy
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from starlette.requests import Request
from world import VETERAN, catalogue, rules, schemas

from hub.access import Caller, Limits, Unauthenticated
from hub.errors import Admission, Retry
from hub.gateway import ask, health
from hub.gateway.about import About
from hub.gateway.app import Gateway
from hub.gateway.bounds import Bounds, Budget
from hub.gateway.desk import HttpDesk
from hub.gateway.examine import Examiner
from hub.gateway.known import Known
from hub.gateway.openapi import Document
from hub.gateway.publish import BATCH, SINGLE, Publishing
from hub.gateway.questions import Questions
from hub.gateway.table import table
from hub.handbook.example import example
from hub.kafka.appending import Line, Place
from hub.metrics import Metrics
from hub.registry.schemas import Schemas
from hub.settings import Limit
from hub.views import receipts, statuses
from hub.views.receipts import Receipts, Verdict
from hub.views.statuses import Statuses
from hub.views.store import Beat, NotReady, Writer

MUCH = Limit(events=1e9, events_burst=1e9, mib=1e6, mib_burst=1e6, day=10**12, questions=1e9, questions_burst=1e9)


class Broker:
    """Takes what it is given, unless `away` or `slow`. `kept`: topic → lines."""

    waiting_bytes = 0

    def __init__(self) -> None:
        self.kept: dict[str, list[Line]] = {}
        self.away = self.slow = False

    async def append(self, topic: str, lines: Sequence[Line]) -> list[Place]:
        if self.slow:
            raise Retry("the broker did not take the records in time")
        log = self.kept.setdefault(topic, [])
        log += lines
        return [(0, len(log) - len(lines) + i) for i in range(len(lines))]


class Keeper:
    """A token is the agency's code."""

    def __init__(self, audit: Auditors) -> None:
        self._audit = audit

    def caller(self, request: Request) -> Caller:
        code = request.headers.get("authorization", "").removeprefix("Bearer ")
        if code not in catalogue().agencies:
            self._audit.denied(None, "come in at gateway", Admission.TOKEN_UNKNOWN)
            raise Unauthenticated(Admission.TOKEN_UNKNOWN, "no such token")
        return Caller(code, "token", "abcdefgh")


class Auditors:
    def __init__(self) -> None:
        self.denials: list[tuple[str | None, str, str]] = []
        self.leavings: Counter[Any] = Counter()

    def denied(self, agency: str | None, action: str, code: str, count: int = 1) -> None:
        self.denials.append((agency, action, str(code)))

    def left(self, agency: str, counts: Mapping[tuple[str, str], int]) -> None:
        self.leavings.update({(agency, *what): count for what, count in counts.items()})


class Nothing:
    """Views that have been read to their end, in which nothing is."""

    def __init__(self) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="views-")
        folder = Path(self._kept.name)
        for module in (receipts, statuses):
            writer = Writer(folder / module.FILE, module.SCHEMA)
            writer.beat(Beat(time.time(), 0.0, caught_up=True, progress=1.0))
            writer.close()
        self.receipts, self.statuses = Receipts(folder, lambda _: None), Statuses(folder, lambda _: None)
        self.unpack = lambda _: None
        self.ready = True

    def lag(self, view: str) -> float:
        return 0.0


class Nowhere:
    """A Kafka with nothing in it (`hub.kafka.following.Lookup`)."""

    def latest(self, *_: Any) -> tuple[Iterator[Any], Mapping[int, int]]:
        return iter(()), {}

    def record(self, topic: str, partition: int, offset: int) -> None:
        return None


class Room:
    """A gateway of its own for a test; what it was told of receipts is in `verdicts`, by the hub's event id, and in
    `own_verdicts`, by the agency's."""

    def __init__(self, bounds: Bounds | None = None, limit: Limit = MUCH, registered: Schemas | None = None) -> None:
        self.broker, self.audit, self.metrics = Broker(), Auditors(), Metrics()
        self.bounds = bounds or Bounds()
        self.budget = Budget(self.bounds.waiting_bytes)
        self.verdicts: dict[str, list[Verdict]] = {}
        self.contents: dict[str, bytes] = {}
        self.views_ready = True
        self.own_verdicts: dict[str, list[Verdict]] = {}
        self.known = Known(self._verdicts, self._verdicts_by_id, self.contents.get)
        limits = Limits(limit)
        self.desk = HttpDesk(Keeper(self.audit), self.audit, self.metrics, self.bounds, self.budget, limits)
        self.publishing = Publishing(
            self.desk, catalogue(), examiner(), self.known, self.broker, limits, self.audit, self.metrics
        )
        views: Any = Nothing()
        self.lookup: Any = Nowhere()
        self.ending = False
        secret = rules().secret
        questions = Questions(catalogue(), views, self.lookup, views.unpack, secret, ending=lambda: self.ending)
        about = About(self.desk, catalogue(), registered or schemas(), limits)
        self.document = Document(catalogue(), self.bounds)
        well = health.routes(self.metrics, _nothing_is_missing, lambda: None)
        self.routes = table(self.publishing, about, self.document, ask.routes(self.desk, questions), well)
        self.app = Gateway(self.desk, self.routes, self.metrics)

    def _verdicts(self, event_ids: Sequence[str]) -> Mapping[tuple[str, str], Sequence[Verdict]]:
        """`mod` published all of them."""
        if not self.views_ready:
            raise NotReady("the view is not there yet")
        return {("mod", id): self.verdicts[id] for id in event_ids if id in self.verdicts}

    def _verdicts_by_id(self, agency: str, id: str) -> Sequence[Verdict]:
        if not self.views_ready:
            raise NotReady("the view is not there yet")
        return self.own_verdicts.get(id, [])

    def ask(self, method: str, path: str, agency: str | None = "mod", **given: Any) -> httpx.Response:
        """One request; a failure of the application itself is raised."""

        async def asked() -> httpx.Response:
            headers = {"Authorization": f"Bearer {agency}"} if agency else {}
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
                return await client.request(method, path, headers=headers | given.pop("headers", {}), **given)

        return asyncio.run(asked())

    def publish(self, events: Any, agency: str = "mod", **given: Any) -> httpx.Response:
        """One event or a list of them."""
        import json

        kind = BATCH if isinstance(events, list) else SINGLE
        content = events if isinstance(events, bytes) else json.dumps(events, ensure_ascii=False).encode()
        headers = {"Content-Type": kind} | given.pop("headers", {})
        return self.ask("POST", "/v1/events", agency, content=content, headers=headers, **given)


async def _nothing_is_missing() -> list[str]:
    return []


@cache
def examiner() -> Examiner:
    return Examiner(rules())


def event(type_name: str = VETERAN, id: str = "e-1", data: Mapping[str, Any] | None = None, **given: Any) -> Any:
    """A valid CloudEvent in JSON by an agency that may publish it; `data` and `given` replace what they name."""
    made = copy.deepcopy(_example(type_name))
    if type_name == VETERAN:
        made["source"] = "urn:az:agency:mod"
    made["data"] |= data or {}
    return made | {"id": id} | given


@cache
def _example(type_name: str) -> dict[str, Any]:
    return example(catalogue(), catalogue().types[type_name])


def publisher_of(made: Mapping[str, Any]) -> str:
    return str(made["source"]).removeprefix("urn:az:agency:")
