"""How the hub scales: workers, persons, agencies; whether a backfill delays the living; whether memory stays flat."""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.contenders import BY_NAME, Started, started
from bench.events import PERSONS, SCHEMAS, TYPE, events
from bench.latency import FIRST_NUMBER, Latency, open_loop
from bench.persons import measure_persons
from bench.room import Room, send
from bench.throughput import run_once
from bench.watch import memory_mib

Say = Callable[[str], None]
HUB = BY_NAME["hub"]
AGENCIES = 31
BACKFILL = 76_000
LIVE_RATE, LIVE_SECONDS = 200.0, 6.0
FAIRNESS_ROUNDS = 3
"""As far as there is time: of a p99 of some hundred events one stall of the machine is all that there is."""
SOAK_SLICE = 30.0
SOAK_PERSONS = 1_000_000
"""As many as a nation's registry: few persons with hundreds of events each would make each event dearer."""
BYTES_A_PERSON, BYTES_AN_EVENT = 210, 118
"""What state takes, as `bench.persons` measures it after a rebuild."""
MOST_A_PERSON, MOST_AN_EVENT = 800, 120
"""What it may take."""


def measure_scaling(
    room: Room, options: argparse.Namespace, report: Mapping[str, Any], say: Say, left: Callable[[], float]
) -> dict[str, Any]:
    """Each part by name, or the reason why it was not measured."""
    hub = report["sides"].get("hub", {})
    rate = hub.get("events_per_second")
    if not rate:
        return {}
    parts: dict[str, tuple[float, Callable[[], dict[str, Any]]]] = {
        "workers": (options.events / rate + 25, lambda: _workers(room, options, hub)),
        "agencies": (options.events / 4 / rate * 8 + 25, lambda: _agencies(room, options, hub)),
        "persons": (options.many / 5000 + 60, lambda: measure_persons(room, options.many, options.rounds)),
        "fairness": (
            fairness := BACKFILL / rate + 30,
            lambda: _fairness(room, lambda: left() - options.soak * 60 > fairness),
        ),
    }
    found: dict[str, Any] = {}
    for name, (seconds, part) in parts.items():
        if name in options.scaling.split(","):
            found[name] = _measured(name, seconds, part, say, left)
    if options.soak:
        found["soak"] = _measured("soak", options.soak * 60, lambda: _soak(room, rate / 2, options.soak), say, left)
    return found


def _measured(
    name: str, seconds: float, part: Callable[[], dict[str, Any]], say: Say, left: Callable[[], float]
) -> dict[str, Any]:
    if left() < seconds:
        return {"reason": f"not measured: it takes some {seconds:.0f} s, {left():.0f} were left"}
    try:
        found = part()
    except ValueError as error:
        found = {"reason": str(error)}
    say(f"{name}: {found}")
    return found


def _workers(room: Room, options: argparse.Namespace, hub: Mapping[str, Any]) -> dict[str, Any]:
    _fill(room, SCHEMAS, options.events, PERSONS)
    two = run_once(room, HUB, "workers-2", options.events, options.seconds, workers=2)
    ratio = two["events_per_second"] / hub["events_per_second"]
    return {"one": hub["events_per_second"], "two": round(two["events_per_second"], 1), "ratio": round(ratio, 3)}


def _agencies(room: Room, options: argparse.Namespace, hub: Mapping[str, Any]) -> dict[str, Any]:
    schemas, count = room.folder / "agencies", options.events // 4
    catalogue_of(schemas, receivers=AGENCIES)
    _fill(room, schemas, count, PERSONS)
    many = run_once(room, HUB, "agencies", count, options.seconds * 4, schemas=schemas)
    each, small = many["cpu_us"] / AGENCIES, hub["cpu_us"] / 2
    return {"cpu_us_2": round(small, 2), "cpu_us_31": round(each, 2), "cpu_ratio": round(each / small, 3)}


def _fairness(room: Room, more: Callable[[], bool]) -> dict[str, Any]:
    """Medians over rounds, each on a hub without anything, as many as there is time for."""
    rounds = [_beside_a_backfill(room, 0)]
    for number in range(1, FAIRNESS_ROUNDS):
        if more():
            with suppress(ValueError):  # one that says nothing leaves the others
                rounds.append(_beside_a_backfill(room, number))
    alone, beside, ratios = zip(*((alone, beside, beside / alone) for alone, beside in rounds), strict=True)
    return {
        "p99_alone": round(statistics.median(alone), 1),
        "p99_beside": round(statistics.median(beside), 1),
        "ratio": round(statistics.median(ratios), 3),
        "each_ratio": [round(ratio, 2) for ratio in ratios],
    }


