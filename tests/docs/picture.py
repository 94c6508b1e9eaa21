"""Takes the picture of `hub demo` that README shows: a real run on the embedded broker, drawn once in the middle.

.venv/bin/python tests/docs/picture.py        about a minute; writes deploy/pictures/demo.svg
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from hub.catalogue import load
from hub.machine.hub import Hub, running
from hub.machine.page import Page
from hub.machine.scrape import scrape
from hub.settings import Settings

TARGET = Path(__file__).parents[2] / "deploy" / "pictures" / "demo.svg"
TITLE = "Zəfər hub — demo"
SECONDS, SHOWN_AT, RATE = 60.0, 24.0, 200
FORMAT = re.sub(r"@font-face \{\{.*?\}\}|<!-- Generated.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""Without web fonts: a picture in a repository fetches nothing."""
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
    TARGET.write_text(console.export_svg(title="hub demo", code_format=FORMAT), encoding="utf-8")


def _watch(hub: Hub, page: Page) -> None:
    """Feed the page once a second while simulated agencies publish, and stop them in full swing."""
    load_for = ["--rate", str(RATE), "--duration", str(SECONDS), "--json"]
    command = [sys.executable, "-m", "hub", "simulate", *load_for]
    environment = {**hub.worker.environment, "HUB_METRICS_PORT": "0"}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as agencies:
        began = time.monotonic()
        while time.monotonic() - began < SHOWN_AT:
            time.sleep(1)
            page.feed(scrape({"worker": hub.worker.port, "delivery": hub.delivery.port}))
        agencies.terminate()


if __name__ == "__main__":
    main()
