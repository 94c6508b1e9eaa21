"""Versions of event types that are registered while a worker runs: looked for when a record names one.

An owner registers a version and publishes with it a moment later. A schema id that nobody here knows makes one look-up
of all that is registered. It begins after an agency has used the id, and whoever publishes has registered before: so
the id is found, if it is an event type's. What it costs is bounded, however many ids somebody makes up: it runs on a
thread, an id that was not there is not looked for again for a while, and an agency may have so many looked for and no
more. What one agency makes up says nothing of the ids of another, which may just have been given out.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

from hub.errors import Fatal, Retry
from hub.pipeline.readers import LookUp
from hub.pipeline.rulebook import Rulebook

log = structlog.get_logger(__name__)

BURST, EVERY_SECONDS = 10, 10.0
"""So many look-ups an agency may cause one after the other, and then one in so many seconds: types are released
together, each with its new id. What it uses beyond that is refused unseen."""

WANTED_IDS = 100
"""So many ids of one agency make up one look-up. What it uses beyond that is refused unseen as well."""

BEHIND_SECONDS, MISSED_SECONDS, MISSED_IDS = 2.0, 30.0, 10_000
"""How long, and how many of them, ids are remembered that were not there: at first for as long as a node of a registry
may be behind another one."""

Used = tuple[str, int]
"""An agency, and a schema id that it used; the ledger's own questions are nobody's."""

BETWEEN_SECONDS, AWAY_SECONDS = 0.2, 1.0
"""From the beginning of one look-up to that of the next; then where the registry has just not answered."""

ANSWER_SECONDS = 5.0
"""So long a batch waits for the registry's answer."""

PATIENCE_SECONDS = 30.0
"""So long a registry that is away holds the line, once: most are back by then, and nothing is lost. After that the
line goes on for everybody, and what names an unknown id is refused, to be sent again: a registry that is away for a
night must not keep every other agency's persons waiting. Where the broker is away itself, nothing is refused: a number
that comes back waits for an answer first, however long that was."""

GLANCE_SECONDS, AGAIN_SECONDS = 0.5, 5.0
"""How long a batch waits for a registry that has been away for longer, and how often one does."""

FORGET_SECONDS = 600.0
"""A registry that does not answer after so long without a question is away anew."""


@dataclass(eq=False)
class _Look:
    """A look-up, and for what; `task` tells whether it was answered."""

    wanted: list[Used] = field(default_factory=list)
    agencies: Counter[str] = field(default_factory=Counter)
    task: asyncio.Task[bool] = field(init=False)


