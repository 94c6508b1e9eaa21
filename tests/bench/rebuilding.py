"""A process that rebuilds the ledger's state as a worker does, and says what it took: one line of JSON.

python rebuilding.py BOOTSTRAP SCHEMAS
"""

from __future__ import annotations

import asyncio
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
    heart = asyncio.create_task(_beat())
    turn = asyncio.Lock()
    rebuilds = (rebuild(connection, "state.ledger", number, ledger.restore, turn, _say) for number in range(PARTITIONS))
    states = await asyncio.gather(*rebuilds)
    seconds, cpu = time.monotonic() - began, _cpu() - cpu
    heart.cancel()
    await asyncio.wait([heart])
    return {
        "persons": sum(map(len, states)),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "grown_mib": memory_mib(os.getpid(), "VmRSS") - before,
        "longest_stall_ms": max(_STALLS, default=0.0) * 1000,
        "tracked": sum(map(gc.is_tracked, states)),
        "collection_ms": _collection() * 1000,
    }


def _say(progress: Progress) -> None:
    print(progress, file=sys.stderr)


_STALLS: list[float] = []


async def _beat() -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(BEAT)
        _STALLS.append(time.monotonic() - began - BEAT)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _collection() -> float:
    began = time.monotonic()
    gc.collect()
    return time.monotonic() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
