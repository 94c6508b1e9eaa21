"""The report of a run: what was sent, what of it the broker has, what the plan expects of the hub."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from hub.simulate.planned import Sort


@dataclass
class Report:
    """Grows during a run. Times in seconds; `behind` is how late the last record was sent, `behind_most` the latest.

    `expected`: (topic, partition) → offset → what was sent there; of acknowledged records only. `requests` went out,
    `answered` by providers, `returned` to whoever had asked.
    """

    seed: int
    rate: float
    duration: float | None
    sent: Counter[str] = field(default_factory=Counter)
    sorts: Counter[Sort] = field(default_factory=Counter)
    acknowledged: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    behind: float = 0.0
    behind_most: float = 0.0
    elapsed: float = 0.0
    answered: int = 0
    returned: int = 0
    providers_failed: str | None = None
    expected: dict[tuple[str, int], dict[int, Sort]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def requests(self) -> int:
        return self.sorts[Sort.REQUEST]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a program to read; seconds rounded to milliseconds."""
        return {
            "seed": self.seed,
            "rate": self.rate,
            "duration": self.duration,
            "elapsed": round(self.elapsed, 3),
            "sent": self.sent.total(),
            "acknowledged": self.acknowledged,
            "failed": dict(self.failed),
            "behind_seconds": round(self.behind, 3),
            "behind_seconds_most": round(self.behind_most, 3),
            "requests": self.requests,
            "answered": self.answered,
            "returned": self.returned,
            "providers_failed": self.providers_failed,
            "outcomes_planned": self.outcomes(),
            "by_agency": dict(sorted(self.sent.items())),
            "by_sort": {sort.value: self.sorts[sort] for sort in Sort if self.sorts[sort]},
        }

    def outcomes(self) -> dict[str, int]:
        """How often each outcome was planned: APPLIED, DUPLICATE, and a rejection by its code."""
        counted: Counter[str] = Counter()
        for sort, count in self.sorts.items():
            counted[(sort.code or sort.outcome).value] += count
        return dict(sorted(counted.items()))
