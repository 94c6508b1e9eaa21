"""The chart of a report: events/s of each side as bars, as an SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

WIDTH, ROW, LEFT, TOP, BAR = 760, 34, 150, 56, 20
COLOURS = {"hub": "#0b6e4f"}
OTHERS = "#8a97a6"
STYLE = "font-family:system-ui,sans-serif;font-size:13px;fill:#1f2933"


def write_chart(report: Mapping[str, Any], path: Path) -> None:
    path.write_text(chart(report))


def chart(report: Mapping[str, Any]) -> str:
    """SVG text; a side without a figure has its reason in place of a bar."""
    sides = report["sides"]
    most = max((side.get("events_per_second") or 0 for side in sides.values()), default=0) or 1
    rows = [_row(number, name, side, most) for number, (name, side) in enumerate(sides.items())]
    height = TOP + ROW * len(rows) + 12
    title = f"The same two-hop job, events/s of one process ({_where(report)})"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="16" y="28" style="{STYLE};font-weight:600">{title}</text>{"".join(rows)}</svg>\n'
    )


def _where(report: Mapping[str, Any]) -> str:
    broker = "Apache Kafka" if report["broker"] == "apache" else "embedded broker"
    return f"{broker} on the same {report['cores']} cores"


def _row(number: int, name: str, side: Mapping[str, Any], most: float) -> str:
    y, rate = TOP + ROW * number, side.get("events_per_second")
    label = f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end" style="{STYLE}">{name}</text>'
    if not rate:
        reason = str(side.get("reason") or "not run")[:70].replace("&", "&amp;").replace("<", "&lt;")
        return f'{label}<text x="{LEFT}" y="{y + 15}" style="{STYLE}">{reason}</text>'
    width = max(1.0, (WIDTH - LEFT - 225) * rate / most)
    colour = COLOURS.get(name, OTHERS)
    figures = f"{rate:,.0f} · {side['cpu_us']:.0f} µs CPU an event".replace(",", " ")
    bar = f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{colour}"/>'
    return f'{label}{bar}<text x="{LEFT + width + 8:.1f}" y="{y + 15}" style="{STYLE}">{figures}</text>'