def _beside_a_backfill(room: Room, number: int) -> tuple[float, float]:
    """p99 (ms) of one agency's live events alone, then while another one backfills: from its own process, as an agency
    does. In this one it would keep the reader waiting. Raises `ValueError` where it says nothing."""
    schemas = room.folder / "fairness"
    catalogue_of(schemas, publishers=("src", "live"))
    _fill(room, schemas, 0, PERSONS)
    with started(HUB, room, f"fairness-{number}", schemas=schemas) as running:
        alone = _live(room, running, FIRST_NUMBER)
        backlog = list(events(BACKFILL, room.schema_id(), PERSONS))
        sender = multiprocessing.get_context("spawn").Process(target=send, args=(room.bootstrap, "in.src", backlog))
        sender.start()
        beside = _live(room, running, FIRST_NUMBER * 3 // 2)
        sender.join()
    if alone.p99 is None or beside.p99 is None:
        raise ValueError(f"void: {alone.void or beside.void}")
    return alone.p99, beside.p99


def _live(room: Room, running: Started, first: int) -> Latency:
    return open_loop(room, running, "in.live", "live", LIVE_RATE, LIVE_SECONDS, first)


def _soak(room: Room, rate: float, minutes: float) -> dict[str, Any]:
    """Open loops one after the other; memory before and after each, and what of its growth the state does not explain.

    A hub remembers each event for ever, so its memory is never flat: what a person and an event take is known from
    the rebuild (ARCHITECTURE), and is taken off. Persons come in turn, so that all grow at once: the worst case for
    the allocator, which holds room of the old sizes until the last one is gone.
    """
    room.delete(["in.src"])
    memory, events_so_far = list[float](), [0]
    voids: list[str] = []
    with started(HUB, room, "soak") as running:
        count = int(rate * SOAK_SLICE + 1)
        running.until_ready()
        memory.append(round(memory_mib(running.pids[0], "VmRSS"), 1))
        for number in range(max(4, round(minutes * 60 / SOAK_SLICE))):
            first = SOAK_PERSONS + number * count
            found = open_loop(room, running, "in.src", "src", rate, SOAK_SLICE, first, SOAK_PERSONS)
            memory.append(round(memory_mib(running.pids[0], "VmRSS"), 1))
            events_so_far.append(events_so_far[-1] + count)
            voids += [found.void] if found.void else []
    return {"rate": round(rate), "memory_mib": memory, "voids": voids, **soaked(events_so_far, memory)}


def soaked(events_so_far: Sequence[int], memory: Sequence[float]) -> dict[str, float]:
    """Bytes an event by which memory (MiB) grew from the second quarter on, those that no state explains, and all of
    the growth as a share of what its persons and events may take."""
    start = max(1, len(memory) // 4)
    first, last = events_so_far[start], events_so_far[-1]
    line = statistics.linear_regression(events_so_far[start:], [mib * 2**20 for mib in memory[start:]])
    new = min(last, SOAK_PERSONS) - min(first, SOAK_PERSONS)
    state = (new * BYTES_A_PERSON + (last - first) * BYTES_AN_EVENT) / (last - first)
    allowed = min(last, SOAK_PERSONS) * MOST_A_PERSON + last * MOST_AN_EVENT
    return {
        "bytes_per_event": round(line.slope),
        "unexplained_bytes_per_event": round(line.slope - state),
        "of_allowed": round((memory[-1] - memory[0]) * 2**20 / allowed, 3),
    }


def _fill(room: Room, schemas: Path, count: int, persons: int) -> None:
    room.delete(topic for topic in room.topics() if topic.startswith("in."))
    room.prepare_hub(schemas)
    if count:
        room.load("in.src", count, persons)


def catalogue_of(folder: Path, receivers: int = 2, publishers: tuple[str, ...] = ("src",)) -> None:
    """The benchmark's catalogue with more receivers (its two projections in turn), or more publishers."""
    shutil.copytree(SCHEMAS, folder, dirs_exist_ok=True)
    lists = folder / "catalogue"
    clear = [(lists / "entitlements" / f"{name}.yaml").read_text() for name in ("one", "two")]
    names = ["one", "two", *(f"r{number:02d}" for number in range(3, receivers + 1))]
    for number, name in enumerate(names):
        (lists / "entitlements" / f"{name}.yaml").write_text(clear[number % 2])
    rows = [_agency(name, publishes=True) for name in publishers] + [_agency(name, publishes=False) for name in names]
    (lists / "agencies.yaml").write_text("".join(rows))


def _agency(code: str, *, publishes: bool) -> str:
    types = TYPE if publishes else ""
    return f"- code: {code}\n  kind: own\n  name: {{az: {code}, en: {code}}}\n  publishes: [{types}]\n"
