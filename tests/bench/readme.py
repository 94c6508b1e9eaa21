"""The figures in README: a table between its two marks, and the chart beside this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.chart import write_chart
from bench.show import ABSENT, COLUMNS
from bench.targets import divided

ROOT = Path(__file__).parents[2]
CHART = Path(__file__).parent / "figures.svg"
BEGIN, END = "<!-- figures: make bench -->\n", "<!-- end of figures -->\n"


def write_readme(report: Mapping[str, Any], readme: Path = ROOT / "README.md", chart: Path = CHART) -> None:
    """Raises `ValueError` where the marks are not there."""
    text = readme.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{readme} has no place for the figures")
    write_chart(report, chart)
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    readme.write_text(before + BEGIN + "\n".join(_lines(report)) + "\n" + after)


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield "| side | events/s | CPU µs an event | broker's | MiB | hub : it | p50 / p99 ms at 1 000/s | at half |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, side in report["sides"].items():
        cells = [form.format(side[key]).replace(",", " ") if side.get(key) else ABSENT for key, form in COLUMNS.items()]
        ratio = divided(report["sides"], "hub", name, "events_per_second")
        waits = [_wait(report["latency"].get(name, {}).get(label)) for label in ("1000", "half")]
        yield f"| {' | '.join([name, *cells, f'{ratio:.2f}' if ratio else ABSENT, *waits])} |"


def _wait(row: Mapping[str, Any] | None) -> str:
    return f"{row['p50']:.0f} / {row['p99']:.0f}" if row and row.get("p50") else ABSENT
