"""The HTTP gateway beside a bare endpoint that only produces to Kafka: events a second, CPU, latency.

    python tests/bench/gateway.py [--json] [--runs 5] [--seconds 4] [--warm 60]

Batches of 100 and single events, closed loop, both sides interleaved, medians; then single events at half of the
gateway's own maximum, open loop, latency from when each was due. Broker, server and load share this machine: compare
the ratios of one run, never a figure with another machine's. The broker is warmed first: while it is cold the bare
endpoint waits for it, and the gateway looks better than it is.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.http.load import Requests, Seen, closed_loop, open_loop
from bench.room import Room, opened
from bench.watch import cpu_seconds, memory_mib

from hub.catalogue import load
from hub.kafka.address import free_ports
from hub.machine.hub import prepare
from hub.machine.trial import trial_token
from hub.settings import Settings

BARE = Path(__file__).parent / "http" / "bare.py"
SIZES = {"batch": 100, "single": 1}
CONNECTIONS = {"batch": 4, "single": 16}
TARGETS = {"batch": 5_000.0, "single": 800.0, "ratio": 0.5, "p99_ms": 50.0}
NO_LIMIT = json.dumps({"events": 1e9, "events_burst": 1e9, "mib": 1e6, "mib_burst": 1e6, "day": 10**12})
READY_SECONDS, WARM_SECONDS = 90, 2.0


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, opened(Path(folder)) as room, _sides(room) as sides:
        report = {"broker": room.broker, "cores": os.cpu_count()} | _measured(sides, options)
    for line in _lines(report):
        print(line, file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(report))


@contextmanager
def _sides(room: Room) -> Iterator[dict[str, tuple[int, int, str]]]:
    """Port, process and token of `gateway` and `bare`."""
    settings = Settings(name="bench", data_dir=room.folder, person_secret="b" * 32)
    catalogue = load()
    prepare(room.connection, catalogue, settings, lambda text: None)
    room.create(["bare"])
    token = trial_token(settings, catalogue).read_text().strip()
    ports = dict(zip(("gateway", "bare"), free_ports(2), strict=True))
    environment = os.environ | {
        "HUB_BROKER": "external",
        "HUB_BOOTSTRAP_SERVERS": room.bootstrap,
        "HUB_DATA_DIR": str(room.folder),
        "HUB_PERSON_SECRET": "b" * 32,
        "HUB_LIMIT": NO_LIMIT,
    }
    commands = {
        "gateway": [sys.executable, "-m", "hub", "gateway", "--port", str(ports["gateway"])],
        "bare": [sys.executable, str(BARE), room.bootstrap, str(ports["bare"])],
    }
    processes = {name: subprocess.Popen(command, env=environment) for name, command in commands.items()}
    try:
        for name, port in ports.items():
            _wait(port, processes[name])
        yield {name: (ports[name], processes[name].pid, token) for name in ports}
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(30)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until it answers."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/readyz", b'{"data":{"fin":"x"}}', method="GET")
            with urllib.request.urlopen(request, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"nothing answers at port {port}")


def _measured(sides: dict[str, tuple[int, int, str]], options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, dict[str, list[dict[str, float]]]] = {name: {kind: [] for kind in SIZES} for name in sides}
    warm, numbers = time.monotonic() + options.warm, itertools.count(1, 10_000_000)
    while time.monotonic() < warm:
        list(_round(sides, WARM_SECONDS, numbers))
    for _ in range(options.runs):
        for name, kind, seen, cpu in _round(sides, options.seconds, numbers):
            found[name][kind].append(_figures(seen, SIZES[kind], cpu))
    report: dict[str, Any] = {name: {k: _median(rows) for k, rows in kinds.items()} for name, kinds in found.items()}
    report["ratios"] = {
        kind: statistics.median(
            ours["events_per_second"] / theirs["events_per_second"]
            for ours, theirs in zip(found["gateway"][kind], found["bare"][kind], strict=True)
        )
        for kind in SIZES
    }
    port, pid, token = sides["gateway"]
    half = report["gateway"]["single"]["events_per_second"] / 2
    report["at_half"] = _latency(port, token, half, next(numbers), options.seconds)
    report["at_400"] = _latency(port, token, 400.0, next(numbers), options.seconds)
    report["memory_mib"] = memory_mib(pid)
    return report


def _round(
    sides: dict[str, tuple[int, int, str]], seconds: float, numbers: Iterator[int]
) -> Iterator[tuple[str, str, Seen, float]]:
    """Each side under each kind of load, one after the other: side, kind, what was answered, CPU seconds."""
    for kind, size in SIZES.items():
        for name, (port, pid, token) in sides.items():
            requests, cpu = Requests(token, size, next(numbers)), cpu_seconds(pid)
            seen = asyncio.run(closed_loop(port, requests, CONNECTIONS[kind], seconds))
            yield name, kind, seen, cpu_seconds(pid) - cpu


def _latency(port: int, token: str, rate: float, first: int, seconds: float) -> dict[str, float]:
    seen = asyncio.run(open_loop(port, Requests(token, 1, first), rate, 64, 2 * seconds))
    return {
        "rate": rate,
        "p50_ms": seen.percentile(0.5),
        "p99_ms": seen.percentile(0.99),
        "other": sum(seen.other.values()),
    }


def _figures(seen: Seen, size: int, cpu: float) -> dict[str, float]:
    if seen.other:
        sys.exit(f"not all were accepted: {seen.other}")
    events = seen.good * size
    return {
        "events_per_second": events / seen.elapsed,
        "cpu_us": cpu / events * 1e6,
        "p50_ms": seen.percentile(0.5),
        "p99_ms": seen.percentile(0.99),
    }


def _median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"{'':18}{'events/s':>10}{'CPU µs':>9}{'p50 ms':>9}{'p99 ms':>9}   (broker: {report['broker']})"
    for kind in SIZES:
        for name in ("gateway", "bare"):
            row = report[name][kind]
            times = f"{row['cpu_us']:9.0f}{row['p50_ms']:9.1f}{row['p99_ms']:9.1f}"
            yield f"{name:8}{kind:10}{row['events_per_second']:10,.0f}{times}"
        ratio, target = report["ratios"][kind], report["gateway"][kind]["events_per_second"] >= TARGETS[kind]
        met = _met(ratio >= TARGETS["ratio"])
        yield (
            f"  {kind}: {ratio:.2f} of the bare endpoint (at least {TARGETS['ratio']}: {met}), "
            f"at least {TARGETS[kind]:,.0f} events/s: {_met(target)}"
        )
    for name in ("at_half", "at_400"):
        row = report[name]
        yield (
            f"single events at {row['rate']:,.0f}/s: p50 {row['p50_ms']:.1f} ms, p99 {row['p99_ms']:.1f} ms "
            f"(at most {TARGETS['p99_ms']:.0f}: {_met(row['p99_ms'] <= TARGETS['p99_ms'])})"
        )
    yield f"peak memory of the gateway: {report['memory_mib']:.0f} MiB"


def _met(good: bool) -> str:
    return "met" if good else "MISSED"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with the report as one line")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--warm", type=float, default=60.0, help="seconds of load before the first of them")
    return parser.parse_args()


if __name__ == "__main__":
    main()
