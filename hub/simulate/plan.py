"""The plan of a run: every record that agencies send, in the order of its time, from a seed.

Pure: the same arguments give the same records. What happens meanwhile at the broker changes nothing here; only
answers to requests (`answers.py`) come on top.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count
from random import Random
from typing import NamedTuple

from hub.catalogue import Catalogue
from hub.simulate.desk import Desk, Form, Written, forms_of, run_tag
from hub.simulate.mishaps import Bench, spoil
from hub.simulate.people import Population
from hub.simulate.planned import DEFAULT_SHARES, MALFORMED, Draft, Planned, Shares, Sort
from hub.simulate.stories import STORIES, TOLD, Drafts, World, request
from hub.simulate.vary import conflict, contradictory, duplicate, late

DAY_MS = 86_400_000
BULK_BEGINS = 0.35
"""Part of the run that has passed when the wave comes."""
BULK_LATEST = 30.0
"""Seconds after which it comes in a long run, or one without end."""
BULK_SPEED = 4
"""How many times faster than the run's rate the wave comes."""
PERSONS_MOST = 50_000
KEPT = 512
"""Good events of which variations are made."""
OPEN_STORIES = 400

VARIATIONS = {
    Sort.DUPLICATE: duplicate,
    Sort.LATE: late,
    Sort.CONTRADICTORY: contradictory,
    Sort.CONFLICT: conflict,
}


def plan(
    catalogue: Catalogue,
    ids: Mapping[str, int],
    *,
    seed: int,
    rate: float,
    duration: float | None,
    start: int,
    shares: Shares = DEFAULT_SHARES,
) -> Iterator[Planned]:
    """Records by time. `ids`: registered schema id by event type; `rate` in records/s, `duration` in seconds (None:
    without end), `start` in milliseconds since 1970: what agencies write is dated from there."""
    forms = forms_of(catalogue, ids)
    wave = _wave(rate, duration, shares)
    live = rate if duration is None else (round(rate * duration) - wave.size) / duration
    daily = _Daily(catalogue, forms, seed, start, live, shares)
    return heapq.merge(
        daily.records(duration), _bulk(catalogue, forms, seed, start, wave), key=lambda planned: planned.at
    )


class _Wave(NamedTuple):
    """`size` records from `begins` (seconds) on, `speed` a second."""

    begins: float
    size: int
    speed: float


def _wave(rate: float, duration: float | None, shares: Shares) -> _Wave:
    begins = BULK_LATEST if duration is None else min(BULK_LATEST, duration * BULK_BEGINS)
    of = rate * (begins if duration is None else duration)
    return _Wave(begins, min(shares.bulk_most, int(of * min(shares.bulk, 0.25))), rate * BULK_SPEED)


