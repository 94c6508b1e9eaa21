"""One load under faults: workers up, generator on, faults, quiet, workers down, read-out, verdicts."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos import history, readout
from chaos.catalogue import Catalogue
from chaos.judge import Judge, Registry
from chaos.readout import Topics
from chaos.subject import HERE, Broker, Worker
from chaos.watch import Watch

CAUGHT_UP_SECONDS = 60.0
"""After the last fault has healed and the last event is acknowledged, every record has its verdict."""


CRASH_SECONDS = 40.0
"""A worker that is to crash at a step of a batch comes to it in this time."""


@dataclass(frozen=True)
class Load:
    """Events a second, for so many seconds; `run` sets it apart from others on the broker, `seed` makes it."""

    seed: int
    run: str
    rate: float
    seconds: float


@dataclass
class Report:
    """What a scenario showed; `vacuous` says why it proves nothing, where it does not."""

    name: str
    verdicts: dict[str, int]
    examples: dict[str, list[str]]
    faults: list[dict[str, Any]]
    facts: dict[str, Any]
    vacuous: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not any(self.verdicts.values())

    @property
    def passed(self) -> bool:
        return self.clean and not self.vacuous

    def as_dict(self) -> dict[str, Any]:
        row = {"name": self.name, "faults": _counted(self.faults), "verdicts": self.verdicts, **self.facts}
        return row | ({"vacuous": self.vacuous} if self.vacuous else {})


class Stage:
    """What faults act on. All that they do is in the fault log with its time."""

    def __init__(self, broker: Broker, workers: list[Worker], watch: Watch, tick: Callable[[int], None]) -> None:
        self.broker, self.workers, self.faults, self.healed = broker, workers, [], time.monotonic()
        self._watch, self._tick = watch, tick

    def seen(self) -> set[str]:
        """Coordinates that have a verdict."""
        return set(self._watch.seen)

    def sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._tick(len(self._watch.seen))
            time.sleep(min(left, 0.2))

    @contextlib.contextmanager
    def fault(self, what: str, whom: str) -> Iterator[None]:
        """A fault, from when it hits until it is healed."""
        row = {"what": what, "whom": whom, "at": time.time() * 1000}
        self.faults.append(row)
        yield
        self.healed = time.monotonic()
        row["seconds"] = round(time.time() - row["at"] / 1000, 2)

    def kill(self, number: int) -> None:
        """kill -9 of a worker, which its supervisor starts again."""
        worker = self.workers[number]
        with self.fault("kill -9", worker.name):
            worker.kill()
            worker.start()

    def freeze(self, number: int, seconds: float) -> None:
        worker = self.workers[number]
        with self.fault("freeze", worker.name):
            worker.signal(signal.SIGSTOP)
            self.sleep(seconds)
            worker.signal(signal.SIGCONT)

    def restart(self, number: int) -> None:
        """A graceful stop and a start."""
        worker = self.workers[number]
        with self.fault("graceful stop", worker.name):
            worker.stop()
            worker.start()

    def stop(self, number: int) -> None:
        """A graceful stop; the others take over."""
        with self.fault("graceful stop", self.workers[number].name):
            self.workers[number].stop()

    def crash(self, number: int, step: str) -> None:
        """The worker kills itself with -9 at that step of a batch (mutants.py), and is started again."""
        worker = self.workers[number]
        worker.stop()
        worker.start(f"crash_{step}")
        deadline = time.monotonic() + CRASH_SECONDS
        while worker.running and time.monotonic() < deadline:
            self.sleep(0.05)
        with self.fault(f"kill -9 at {step}", worker.name):
            worker.kill()
            worker.start()

    def kill_broker(self, pause: float) -> None:
        with self.fault("kill -9", "broker"):
            self.broker.kill()
            self.sleep(pause)
            self.broker.start()

    def freeze_broker(self, seconds: float) -> None:
        with self.fault("freeze", "broker"):
            self.broker.signal(signal.SIGSTOP)
            self.sleep(seconds)
            self.broker.signal(signal.SIGCONT)


@dataclass
class Theatre:
    """A broker with topics, on which loads follow one another; `tick` is told how many verdicts there are."""

    broker: Broker
    catalogue: Catalogue
    folder: Path
    tick: Callable[[int], None] = lambda seen: None

    def play(
        self,
        name: str,
        faults: Callable[[Stage], None],
        load: Load,
        mutant: str = "",
        patience: float = CAUGHT_UP_SECONDS,
    ) -> Report:
        """Run the load under the faults and judge what the topics hold."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        first = readout.ends(self.broker.bootstrap)
        workers = [Worker(f"worker-{n}", self.broker.bootstrap, folder, mutant) for n in (1, 2)]
        watch = Watch(self.broker.bootstrap, first)
        stage = Stage(self.broker, workers, watch, self.tick)
        try:
            sent, deadline, waited = self._run(stage, faults, load, folder, patience)
        finally:
            stops = [worker.stop() for worker in workers]
            watch.close()
        seen = {record for record, at in watch.seen.items() if at <= deadline}
        hidden: list[str] = []
        topics = readout.read(self.broker.bootstrap, first, readout.ends(self.broker.bootstrap), hidden)
        registry = Registry(readout.schemas(self.broker.bootstrap))
        report = self._judge(name, sent, topics, registry, seen, stage)
        report.facts |= {"caught_up_seconds": round(waited, 1), "longest_stop_seconds": round(max(stops), 1)}
        if hidden:
            report.facts["open_transactions"] = hidden
        self._keep(folder, report, topics)
        return report

    def _run(
        self, stage: Stage, faults: Callable[[Stage], None], load: Load, folder: Path, patience: float
    ) -> tuple[history.History, float, float]:
        """(history, when patience ended, seconds that the last verdicts took after the last fault and event)."""
        for worker in stage.workers:
            worker.start()
        for worker in stage.workers:
            worker.wait_ready()
        path = folder / "history.jsonl"
        with _generator(self.broker.bootstrap, path, load) as generator:
            faults(stage)
            while generator.poll() is None:
                stage.sleep(0.2)
        calm = max(stage.healed, time.monotonic())
        sent = history.read(path)
        while not sent.acknowledged <= stage.seen() and time.monotonic() < calm + patience:
            stage.sleep(0.2)
        return sent, calm + patience, time.monotonic() - calm

    def _judge(
        self, name: str, sent: history.History, topics: Topics, registry: Registry, seen: set[str], stage: Stage
    ) -> Report:
        judge = Judge(self.catalogue, registry, sent, topics, seen)
        for worker in stage.workers:
            judge.silent(worker.log.name, worker.log.read_bytes())
        verdicts = judge.judge()
        facts = {"events": len(sent.sent), "duplicates": judge.duplicates, "delivered": _delivered(topics)}
        report = Report(name, verdicts, judge.found, stage.faults, facts)
        decided = _decided(topics)
        for fault in stage.faults:
            fault["in_flight"] = sum(s.at < fault["at"] < decided.get(s.record or "", 1e15) for s in sent.sent)
            if not fault["in_flight"]:
                report.vacuous.append(f"{fault['what']} of {fault['whom']} hit no work in flight")
        if not judge.duplicates:
            report.vacuous.append("no duplicate was seen")
        if not history.punctual(sent):
            report.vacuous.append("the generator fell behind its schedule by more than 1 %")
        return report

    def _keep(self, folder: Path, report: Report, topics: Topics) -> None:
        """Everything that led to the verdicts; of a clean run only its summary."""
        (folder / "faults.json").write_text(json.dumps(report.faults, indent=1))
        (folder / "verdicts.json").write_text(json.dumps(report.as_dict() | {"examples": report.examples}, indent=1))
        if not report.clean:
            readout.save(topics, folder / "topics")


@contextlib.contextmanager
def _generator(bootstrap: str, path: Path, load: Load) -> Iterator[subprocess.Popen[str]]:
    given = {
        "bootstrap": bootstrap,
        "history": path,
        "seed": load.seed,
        "run": load.run,
        "rate": load.rate,
        "seconds": load.seconds,
    }
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    with subprocess.Popen(
        [sys.executable, str(HERE / "generate.py"), *words], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the generator did not start")
            yield process
        finally:
            process.kill()


def _decided(topics: Topics) -> dict[str, int]:
    """Coordinates → when the receipt was written."""
    found: dict[str, int] = {}
    for topic, records in topics.items():
        if topic.startswith("receipts."):
            for record in records:
                found.setdefault((record.key or b"").decode(), record.timestamp)
    return found


def _delivered(topics: Topics) -> int:
    return sum(len(records) for topic, records in topics.items() if topic.startswith("out."))


def _counted(faults: list[dict[str, Any]]) -> dict[str, int]:
    names = [f"{fault['what']} {fault['whom'].partition('-')[0]}" for fault in faults]
    return {name: names.count(name) for name in dict.fromkeys(names)}
