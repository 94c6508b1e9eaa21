"""One load under faults: workers up, generator on, faults, quiet, workers down, read-out, verdicts."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos import history, readout
from chaos.catalogue import Catalogue
from chaos.compose import POISONED
from chaos.judge import Judge, Registry
from chaos.readout import Topics
from chaos.stage import Stage
from chaos.subject import HERE, Broker, Gateway, Worker, stop
from chaos.watch import Watch

CAUGHT_UP_SECONDS = 60.0
"""After the last fault has healed and the last event is acknowledged, every record has its verdict."""

TAIL_SECONDS = 1.0
"""Of load after the last fault has healed."""

STOP_SECONDS = 20.0
"""A graceful stop that takes longer is a verdict of its own."""


@dataclass(frozen=True)
class Load:
    """Events a second, for so many seconds; `run` sets it apart from others on the broker, `seed` makes it.

    `poisoned` is the share of payloads that must be refused; `light` takes types with few receivers only; `whole` sends
    all of it, where others end soon after the last fault has healed. `gateway`: over HTTP.
    """

    seed: int
    run: str
    rate: float
    seconds: float
    poisoned: float = POISONED
    light: bool = False
    whole: bool = False
    gateway: bool = False


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

    def followed_by(self, other: Report) -> Report:
        """Both as one: counts are added, of times the longest counts."""
        verdicts = {name: self.verdicts.get(name, 0) + count for name, count in other.verdicts.items()}
        examples = {name: self.examples.get(name, []) + found for name, found in other.examples.items()}
        facts = {
            name: max(value, self.facts[name]) if name.endswith("_seconds") else self.facts[name] + value
            for name, value in other.facts.items()
            if name in self.facts
        }
        vacuous = self.vacuous + other.vacuous
        return Report(
            self.name, verdicts, examples, self.faults + other.faults, self.facts | other.facts | facts, vacuous
        )


@dataclass
class Theatre:
    """A broker with topics, on which loads follow one another; `tick` is told how many verdicts there are."""

    broker: Broker
    catalogue: Catalogue
    folder: Path
    tick: Callable[[int], None] = lambda seen: None
    disk: Path | None = None

    def play(
        self,
        name: str,
        faults: Callable[[Stage], None],
        load: Load,
        mutant: str = "",
        patience: float = CAUGHT_UP_SECONDS,
        calm: bool = False,
    ) -> Report:
        """Run the load under the faults and judge what the topics hold. `calm`: no worker may start again."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        first = readout.ends(self.broker.bootstrap)
        workers = [Worker(f"worker-{n}", self.broker.bootstrap, folder, mutant) for n in ((1,) if mutant else (1, 2))]
        watch = Watch(self.broker.bootstrap, first)
        gateway = Gateway(self.broker.bootstrap, folder, mutant) if load.gateway else None
        stage = Stage(self.broker, workers, watch, self.tick, self.disk, gateway)
        try:
            sent, deadline, waited = self._run(stage, faults, load, folder, patience)
        finally:
            stops = stop([*workers, gateway] if gateway else workers)
            watch.close()
        seen = {record for record, at in watch.seen.items() if at <= deadline}
        hidden: list[str] = []
        topics = readout.read(self.broker.bootstrap, first, readout.ends(self.broker.bootstrap), hidden)
        registry = Registry(readout.schemas(self.broker.bootstrap))
        report = self._judge(name, sent, topics, registry, seen, stage)
        report.facts |= {
            "caught_up_seconds": round(waited, 1),
            "longest_stop_seconds": round(max([*stops, *stage.stops]), 1),
        }
        report.verdicts["slow_stop"] = sum(seconds > STOP_SECONDS for seconds in (*stops, *stage.stops))
        if calm:
            report.verdicts["restarted"] = sum(worker.restarts for worker in workers)
        if hidden:
            report.facts["open_transactions"] = hidden
        self._keep(folder, report, topics)
        return report

    def _run(
        self, stage: Stage, faults: Callable[[Stage], None], load: Load, folder: Path, patience: float
    ) -> tuple[history.History, float, float]:
        """(history, when patience ended, seconds that the last verdicts took after the last fault and event)."""
        processes = [*stage.workers, stage.gateway] if stage.gateway else stage.workers
        door = []
        if stage.gateway:
            tokens = folder / "tokens"
            tokens.write_text(stage.gateway.tokens(self.catalogue.agencies))
            door = ["--gateway", str(stage.gateway.port), "--tokens", str(tokens)]
        for process in processes:
            process.start()
        for process in processes:
            process.wait_ready()
        path = folder / "history.jsonl"
        with _generator(self.broker.bootstrap, path, load, door) as generator:
            faults(stage)
            if not load.whole:
                stage.sleep(TAIL_SECONDS)
                if not say_enough(generator):
                    stage.void.append("the load had ended before the last fault had healed")
            while generator.poll() is None:
                stage.sleep(0.2)
            if generator.returncode:
                stage.void.append(f"the generator ended with {generator.returncode}, and the history is not whole")
        calm = max(stage.healed, time.monotonic())
        sent = history.read(path)
        while not sent.acknowledged <= stage.seen() and time.monotonic() < calm + patience:
            stage.sleep(0.2)
        return sent, calm + patience, time.monotonic() - calm

    def _judge(
        self, name: str, sent: history.History, topics: Topics, registry: Registry, seen: set[str], stage: Stage
    ) -> Report:
        judge = Judge(self.catalogue, registry, sent, topics, seen)
        for process in (*stage.workers, stage.gateway):
            if process is not None:
                judge.silent(process.log.name, process.log.read_bytes())
        verdicts = judge.judge()
        duplicates = judge.duplicates + sent.repeats
        facts = {"events": len(sent.sent), "duplicates": duplicates, "delivered": _delivered(topics)}
        report = Report(name, verdicts, judge.found, stage.faults, facts, stage.void)
        _in_flight(stage.faults, sent, _decided(topics))
        for fault in stage.faults:
            if not fault["in_flight"]:
                report.vacuous.append(f"{fault['what']} of {fault['whom']} hit no work in flight")
        if stage.gateway:
            report.facts |= {"accepted": len(sent.acknowledged), "unanswered": sum(s.unsure for s in sent.sent)}
            if not report.facts["unanswered"]:
                report.vacuous.append("the gateway answered everything")
        if not duplicates:
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
def _generator(bootstrap: str, path: Path, load: Load, door: list[str]) -> Iterator[subprocess.Popen[str]]:
    given = {
        "bootstrap": bootstrap,
        "history": path,
        "seed": load.seed,
        "run": load.run,
        "rate": load.rate,
        "seconds": load.seconds,
        "poisoned": load.poisoned,
    }
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))] + ["--light"] * load.light
    words += door
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, str(HERE / "generate.py"), *words], stdin=pipe, stdout=pipe, text=True
    ) as process:
        try:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the generator did not start")
            print(file=process.stdin, flush=True)
            yield process
        finally:
            process.kill()


