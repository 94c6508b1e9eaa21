"""`hub demo`: the whole hub on this machine with simulated agencies, and an account of it at the end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live

from hub import registry
from hub.catalogue import Catalogue
from hub.errors import Fatal
from hub.machine.hub import Hub, running
from hub.machine.page import Page
from hub.machine.scrape import scrape
from hub.settings import Settings
from hub.simulate.balance import Balance

STALLED_SECONDS = 60.0
"""A drain that makes no progress for so long is given up, and the account says what is missing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the simulated agencies do: events a second, for how long (None: until Ctrl-C), from which seed."""

    rate: float
    duration: float | None
    seed: int


class Viewer(Protocol):
    """Shown once a second."""

    def show(self, hub: Hub, phase: str) -> None: ...


def run_demo(settings: Settings, catalogue: Catalogue, load: Load, console: Console, *, live: bool) -> dict[str, Any]:
    """Run it, let it drain, and return the account of CONTRACT's `hub demo --json`."""
    say: Callable[[str], None] = lambda text: console.print(f"[dim]{text}[/dim]", highlight=False)  # noqa: E731
    with running(settings, catalogue, say) as hub:
        page = Page(catalogue, "Zəfər hub — demo", load.duration)
        with Live(console=console, screen=True, auto_refresh=False) if live else nullcontext() as screen:
            viewer = _Terminal(page, screen, console) if screen else _Silent()
            simulated = _simulate(settings, hub, load, viewer)
            account = _drain(hub, viewer)
        account["simulated"], account["worker_restarts"] = simulated, hub.worker.restarts
        return account


def _simulate(settings: Settings, hub: Hub, load: Load, viewer: Viewer) -> Mapping[str, Any]:
    """The agencies, in a process of their own; Ctrl-C ends them and goes on to the account."""
    command = [
        sys.executable,
        "-m",
        "hub",
        "simulate",
        "--rate",
        str(load.rate),
        "--seed",
        str(load.seed),
        "--json",
    ]
    if load.duration is not None:
        command += ["--duration", str(load.duration)]
    environment = {**hub.worker.environment, "HUB_METRICS_PORT": "0"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            while process.poll() is None:
                hub.check()
                viewer.show(hub, "running")
                time.sleep(1)
        except KeyboardInterrupt:
            process.terminate()
        output = process.stdout.read() if process.stdout else b""
    if process.returncode:
        raise Fatal(f"the simulation ended with code {process.returncode}")
    return dict(json.loads(output.decode().splitlines()[-1]))


def _drain(hub: Hub, viewer: Viewer) -> dict[str, Any]:
    """Read the topics until everything that came in has its verdict and its deliveries; then the account."""
    moved, seen = time.monotonic(), -1
    with Balance(hub.connection, hub.catalogue, registry.read(hub.connection)) as balance:
        while time.monotonic() - moved < STALLED_SECONDS:
            balance.read()
            if balance.settled:
                break
            if balance.records_read != seen:
                moved, seen = time.monotonic(), balance.records_read
            hub.check()
            viewer.show(hub, "draining")
            time.sleep(0.3)
        return balance.report()


class _Terminal:
    def __init__(self, page: Page, screen: Live, console: Console) -> None:
        self._page, self._screen, self._console = page, screen, console

    def show(self, hub: Hub, phase: str) -> None:
        self._page.phase, self._page.restarts = phase, hub.worker.restarts
        self._page.feed(scrape({"worker": hub.worker.port, "delivery": hub.delivery.port}))
        self._screen.update(self._page.draw(self._console.height), refresh=True)


class _Silent:
    def show(self, hub: Hub, phase: str) -> None:
        """Headless: the account at the end says it all."""
