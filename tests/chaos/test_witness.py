"""The witness in short: it tells right from wrong, and the hub keeps its promise through a kill -9."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import require_apache
from chaos import catalogue, selftest
from chaos.scenarios import kill_workers
from chaos.subject import Broker, Worker
from chaos.theatre import Load, Report, Theatre, say_enough


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """One of its own: the witness judges all that the topics of a hub hold."""
    require_apache()
    broker = Broker("apache", tmp_path)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def test_the_judge_tells_every_wrong_history_from_a_right_one() -> None:
    assert not selftest.run(catalogue.read())


def test_a_generator_that_has_sent_all_does_not_hear_that_it_is_enough() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as generator:
        assert say_enough(generator)
        assert generator.wait() == 0

        assert not say_enough(generator)


def test_a_worker_killed_under_load_loses_doubles_and_disorders_nothing(broker: Broker, tmp_path: Path) -> None:
    Worker("topics", broker.bootstrap, tmp_path, HUB_PARTITIONS="2").apply_topics()
    theatre = Theatre(broker, catalogue.read(), tmp_path)

    report = play(theatre, "01")
    if report.clean and void(report):  # the kill came between two batches: it proves nothing, and is played again
        report = play(theatre, "02")

    assert report.clean, (report.verdicts, report.examples)
    assert not void(report)


def play(theatre: Theatre, run: str) -> Report:
    load = Load(seed=1, run=run, rate=100, seconds=20)
    return theatre.play(f"kill-worker-{run}", kill_workers(times=1, every=3), load)


def void(report: Report) -> list[str]:
    """Why it proves nothing; a generator that fell behind still proves what it proves."""
    return [reason for reason in report.vacuous if "schedule" not in reason]
