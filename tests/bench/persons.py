"""State at national scale: memory a person and an event, the rebuild and its longest stall, CPU with few and many."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

from bench.contenders import BY_NAME, Started, started
from bench.events import SCHEMAS, events
from bench.ledger_log import facts_of, fill
from bench.room import PARTITIONS, Room, send
from bench.watch import committed, cpu_seconds

EVENTS_PER_PERSON = 3
FEW = 10_000
HUB = BY_NAME["hub"]
REBUILDING = Path(__file__).parent / "rebuilding.py"
POLL_SECONDS = 0.02


def measure_persons(room: Room, persons: int, rounds: int) -> dict[str, Any]:
    """The state of `persons` persons with three events each; raises `ValueError` where the hub does not carry.

    CPU is the least of `rounds`: what else runs on the machine can only add to it.
    """
    one, three = _rebuilt(room, persons)
    with started(HUB, room, f"persons-{persons}", fresh=False) as running:
        ready = running.until_ready()
        first = EVENTS_PER_PERSON * persons
        many = [_cpu(room, running, first + 2 * FEW * number, persons) for number in range(rounds)]
    few = [_few(room, number) for number in range(rounds)]
    each = (three["grown_bytes"] - one["grown_bytes"]) / (EVENTS_PER_PERSON - 1) / persons
    return {
        "persons": persons,
        "events": EVENTS_PER_PERSON * persons,
        "bytes_per_person": round(one["grown_bytes"] / persons - each),
        "bytes_per_event": round(each),
        "bytes_with_3_events": round(three["grown_bytes"] / persons),
        "rebuild_seconds": round(three["seconds"], 1),
        "rebuild_cpu_us": round(three["cpu_seconds"] / persons / EVENTS_PER_PERSON * 1e6, 2),
        "longest_stall_ms": round(three["longest_stall_ms"], 1),
        "longest_turn_ms": round(three["longest_turn_ms"], 1),
        "collection_ms": round(three["collection_ms"], 1),
        "ready_seconds": round(ready, 1),
        "cpu_us": {"few": round(min(few), 1), "many": round(min(many), 1)},
        "cpu_ratio": round(min(many) / min(few), 3),
    }


def _rebuilt(room: Room, persons: int) -> list[dict[str, float]]:
    """What rebuilding takes with one event a person, and with three."""
    _prepare(room)
    facts, found = facts_of(room, SCHEMAS, persons), []
    for waves in ((0,), (1, 2)):
        fill(room, chain.from_iterable(map(facts.wave, waves)))
        command = [sys.executable, str(REBUILDING), room.bootstrap, str(SCHEMAS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"the rebuild failed: {done.stderr[-300:]}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
        if found[-1]["persons"] != persons:
            raise ValueError(f"{found[-1]['persons']} of {persons} persons were rebuilt")
    return found


def _few(room: Room, number: int) -> float:
    """As with many, whose measured events are the fourth of each person, too."""
    _prepare(room)
    facts = facts_of(room, SCHEMAS, FEW)
    fill(room, chain(facts.wave(0), facts.wave(1)))
    with started(HUB, room, f"few-{number}", fresh=False) as running:
        running.until_ready()
        return _cpu(room, running, (EVENTS_PER_PERSON - 1) * FEW, FEW)


def _prepare(room: Room) -> None:
    """A hub without anything, not even what an earlier part left to be read."""
    room.delete({"in.src"} & set(room.topics()))
    room.prepare_hub(SCHEMAS)


def _cpu(room: Room, running: Started, first: int, persons: int) -> float:
    """CPU µs an event of 2 × `FEW` live events, from number `first` on, each of another person, to the last commit."""
    topic, count = running.topics[3], 2 * FEW
    before, spent = committed(room.admin, topic, PARTITIONS), cpu_seconds(running.pids[0])
    send(room.bootstrap, "in.src", events(count, room.schema_id(), persons, first))
    deadline = time.monotonic() + 60
    while running.alive() and time.monotonic() < deadline:
        done, cpu = committed(room.admin, topic, PARTITIONS) - before, cpu_seconds(running.pids[0])
        if done >= count:
            return (cpu - spent) / done * 1e6
        time.sleep(POLL_SECONDS)
    raise ValueError(f"it did not carry {count} events: {running.tail()}")
