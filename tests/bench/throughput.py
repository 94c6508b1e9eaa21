"""Events/s, CPU and memory of each side over the same input; and, before that, whether it does the same job."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.contenders import Side, Started, Unavailable, started
from bench.events import resent
from bench.room import PARTITIONS, QUIET, Room
from bench.watch import committed, follow, memory_mib, warm_pace
from confluent_kafka import Consumer, TopicPartition

Say = Callable[[str], None]
PARITY_EVENTS = 100
PARITY_SECONDS = 25.0
ATTEMPTS = 2
"""A framework whose group or producer does not come up gets a second chance; what it then lacks, it lacks."""


@dataclass
class Figures:
    """Medians over the runs, and of each run what ratios are made of; None where the side could not run, with the
    reason."""

    events_per_second: float | None = None
    cpu_us: float | None = None
    broker_cpu_us: float | None = None
    memory_mib: float | None = None
    runs: int = 0
    spread: float | None = None
    each_events_per_second: list[float] = field(default_factory=list)
    each_cpu_us: list[float] = field(default_factory=list)
    same_job: bool | None = None
    guarantees: str = ""
    reason: str | None = None

    def plain(self) -> dict[str, Any]:
        return {k: round(v, 1) if isinstance(v, float) else v for k, v in asdict(self).items()}


def measure(
    room: Room, sides: Sequence[Side], events: int, persons: int, runs: int, seconds: float, say: Say
) -> dict[str, Figures]:
    """Interleaved: every side once, then every side again. `in.src` holds `events` different events already."""
    found = {side.name: Figures(guarantees=side.guarantees) for side in sides}
    measured: dict[str, list[dict[str, float]]] = {side.name: [] for side in sides}
    for number in range(runs):
        for side in sides:
            figures = found[side.name]
            if figures.reason is None:
                _one(room, side, number, events, seconds, measured[side.name], figures, say)
    for name, rows in measured.items():
        if rows and found[name].reason is None:
            _summarise(found[name], rows)
    return found


def _one(
    room: Room,
    side: Side,
    number: int,
    events: int,
    seconds: float,
    rows: list[dict[str, float]],
    figures: Figures,
    say: Say,
) -> None:
    """A run that says nothing is made once more: a side that stalls now and then has a pace all the same."""
    try:
        try:
            rows.append(run_once(room, side, f"{side.name}-{number}", events, seconds))
        except ValueError as error:
            say(f"{side.name}: {error}; once more")
            rows.append(run_once(room, side, f"{side.name}-{number}-again", events, seconds))
    except (Unavailable, ValueError) as error:
        figures.reason = str(error)
        say(f"{side.name}: {error}")
        return
    say(
        f"{side.name} {number + 1}: {rows[-1]['events_per_second']:,.0f} events/s, {rows[-1]['cpu_us']:.1f} µs CPU, "
        f"{rows[-1]['memory_mib']:.0f} MiB"
    )


def run_once(room: Room, side: Side, run: str, events: int, seconds: float, **how: Any) -> dict[str, float]:
    """One run of one side from the first record on; figures of its second half. Raises `ValueError`."""
    until = int(events * side.events)
    with started(side, room, run, **how) as running:
        samples = follow(
            lambda: committed(room.admin, running.topics[3], PARTITIONS),
            until,
            running.pids,
            room.broker_pid,
            seconds * side.patience,
            running.alive,
        )
        if not running.alive():
            raise ValueError(f"it ended: {running.tail()}")
        memory = sum(map(memory_mib, running.pids))
    pace = warm_pace(samples, until, (events + resent(events)) / events)
    return {**pace._asdict(), "memory_mib": memory}


def _summarise(figures: Figures, rows: Sequence[Mapping[str, float]]) -> None:
    def median(name: str) -> float:
        return statistics.median(row[name] for row in rows)

    rates = [row["events_per_second"] for row in rows]
    figures.events_per_second, figures.cpu_us = median("events_per_second"), median("cpu_us")
    figures.broker_cpu_us, figures.memory_mib = median("broker_cpu_us"), median("memory_mib")
    figures.each_events_per_second = [round(rate, 1) for rate in rates]
    figures.each_cpu_us = [round(row["cpu_us"], 1) for row in rows]
    figures.runs, figures.spread = len(rows), (max(rates) - min(rates)) / statistics.median(rates)


def same_job(room: Room, sides: Sequence[Side], inbound: str, say: Say) -> dict[str, str | None]:
    """Every side over the same small input: None where it gave what the hub gave, else what is different."""
    found: dict[str, str | None] = {}
    expected: set[tuple[str, bytes]] | None = None
    for side in sides:
        for attempt in range(ATTEMPTS):
            try:
                with started(side, room, f"parity-{side.name}-{attempt}", inbound) as running:
                    given = _outputs(room, running)
            except Unavailable as error:
                found[side.name] = str(error)
                break
            expected = given if expected is None else expected
            found[side.name] = differences(expected, given)
            say(f"{side.name}: {found[side.name] or 'the same projections, repeats dropped'}")
            if found[side.name] is None:
                break
    return found


def differences(expected: set[tuple[str, bytes]], given: set[tuple[str, bytes]]) -> str | None:
    """In words, or None; the person is in the projection's own bytes."""
    if expected == given:
        return None
    return f"{len(expected - given)} projections are missing, {len(given - expected)} are others"


def _outputs(room: Room, running: Started) -> set[tuple[str, bytes]]:
    """(receiver, projection bytes) of all; raises nothing: what is missing is missing. A repeat counts as other."""
    found: list[tuple[str, bytes]] = []
    reader = Consumer(
        QUIET
        | {"bootstrap.servers": room.bootstrap, "group.id": "parity", "isolation.level": "read_committed"}
        | {"enable.auto.commit": False, "fetch.wait.max.ms": 50}
    )
    names = {running.topics[3]: "one", running.topics[4]: "two"}
    reader.assign([TopicPartition(topic, number, 0) for topic in names for number in range(PARTITIONS)])
    deadline, quiet = time.monotonic() + PARITY_SECONDS, None
    while time.monotonic() < deadline and running.alive() and (quiet is None or time.monotonic() < quiet):
        for record in reader.consume(1000, 0.2):
            if not record.error():
                found.append((names[record.topic()], record.value()))
        if len(found) >= 2 * PARITY_EVENTS and quiet is None:
            quiet = time.monotonic() + 0.5  # a repeat would come now
    reader.close()
    repeated = len(found) - len(set(found))
    return set(found) | {("repeated", b"%d" % number) for number in range(repeated)}