def _bulk(catalogue: Catalogue, forms: Mapping[str, Form], seed: int, start: int, wave: _Wave) -> Iterator[Planned]:
    """One agency brings in its paper files at once."""
    rng, tag = Random(f"bulk {seed}"), f"{run_tag(seed, start)}b"
    # Persons of its own: nobody of the daily stories is in the files.
    population = Population(seed + 1_000_003, wave.size, tuple(catalogue.districts))
    world = World(catalogue, population, rng, tag, start // DAY_MS)
    desk, by = Desk(forms, population, rng, tag, start), world.publisher("VeteranStatusGranted")
    for i in range(wave.size if by else 0):
        draft = world.tell(
            "VeteranStatusGranted", population[i], by, document_number=world.number("B"), valid_until=None,
            effective_from=world.ago(300, 9000),
        )  # fmt: skip
        if draft:
            yield desk.write(draft, wave.begins + i / wave.speed, Sort.BULK).planned


class _Daily:
    """The run without its wave: stories side by side, and what goes wrong with some of it."""

    def __init__(
        self, catalogue: Catalogue, forms: Mapping[str, Form], seed: int, start: int, rate: float, shares: Shares
    ) -> None:
        self._rng, self._rate, self._shares = Random(f"daily {seed}"), rate, shares
        tag = run_tag(seed, start)
        population = Population(seed, min(PERSONS_MOST, int(rate * 30)), tuple(catalogue.districts))
        self._world = World(catalogue, population, self._rng, tag, start // DAY_MS)
        self._desk = Desk(forms, population, self._rng, tag, start)
        self._bench = Bench(self._desk, tuple(catalogue.agencies))
        self._kept: deque[Written] = deque(maxlen=KEPT)
        self._open: list[Drafts] = []
        self._first = deque(self._one_of_each())

    def records(self, duration: float | None) -> Iterator[Planned]:
        for i in count() if duration is None else range(round(self._rate * duration)):
            at = i / self._rate
            yield self._special(at) or self._good(at)

    def _special(self, at: float) -> Planned | None:
        """A variation of what was sent, a spoiled record, or a request, each in its share; else None."""
        s, draw = self._shares, self._rng.random()
        ladder = (
            (Sort.DUPLICATE, s.duplicate), (Sort.LATE, s.late), (Sort.CONTRADICTORY, s.contradictory),
            (Sort.CONFLICT, s.conflict), (Sort.UNAUTHORISED, s.unauthorised), (Sort.WRONG_SOURCE, s.wrong_source),
            (Sort.TOO_LARGE, s.too_large), (Sort.TRUNCATED, s.malformed), (Sort.REQUEST, s.request),
        )  # fmt: skip
        for sort, share in ladder:
            if draw < share:
                return self._of_sort(sort, at)
            draw -= share
        return None

    def _of_sort(self, sort: Sort, at: float) -> Planned | None:
        if sort is Sort.REQUEST:
            draft = next(request(self._world), None)
            return self._keep(self._desk.write(draft, at, sort)) if draft else None
        if sort in VARIATIONS:
            written = VARIATIONS[sort](self._kept, self._desk, at)
            return self._keep(written) if written else None
        return self._spoiled(self._rng.choice(MALFORMED) if sort is Sort.TRUNCATED else sort, at)

    def _spoiled(self, sort: Sort, at: float) -> Planned | None:
        """A bad event about somebody of whom a good one was sent; a few tries find a type that it can be."""
        for _ in range(8):
            if not self._kept:
                return None
            like = self._rng.choice(self._kept)
            found = spoil(self._desk.write(like.draft, at, counted=False), sort, self._bench)
            if found:
                return found
        return None

    def _good(self, at: float) -> Planned:
        return self._keep(self._desk.write(self._next_draft(), at))

    def _keep(self, written: Written) -> Planned:
        if written.planned.sort.code is None and written.planned.sort is not Sort.DUPLICATE:
            self._kept.append(written)
        return written.planned

    def _next_draft(self) -> Draft:
        """First every story once in full, so that a short run shows every type; then those open, or a new one."""
        if self._first:
            return self._first.popleft()
        while True:
            if len(self._open) >= OPEN_STORIES or (self._open and self._rng.random() < 0.6):
                at = self._rng.randrange(len(self._open))
            else:
                at = len(self._open)
                self._open.append(self._rng.choices(list(STORIES), list(STORIES.values()))[0](self._world))
            for draft in self._open[at]:
                if draft:
                    return draft
            self._open[at] = self._open[-1]
            self._open.pop()

    def _one_of_each(self) -> Iterator[Draft]:
        """Every story in full, then one event of each type that no story tells of."""
        self._world.thorough = True
        told = set(TOLD)
        for draft in (draft for story in STORIES for draft in story(self._world) if draft):
            told.add(draft.type.rpartition(".")[2])
            yield draft
        self._world.thorough = False
        for name in self._world.catalogue.types:
            untold = None if name.rpartition(".")[2] in told else self._world.tell_of(name)
            if untold:
                yield untold
