"""Latency from the intended send time to a read-committed reader of `out.one`, under an open loop."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from bench.contenders import Side, Started, started
from bench.events import PERSONS, number_of
from bench.room import PARTITIONS, QUIET, Room, retried
from confluent_kafka import Consumer, TopicPartition

Say = Callable[[str], None]
GENERATOR = Path(__file__).parent / "open_loop.py"
LEAD_SECONDS = 2.5
"""The generator makes its events before it begins."""
BEHIND = 0.01
"""A generator that ended later than this share of its schedule voids the run."""
WARM_SHARE = 0.3
PATIENCE_SECONDS = 15.0
FIRST_NUMBER, NUMBERS_EACH = 50_000_000, 2_000_000
"""Numbers of open-loop events, apart from those loaded before, and those of one loop."""
WARM_RATE = 1000.0


@dataclass
class Latency:
    """Milliseconds; `behind` as a share of the schedule; `void` where the figures say nothing."""

    rate: float
    p50: float | None = None
    p99: float | None = None
    events: int = 0
    behind: float = 0.0
    void: str | None = None

    def plain(self) -> dict[str, Any]:
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def measure_latency(
    room: Room, side: Side, rates: Mapping[str, float], seconds: float, warm: float, say: Say
) -> dict[str, Latency]:
    """Of each rate, by its name, one after the other through the same process, which is warmed up for `warm` seconds:
    so is the broker, which compiles its way of small transactions. Its input is a topic that holds nothing else."""
    inbound, numbers = _empty_input(room, side, side.name), count(FIRST_NUMBER, NUMBERS_EACH)
    found: dict[str, Latency] = {}
    with started(side, room, f"latency-{side.name}", inbound) as running:
        for name, rate in {"warm-up": WARM_RATE, **rates}.items():
            lasts = warm if name == "warm-up" else seconds
            for _ in range(2):  # a run that is void is repeated once
                found[name] = each = open_loop(room, running, inbound, "src", rate, lasts, next(numbers))
                if each.void is None:
                    break
            told = f"p50 {each.p50 or 0:.0f} ms, p99 {each.p99 or 0:.0f} ms {each.void or ''}"
            say(f"{side.name}, {name}, at {rate:,.0f}/s: {told}")
    return {name: found[name] for name in rates}


def open_loop(
    room: Room,
    running: Started,
    inbound: str,
    agency: str,
    rate: float,
    seconds: float,
    first: int,
    persons: int = PERSONS,
) -> Latency:
    """One open loop through a side that runs; waits for its first event to come through beforehand."""
    reader = _reader(room, running.topics[3])
    _wake(room, running, reader, inbound, agency, first - 1)
    total, start = int(rate * seconds), time.time() + LEAD_SECONDS + rate * seconds / 100_000
    words = [room.bootstrap, inbound, agency, room.schema_id(), rate, first, total, start, persons]
    generator = subprocess.Popen([sys.executable, str(GENERATOR), *map(str, words)], stdout=subprocess.PIPE, text=True)
    waits = _read(reader, running, rate, first, total, start)
    late = float(generator.communicate(timeout=30)[0] or "inf")
    reader.close()
    behind, warm = late / seconds, [wait for number, wait in waits if number >= total * WARM_SHARE]
    if behind > BEHIND:
        return Latency(rate, events=len(waits), behind=behind, void="the generator fell behind")
    if len(waits) < total:
        return Latency(rate, events=len(waits), behind=behind, void=f"{total - len(waits)} events did not come out")
    return Latency(rate, percentile(warm, 0.5) * 1000, percentile(warm, 0.99) * 1000, len(warm), behind)


def _empty_input(room: Room, side: Side, name: str) -> str:
    if side.program == "hub":
        room.delete(["in.src"])
        return "in.src"
    room.create([f"peer-latency-{name}-in"])
    return f"peer-latency-{name}-in"


def _reader(room: Room, topic: str) -> Consumer:
    reader = Consumer(
        QUIET
        | {"bootstrap.servers": room.bootstrap, "group.id": "latency", "isolation.level": "read_committed"}
        | {"enable.auto.commit": False, "fetch.wait.max.ms": 10, "auto.offset.reset": "earliest"}
    )
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    for place in places:  # behind what is there already: a soak comes here many times
        place.offset = retried(partial(reader.get_watermark_offsets, place, timeout=20))[1]
    reader.assign(places)
    return reader


def _wake(room: Room, running: Started, reader: Consumer, inbound: str, agency: str, number: int) -> None:
    """Send one event and wait for it: what runs then is up."""
    words = [room.bootstrap, inbound, agency, room.schema_id(), 1000, number, 1, time.time(), PERSONS]
    subprocess.run([sys.executable, str(GENERATOR), *map(str, words)], check=True, capture_output=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.alive():
        record = reader.poll(0.2)
        if record is not None and not record.error() and number_of(record.value()) == number:
            return
    raise ValueError(f"nothing came out: {running.tail()}")


def _read(
    reader: Consumer, running: Started, rate: float, first: int, count: int, start: float
) -> list[tuple[int, float]]:
    """(number from 0, seconds from when it was due to when it was read), until all are there."""
    found: list[tuple[int, float]] = []
    deadline = start + count / rate + PATIENCE_SECONDS
    while len(found) < count and time.time() < deadline and running.alive():
        record = reader.poll(0.2)
        if record is None:
            continue
        records, now = [record, *reader.consume(2000, 0)], time.time()
        for each in records:
            number = -1 if each.error() else number_of(each.value()) - first
            if 0 <= number < count:
                found.append((number, now - (start + number / rate)))
    return found
