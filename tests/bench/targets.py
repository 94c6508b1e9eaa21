"""What the hub promises of its speed, beside what was measured: met, missed, or not measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple


class Target(NamedTuple):
    """`least`: the figure has to reach the bound, else it must not pass it."""

    name: str
    bound: float
    least: bool
    figure: float | None

    def plain(self) -> dict[str, Any]:
        verdict = None if self.figure is None else self.met
        return {"name": self.name, "bound": self.bound, "figure": self.figure, "met": verdict}

    @property
    def met(self) -> bool:
        assert self.figure is not None
        return self.figure >= self.bound if self.least else self.figure <= self.bound


RATIOS = {"confluent_loop": 1.5, "quixstreams": 4.0, "faust": 20.0, "faststream": 20.0}


def ratios(sides: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """The hub's events/s divided by each peer's; of Kafka Streams its CPU an event divided by the hub's."""
    found = {name: divided(sides, "hub", name, "events_per_second") for name in RATIOS}
    found["kafka_streams_cpu"] = divided(sides, "kafka_streams", "hub", "cpu_us")
    return {name: found[name] for name in ("confluent_loop", "kafka_streams_cpu", "quixstreams", "faust", "faststream")}


def divided(sides: Mapping[str, Mapping[str, Any]], above: str, below: str, figure: str) -> float | None:
    """The median of the ratios of runs that followed one another: a machine's own pace changes between rounds.

    None where one of the two could not run.
    """
    over, under = (sides.get(name, {}).get(f"each_{figure}") for name in (above, below))
    if not over or not under:
        return None
    return round(statistics.median(ours / theirs for ours, theirs in zip(over, under, strict=True)), 3)


def targets(report: Mapping[str, Any]) -> list[Target]:
    """Every line of the promise, from what this run measured."""
    found, latency = report["ratios"], report.get("latency", {})
    rows = [Target(f"events/s, hub : {name}", bound, True, found.get(name)) for name, bound in RATIOS.items()]
    rows.append(Target("CPU an event, Kafka Streams : hub", 1.0, True, found.get("kafka_streams_cpu")))
    slow, half = latency.get("hub", {}).get("1000"), latency.get("hub", {}).get("half")
    rows += [
        Target("p50 ms at 1 000/s", 40, False, _of(slow, "p50")),
        Target("p99 ms at 1 000/s", 100, False, _of(slow, "p99")),
        Target("p99 ms at half of the maximum", 250, False, _of(half, "p99")),
    ]
    for rate in ("1000", "half"):
        for name in ("p50", "p99"):
            ours, theirs = (_of(latency.get(side, {}).get(rate), name) for side in ("hub", "kafka_streams"))
            figure = round(ours / theirs, 3) if ours and theirs else None
            rows.append(Target(f"{name} at {rate}, hub : Kafka Streams", 1.0, False, figure))
    return rows + _scaling(report.get("scaling", {}))


def _scaling(scaling: Mapping[str, Any]) -> list[Target]:
    persons, agencies = scaling.get("persons", {}), scaling.get("agencies", {})
    fairness, soak = scaling.get("fairness", {}), scaling.get("soak", {})
    return [
        Target("CPU an event, many : few persons", 1.2, False, persons.get("cpu_ratio")),
        Target("bytes a person", 800, False, persons.get("bytes_per_person")),
        Target("bytes an event remembered", 120, False, persons.get("bytes_per_event")),
        Target("seconds to rebuild the state", 30, False, persons.get("rebuild_seconds")),
        Target("ms the event loop waited for the rebuild at the most", 100, False, persons.get("longest_turn_ms")),
        Target("CPU a delivered event, 31 : 2 agencies", 1.2, False, agencies.get("cpu_ratio")),
        Target("memory grown in a soak : what its persons and events may take", 1.0, False, soak.get("of_allowed")),
        Target("p99 live, with : without a backfill of 76 000", 1.5, False, fairness.get("ratio")),
    ]


def _of(latency: Mapping[str, Any] | None, name: str) -> float | None:
    value: float | None = (latency or {}).get(name)
    return value
