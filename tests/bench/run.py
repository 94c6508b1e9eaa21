"""The hub beside others, on one broker, in one run: throughput, CPU, memory, latency, scaling.

    make bench ARGS="--quick --json"

Every side gets the same bytes and must first give the same projections. Figures are of the second half of each run,
medians over interleaved runs. Machines differ: compare ratios of one run, never a figure with another machine's.
Progress goes to stderr; the report to `--output`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.chart import write_chart
from bench.contenders import BY_NAME, SIDES
from bench.events import PERSONS, SCHEMAS
from bench.in_memory import cost_of_parts
from bench.latency import measure_latency
from bench.readme import write_readme
from bench.room import Room, opened
from bench.scaling import measure_scaling
from bench.show import show
from bench.targets import ratios, targets
from bench.throughput import PARITY_EVENTS, measure, same_job

PARITY_PERSONS = 25
"""Enough for every partition to get some: Faust's outputs for a partition stay uncommitted until it reads one there."""
BUDGET = {"quick": 460.0, "full": 3600.0}
"""Seconds. What there is no time left for is reported as not measured."""
SOAK_SHARE = 1.5
"""A soak is asked for by name and comes on top: its minutes, and what its slices need to begin and to end."""
LATENCY_SECONDS = 90.0
"""Kept for the open loops, which come last: by then the broker has compiled its way of small transactions."""


def main() -> None:
    options, began = _options(), time.monotonic()
    budget = BUDGET["quick" if options.quick else "full"] + SOAK_SHARE * 60 * options.soak

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", file=sys.stderr, flush=True)

    def left() -> float:
        return budget - (time.monotonic() - began)

    with tempfile.TemporaryDirectory(prefix="bench-") as folder, opened(Path(folder)) as room:
        report = _measured(room, options, say, left)
    report["seconds"] = round(time.monotonic() - began)
    _hand_over(report, options)


def _measured(room: Room, options: argparse.Namespace, say: Callable[[str], None], left: Any) -> dict[str, Any]:
    sides = [side for side in SIDES if side.name in options.sides.split(",")]
    report: dict[str, Any] = {"broker": room.broker, "cores": os.cpu_count(), "machine": platform.machine()}
    report |= {"quick": options.quick, "events": options.events, "persons": PERSONS}
    say(f"broker: {room.broker}; do all sides do the same job?")
    room.tell(room.prepare_hub(SCHEMAS))
    room.load("in.src", PARITY_EVENTS, PARITY_PERSONS)
    same = same_job(room, sides, "in.src", say)
    room.delete(["in.src"])
    room.prepare_hub(SCHEMAS)
    say(f"loaded: {room.load('in.src', options.events, PERSONS):,} records")
    able = [side for side in sides if same[side.name] is None]
    found = measure(room, able, options.events, PERSONS, options.runs, options.seconds, say)
    report["sides"] = {name: figures.plain() | {"same_job": True} for name, figures in found.items()}
    for side in sides:
        if same[side.name] is not None:
            report["sides"][side.name] = {"same_job": False, "reason": same[side.name], "guarantees": side.guarantees}
    report["ratios"] = ratios(report["sides"])
    kept = 0.0 if options.no_latency else LATENCY_SECONDS
    report["scaling"] = measure_scaling(room, options, report, say, lambda: left() - kept)
    report["latency"] = _latencies(room, options, report["sides"], say, left)
    report["parts_us"] = cost_of_parts()
    report["targets"] = [target.plain() for target in targets(report)]
    return report


def _latencies(
    room: Room, options: argparse.Namespace, sides: dict[str, Any], say: Callable[[str], None], left: Any
) -> dict[str, Any]:
    """For the hub and Kafka Streams, at 1 thousand/s and at half of the hub's maximum, on a broker that is warm."""
    found: dict[str, Any] = {}
    highest = sides.get("hub", {}).get("events_per_second")
    for name in () if options.no_latency or highest is None else ("hub", "kafka_streams"):
        if not sides.get(name, {}).get("events_per_second"):
            continue
        rates, void = {"1000": 1000.0, "half": highest / 2}, "no time left"
        if left() > options.warm + len(rates) * options.latency + 20:
            try:
                latencies = measure_latency(room, BY_NAME[name], rates, options.latency, options.warm, say)
                found[name] = {label: latency.plain() for label, latency in latencies.items()}
                continue
            except ValueError as error:
                void = str(error)
        found[name] = {label: {"void": void} for label in rates}
    return found


def _hand_over(report: dict[str, Any], options: argparse.Namespace) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    write_chart(report, options.output / "bench.svg")
    if options.readme:
        write_readme(report)
    show(report)
    print(f"report and chart: {options.output}/bench.json, bench.svg", file=sys.stderr)
    if options.json:
        print(json.dumps(report, ensure_ascii=False))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under 8 minutes; smaller figures of scale")
    parser.add_argument("--json", action="store_true", help="end with the report as one line")
    parser.add_argument("--events", type=int, help="different events of the throughput runs")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sides", default=",".join(side.name for side in SIDES))
    parser.add_argument("--scaling", default="workers,agencies,persons,fairness", help="which; '' for none")
    parser.add_argument("--no-latency", action="store_true", help="leave the open loops out")
    parser.add_argument("--soak", type=float, default=0, help="minutes at half load, memory watched")
    parser.add_argument("--output", type=Path, default=Path("data/bench"))
    parser.add_argument("--readme", action="store_true", help="write README's table and chart anew")
    options = parser.parse_args()
    options.events = options.events or (120_000 if options.quick else 400_000)
    options.seconds = 6.0 if options.quick else 40.0  # for a side that would not reach its events
    options.latency = 5.0 if options.quick else 20.0
    options.warm = 15.0 if options.quick else 60.0
    options.rounds = 3 if options.quick else 5  # of the CPU with few and with many persons
    options.many = 100_000 if options.quick else 1_000_000
    return options


if __name__ == "__main__":
    main()