class Versions:
    """Shared by the lanes of a worker; not by threads. `clock` is in seconds and goes on evenly."""

    def __init__(self, rules: Rulebook, look_up: LookUp, clock: Callable[[], float] = time.monotonic) -> None:
        self._rules, self._look_up, self._clock = rules, look_up, clock
        self._one_at_a_time = asyncio.Lock()
        self._next: _Look | None = None
        self._looks: dict[Used, _Look] = {}
        self._missed: dict[Used, float] = {}
        self._spent: dict[str, float] = {}
        self._began = self._failed = -math.inf
        self._away_since: float | None = None
        self._told = set[int]()
        self._tell()

    @property
    def away(self) -> bool:
        """Whether the registry did not answer when it was asked last."""
        return self._away_since is not None

    async def learned(self, unknown: Collection[Used], *, anew: bool = False) -> bool:
        """Whether one of these ids is known by now. Raises `Retry` where the registry does not answer and is waited
        for.

        `anew`: who asks has just started, perhaps after an outage of the broker, whose end is that of the registry's.
        """
        glance = self._given_up() and not anew
        if glance and (self._one_at_a_time.locked() or self._clock() - self._began < AGAIN_SECONDS):
            return any(self._known(id) for _, id in unknown)
        looks = {look for used in sorted(unknown) if (look := self._look_of(used))}
        seconds = GLANCE_SECONDS if glance else ANSWER_SECONDS
        if looks and not await self._answered(looks, seconds) and self._patient():
            raise Retry("the schema registry does not answer")
        return any(self._known(id) for _, id in unknown)

    async def wanted(self, id: int) -> None:
        """Returns once the id is known, which the gate has let through: there is nothing to refuse, and no limit.
        Raises `Fatal` where it is not registered."""
        since = self._clock()
        while not self._known(id):
            answered = await self._answered({self._planned(("", id))}, ANSWER_SECONDS)
            if not self._known(id):
                if answered and self._clock() - since > PATIENCE_SECONDS:  # no node is behind for so long
                    raise Fatal(
                        f"a record that passed the gate since the start names schema id {id}, which is of no event "
                        "type here: another worker has another catalogue; start all with the same one"
                    )
                await asyncio.sleep(AWAY_SECONDS)

    def _known(self, id: int) -> bool:
        return id in self._rules.gate_readers

    def _look_of(self, used: Used) -> _Look | None:
        """The look-up that will tell of the id; None where there is nothing to tell, or it is not looked for."""
        agency, id = used
        if self._known(id) or self._clock() < self._missed.get(used, -math.inf):
            return None
        return self._planned(used) if used in self._looks or self._may_ask(agency) else None

    def _may_ask(self, agency: str) -> bool:
        if self._next is not None and agency in self._next.agencies:
            return self._next.agencies[agency] < WANTED_IDS
        now = self._clock()
        spent = max(self._spent.get(agency, now), now)
        if spent - now > (BURST - 1) * EVERY_SECONDS:
            return False
        self._spent[agency] = spent + EVERY_SECONDS
        return True

    def _planned(self, used: Used) -> _Look:
        """The look-up for it that is under way, or the next one to begin."""
        under_way = self._looks.get(used)
        if under_way is not None:
            return under_way
        look = self._next
        if look is None:
            look = self._next = _Look()
            look.task = asyncio.create_task(self._run(look), name="versions")
        look.wanted.append(used)
        look.agencies[used[0]] += 1
        self._looks[used] = look
        return look

    async def _run(self, look: _Look) -> bool:
        try:
            async with self._one_at_a_time:
                pause = BETWEEN_SECONDS if self._away_since is None else AWAY_SECONDS
                await asyncio.sleep(self._began + pause - self._clock())
                self._next, self._began = None, self._clock()  # who asks from here on may want what this one misses
                answered = await self._asked([id for _, id in look.wanted])
        finally:
            if self._next is look:
                self._next = None
            for used in look.wanted:
                del self._looks[used]
        if answered:
            self._miss(look.wanted)
        else:
            self._give_back(look.agencies)
        return answered

    async def _asked(self, ids: Collection[int]) -> bool:
        try:
            found = await asyncio.to_thread(lambda: self._rules.learn(self._look_up(ids)))
        except Exception as error:  # of a client of Kafka, or of HTTP: each has its own
            self._unanswered(str(error) or type(error).__name__)
            return False
        if self._away_since is not None:
            log.info("the schema registry answers again")
        self._away_since = None
        for id, name in found.items():
            log.info("a version registered since the start is read from now on", type=name, schema_id=id)
        self._tell()
        return True

    def _tell(self) -> None:
        """Of what is registered and cannot be read here, once."""
        for id, name in self._rules.gate_readers.unreadable.items():
            if id not in self._told:
                self._told.add(id)
                log.warning("a registered version cannot be read: its id is unknown here", type=name, schema_id=id)

    async def _answered(self, looks: Collection[_Look], seconds: float) -> bool:
        done, late = await asyncio.wait([look.task for look in looks], timeout=seconds)
        if late:
            self._unanswered(f"no answer within {seconds} seconds")
        return not late and all(task.result() for task in done)

    def _unanswered(self, why: str) -> None:
        now = self._clock()
        if self._away_since is None or now - self._failed > FORGET_SECONDS:
            log.warning("the schema registry does not answer: unknown schema ids wait, then are refused", why=why)
            self._away_since = now
        elif self._patient() != (self._failed - self._away_since < PATIENCE_SECONDS):
            log.warning("the schema registry is still away: unknown schema ids are refused, to be sent again", why=why)
        self._failed = now

    def _patient(self) -> bool:
        return self._away_since is not None and self._clock() - self._away_since < PATIENCE_SECONDS

    def _given_up(self) -> bool:
        """Whether it has been away for long, and lately as well: then hardly anybody waits for it."""
        away = self._away_since is not None and not self._patient()
        return away and self._clock() - self._failed < PATIENCE_SECONDS

    def _give_back(self, agencies: Collection[str]) -> None:
        """What was not answered counts for nothing: while the registry is away there are few look-ups in any case."""
        for agency in agencies:
            if agency in self._spent:
                self._spent[agency] -= EVERY_SECONDS

    def _miss(self, wanted: Collection[Used]) -> None:
        for used in wanted:
            if not self._known(used[1]):
                again = self._missed.pop(used, None) is not None  # and so the oldest stay the first
                self._missed[used] = self._clock() + (MISSED_SECONDS if again else BEHIND_SECONDS)
        while len(self._missed) > MISSED_IDS:
            del self._missed[next(iter(self._missed))]
