"""The doors' audit: folded, bounded, never in the way; what fails is given again, what is lost is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hub.access import Audit
from hub.access.audit import MOST
from hub.metrics import Metrics

NEVER = 3600.0


class Log:
    """Keeps what is written; fails or blocks when told to."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.asked: list[list[dict[str, Any]]] = []
        self.away, self.closed = False, False
        self.free = threading.Event()
        self.free.set()

    def write(self, entries: list[dict[str, Any]]) -> None:
        self.asked.append(entries)
        self.free.wait(30)
        if self.away:
            raise ConnectionError("the broker is away")
        self.written += entries

    def close(self) -> None:
        self.closed = True

    def counts(self) -> dict[tuple[str | None, str | None], int]:
        """How often each (agency, code) is told of, over all entries."""
        found: dict[tuple[str | None, str | None], int] = {}
        for each in self.written:
            at = each["agency"], each["code"]
            found[at] = found.get(at, 0) + each["counts"]["times"]
        return found


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def quick(log: Log, metrics: Metrics) -> Iterator[Audit]:
    """Looks every hundredth of a second."""
    audit = Audit(log, metrics, lambda: 5, every=0.01)
    yield audit
    log.away = False
    log.free.set()
    audit.close()


def until(held: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not held():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def lost(metrics: Metrics) -> list[str]:
    return [line for line in metrics.page().decode().splitlines() if line.startswith("hub_audit_lost_total{")]


def test_a_flood_of_one_kind_is_one_line(log: Log, metrics: Metrics) -> None:
    with Audit(log, metrics, lambda: 5, every=NEVER) as audit:
        for _ in range(10_000):
            audit.denied(None, "come in at gateway", "token_unknown")
        audit.denied(None, "come in at gateway", "token_unknown", count=7)
        audit.denied("mod", "come in at gateway", "token_revoked")
    assert log.closed and lost(metrics) == []
    shared = {"kind": "DENIAL", "action": "come in at gateway", "at": 5, "origin": None}
    assert log.written == [
        {**shared, "agency": None, "code": "token_unknown", "counts": {"times": 10_007}},
        {**shared, "agency": "mod", "code": "token_revoked", "counts": {"times": 1}},
    ]


def test_what_left_is_told_by_type_and_basis_as_the_lanes_tell_it(log: Log, metrics: Metrics) -> None:
    with Audit(log, metrics, every=NEVER) as audit:
        audit.left("mia", {("az.zefer.T", "law-1"): 2, ("az.zefer.U", "law-2"): 1})
        audit.left("mia", {("az.zefer.T", "law-1"): 1})
        audit.left("mod", {})
        audit.operated("mod", "issue token x")
    told = [(e["kind"], e["agency"], e["counts"]) for e in log.written]
    assert told == [
        ("DELIVERY", "mia", {"mia az.zefer.T law-1": 3, "mia az.zefer.U law-2": 1}),
        ("OPERATOR", "mod", {"times": 1}),
    ]


def test_nobody_waits_for_a_broker_and_nothing_is_lost_while_it_is_away(log: Log, quick: Audit) -> None:
    log.free.clear()
    quick.denied("mod", "a", "x")
    until(lambda: bool(log.asked))
    began = time.perf_counter()
    for _ in range(1000):
        quick.denied("mod", "a", "x")
    assert time.perf_counter() - began < 1
    log.away = True
    log.free.set()
    until(lambda: len(log.asked) > 2)
    quick.denied("mia", "a", "x")
    log.away = False
    until(lambda: log.counts() == {("mod", "x"): 1001, ("mia", "x"): 1})


def test_a_failed_attempt_is_given_again_as_it_was(log: Log, quick: Audit) -> None:
    log.away = True
    quick.denied("mod", "a", "x")
    until(lambda: len(log.asked) > 1)
    quick.denied("mod", "a", "x")
    log.away = False
    until(lambda: len(log.written) == 2)
    assert [e["counts"] for e in log.asked[0]] == [e["counts"] for e in log.asked[1]] == [{"times": 1}]


def test_how_long_the_oldest_waits_is_measured(log: Log, metrics: Metrics) -> None:
    now = [1_000]
    audit = Audit(log, metrics, lambda: now[0], every=0.01)
    log.away = True
    audit.denied("mod", "a", "x")
    until(lambda: bool(log.asked))
    now[0] = 61_000
    until(lambda: "hub_audit_waiting_seconds 60.0" in metrics.page().decode())
    log.away = False
    until(lambda: "hub_audit_waiting_seconds 0.0" in metrics.page().decode())
    audit.close()


def test_more_kinds_than_can_be_kept_are_counted_as_lost(log: Log, metrics: Metrics) -> None:
    with Audit(log, metrics, every=NEVER) as audit:
        for number in range(MOST + 3):
            audit.denied("mod", f"action {number}", "x")
        audit.denied("mod", "action 0", "x")  # a kind that is there already is never lost
    assert len(log.written) == MOST and log.written[0]["counts"] == {"times": 2}
    assert lost(metrics) == ['hub_audit_lost_total{reason="full"} 3.0']


def test_what_came_during_an_outage_is_written_at_the_end(log: Log, metrics: Metrics) -> None:
    audit = Audit(log, metrics, every=0.2)
    log.away = True
    audit.denied("mod", "a", "x")
    until(lambda: bool(log.asked))
    audit.denied("mod", "b", "x")
    log.away = False
    audit.close()
    assert len(log.written) == 2 and lost(metrics) == []


def test_what_cannot_be_written_before_the_end_is_counted(
    log: Log, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.access.audit.PATIENCE", 0.2)
    audit = Audit(log, metrics, every=0.01)
    log.away = True
    audit.denied("mod", "a", "x")
    until(lambda: bool(log.asked))
    audit.denied("mod", "b", "x")
    audit.close()
    assert log.written == [] and lost(metrics) == ['hub_audit_lost_total{reason="stopped"} 2.0']


def test_many_threads_at_once_lose_nothing(log: Log, quick: Audit) -> None:
    def knock() -> None:
        for _ in range(2_000):
            quick.denied(None, "a", "x")

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    until(lambda: log.counts() == {(None, "x"): 16_000})
