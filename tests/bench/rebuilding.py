"""A process that rebuilds the ledger's state as a worker does, and says what it took: one line of JSON.

python rebuilding.py BOOTSTRAP SCHEMAS
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import uvloop
from bench.room import PARTITIONS, SECRET
from bench.watch import memory_mib

from hub import registry
from hub.catalogue import load
from hub.engine.rebuild import rebuild
from hub.engine.spec import Progress
from hub.engine.worker import spare_the_collector
from hub.kafka import outage, taken, tolerance
from hub.kafka.connection import Connection
from hub.pipeline.ledger import Ledger
from hub.pipeline.rulebook import compile_rulebook

BEAT = 0.005


def main(bootstrap: str, schemas: str) -> None:
    uvloop.install()
    tolerance.install()
    taken.install()
    outage.install()
    connection = Connection.plain(bootstrap)
    rules = compile_rulebook(load(Path(schemas)), registry.read(connection), SECRET.encode(), PARTITIONS)
    spare_the_collector()
    print(json.dumps(asyncio.run(_rebuilt(connection, Ledger(rules, int)))))


async def _rebuilt(connection: Connection, ledger: Ledger) -> dict[str, Any]:
    """Every number at once, and a task beside them that wants to run each `BEAT` seconds."""
    before, cpu, began = memory_mib(os.getpid(), "VmRSS"), _cpu(), time.monotonic()
    beats: list[tuple[float, float]] = []
    heart, turn = asyncio.create_task(_beat(beats)), asyncio.Lock()
    rebuilds = (rebuild(connection, "state.ledger", number, ledger.restore, turn, _say) for number in range(PARTITIONS))
    states = await asyncio.gather(*rebuilds)
    seconds, cpu = time.monotonic() - began, _cpu() - cpu
    heart.cancel()
    await asyncio.wait([heart])
    collection = _collection()
    ctypes.CDLL(None).malloc_trim(0)  # what reading needed and gave back is no part of the state
    return {
        "persons": sum(map(len, states)),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "grown_bytes": (memory_mib(os.getpid(), "VmRSS") - before) * 2**20,
        "longest_stall_ms": max(stall for stall, _ in beats) * 1000,
        "longest_turn_ms": max(turn for _, turn in beats) * 1000,
        "tracked": sum(map(gc.is_tracked, states)),
        "collection_ms": collection * 1000,
    }


async def _beat(beats: list[tuple[float, float]]) -> None:
    """How much later than wanted it ran, and the CPU that this thread took until then: less than the other where
    the machine had more to do."""
    while True:
        began, cpu = time.monotonic(), time.thread_time()
        await asyncio.sleep(BEAT)
        beats.append((time.monotonic() - began - BEAT, time.thread_time() - cpu))


def _say(progress: Progress) -> None:
    print(f"{progress.share:.0%} of {progress.total}, {progress.per_second:.0f}/s", file=sys.stderr)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _collection() -> float:
    began = time.monotonic()
    gc.collect()
    return time.monotonic() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
