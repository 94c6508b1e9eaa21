"""The views as a gateway has them: what to ask, whether they may be asked, and the loader process that feeds them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Self

import structlog

from hub import metrics as m
from hub import registry
from hub.kafka.connection import Connection
from hub.settings import Settings
from hub.views import receipts, statuses
from hub.views.receipts import Receipts
from hub.views.statuses import Statuses
from hub.views.store import Beat, Reader
from hub.views.unpack import Registered

FOLDER = "views"
SILENT_SECONDS = 10.0
"""A loader that has said nothing for so long is gone or held up."""
RESTART_SECONDS = 1.0
LAG_SECONDS = 0.5
END_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Views:
    """Both views of a data folder. `with views:` keeps a loader running meanwhile.

    Several gateways may have the same folder: one loader works, the others stand by.
    """

    def __init__(self, settings: Settings, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        folder = settings.data_dir.resolve() / FOLDER
        self.unpack = Registered(partial(registry.read, connection))
        self.receipts = Receipts(folder, self.unpack)
        self.statuses = Statuses(folder, self.unpack)
        self._readers = {receipts.NAME: Reader(folder / receipts.FILE), statuses.NAME: Reader(folder / statuses.FILE)}
        self._clock = clock
        self._asked, self._known = float("-inf"), dict[str, float]()
        self._loader = _Loader(_environment(settings, connection))

    def __enter__(self) -> Self:
        self._loader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loader.stop()

    @property
    def ready(self) -> bool:
        """Whether both have been read to the end, by a loader that is alive."""
        return all(self._is_ready(beat) for beat in self._beats().values())

    def progress(self) -> Mapping[str, float]:
        """Of each view, which share of what was there at the start has been read: 0 to 1."""
        return {name: beat.progress if beat else 0.0 for name, beat in self._beats().items()}

    def lags(self) -> Mapping[str, float]:
        """Of each view, how many seconds it may be behind; infinite before there is one."""
        return {name: self._lag(beat) for name, beat in self._beats().items()}

    def lag(self, view: str) -> float:
        """Of one view; read at most twice a second, as every answer states it."""
        now = time.monotonic()
        if now - self._asked > LAG_SECONDS:
            self._asked, self._known = now, dict(self.lags())
        return self._known[view]

    def refresh(self, metrics: m.Metrics) -> None:
        """Bring the gauges up to now: called before a scrape."""
        for name, seconds in self.lags().items():
            metrics.set(m.VIEW_LAG, name, to=seconds)

    def _beats(self) -> dict[str, Beat | None]:
        return {name: reader.beat() for name, reader in self._readers.items()}

    def _is_ready(self, beat: Beat | None) -> bool:
        return beat is not None and beat.caught_up and self._clock() - beat.at < SILENT_SECONDS

    def _lag(self, beat: Beat | None) -> float:
        return float("inf") if beat is None else beat.lag + max(0.0, self._clock() - beat.at)


class _Loader:
    """The loader as a child process, started again when it ends by itself."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name="views", daemon=True)

    def start(self) -> None:
        self._process = self._spawn()
        self._watcher.start()

    def stop(self) -> None:
        """SIGTERM, patience, SIGKILL."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        self._watcher.join(END_SECONDS)

    def _watch(self) -> None:
        while True:
            assert self._process is not None
            code = self._process.wait()
            if self._stopping.wait(RESTART_SECONDS):
                return
            log.warning("the views' loader ended, starting it again", code=code)
            self._process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        # its standard input is a pipe that nobody writes to: it ends with this process, however that ends
        command = [sys.executable, "-m", "hub.views"]
        return subprocess.Popen(command, env=dict(self._environment), stdin=subprocess.PIPE, start_new_session=True)


def _environment(settings: Settings, connection: Connection) -> dict[str, str]:
    """What the loader is told: where, and nothing that it does not need (no key of the pseudonyms)."""
    given = {
        "HUB_DATA_DIR": str(settings.data_dir.resolve()),
        "HUB_BROKER": "external",
        "HUB_BOOTSTRAP_SERVERS": connection.bootstrap,
        "HUB_LOG_LEVEL": settings.log_level,
        **({"HUB_SCHEMAS": str(Path(settings.schemas).resolve())} if settings.schemas else {}),
    }
    return {name: value for name, value in os.environ.items() if name != "HUB_PERSON_SECRET"} | given
