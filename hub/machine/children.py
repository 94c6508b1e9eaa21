"""The hub's processes on one machine: started, watched, started again, stopped in order."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from hub.errors import Fatal
from hub.kafka.address import HANDED
from hub.machine.lifeline import LIFELINE

log = structlog.get_logger(__name__)

STOP_SECONDS = 25.0
QUICK_DEATHS = 5
"""So many errors in a row, each soon after its start, are no accident: say so and stop. Being killed is none."""
QUICK_SECONDS = 30.0


class Child:
    """One process of the hub, `hub <command>`; started again when it ends by itself."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        door: int | socket.socket,
    ) -> None:
        """`door`: the port of its metrics, or the socket it is to serve on, which stays open while it is started again:
        who asks in the meantime waits."""
        self._door = door if isinstance(door, socket.socket) else None
        self.name, self.restarts = name, 0
        self.port: int = door if isinstance(door, int) else door.getsockname()[1]
        self._command = [sys.executable, "-m", "hub", *command]
        self.environment = {**os.environ, **environment, "HUB_METRICS_PORT": str(self.port), LIFELINE: "1"}
        self._handed: tuple[int, ...] = ()
        if self._door:
            self._handed = (self._door.fileno(),)
            self.environment[HANDED] = str(self._door.fileno())
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self.failed: str | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, and a thread that starts it again."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._process = self._spawn()
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{self.name}", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """SIGTERM, patience, SIGKILL. Returns once it is gone."""
        self._stopping.set()
        if self._door:
            self._door.close()
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("did not stop in time, killed", process=self.name)
            process.kill()
            process.wait()
        if self._watcher is not None:
            self._watcher.join(STOP_SECONDS)

    def answers(self, path: str) -> bool:
        """Whether `path` on its port answers 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def wait_ready(self, seconds: float) -> None:
        """Return once `/readyz` answers. Raises `Fatal` with the end of its log where it does not."""
        deadline = time.monotonic() + seconds
        while not self.answers("/readyz"):
            if self.failed or time.monotonic() > deadline:
                raise Fatal(f"{self.name} is not ready: {self.failed or 'time is up'}\n{self._tail()}")
            time.sleep(0.1)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                env=self.environment,
                pass_fds=self._handed,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the hub, which stops its children in order
            )

    def _watch(self) -> None:
        quick = 0
        while not self._stopping.is_set():
            began, process = time.monotonic(), self._process
            assert process is not None
            code = process.wait()
            if self._stopping.is_set():
                return
            quick = quick + 1 if code > 0 and time.monotonic() - began < QUICK_SECONDS else 0
            if quick >= QUICK_DEATHS:
                self.failed = f"it ended {quick} times soon after its start, last with code {code}"
                log.error("given up", process=self.name, code=code, log=str(self._log))
                return
            log.warning("ended, starting it again", process=self.name, code=code)
            self.restarts += 1
            self._stopping.wait(min(0.2 * 2**quick, 5))
            if not self._stopping.is_set():
                self._process = self._spawn()

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(f"    {line}" for line in lines[-15:])
