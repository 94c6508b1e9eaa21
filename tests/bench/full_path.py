"""The hub's full path, one worker process: events/s and CPU µs per event, and what each part of the job costs.

    make bench ARGS="--events 200000 --broker apache --runs 3 --json"

One event of 12 fields comes in, its status, two projections, its fact and its receipt go out, in two
transactional hops. Figures are of the second half of each run (warm), medians over the runs. Machines
differ: compare ratios of one run, never one figure with another machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hub import registry
from hub.avro.codec import encode
from hub.avro.records import wire_header
from hub.catalogue import Catalogue, load
from hub.kafka.brokers import open_broker
from hub.kafka.connection import Connection
from hub.machine.children import Child
from hub.machine.hub import prepare
from hub.machine.scrape import scrape
from hub.settings import Settings

TYPE = "az.zefer.veteran.StatusDecided"
SCHEMAS = Path(__file__).parent / "schemas"
PERSONS = 20_000
TICK = os.sysconf("SC_CLK_TCK")
err = Console(stderr=True)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder, open_broker(options.broker, Path(folder)) as connection:
        runs = [_run(connection, Path(folder), options, i) for i in range(options.runs)]
    figures = {name: round(statistics.median(run[name] for run in runs), 1) for name in runs[0]}
    figures |= {"parts_us": parts(), "broker": options.broker, "events": options.events, "runs": options.runs}
    if options.json:
        print(json.dumps(figures))
    else:
        _show(figures)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--broker", default="apache", choices=("apache", "embedded"))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _run(connection: Connection, folder: Path, options: argparse.Namespace, number: int) -> dict[str, float]:
    """One worker over events that are there already; each run is a hub of its own name on the same topics."""
    catalogue = load(SCHEMAS)
    settings = Settings(name=f"bench{number}", schemas=SCHEMAS, data_dir=folder, person_secret="b" * 32)
    prepare(connection, catalogue, settings, lambda text: err.print(f"[dim]{text}[/dim]"))
    _load(connection, catalogue, options.events, number)
    environment = {
        "HUB_NAME": settings.name,
        "HUB_BOOTSTRAP_SERVERS": connection.bootstrap,
        "HUB_SCHEMAS": str(SCHEMAS),
        "HUB_PERSON_SECRET": "b" * 32,
        "HUB_DATA_DIR": str(folder),
        "HUB_LOG_LEVEL": "WARNING",
    }
    from hub.kafka.address import free_ports

    worker = Child("worker", ["worker"], environment, folder / "logs", free_ports(1)[0])
    worker.start()
    try:
        return _measure(worker, options.events * (number + 1))
    finally:
        worker.stop()


def _load(connection: Connection, catalogue: Catalogue, events: int, number: int) -> None:
    schema = catalogue.types[TYPE].schema
    header = wire_header(registry.read(connection).id_of(TYPE))
    producer = Producer({"bootstrap.servers": connection.bootstrap, "linger.ms": 20, "batch.num.messages": 5000})
    with Progress(console=err, transient=True) as progress:
        for i, event in enumerate(progress.track(_events(events, number), total=events, description="loading")):
            headers = [
                ("ce_specversion", b"1.0"),
                ("ce_id", event["event_id"].encode()),
                ("ce_source", b"urn:az:agency:src"),
                ("ce_type", TYPE.encode()),
                ("ce_time", b"2026-11-01T10:00:00Z"),
                ("ce_sequence", b"%d" % event["seq"]),
                ("content-type", b"application/avro"),
            ]
            producer.produce("in.src", encode(schema, event, header), event["fin"], headers=headers)
            if i % 1000 == 0:
                producer.poll(0)
        producer.flush()


def _events(count: int, number: int) -> Iterator[dict[str, Any]]:
    from datetime import UTC, date, datetime

    seen: dict[int, int] = {}
    for i in range(count):
        person = i * 7919 % PERSONS
        seen[person] = seen.get(person, 0) + 1
        yield {
            "event_id": f"{number}-{i:08d}-aaaa-bbbb-cccccccccccc",
            "fin": f"P{person:06d}",
            "seq": seen[person],
            "source": "urn:agency:dtser",
            "status": "GRANTED",
            "effective": date(2026, 1, 1),
            "decided_at": datetime(2026, 1, 1, tzinfo=UTC),
            "percent": i % 100,
            "certificate": f"C{i:08d}",
            "name": f"Ad{i % 500}",
            "surname": f"Soyad{i % 700}",
            "office": f"Bakı-{i % 20}",
        }


def _measure(worker: Child, events: int) -> dict[str, float]:
    """Events/s and CPU between half and all of the events applied."""
    half: tuple[float, float, float] | None = None
    with Progress(console=err, transient=True) as progress:
        bar = progress.add_task("carrying", total=events)
        while True:
            applied = sum(scrape({"worker": worker.port}).applied.values())
            now, cpu = time.monotonic(), _cpu(worker.pid)
            progress.update(bar, completed=int(applied))
            if half is None and applied >= events / 2:
                half = (now, cpu, applied)
            if applied >= events:
                break
            time.sleep(0.05)
    assert half is not None
    done = applied - half[2]
    return {
        "events_per_second": done / (now - half[0]),
        "cpu_us_per_event": (cpu - half[1]) / done * 1e6,
        "memory_mib": _memory(worker.pid),
    }


def _cpu(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _memory(pid: int | None) -> float:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def parts() -> dict[str, float]:
    """µs of each part of the job for one event, alone and in memory: what the probe without them does not pay."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from bench.in_memory import cost_of_parts

    return cost_of_parts()


def _show(figures: dict[str, Any]) -> None:
    table = Table("", "", title="full path, one worker")
    for name, value in figures.items():
        if name != "parts_us":
            table.add_row(name, str(value))
    parts_table = Table("part of the job", "µs an event", title="in memory")
    for name, value in figures["parts_us"].items():
        parts_table.add_row(name, f"{value:.2f}")
    console = Console()
    console.print(table)
    console.print(parts_table)


if __name__ == "__main__":
    main()
