"""What the hub answers, as values. `raw` is the answer as it came, with what is newer than this client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one event published: `accepted` is durable, `duplicate` was there before, `rejected` says why."""

    id: str
    status: str
    code: str | None = None
    detail: str | None = None
    pointer: str | None = None
    fix: str | None = None
    raw: Raw = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the hub has it."""
        return self.status in ("accepted", "duplicate")

    @classmethod
    def of(cls, item: Raw) -> Outcome:
        code, detail, pointer, fix = (item.get(name) for name in ("code", "detail", "pointer", "fix"))
        return cls(str(item.get("id")), str(item["status"]), code, detail, pointer, fix, item)


@dataclass(frozen=True, slots=True)
class Story:
    """What became of one id of yours. `events` has several where it was used for several persons."""

    id: str
    events: Sequence[Raw]
    in_flight: Sequence[str]
    raw: Raw = field(default_factory=dict, repr=False)

    @property
    def state(self) -> str:
        """`applied`, `duplicate`, `rejected`; `in flight` before the first verdict; `mixed` where they differ."""
        states = {str(event["state"]) for event in self.events}
        return "in flight" if not states else states.pop() if len(states) == 1 else "mixed"

    @classmethod
    def of(cls, raw: Raw) -> Story:
        return cls(raw["id"], raw["events"], raw.get("in_flight", ()), raw)


@dataclass(frozen=True, slots=True)
class Receipts:
    """A page of receipts; `next` goes on after it. Keep `next` after you have kept the receipts."""

    receipts: Sequence[Raw]
    next: str
    more: bool

    @classmethod
    def of(cls, raw: Raw) -> Receipts:
        return cls(raw["receipts"], raw["next"], raw["more"])


@dataclass(frozen=True, slots=True)
class Status:
    """A person's status as far as you may see it; `pending`: your event `after` is not in it yet."""

    as_of: str
    statuses: Sequence[Raw]
    pending: bool
    raw: Raw = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Raw) -> Status:
        return cls(raw["as_of"], raw["statuses"], raw.get("pending", False), raw)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the hub takes you for."""

    agency: str
    raw: Raw = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Raw) -> Identity:
        found = raw["agency"]
        return cls(found["code"] if isinstance(found, Mapping) else found, raw)
