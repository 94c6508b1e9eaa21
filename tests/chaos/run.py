"""The witness: nothing is lost, doubled or disordered, whatever is killed.

    python tests/chaos/run.py [--quick] [--json] [--seed N] [--scenario NAME …] [--broker apache|embedded]

First the judge is tested with histories that are wrong, then the hub under faults, then hubs that are wrong on
purpose. Exit code 0: every wrong history and every mutant was found out, and every verdict on the hub is 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos import catalogue, selftest
from chaos.after import AFTER
from chaos.scenarios import FULL, MUTANTS, QUICK, QUICK_RATE, RATE, Scenario
from chaos.subject import Broker, NoBroker, Worker
from chaos.theatre import Load, Report, Theatre
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

MUTANT_SECONDS, MUTANT_PATIENCE = 2.0, 2.0
QUICK_PARTITIONS = 2
"""One for each worker; a broker that is killed comes back in half the time that it takes with all of them."""
DISK_BYTES = 384 << 20
WHERE = {"one": 1, "small disk": 1, "three": 3}
"""Where a scenario plays → nodes of the broker."""


class Run:
    """All of it; `say` speaks to people."""

    def __init__(self, given: argparse.Namespace, say: Console) -> None:
        self._given, self._say = given, say
        self._folder = Path(tempfile.mkdtemp(prefix="zefer-chaos-"))
        self._catalogue = catalogue.read()
        self._numbers = iter(range(1, 100))
        self._kind = given.broker or "apache"
        self._left_out: dict[str, str] = {}

    def run(self) -> tuple[dict[str, Any], bool]:
        """(the account, whether all is well)."""
        began = time.monotonic()
        wrong = selftest.run(self._catalogue)
        self._say.print(f"self-test: {wrong or 'every wrong history was found out'}")
        well = False
        try:
            self._choose_broker()
            mutants, scenarios = self._all()
            well = not wrong and all(each.passed for each in scenarios) and "survived" not in mutants.values()
        finally:
            self._leave(well)
        account = {"broker": self._kind, "seed": self._given.seed, "self_test": not wrong}
        account |= {"mutants": mutants, "scenarios": [each.as_dict() for each in scenarios]}
        if self._left_out:
            account["left_out"] = self._left_out
        return account | {"seconds": round(time.monotonic() - began)}, well

    def _choose_broker(self) -> None:
        """Apache Kafka where this machine can have it; said, where it cannot."""
        if self._kind == "apache":
            try:
                Broker("apache", self._folder / "nowhere").check()
                return
            except NoBroker as error:
                self._say.print(f"no Apache Kafka: {error}")
                if self._given.broker:
                    sys.exit(2)
        self._kind = "embedded"
        self._say.print("broker: embedded")

    def _all(self) -> tuple[dict[str, str], list[Report]]:
        """(mutant → red or survived, scenarios). Mutants come last on their broker: what they do wrong stays in its
        topics."""
        mutants: dict[str, str] = {}
        scenarios: list[Report] = []
        known = QUICK if self._given.quick else FULL
        able = [each for each in known if self._wanted(each.name) and not self._missing(each)]
        tested = [name for name in MUTANTS if self._wanted(f"mutant-{name}")]
        for where in WHERE:
            chosen, last = [each for each in able if each.where == where], tested if where == "one" else []
            if chosen or last:
                with self._theatre(where) as theatre:
                    scenarios += [self._scenario(theatre, each) for each in chosen]
                    mutants |= {name: self._mutant(theatre, name) for name in last}
        return mutants, scenarios

    def _missing(self, scenario: Scenario) -> str:
        """Why it cannot be played here; kept for the account."""
        reason = ""
        if scenario.failover and self._kind != "apache":
            reason = "the embedded broker never fails over, and keeps nothing when it is killed"
        elif scenario.where == "small disk" and os.geteuid():
            reason = "a small disk is a tmpfs, which only root may mount"
        if reason:
            self._left_out[scenario.name] = reason
            self._say.print(f"{scenario.name:24} left out: {reason}", soft_wrap=True)
        return reason

    def _wanted(self, name: str) -> bool:
        return not self._given.scenario or name in self._given.scenario

    @contextlib.contextmanager
    def _theatre(self, where: str) -> Iterator[Theatre]:
        began = time.monotonic()
        with self._disk(where) as disk, self._broker(where, disk) as broker:
            few = {"HUB_PARTITIONS": str(QUICK_PARTITIONS)} if self._given.quick else {}
            Worker("topics", broker.bootstrap, self._folder, **few).apply_topics()
            nodes = f"{len(broker.nodes)} nodes" if len(broker.nodes) > 1 else where
            self._say.print(f"broker: {self._kind}, {nodes}, with topics in {time.monotonic() - began:.0f} s")
            yield Theatre(broker, self._catalogue, self._folder, disk=disk)

    @contextlib.contextmanager
    def _broker(self, where: str, disk: Path | None = None) -> Iterator[Broker]:
        broker = Broker(self._kind, disk or self._folder / f"broker-{where}", WHERE.get(where, 1))
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()

    @contextlib.contextmanager
    def _disk(self, where: str) -> Iterator[Path | None]:
        """A file system in memory, which only root may mount."""
        if where != "small disk":
            yield None
            return
        folder = self._folder / "disk"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=False)

    def _scenario(self, theatre: Theatre, scenario: Scenario) -> Report:
        """All its parts as one; again, once, where it proved nothing."""
        report = self._parts(theatre, scenario, scenario.name)
        if report.clean and report.vacuous:
            self._say.print(f"{scenario.name}: void ({'; '.join(report.vacuous)}), again", soft_wrap=True)
            report = self._parts(theatre, scenario, f"{scenario.name}-again")
            report.name = scenario.name
        return report

    def _parts(self, theatre: Theatre, scenario: Scenario, name: str) -> Report:
        if scenario.after:
            with self._shown(theatre, name, None) as show:
                return show(AFTER[scenario.after](theatre, name))
        report = self._part(theatre, scenario, name)
        for part in range(2, scenario.parts + 1):
            report = report.followed_by(self._part(theatre, scenario, f"{name}-{part}"))
        return report

    def _part(self, theatre: Theatre, scenario: Scenario, name: str) -> Report:
        load = self._load(scenario.seconds, **scenario.load)
        with self._shown(theatre, name, load) as show:
            return show(theatre.play(name, scenario.faults, load, calm=scenario.calm))

    def _mutant(self, theatre: Theatre, name: str) -> str:
        of = MUTANTS[name]
        load = self._load(MUTANT_SECONDS, **of.load)
        with self._shown(theatre, f"mutant-{name}", load) as show:
            report = show(theatre.play(f"mutant-{name}", of.faults, load, mutant=name, patience=MUTANT_PATIENCE))
        return "red" if report.verdicts[of.verdict] else "survived"

    def _load(self, seconds: float, **more: Any) -> Load:
        more = {"rate": self._given.rate} | more
        return Load(self._given.seed, f"{next(self._numbers):02d}", seconds=self._given.seconds or seconds, **more)

    @contextlib.contextmanager
    def _shown(self, theatre: Theatre, name: str, load: Load | None) -> Iterator[Callable[[Report], Report]]:
        """Progress while it plays, a line when it is over."""
        began = time.monotonic()
        total = int(load.rate * load.seconds) if load else None
        columns = (
            TextColumn(f"{name:24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("verdicts"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._say, transient=True, disable=not self._say.is_terminal) as progress:
            task = progress.add_task(name, total=total)
            theatre.tick = lambda seen: progress.update(task, completed=seen)

            def show(report: Report) -> Report:
                progress.console.print(_line(report, time.monotonic() - began), soft_wrap=True, highlight=False)
                return report

            yield show

    def _leave(self, well: bool) -> None:
        if well and not self._given.keep:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            kept = "histories, fault logs, worker logs; topics of runs that were not clean"
            self._say.print(f"seed {self._given.seed}, kept: {self._folder} ({kept})", soft_wrap=True)


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
    parser.add_argument(
        "--rate",
        type=float,
        help=f"events a second, where a scenario has no rate of its own; {RATE:.0f}, or {QUICK_RATE:.0f} for --quick",
    )
    parser.add_argument("--seconds", type=float, help="of load, instead of each scenario's own")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a run that is well, too")
    given = parser.parse_args()
    given.rate = given.rate or (QUICK_RATE if given.quick else RATE)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # brokers and workers end with us
    account, well = Run(given, Console(stderr=True)).run()
    if given.json:
        print(json.dumps(account))
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
