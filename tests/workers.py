"""Worker processes on a real broker, to be killed, frozen and stopped, and a client that shares nothing with them."""

from __future__ import annotations

import faulthandler
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import fastavro
import pytest
from archive import Archive, reader
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient
from world import VETERAN, catalogue, raw_schema, sample

from hub import registry
from hub.avro.codec import decode, encode
from hub.avro.records import wire_header, without_logical_types
from hub.catalogue import Catalogue
from hub.kafka.address import free_ports
from hub.kafka.connection import Connection
from hub.machine.hub import prepare
from hub.settings import Settings

ROOT = Path(__file__).parents[1]
SECRET = "0123456789abcdef" * 4
PARTITIONS = 4
AGENCIES = ("mod", "mes", "mia")
LANES = ("gate", "ledger")
SESSION = 8.0
PATIENCE = 90.0
MARK = b"poison"

DEADLY = b"deadly"

WORKER = f"""
import asyncio, os, signal, sys
from hub.cli import main
from hub.engine import versions
from hub.engine.transaction import Transactions
from hub.pipeline.gate import Gate
from hub.pipeline.ledger import Ledger

def faulty(step, deadly):
    call = step.__call__

    def failing(self, state, records):
        ids = [dict(record.headers)["ce_id"] for record in records]
        if any({MARK!r} in each for each in ids):
            raise KeyError("somebody's value")
        if any(deadly in each for each in ids):
            os.kill(os.getpid(), signal.SIGKILL)
        return call(self, state, records)

    step.__call__ = failing

def slow(seconds):
    commit = Transactions.commit

    async def slowly(self, outputs, offsets):
        await asyncio.sleep(seconds)
        await commit(self, outputs, offsets)

    Transactions.commit = slowly

slow(float(os.environ.get("TEST_COMMIT_SECONDS", 0)))
versions.PATIENCE_SECONDS = float(os.environ.get("TEST_PATIENCE_SECONDS", versions.PATIENCE_SECONDS))
faulty(Gate, {DEADLY!r} + b".gate")
faulty(Ledger, {DEADLY!r} + b".ledger")
sys.argv = ["hub", "worker", "--lanes", os.environ.get("TEST_LANES", "gate,ledger")]
main()
"""
"""`hub worker` with faults built in: a step raises on a batch with a marked event, and a deadly one kills it. A commit
takes at least `TEST_COMMIT_SECONDS`; a schema registry that is away is waited for `TEST_PATIENCE_SECONDS`. Its lanes
are `TEST_LANES`."""


def until(holds: Callable[[], Any], what: str, seconds: float = PATIENCE, tell: Callable[[], object] = str) -> Any:
    """Look again until it holds; what it then gave. Else: what there is to `tell`, and where every thread stands."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() >= deadline:
            faulthandler.dump_traceback()
            raise AssertionError(f"in {seconds} s not: {what} {tell()}")
        time.sleep(0.02)
    return found


def logged(line: Mapping[str, Any]) -> float:
    """When a line was logged, Unix time."""
    return datetime.fromisoformat(line["timestamp"]).timestamp()


class Worker:
    """One worker process, and what its log says of the numbers that it holds."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        (self.port,) = free_ports(1)
        environment = {**os.environ, **environment, "HUB_METRICS_PORT": str(self.port), "HUB_LIFELINE": "1"}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WORKER],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self, event: str) -> list[dict[str, Any]]:
        """Lines of its log with that event."""
        texts = [
            text[text.index("{") :] for text in self._log.read_text().splitlines() if f'"event": "{event}"' in text
        ]
        return [json.loads(text) for text in texts]

    def since(self, event: str, at: float, **fields: Any) -> list[dict[str, Any]]:
        """Lines of its log with that event and these fields, after that moment (Unix time)."""
        lines = (line for line in self.said(event) if logged(line) > at)
        return [line for line in lines if all(line.get(name) == value for name, value in fields.items())]

    def numbers(self, lane: str) -> list[int]:
        """Those that the group gave it last."""
        assigned = [line["numbers"] for line in self.said("assigned") if line["lane"] == lane]
        return list(assigned[-1]) if assigned else []

    def ready(self) -> bool:
        assert self.alive, self._log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def resident(self) -> int:
        """Bytes of memory that the process has now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def measured(self, metric: str) -> float | None:
        """A sample of its metrics: name and labels as they are scraped."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(metric + " ")), None)

    def signal(self, number: int) -> float:
        """Send it; when, in Unix time."""
        at = time.time()
        self.process.send_signal(number)
        return at

    def leave(self) -> None:
        """Stop it as a person does, and wait until it is gone."""
        self.signal(signal.SIGTERM)
        assert self.process.wait(20) == 0

    def end(self) -> None:
        if self.alive:
            self.process.kill()
        self.process.wait(10)
        if self.process.stdin:
            self.process.stdin.close()


@dataclass(frozen=True)
class Input:
    """An event as it was sent; `at` is when the broker took it, Unix time in milliseconds."""

    agency: str
    id: str
    fin: str
    sequence: int
    value: bytes
    coordinates: str = ""
    at: int = 0


