"""Company: what the numbers of a lane read while a transaction is under way travels together in the next one.

    records → wait for the road → step → aboard → once all are aboard who waited: one transaction → each applies its own

A transaction costs the broker some milliseconds however small it is, and those of one lane wait for each other there:
four numbers that travel together take half to two thirds as long as four that take turns.

It is made under the transactional id of one of them, and the offsets of all are given as a member of the group
(`hub.kafka.member`): who has any of the numbers next waits until what becomes of it is decided, and a worker that the
group has given up commits for none of them. A large batch, one beside a backfill, the first one after a start, and one
whose producer has to commit anew go alone, each under its own number's id. Nobody is aboard who has not started under
the id of its own number, so that where its epochs follow one another, nobody else has carried it in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import TopicPartition

from hub.engine.transaction import Transactions
from hub.event import Row
from hub.kafka.member import Member

SMALL = 500
"""Records. A larger batch has company enough."""

ROWS = 32_000
"""A transaction has about so many outputs at the most: those of events with many receivers take memory, and hold the
event loop, as those of more events with few."""

WAIT_SECONDS = 0.1
"""Nobody waits longer for the road: a commit may hang for many seconds where one broker of several is away."""

BOARDING_SECONDS = 0.02
"""Nor for one who has a place and does not come: its step may wait for the registry."""


class Cargo(NamedTuple):
    """What one number commits, and the producer under whose id it may go."""

    producer: Transactions
    outputs: Iterable[Row]
    offsets: Mapping[TopicPartition, int]


class Company:
    """Shared by the numbers that a lane was given in one generation of its group; not by threads."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.boarding: _Trip | None = None
        self.road = asyncio.Event()
        self.road.set()

    @asynccontextmanager
    async def turn(self, records: int, rows: int, *, alone: bool = False) -> AsyncIterator[Seat]:
        """A seat, once a batch of so many records, with about so many outputs, may be stepped and committed; `alone`,
        at once."""
        seat = Seat(None if alone or records >= SMALL else await self._place(rows))
        try:
            yield seat
        finally:
            seat.leave()

    async def _place(self, rows: int) -> _Trip | None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not self.road.is_set():
                    await self.road.wait()
        except TimeoutError:
            return None
        if self.boarding is None:
            self.boarding = _Trip(self)
        return self.boarding if self.boarding.expect(rows) else None


class Seat:
    """A number's place in a transaction, for one batch."""

    def __init__(self, trip: _Trip | None) -> None:
        self._trip = trip

    async def commit(self, cargo: Cargo) -> None:
        """As `Transactions.commit`; what is committed after the first goes alone."""
        trip, self._trip = self._trip, None
        if trip is None or not trip.boarding:
            await cargo.producer.commit(cargo.outputs, cargo.offsets)
        else:
            await trip.board(cargo)

    def leave(self) -> None:
        trip, self._trip = self._trip, None
        if trip is not None:
            trip.leave()


class _Trip:
    """One transaction of all who are aboard when it begins."""

    def __init__(self, company: Company) -> None:
        self.boarding = True
        self._company, self._loop = company, asyncio.get_running_loop()
        self._expected, self._rows, self._aboard = 0, 0, list[Cargo]()
        self._arrival: asyncio.Future[None] = self._loop.create_future()
        self._departure: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def expect(self, rows: int) -> bool:
        """Whether there is room for somebody with so many outputs, who is waited for then."""
        if self._rows and self._rows + rows > ROWS:
            return False
        self._expected, self._rows = self._expected + 1, self._rows + rows
        return True

    def leave(self) -> None:
        """One less is waited for."""
        self._expected -= 1
        self._loop.call_soon(self._look)  # who woke beside this one may not have its place yet

    async def board(self, cargo: Cargo) -> None:
        """Returns once it is committed. Who is cancelled once it is under way ends it for all: its outcome may be
        either."""
        self._aboard.append(cargo)
        if self._departure is None:
            self._departure = self._loop.call_later(BOARDING_SECONDS, self._depart)
        self.leave()
        try:
            await asyncio.shield(self._arrival)
        except asyncio.CancelledError:
            if self._task is not None:
                self._task.cancel()
            else:
                self._aboard.remove(cargo)
            raise

    def _look(self) -> None:
        if not self._expected:
            self._depart()

    def _depart(self) -> None:
        if not self.boarding:
            return
        self.boarding, self._company.boarding = False, None
        if self._departure is not None:
            self._departure.cancel()
        if self._aboard:
            self._company.road.clear()
            self._task = self._loop.create_task(self._travel())
            self._task.add_done_callback(self._arrived)

    async def _travel(self) -> None:
        outputs = [row for cargo in self._aboard for row in cargo.outputs]
        offsets = {tp: offset for cargo in self._aboard for tp, offset in cargo.offsets.items()}
        leader = min(self._aboard, key=lambda cargo: cargo.producer.id).producer
        await leader.commit(outputs, offsets)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._company.road.set()
        if task.cancelled():
            self._arrival.cancel()
        elif error := task.exception():
            self._arrival.set_exception(error)
        else:
            self._arrival.set_result(None)
