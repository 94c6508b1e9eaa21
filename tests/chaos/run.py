"""The witness: nothing is lost, doubled or disordered, whatever is killed.

    python tests/chaos/run.py [--quick] [--json] [--seed N] [--scenario NAME …] [--broker apache|embedded]

First the judge is tested with histories that are wrong, then the hub under faults, then hubs that are wrong on
purpose. Exit code 0: every wrong history and every mutant was found out, and every verdict on the hub is 0.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos import catalogue, selftest
from chaos.stage import Load, Report, Stage, Theatre
from chaos.subject import Broker, NoBroker, Worker
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

FROZEN_SECONDS = 11.0
"""Longer than the session of a worker, which is 8 seconds."""

AWAY_SECONDS = 20.0
"""Longer than a transaction may stay open, which is 15 seconds."""


@dataclass(frozen=True)
class Scenario:
    """Faults under a load of so many seconds. `failover`: needs a broker that notices a dead worker."""

    name: str
    seconds: float
    faults: Callable[[Stage], None]
    failover: bool = True


def kill_workers(times: int, every: float) -> Callable[[Stage], None]:
    def faults(stage: Stage) -> None:
        for number in range(times):
            stage.sleep(every)
            stage.kill(number % 2)

    return faults


def freeze_worker(stage: Stage) -> None:
    stage.sleep(3)
    stage.freeze(0, FROZEN_SECONDS)


def stop_worker(stage: Stage) -> None:
    stage.sleep(3)
    stage.stop(0)


def roll_workers(stage: Stage) -> None:
    stage.sleep(2)
    for number in (0, 1):
        stage.restart(number)
        stage.workers[number].wait_ready()
        stage.sleep(1)


def kill_broker(pause: float) -> Callable[[Stage], None]:
    def faults(stage: Stage) -> None:
        stage.sleep(3)
        stage.kill_broker(pause)

    return faults


def freeze_broker(stage: Stage) -> None:
    stage.sleep(3)
    stage.freeze_broker(5)


def crash_in_batch(stage: Stage) -> None:
    for step in ("begun", "sent", "offsets", "commit", "committed"):
        stage.crash(0, step)


def nothing(stage: Stage) -> None:
    pass


QUICK = (
    Scenario("kill-workers", 14, kill_workers(2, 5)),
    Scenario("freeze-worker", 16, freeze_worker),
    Scenario("stop-worker", 8, stop_worker, failover=False),
    Scenario("roll-workers", 16, roll_workers),
    Scenario("kill-broker", 14, kill_broker(pause=1)),
)
FULL = (
    Scenario("kill-workers", 180, kill_workers(20, 8)),
    Scenario("crash-in-batch", 120, crash_in_batch),
    Scenario("freeze-worker", 20, freeze_worker),
    Scenario("stop-worker", 10, stop_worker, failover=False),
    Scenario("roll-workers", 20, roll_workers),
    Scenario("kill-broker", 20, kill_broker(pause=1)),
    Scenario("kill-broker-long", 30, kill_broker(pause=AWAY_SECONDS)),
    Scenario("freeze-broker", 15, freeze_broker),
)
MUTANTS = {"dedupe_off": "dup_effect", "offsets_first": "lost", "unkeyed": "disorder", "mask_off": "over_delivery"}
"""Fault built into the product (mutants.py) → the verdict that must show it."""
MUTANT_SECONDS, MUTANT_PATIENCE = 4.0, 4.0


class Run:
    """All of it; `say` speaks to people."""

    def __init__(self, given: argparse.Namespace, say: Console) -> None:
        self._given, self._say = given, say
        self._folder = Path(tempfile.mkdtemp(prefix="zefer-chaos-"))
        self._catalogue = catalogue.read()
        self._prepared = False
        self._numbers = iter(range(1, 100))

    def run(self) -> tuple[dict[str, Any], bool]:
        """(the account, whether all is well)."""
        wrong = selftest.run(self._catalogue)
        self._say.print(f"self-test: {wrong or 'every wrong history was found out'}")
        try:
            kind, scenarios, mutants = self._plays()
        except BaseException:
            self._leave(well=False)
            raise
        account = {"broker": kind, "seed": self._given.seed, "self_test": not wrong}
        account |= {"scenarios": [each.as_dict() for each in scenarios], "mutants": mutants}
        well = not wrong and all(each.passed for each in scenarios) and all(red == "red" for red in mutants.values())
        self._leave(well)
        return account, well

    def _plays(self) -> tuple[str, list[Report], dict[str, str]]:
        """(kind of broker, scenarios, mutants)."""
        with self._theatre() as theatre:
            scenarios = [self._scenario(theatre, each) for each in self._chosen(theatre)]
            mutants = {name: self._mutant(theatre, name) for name in MUTANTS if self._wanted(f"mutant-{name}")}
            return theatre.broker.kind, scenarios, mutants

    @contextmanager
    def _theatre(self) -> Iterator[Theatre]:
        broker = self._broker()
        try:
            yield Theatre(broker, self._catalogue, self._folder)
        finally:
            broker.stop()

    def _broker(self) -> Broker:
        began, kinds = time.monotonic(), [self._given.broker] if self._given.broker else ["apache", "embedded"]
        for kind in kinds:
            broker = Broker(kind, self._folder / "broker")
            try:
                broker.start()
            except NoBroker as error:
                self._say.print(f"broker {kind}: {error}")
                continue
            self._say.print(f"broker: {kind}, up in {time.monotonic() - began:.0f} s")
            if kind == "embedded":
                self._say.print("it never fails over: no worker and no broker is killed or frozen here")
            return broker
        sys.exit(2)

    def _chosen(self, theatre: Theatre) -> list[Scenario]:
        known = QUICK if self._given.quick else FULL
        able = [each for each in known if theatre.broker.kind == "apache" or not each.failover]
        return [each for each in able if self._wanted(each.name)]

    def _wanted(self, name: str) -> bool:
        return not self._given.scenario or name in self._given.scenario

    def _load(self, seconds: float) -> Load:
        return Load(self._given.seed, f"{next(self._numbers):02d}", self._given.rate, self._given.seconds or seconds)

    def _scenario(self, theatre: Theatre, scenario: Scenario) -> Report:
        """Again, once, where it proved nothing."""
        report = self._play(theatre, scenario.name, scenario.faults, self._load(scenario.seconds))
        if report.clean and report.vacuous:
            self._say.print(f"{scenario.name}: void ({'; '.join(report.vacuous)}), again", soft_wrap=True)
            report = self._play(theatre, f"{scenario.name}-again", scenario.faults, self._load(scenario.seconds))
            report.name = scenario.name
        return report

    def _mutant(self, theatre: Theatre, name: str) -> str:
        load = self._load(MUTANT_SECONDS)
        report = self._play(theatre, f"mutant-{name}", nothing, load, mutant=name, patience=MUTANT_PATIENCE)
        return "red" if report.verdicts[MUTANTS[name]] else "survived"

    def _play(self, theatre: Theatre, name: str, faults: Callable[[Stage], None], load: Load, **more: Any) -> Report:
        columns = (
            TextColumn(f"{name:24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("verdicts"),
            TimeElapsedColumn(),
        )
        began = time.monotonic()
        self._prepare(theatre.broker)
        with Progress(*columns, console=self._say, transient=True) as progress:
            task = progress.add_task(name, total=int(load.rate * load.seconds))
            theatre.tick = lambda seen: progress.update(task, completed=seen)
            report = theatre.play(name, faults, load, **more)
        self._say.print(_line(report, time.monotonic() - began), soft_wrap=True, highlight=False)
        return report

    def _prepare(self, broker: Broker) -> None:
        """Topics, before the first load; and a new broker for each load where a group never forgets a member."""
        if self._prepared and broker.kind == "apache":
            return
        if self._prepared:
            broker.stop()
            broker.start()
        Worker("topics", broker.bootstrap, self._folder).apply_topics()
        self._prepared = True

    def _leave(self, well: bool) -> None:
        if well and not self._given.keep:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            self._say.print(
                f"kept: {self._folder} (histories, fault logs, worker logs; topics of runs that were not clean)"
            )


def _line(report: Report, seconds: float) -> str:
    found = {name: count for name, count in report.verdicts.items() if count}
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report.facts.items())
    void = f" void: {'; '.join(report.vacuous)}" if report.vacuous else ""
    return f"{report.name:24} {found or 'clean'} ({facts}; {seconds:.0f} s){void}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under eight minutes")
    parser.add_argument("--json", action="store_true", help="end in one JSON line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", action="append", help="only this one (a mutant is mutant-NAME); may be repeated")
    parser.add_argument("--broker", choices=["apache", "embedded"], help="default: apache where it can be had")
    parser.add_argument("--rate", type=float, default=120.0, help="events a second")
    parser.add_argument("--seconds", type=float, help="of load, instead of each scenario's own")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a run that is well, too")
    given = parser.parse_args()
    account, well = Run(given, Console(stderr=True)).run()
    if given.json:
        print(json.dumps(account))
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
