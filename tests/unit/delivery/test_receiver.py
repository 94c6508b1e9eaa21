"""What a sink raises decides what happens next; nothing is lost whatever it raises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from hub.delivery import receiver as module
from hub.delivery.receiver import Job
from hub.sdk import Park, Retry
from tests.unit.delivery.fakes import HERE, THERE, Bench, Script, bench, records


def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def work(at: Bench, *jobs: Job) -> list[Job]:
    """Run these jobs to their end."""
    at.receiver.start()
    for job in jobs:
        at.receiver.submit(job)
    finished = [at.done.get(timeout=5) for _ in jobs]
    at.receiver.stop()
    assert at.receiver.join(time.monotonic() + 5)
    return finished


def test_a_batch_is_delivered_receipted_and_done(tmp_path: Path) -> None:
    at = bench(tmp_path, Script())
    (job,) = work(at, Job(HERE, records(3)))
    assert at.sink.taken == [["id-0-0", "id-0-1", "id-0-2"]]
    assert at.receipts == [("mod", 3, 3.5)]
    assert at.observer.attempts == [("mod", "delivered", 3)] and at.observer.latencies == [2.5] * 3
    assert job.next_offset == 3
    assert (at.sink.opened, at.sink.closed) == (1, 1)


def test_retry_holds_the_agency_and_keeps_the_order(tmp_path: Path) -> None:
    at = bench(tmp_path, Script([Retry("down", 0.05), Retry("down", 0.05)]))
    work(at, Job(HERE, records(1)), Job(THERE, records(1, partition=1)))
    assert at.sink.taken == [["id-0-0"], ["id-1-0"]]
    assert [outcome for _, outcome, _ in at.observer.attempts] == ["retry", "retry", "delivered", "delivered"]
    assert at.sink.opened == 1


def test_a_batch_that_fails_for_ever_does_not_keep_other_partitions_waiting(tmp_path: Path) -> None:
    at = bench(tmp_path, Script([ValueError("of this batch")]))
    at.receiver.submit(Job(HERE, records(1)))
    at.receiver.submit(Job(THERE, records(1, partition=1)))
    at.receiver.start()
    assert at.done.get(timeout=5).where == THERE
    at.receiver.stop()
    assert at.receiver.join(time.monotonic() + 5)


def test_an_unforeseen_exception_is_a_retry_with_a_new_sink_and_says_nothing_of_the_event(
    tmp_path: Path,
) -> None:
    with structlog.testing.capture_logs() as logs:
        at = bench(tmp_path, Script([ValueError("CANARY")]))
        work(at, Job(HERE, records(1)))
    assert at.sink.taken == [["id-0-0"]] and at.sink.opened == 2
    assert at.observer.attempts == [("mod", "error", 1), ("mod", "delivered", 1)]
    assert any(entry["log_level"] == "error" and entry["error"] == "ValueError" for entry in logs)
    assert "CANARY" not in repr(logs)


def test_what_was_taken_is_not_delivered_again_when_its_receipts_fail(tmp_path: Path) -> None:
    at = bench(tmp_path, Script(), fail_receipts=1)
    work(at, Job(HERE, records(2)))
    assert at.sink.calls == 1 and at.sink.opened == 1
    assert at.receipts == [("mod", 2, 3.5)]
    assert at.observer.attempts == [("mod", "delivered", 2)]


def test_a_parked_batch_waits_alone_and_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARK_WAIT", 0.2)
    at = bench(tmp_path, Script([Park("refused")]))
    at.receiver.start()
    at.receiver.submit(Job(HERE, records(2)))
    until(lambda: at.observer.holding == {"refused": 2})
    at.receiver.submit(Job(THERE, records(1, partition=1)))
    assert [at.done.get(timeout=5).where for _ in range(2)] == [THERE, HERE]
    assert at.observer.holding == {"refused": 0}
    at.receiver.stop()


def test_a_revoked_batch_is_not_tried_again(tmp_path: Path) -> None:
    at = bench(tmp_path, Script([Retry("down", 0.05)] * 100))
    at.receiver.start()
    at.receiver.submit(Job(HERE, records(1)))
    until(lambda: at.sink.calls > 0)
    at.receiver.revoke([HERE])
    at.receiver.settle([HERE], time.monotonic() + 5)
    calls = at.sink.calls
    time.sleep(0.2)
    assert at.sink.calls == calls and at.done.empty()
    at.receiver.stop()


def test_a_stop_lets_the_batch_in_flight_end_and_begins_no_other(tmp_path: Path) -> None:
    gate = threading.Event()
    at = bench(tmp_path, Script(gate=gate))
    at.receiver.start()
    at.receiver.submit(Job(HERE, records(1)))
    at.receiver.submit(Job(THERE, records(1, partition=1)))
    until(lambda: at.sink.calls == 1)
    at.receiver.stop()
    assert not at.receiver.join(time.monotonic() + 0.05)
    gate.set()
    assert at.receiver.join(time.monotonic() + 5)
    assert at.done.get_nowait().where == HERE and at.done.empty() and at.sink.closed == 1


def test_a_stop_interrupts_a_wait(tmp_path: Path) -> None:
    at = bench(tmp_path, Script([Retry("come back tomorrow", 86_400.0)]))
    at.receiver.start()
    at.receiver.submit(Job(HERE, records(1)))
    until(lambda: at.sink.calls == 1)
    at.receiver.stop()
    assert at.receiver.join(time.monotonic() + 2) and at.done.empty()
