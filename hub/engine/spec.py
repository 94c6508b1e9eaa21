"""What a lane is made of, and what all lanes of a worker share."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from hub.engine.backlog import Lag
from hub.engine.notes import Notes
from hub.engine.taking import Ahead
from hub.engine.versions import Versions
from hub.event import Record, Rejection, Result
from hub.kafka.connection import Connection
from hub.pipeline.restore import Restoring
from hub.pipeline.rulebook import Rulebook


class Step(Protocol):
    """A pure step over a batch; see `hub.pipeline.gate` and `hub.pipeline.ledger`."""

    def __call__(self, state: Mapping[bytes, bytes], records: Sequence[Record]) -> Result: ...
    def refuse(self, record: Record, rejection: Rejection) -> Result: ...


Restore = Callable[[], Restoring]
"""Begins to take a state back from the records of a state topic."""


class Progress(NamedTuple):
    """How far a number's rebuild is: of `total` records as many as `done` are state again, at that pace."""

    done: float
    total: int
    per_second: float

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.done / self.total if self.total else 1.0


class Observer(Protocol):
    """Told what happened, after it is true. Never asked."""

    def timed(self, step: str) -> AbstractContextManager[None]: ...
    def committed(self, lane: str, result: Result) -> None: ...
    def behind(self, group: str, lags: Mapping[Any, Lag]) -> None: ...  # of all partitions that are the group's here
    def restarted(self, lane: str, reason: str) -> None: ...
    def broker(self, lane: str, up: bool) -> None: ...
    def rebuilding(self, lane: str, number: int, progress: Progress | None) -> None: ...  # None: given up
    def paused(self, agency: str, holds: bool) -> None: ...


@dataclass(frozen=True)
class LaneSpec:
    """A step over partition numbers: of `topics`, in consumer group `group`, writing to `outputs`.

    A step with state keeps it in `state_topic`, from which `restore` takes it back.
    """

    name: str
    group: str
    topics: tuple[str, ...]
    outputs: tuple[str, ...]
    step: Step
    state_topic: str | None = None
    restore: Restore | None = None
    fair: bool = False
    """Whether its topics belong to different agencies, none of which may wait behind another's backfill."""
    seldom_audits: bool = False
    """Whether its entries in the audit are rare: the end of their chain is noted in `state.hub`, or each start would
    search all that others have written since."""


@dataclass(frozen=True)
class Runtime:
    """Shared by the lanes of one worker. `hub` names this hub towards the broker; `clock` is in milliseconds; `ends`
    tells where each partition of `events.*` ended when this process started.

    `me` names this process, and no other that ever was.
    """

    hub: str
    connection: Connection
    rules: Rulebook
    observer: Observer
    clock: Callable[[], int]
    notes: Notes
    versions: Versions
    ends: Mapping[tuple[str, int], int]
    batch_records: int
    refusals_in_a_row: int
    me: str = field(default_factory=lambda: secrets.token_hex(8))
    ahead: Ahead = field(default_factory=Ahead)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of the numbers that rebuild, one at a time does: the first ones carry while the others wait for theirs."""
