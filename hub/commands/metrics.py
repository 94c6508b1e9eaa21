"""`hub metrics`: what is measured."""

from __future__ import annotations

from hub import metrics as known
from hub.commands.terminal import table


def metrics() -> None:
    """Every metric, its labels and what it says."""
    table(("metric", "labels", "what"), ((m.scraped, ", ".join(m.labels), m.help) for m in known.ALL))
