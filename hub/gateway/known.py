"""Whether an event is here already, as far as a gateway can tell: what it took itself lately, and the receipts.

Best effort, and on the safe side: where it is not sure, the event is taken once more and the receipt decides. A
conflict is sure only with what the ledger has applied: what this gateway took is first in its own life alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from hub.errors import Retry
from hub.gateway.examine import Examined
from hub.views.receipts import Verdict
from hub.views.store import NotReady

KEPT = 50_000
"""So many events that this gateway took last are remembered: some 300 bytes each."""
VERDICT_SECONDS = 60.0
"""After so long a verdict is there. Where there is none the event was refused without its id being told, as `internal`
is, or it waits still: it is taken once more, which counts once."""
READ_BACK = 16
"""So many events of one request are looked up in Kafka, to compare what they say."""

Verdicts = Mapping[tuple[str, str], Sequence[Verdict]]
"""By agency and the hub's event id, where there are any."""
VerdictsOn = Callable[[Sequence[str]], Verdicts]
"""Of the hub's event ids. Raises `NotReady`."""
OwnVerdicts = Callable[[str, str], Sequence[Verdict]]
"""Agency and its own id → the verdicts on all records under that id: a refusal has no other. Raises `NotReady`."""
ContentOf = Callable[[str], bytes | None]
"""Coordinates in `in.*` → what the record there says, as `hub.pipeline.identify.content` has it; None where it is no
longer there. Raises `Retry`."""


class Found(NamedTuple):
    """An event of this identity is here, as `record`; `same`: with the same content."""

    same: bool
    record: str


class Kept(NamedTuple):
    """What is remembered of an event: what it says, its record, and when it was there (monotonic seconds)."""

    content: bytes
    record: str
    at: float


class Known:
    """Used in one event loop."""

    def __init__(
        self,
        verdicts_on: VerdictsOn,
        own_verdicts: OwnVerdicts,
        content_of: ContentOf,
        kept: int = KEPT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verdicts_on, self._own_verdicts, self._content_of = verdicts_on, own_verdicts, content_of
        self._asked = list[str]()
        self._answer: asyncio.Future[Verdicts] | None = None
        self._kept, self._clock = kept, clock
        self._recent = OrderedDict[bytes, Kept]()  # a dict looks for its first entry past all that have left

    def took(self, events: Sequence[Examined], records: Sequence[str | None]) -> None:
        """Remember events that are durable, and where; None: it is not known where."""
        recent, now = self._recent, self._clock()
        for event, record in zip(events, records, strict=True):
            if record is not None:
                recent[event.identity] = Kept(event.content, record, now)
        self._forget()

    def _forget(self) -> None:
        while len(self._recent) > self._kept:
            self._recent.popitem(last=False)

    async def look(self, agency: str, events: Sequence[Examined]) -> list[Found | None]:
        """For each event: what is known of it; None: nothing."""
        recent = self._recalled(agency, events)
        if not any(recent):
            verdicts = await self._told([event.identity.hex() for event in events])
            return await self._judged(agency, events, recent, verdicts) if verdicts else [None] * len(events)
        unsure = [e for e, kept in zip(events, recent, strict=True) if kept is None or kept.content != e.content]
        verdicts = await self._told([event.identity.hex() for event in unsure]) if unsure else {}
        return await self._judged(agency, events, recent, verdicts)

    def _told(self, ids: Sequence[str]) -> asyncio.Future[Verdicts]:
        """The verdicts on these, and maybe on others: what several ask in one turn of the event loop is one query,
        which costs hardly more than that of one event, and one answer. A gateway that stops cancels all who wait."""
        if self._answer is None:
            loop = asyncio.get_running_loop()
            self._asked, self._answer = [], loop.create_future()
            loop.call_soon(self._ask, self._asked, self._answer)
        self._asked += ids
        return self._answer

    def _ask(self, ids: list[str], answer: asyncio.Future[Verdicts]) -> None:
        self._answer = None
        if answer.done():
            return
        try:
            answer.set_result(self._now(ids))
        except Exception as error:
            answer.set_exception(error)

    def _now(self, ids: list[str]) -> Verdicts:
        try:
            return self._verdicts_on(ids)
        except NotReady:
            return {}

    def _recalled(self, agency: str, events: Sequence[Examined]) -> list[Kept | None]:
        """What is remembered of each. What was refused since is forgotten: sent again, it has to be judged again."""
        recent = [self._recent.get(event.identity) for event in events]
        if not any(recent):
            return recent
        same = [e for e, kept in zip(events, recent, strict=True) if kept and kept.content == e.content]
        refused = {id: self._refused(agency, id) for id in {event.id for event in same}}
        due = [e for e in same if self._clock() - self._recent[e.identity].at > VERDICT_SECONDS]
        verdicts = self._now([event.identity.hex() for event in due]) if due else {}
        gone = [e for e in same if self._recent[e.identity].record in refused[e.id]]
        gone += [e for e in due if _in_the_set(verdicts.get((agency, e.identity.hex()), ())) is None]
        for event in gone:
            self._recent.pop(event.identity, None)
        return [self._recent.get(event.identity) for event in events]

    def _refused(self, agency: str, id: str) -> frozenset[str]:
        """Records under that id of the agency that were refused, as far as is known."""
        try:
            verdicts = self._own_verdicts(agency, id)
        except NotReady:
            return frozenset()
        return frozenset(each.record for each in verdicts if each.value["verdict"] == "REJECTED")

    async def _judged(
        self, agency: str, events: Sequence[Examined], recent: Sequence[Kept | None], verdicts: Verdicts
    ) -> list[Found | None]:
        found, left = list[Found | None](), READ_BACK
        for event, kept in zip(events, recent, strict=True):
            applied = _in_the_set(verdicts.get((agency, event.identity.hex()), ()))
            same = _of_recent(event, kept)
            if same or applied is None:
                found.append(same)
            elif kept and kept.record == applied:
                found.append(Found(same=False, record=applied))
            elif left > 0:
                left -= 1
                found.append(await self._compared(event, applied))
            else:
                found.append(None)
        return found

    async def _compared(self, event: Examined, record: str) -> Found | None:
        """What Kafka says of the record that was applied."""
        try:
            content = await asyncio.to_thread(self._content_of, record)
        except Retry:
            return None
        if content is None:
            return None
        self._recent[event.identity] = Kept(content, record, self._clock())
        self._forget()
        return Found(content == event.content, record)


def _of_recent(event: Examined, kept: Kept | None) -> Found | None:
    return Found(same=True, record=kept.record) if kept and kept.content == event.content else None


def _in_the_set(verdicts: Sequence[Verdict]) -> str | None:
    """The record by which the event is in the ledger's set; or one that says the same."""
    by_verdict = {each.value["verdict"]: each.record for each in verdicts}
    return by_verdict.get("APPLIED") or by_verdict.get("DUPLICATE")
