"""The live page of a terminal: who sends, who receives, how far behind, what is refused and why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from hub.catalogue import Catalogue
from hub.machine.scrape import Seen

RATE_SECONDS = 5.0


class Page:
    """Fed with what was scraped, once a second; drawn by rich."""

    def __init__(self, catalogue: Catalogue, title: str, duration: float | None) -> None:
        self._catalogue, self._title, self._duration = catalogue, title, duration
        self._began = time.monotonic()
        self._history: list[tuple[float, Seen]] = []
        self.phase = "running"
        self.restarts = 0

    def feed(self, seen: Seen) -> None:
        """Take in one more look; rates are over the last five seconds."""
        now = time.monotonic()
        self._history = [(at, one) for at, one in self._history if now - at <= RATE_SECONDS] + [(now, seen)]

    def draw(self, height: int) -> RenderableType:
        """The page for a terminal of that many lines."""
        if not self._history:
            return Text("…")
        return Panel(
            Group(self._head(), self._table(max(4, height - 14)), self._refusals()),
            title=self._title,
            border_style="cyan",
        )

    def _head(self) -> RenderableType:
        now, seen = self._history[-1]
        lag = max(seen.lag.values(), default=0.0)
        refused = sum(seen.refused.values())
        line = Text.assemble(
            ("in ", "dim"), f"{self._rate('accepted'):,.0f}/s   ",
            ("out ", "dim"), f"{self._rate('delivered'):,.0f}/s   ",
            ("lag ", "dim"), (f"{lag:.1f} s   ", "red" if lag > 5 else "green"),
            ("accepted ", "dim"), f"{sum(seen.accepted.values()):,.0f}   ",
            ("applied ", "dim"), f"{sum(seen.applied.values()):,.0f}   ",
            ("duplicate ", "dim"), f"{sum(seen.duplicate.values()):,.0f}   ",
            ("refused ", "dim"), (f"{refused:,.0f}   ", "yellow" if refused else ""),
            ("delivered ", "dim"), f"{sum(seen.delivered.values()):,.0f}",
        )  # fmt: skip
        state = Text(f"{self.phase}   worker {'up' if 'worker' in seen.up else 'DOWN'}", style="dim")
        if self.restarts:
            state.append(f"   restarts {self.restarts}", style="red")
        if self._duration is None:
            return Group(line, state)
        bar = Progress(TextColumn("{task.description}"), BarColumn(bar_width=40), TextColumn("{task.percentage:.0f} %"))
        bar.add_task("time", total=self._duration, completed=int(min(now - self._began, self._duration)))
        return Group(line, state, bar)

    def _table(self, rows: int) -> Table:
        _, seen = self._history[-1]
        table = Table(expand=True, header_style="bold", box=None)
        table.add_column("agency", no_wrap=True)
        table.add_column("", no_wrap=True, ratio=1, overflow="ellipsis")
        for name in ("in/s", "in", "out/s", "out", "lag s", "refused"):
            table.add_column(name, justify="right", no_wrap=True)
        for code in self._busiest(seen)[:rows]:
            refused = sum(count for (agency, _), count in seen.refused.items() if agency == code)
            table.add_row(
                code,
                self._catalogue.agencies[code].name.az,
                f"{self._rate('accepted', code):.0f}",
                f"{seen.accepted.get(code, 0):,.0f}",
                f"{self._rate('delivered', code):.0f}",
                f"{seen.delivered.get(code, 0):,.0f}",
                f"{seen.lag.get(f'in.{code}', 0.0):.1f}",
                Text(f"{refused:,.0f}", style="yellow" if refused else "dim"),
            )
        hidden = len(self._catalogue.agencies) - rows
        if hidden > 0:
            table.caption = f"and {hidden} agencies with less traffic"
        return table

    def _refusals(self) -> RenderableType:
        _, seen = self._history[-1]
        codes: Counter[str] = Counter()
        for (_, code), count in seen.refused.items():
            codes[code] += int(count)
        told = "   ".join(f"{code} {count}" for code, count in codes.most_common())
        return Text.assemble(("refused by reason  ", "dim"), told or "none")

    def _busiest(self, seen: Seen) -> Sequence[str]:
        def traffic(code: str) -> float:
            return seen.accepted.get(code, 0) + seen.delivered.get(code, 0)

        return sorted(self._catalogue.agencies, key=lambda code: (-traffic(code), code))

    def _rate(self, what: str, agency: str | None = None) -> float:
        (first, old), (last, new) = self._history[0], self._history[-1]
        if last <= first:
            return 0.0
        return max(0.0, (_total(getattr(new, what), agency) - _total(getattr(old, what), agency)) / (last - first))


def _total(counts: Mapping[str, float], agency: str | None) -> float:
    return sum(counts.values()) if agency is None else counts.get(agency, 0.0)
