"""The witness in short: it tells right from wrong, and the hub keeps its promise through a kill -9."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from chaos import catalogue, selftest
from chaos.scenarios import kill_workers
from chaos.subject import Worker
from chaos.theatre import Load, Theatre

from hub.kafka.connection import Connection


def test_the_judge_tells_every_wrong_history_from_a_right_one() -> None:
    assert not selftest.run(catalogue.read())


def test_a_worker_killed_under_load_loses_doubles_and_disorders_nothing(apache: Connection, tmp_path: Path) -> None:
    broker = SimpleNamespace(kind="apache", bootstrap=apache.bootstrap)
    Worker("topics", apache.bootstrap, tmp_path).apply_topics()
    theatre = Theatre(broker, catalogue.read(), tmp_path)

    report = theatre.play("kill-worker", kill_workers(times=1, every=3), Load(seed=1, run="01", rate=100, seconds=20))

    assert report.clean, (report.verdicts, report.examples)
    assert not [reason for reason in report.vacuous if "schedule" not in reason]
