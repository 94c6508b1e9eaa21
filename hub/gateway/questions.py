"""What an agency may ask, answered from the views; knows no HTTP.

The views are read on threads where an answer may be long; a status is one look and is answered at once. Kafka is read
on a thread of its own, and each agency may have few looks at it under way: whoever asks for what nobody knows holds up
no other question.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, NamedTuple

from hub.access.places import Places
from hub.catalogue import Catalogue
from hub.clock import today as today_in_baku
from hub.errors import Retry
from hub.event import SOURCE_PREFIX
from hub.gateway.answers import (
    Covers,
    EventAnswer,
    ReceiptsAnswer,
    StatusAnswer,
    StatusPart,
    StatusQuestion,
)
from hub.gateway.entitled_status import EntitledStatus, Sight
from hub.gateway.newest import Newest
from hub.gateway.story import Teller
from hub.kafka.following import Lookup
from hub.pipeline.identify import Pseudonyms, identity
from hub.texts import Language
from hub.views.receipts import Cursor, Delivered, Verdict
from hub.views.unpack import Unpack
from hub.views.views import Views

OWN_WRITE_SECONDS = 2.0
"""Bound of read-your-own-write: after that a status says `pending`."""
LOOK_EVERY = 0.02
WAIT_EVERY = 0.1
LOOKS_EACH, LOOKS = 16, 64
"""Questions of one agency, and of all, that wait for what is in Kafka."""


class Told(NamedTuple):
    """A status, and what left with it: (event type, legal basis) of every part, for the audit."""

    answer: StatusAnswer
    left: list[tuple[str, str]]


class Questions:
    """`today` and `clock` (monotonic seconds) are passed in; once `ending`, nobody waits any longer."""

    def __init__(
        self,
        catalogue: Catalogue,
        views: Views,
        lookup: Lookup,
        unpack: Unpack,
        secret: bytes,
        *,
        today: Callable[[], date] = today_in_baku,
        clock: Callable[[], float] = time.monotonic,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self.entitled = EntitledStatus(catalogue)
        self._catalogue, self._views, self._person_id = catalogue, views, Pseudonyms(secret).person_id
        self._lookup, self._newest, self._unpack = lookup, Newest(lookup, clock), unpack
        self._looking, self._looks = ThreadPoolExecutor(1, "look"), Places(LOOKS, LOOKS_EACH)
        self._today, self._clock, self._ending = today, clock, ending

    async def event(self, agency: str, id: str, language: Language, wait: float = 0.0) -> EventAnswer | None:
        """What became of the agency's own id; None where nothing is known of it. Raises `NotReady`, `Retry`.

        Waits up to `wait` seconds for a first verdict.
        """
        deadline = self._clock() + wait
        while not (verdicts := self._views.receipts.verdicts(agency, id)):
            if self._over(deadline):
                break
            await asyncio.sleep(WAIT_EVERY)  # another process writes what is waited for: nothing here could tell
        if self._looks.full_of(agency) or self._looks.full:
            raise Retry("enough is being looked for")
        self._looks.add(agency)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._looking, self._event, agency, id, language, verdicts)
        finally:
            self._looks.add(agency, -1)

    async def receipts(
        self, agency: str, since: Cursor | None, limit: int, language: Language, wait: float = 0.0
    ) -> ReceiptsAnswer:
        """The next receipts; waits up to `wait` seconds for the first. Raises `NotReady`, `Expired`."""
        teller, deadline = Teller(self._catalogue, language), self._clock() + wait
        while True:
            page = await asyncio.to_thread(self._views.receipts.page, agency, since, limit)
            if page.receipts or self._over(deadline):
                items = [teller.receipt(name, value) for name, value in page.receipts]
                return ReceiptsAnswer(receipts=items, next=str(page.cursor), more=page.more)
            await asyncio.sleep(WAIT_EVERY)

    def end(self, agency: str) -> Cursor:
        """From here on there are only receipts yet to come. Raises `NotReady`."""
        return self._views.receipts.end(agency)

    async def status(self, agency: str, question: StatusQuestion) -> Told:
        """The status as the agency may see it; the caller has made sure that it may ask. Raises `NotReady`."""
        person = self._person_id(question.fin.encode()).decode()
        after = None if question.after is None else await self._after(agency, question.after, person)
        status = self._views.statuses.of(person)
        day = question.as_of or self._today()
        seen = self.entitled.parts(agency, status, day) if status else []
        answer = StatusAnswer(
            as_of=day,
            version=status["version"] if status and seen else None,
            statuses=[StatusPart(**part) for part, _ in seen],
            covers=self._covers(agency),
            after=after,
            pending=after == "pending",
            lag_seconds=round(self._views.lag("status"), 1),
        )
        return Told(answer, [left for _, sight in seen for left in _left(sight)])

    def _covers(self, agency: str) -> list[Covers]:
        return [
            Covers(kind=each.kind, answerable=each.answerable, when={n: list(v) for n, v in each.when.items()})
            for each in self.entitled.covers(agency)
        ]

    async def _after(self, agency: str, id: str, person: str) -> Any:
        """Wait until the status has the agency's own event `id` about this person in it, or the bound is reached."""
        event_id = identity((SOURCE_PREFIX + agency).encode(), id.encode(), person.encode()).hex()
        deadline = self._clock() + OWN_WRITE_SECONDS
        while (found := self._state_of(agency, id, event_id, person)) == "pending":
            if self._over(deadline):
                break
            await asyncio.sleep(LOOK_EVERY)
        return found

    def _over(self, deadline: float) -> bool:
        return self._clock() >= deadline or self._ending()

    def _state_of(self, agency: str, id: str, event_id: str, person: str) -> str:
        verdicts, _ = self._views.receipts.event(agency, event_id)
        versions = [v.value["version"] for v in verdicts if v.value["verdict"] == "APPLIED"]
        if versions:
            status = self._views.statuses.of(person)
            return "applied" if status and status["version"] >= versions[0] else "pending"
        if verdicts:  # a duplicate of what was applied before the receipts that are kept
            return "applied"
        others = self._views.receipts.verdicts(agency, id)
        return "rejected" if others and all(v.value["verdict"] == "REJECTED" for v in others) else "pending"

    def _event(self, agency: str, id: str, language: Language, verdicts: list[Verdict]) -> EventAnswer | None:
        waiting = [] if verdicts else self._newest.of(f"in.{agency}", self._views.receipts.partitions(agency), id)
        if not verdicts and not waiting:
            return None
        events = {v.value["event_id"] for v in verdicts} - {None}
        delivered: dict[str, list[Delivered]] = {e: self._views.receipts.event(agency, e)[1] for e in events}
        stories = Teller(self._catalogue, language).stories(verdicts, delivered, self._fields)
        return EventAnswer(id=id, in_flight=waiting, events=stories)

    def _fields(self, verdict: Verdict) -> Mapping[str, Any] | None:
        value = verdict.value
        try:
            record = self._lookup.record(value["origin_topic"], value["origin_partition"], value["origin_offset"])
        except Retry:
            return None
        found = self._unpack(record.value) if record else None
        return found[1] if found else None


def _left(sight: Sight) -> list[tuple[str, str]]:
    return [(name, basis) for name, basis in zip(sight.types, sight.bases, strict=True)]