class Stage:
    """Topics and schemas on a broker, two workers, and a client that shares nothing with them."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.bootstrap, self.folder, self.connection = connection.bootstrap, folder, connection
        self.prepare(catalogue())
        self._archive = Archive(self.bootstrap)
        self._schemas = {e["id"]: e for e in (json.loads(m.value() or b"") for m in self.read("_schemas"))}
        self._veteran = registry.read(connection).id_of(VETERAN, catalogue().text(VETERAN))
        self.environment = {
            "HUB_NAME": f"engine-{os.getpid()}",
            "HUB_BOOTSTRAP_SERVERS": connection.bootstrap,
            "HUB_PARTITIONS": str(PARTITIONS),
            "HUB_DATA_DIR": str(folder),
            "HUB_PERSON_SECRET": SECRET,
            "HUB_BATCH_RECORDS": "50",  # many small transactions, so that a fault finds one open
        }
        self._workers: list[Worker] = []
        self._started = 0

    def prepare(self, wanted: Catalogue) -> None:
        """Topics and schemas as this catalogue wants them."""
        prepare(self.connection, wanted, Settings(data_dir=self.folder, partitions=PARTITIONS), lambda _: None)

    def workers(self, **settings: str) -> tuple[Worker, Worker]:
        """Two that are up, each with its half of the numbers of every lane; with these `HUB_*`, new ones."""
        if settings:
            self.stop()
        self._workers = [worker for worker in self._workers if worker.alive]
        while len(self._workers) < 2:
            self.start(**settings)
        one, other = self._workers
        until(lambda: one.ready() and other.ready() and self.shared(one, other), "two workers share the numbers")
        return one, other

    def start(self, **settings: str) -> Worker:
        self._started += 1
        self._workers.append(Worker(self.environment | settings, self.folder / f"worker-{self._started}.log"))
        return self._workers[-1]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`hub …`, as a person types it."""
        command = [sys.executable, "-m", "hub", *words]
        environment = os.environ | self.environment
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)

    def stop(self) -> None:
        """All of them, as a person stops them."""
        for worker in self._workers:
            worker.signal(signal.SIGTERM)
        for worker in self._workers:
            worker.process.wait(20)

    def shared(self, *workers: Worker) -> bool:
        """Whether each number of each lane is exactly one worker's, and each has some."""
        held = {lane: [worker.numbers(lane) for worker in workers] for lane in LANES}
        return all(
            all(of) and sorted(number for numbers in of for number in numbers) == list(range(PARTITIONS))
            for of in held.values()
        )

    def members(self, lane: str) -> int:
        """How many the broker counts to the group of that lane now; one that died counts until its session ends."""
        group, client = f"{self.environment['HUB_NAME']}.{lane}", AdminClient({"bootstrap.servers": self.bootstrap})
        return len(client.describe_consumer_groups([group])[group].result(PATIENCE).members)

    def end(self) -> None:
        for worker in self._workers:
            worker.end()

    def event(self, agency: str, id: str, fin: str, sequence: int) -> Input:
        body = sample(VETERAN, fin=fin, document_number=f"D-{id}", effective_from=20_000 + sequence, valid_until=None)
        return Input(agency, id, fin, sequence, encode(raw_schema(VETERAN), body, wire_header(self._veteran)))

    def newer(self, of: Input, field: str) -> Input:
        """The same event, written with a version of its type that has one more field, which is registered for it."""
        schema = catalogue().types[VETERAN].schema
        more = {"name": field, "type": "string", "default": "", "doc": "A note.", "classification": "open"}
        text = json.dumps(schema | {"fields": [*schema["fields"], more]})
        id = registry.register(self.connection, [(VETERAN, text)]).id_of(VETERAN, text)
        body = decode(raw_schema(VETERAN), of.value) | {field: "Yeni."}
        return replace(of, value=encode(without_logical_types(json.loads(text)), body, wire_header(id)))

    def decode(self, value: bytes | None) -> tuple[str, dict[str, Any]]:
        """(subject, plain values) of a record that the hub wrote."""
        assert value is not None
        subject, schema = self._parsed(int.from_bytes(value[1:5], "big"))
        return subject, dict(fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None))  # type: ignore[arg-type]

    @lru_cache(maxsize=200)  # noqa: B019  # one stage a run
    def _parsed(self, schema_id: int) -> tuple[str, Any]:
        entry = self._schemas[schema_id]
        return entry["subject"], fastavro.parse_schema(without_logical_types(json.loads(entry["schema"])))

    def consumer(self) -> Consumer:
        return reader(self.bootstrap)

    def read(self, *topics: str) -> list[Message]:
        """All that is committed in these topics."""
        return self._archive.read(*topics)


@pytest.fixture(scope="module")
def stage(apache: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The same hub for all tests that ask for it; its workers end with the module."""
    found = Stage(apache, tmp_path_factory.mktemp("engine"))
    yield found
    found.end()
