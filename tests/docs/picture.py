"""Takes the picture of `hub demo` that README shows: a real run on the embedded broker, drawn once near its end.

    .venv/bin/python tests/docs/picture.py        about a minute; writes deploy/pictures/demo.svg
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from hub.catalogue import load
from hub.machine.hub import Hub, running
from hub.machine.page import Page
from hub.machine.scrape import scrape
from hub.settings import Settings

TARGET = Path(__file__).parents[2] / "deploy" / "pictures" / "demo.svg"
TITLE = "Zəfər hub — demo"
SECONDS, RATE = 24.0, 200
WIDTH, HEIGHT = 104, 30


def main() -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory() as folder:
        settings, catalogue = Settings(broker="embedded", data_dir=Path(folder)), load()  # type: ignore[arg-type]
        with running(settings, catalogue, print) as hub:
            page = Page(catalogue, TITLE, SECONDS)
            _watch(hub, page)
            console.print(page.draw(HEIGHT))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(console.export_svg(title="hub demo"), encoding="utf-8")


def _watch(hub: Hub, page: Page) -> None:
    """Feed the page once a second while simulated agencies publish; stop just before they do."""
    load_for = ["--rate", str(RATE), "--duration", str(SECONDS), "--json"]
    command = [sys.executable, "-m", "hub", "simulate", *load_for]
    environment = {**hub.worker.environment, "HUB_METRICS_PORT": "0"}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as agencies:
        for _ in range(int(SECONDS) - 1):
            time.sleep(1)
            page.feed(scrape({"worker": hub.worker.port, "delivery": hub.delivery.port}))
        agencies.terminate()


if __name__ == "__main__":
    main()