def say_enough(generator: subprocess.Popen[str]) -> bool:
    """It may end; whether it was there to hear it. One that has sent all is gone."""
    try:
        os.write(generator.stdin.fileno(), b"enough\n")  # nothing is left in a buffer that closing would write
    except BrokenPipeError:
        return False
    return True


def _decided(topics: Topics) -> dict[str, int]:
    """Coordinates → when the receipt was written."""
    found: dict[str, int] = {}
    for topic, records in topics.items():
        if topic.startswith("receipts."):
            for record in records:
                found.setdefault((record.key or b"").decode(), record.timestamp)
    return found


def _in_flight(faults: list[dict[str, Any]], sent: history.History, decided: dict[str, int]) -> None:
    """Adds to each fault how many events were invoked and had no verdict when it hit."""
    invoked = sorted(each.at for each in sent.sent)
    done = sorted(decided[each.record] for each in sent.sent if each.record in decided)
    for fault in faults:
        fault["in_flight"] = bisect(invoked, fault["at"]) - bisect(done, fault["at"])


def _delivered(topics: Topics) -> int:
    return sum(len(records) for topic, records in topics.items() if topic.startswith("out."))


def _counted(faults: list[dict[str, Any]]) -> dict[str, int]:
    names = [f"{fault['what']} {fault['whom'].partition('-')[0]}" for fault in faults]
    return {name: names.count(name) for name in dict.fromkeys(names)}
