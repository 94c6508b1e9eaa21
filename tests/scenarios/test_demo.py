"""`hub demo` as a person or a script runs it: it ends balanced, and leaves no process behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from world import catalogue

from hub.errors import Code
from hub.machine.lifeline import LAST_WORD_SECONDS

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
CHILDREN = 4
"""At the least: broker, worker, delivery, simulation."""


def until(holds: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"in {seconds} s not: {what}"
        time.sleep(0.05)
    return found


class Demo:
    """A running `hub demo`, and every process that ever descended from it, by (pid, start)."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder, self.family = process, folder, set[tuple[int, str]]()

    def look(self) -> int:
        """Note the processes that descend from it now; how many were seen so far."""
        found = dict(_processes())
        parents = {pid: parent for (pid, _), parent in found.items()}
        for pid, start in found:
            above = parents.get(pid)
            while above not in (None, self.process.pid):
                above = parents.get(above)
            if above:
                self.family.add((pid, start))
        return len(self.family)

    def left(self) -> list[int]:
        """Those of them that still run."""
        return [pid for pid, start in self.family if (pid, start) in dict(_processes())]

    def accepted(self) -> float:
        """Events that the worker's metrics count, 0 while there is none."""
        try:
            port = json.loads((self.folder / "running.json").read_text())["ports"]["worker"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=1) as answer:
                lines = answer.read().decode().splitlines()
        except (OSError, ValueError, urllib.error.URLError):
            return 0.0
        return sum(float(line.split()[-1]) for line in lines if line.startswith("hub_events_accepted_total{"))

    def running(self) -> bool:
        """Whether events flow, with all its children there."""
        assert self.process.poll() is None, self.said()
        return self.look() >= CHILDREN and self.accepted() > 50

    def ended(self) -> dict[str, Any]:
        """Wait for its end; the account of its last line."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        assert out, self.said()
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def said(self) -> str:
        return (self.folder / "stderr").read_text()[-2000:]


def _processes() -> Iterator[tuple[tuple[int, str], int]]:
    """((pid, start time), parent's pid) of every process that is no zombie."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            yield (int(path.parent.name), fields[19]), int(fields[1])


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[Demo]:
    """`hub demo --json` on the embedded broker."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    bare["HUB_REGISTRY_PORT"] = "0"  # another hub on this machine may be taking 8081 at this moment
    command = [sys.executable, "-m", "hub", "demo", "--broker", "embedded", "--data-dir", str(folder), "--json"]
    folder.mkdir(exist_ok=True)
    with (
        (folder / "stderr").open("w") as errors,
        subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, env=bare, text=True
        ) as process,
    ):
        found = Demo(process, folder)
        try:
            yield found
        finally:
            if process.poll() is None:
                process.kill()
            until(lambda: not found.left(), "every child is gone")


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


def test_a_demo_ends_balanced_and_its_last_line_is_the_account(tmp_path: Path) -> None:
    with demo(tmp_path, "--duration", "6", "--rate", "100") as running:
        until(running.running, "the demo runs")
        account = running.ended()
    assert running.process.returncode == 0 and account["balanced"] is True, account["problems"]
    assert account["accepted"] > 300
    assert account["accepted"] == account["applied"] + account["duplicate"] + sum(account["rejected"].values())
    assert account["duplicate"] > 0 and set(account["rejected"]) <= {code.value for code in Code}
    assert set(account["agencies"]) == set(catalogue().agencies)
    for of in account["agencies"].values():
        assert of["accepted"] == of["applied"] + of["duplicate"] + sum(of["rejected"].values())
        assert of["delivered"] == of["offered"]
    assert {"p50", "p99"} <= set(_percentiles(account["latency_ms"]))
    assert (running.left(), (tmp_path / "running.json").exists()) == ([], False)


def _percentiles(latency: dict[str, Any]) -> Iterator[str]:
    for name, value in latency.items():
        yield from _percentiles(value) if isinstance(value, dict) else (name,)


@pytest.mark.parametrize("ends", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_ctrl_c_ends_the_load_and_the_account_is_still_balanced(tmp_path: Path, ends: signal.Signals) -> None:
    with demo(tmp_path, "--rate", "100") as running:
        until(running.running, "the demo runs")
        running.process.send_signal(ends)
        account = running.ended()
        assert running.process.returncode == 0 and account["balanced"] is True, account["problems"]
        assert account["accepted"] > 50
        assert running.left() == [], "each child ended before it did"


def test_ctrl_c_before_it_runs_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        until(lambda: running.look() >= 1, "a first child")
        running.process.send_signal(signal.SIGINT)
        until(lambda: running.look() and running.process.poll() is not None, "it ends")
        assert running.process.returncode != 0
        assert "Traceback" not in running.said()
        until(lambda: not running.left(), "no child is left")


@pytest.mark.long
def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path, "--rate", "100") as running:
        until(running.running, "the demo runs")
        running.process.kill()
        until(lambda: not running.left(), "no child is left", LAST_WORD_SECONDS + PATIENCE)
