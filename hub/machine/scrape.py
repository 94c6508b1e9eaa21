"""Reads the metrics of the hub's processes, as any Prometheus would."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families


@dataclass(slots=True)
class Seen:
    """Totals at one moment. By agency; `refused` by (agency, code); `lag` in seconds, the worst group's."""

    accepted: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    applied: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    duplicate: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    delivered: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    refused: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    lag: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    up: set[str] = field(default_factory=set)


def scrape(ports: Mapping[str, int]) -> Seen:
    """The totals of all processes that answer; `ports` by process name."""
    seen = Seen()
    for name, port in ports.items():
        text = _fetch(port)
        if text is not None:
            seen.up.add(name)
            _take(seen, text)
    return seen


def _fetch(port: int) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return None


def _take(seen: Seen, text: str) -> None:
    by_agency = {
        "hub_events_accepted_total": seen.accepted,
        "hub_events_applied_total": seen.applied,
        "hub_events_duplicate_total": seen.duplicate,
    }
    for name, labels, value in _samples(text):
        if name in by_agency:
            by_agency[name][labels["agency"]] += value
        elif name == "hub_events_rejected_total":
            seen.refused[labels["agency"], labels["code"]] += value
        elif name == "hub_delivery_total" and labels["outcome"] == "delivered":
            seen.delivered[labels["agency"]] += value
        elif name == "hub_lag_seconds":
            topic = labels["topic"]
            seen.lag[topic] = max(seen.lag[topic], value)


def _samples(text: str) -> Iterable[tuple[str, Mapping[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
