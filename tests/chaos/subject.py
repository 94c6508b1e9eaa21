"""What is tested, as processes that can be killed: a broker, and workers (`python -m hub worker`)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PARTITIONS = 4
SECRET = "a secret for the witness, and for nobody else"
NO_LIMIT = '{"events": 1e9, "events_burst": 1e9, "mib": 1e6, "mib_burst": 1e6, "day": 1000000000}'
READY_SECONDS, STOP_SECONDS = 90.0, 40.0


class NoBroker(Exception):
    """This machine cannot have it."""


class Broker:
    """Nodes of one kind over one folder, through all their lives (see keeper.py); numbered from 1."""

    def __init__(self, kind: str, folder: Path, nodes: int = 1) -> None:
        self.kind, self.nodes, self.bootstrap = kind, list(range(1, nodes + 1)), ""
        self._folder, self._port, self._keeper = folder, free_port(), None
        self._pids: dict[int, int] = {}

    def start(self) -> None:
        """All nodes. Raises `NoBroker` saying what is missing."""
        self._keep()
        self.start_nodes(*self.nodes)

    def _keep(self) -> None:
        command = [sys.executable, str(HERE / "keeper.py"), self.kind, str(self._folder), str(len(self.nodes))]
        pipe = subprocess.PIPE
        self._keeper = subprocess.Popen([*command, str(self._port)], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.bootstrap = self._line()

    def check(self) -> None:
        """Raises `NoBroker` as `start` does; starts no node."""
        self._keep()
        self.stop()

    def start_nodes(self, *nodes: int) -> None:
        self._pids |= zip(nodes, map(int, self._ask("start", *nodes).split()))

    def stop_node(self, node: int = 1) -> None:
        """As a person stops it: SIGTERM, and time to close its files."""
        self._ask("stop", node)

    def signal(self, number: int, node: int = 1) -> None:
        os.kill(self._pids[node], number)

    def kill(self, node: int = 1) -> None:
        self.signal(signal.SIGKILL, node)

    def running(self, node: int = 1) -> bool:
        """Whether the process is there and no zombie."""
        try:
            return Path(f"/proc/{self._pids[node]}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.communicate()
            self._keeper = None

    def _ask(self, order: str, *nodes: int) -> str:
        print(order, *nodes, file=self._keeper.stdin, flush=True)
        return self._line()

    def _line(self) -> str:
        line = self._keeper.stdout.readline()
        if not line:
            said = self._keeper.communicate()[1].strip()
            raise NoBroker(said) if self._keeper.returncode == 3 else RuntimeError(said)
        return line.strip()


class Worker:
    """One worker process; `mutant` names a fault to be built into it (see mutants.py), `settings` are `HUB_*`."""

    command = "worker"

    def __init__(self, name: str, bootstrap: str, folder: Path, mutant: str = "", **settings: str) -> None:
        self.name, self._mutant, self.port = name, mutant, free_port()
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.environment = (
            {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
            | {
                "HUB_BROKER": "external",
                "HUB_BOOTSTRAP_SERVERS": bootstrap,
                "HUB_PARTITIONS": str(PARTITIONS),
                "HUB_PERSON_SECRET": SECRET,
                "HUB_DATA_DIR": str(folder / name),
                "HUB_METRICS_PORT": str(self.port),
                "HUB_LIFELINE": "1",  # it ends when our end of its standard input is gone
            }
            | settings
        )

    def apply_topics(self) -> None:
        """Topics and schemas as the catalogue wants them."""
        command = [sys.executable, "-m", "hub", "topics", "apply"]
        run = subprocess.run(command, cwd=ROOT, env=self._plain(), capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(f"hub topics apply: {run.stderr[-2000:] or run.stdout[-2000:]}")

    @property
    def restarts(self) -> int:
        """How often it began anew, in whole or a number of it, as its log has it."""
        return self.log.read_text().count('"starting again"') + self._starts - 1

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, mutant: str = "") -> None:
        self._starts += 1
        mutant = mutant or self._mutant
        how = [str(HERE / "mutants.py"), mutant] if mutant else ["-m", "hub"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *how, self.command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} is not ready, see {self.log}:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> float:
        """SIGTERM, and how many seconds it took."""
        began = time.monotonic()
        if self.running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            self.kill()
        return time.monotonic() - began

    def _plain(self) -> dict[str, str]:
        return {name: value for name, value in self.environment.items() if name != "HUB_LIFELINE"}

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


class Gateway(Worker):
    """The HTTP gateway, a process like the workers."""

    command = "gateway"

    def __init__(self, bootstrap: str, folder: Path, mutant: str = "") -> None:
        super().__init__("gateway", bootstrap, folder, mutant, HUB_GATEWAY_ACK_SECONDS="2", HUB_LIMIT=NO_LIMIT)
        self.environment |= {"HUB_GATEWAY_PORT": str(self.port), "HUB_TOKENS": str(folder / "tokens.json")}

    def tokens(self, agencies: Sequence[str]) -> str:
        """One for each agency, as JSON."""
        command = [sys.executable, str(HERE / "tokens.py"), *agencies]
        return subprocess.run(command, env=self._plain(), capture_output=True, text=True, check=True).stdout


def stop(workers: Sequence[Worker]) -> list[float]:
    """All at once; seconds that each took."""
    with ThreadPoolExecutor() as together:
        return list(together.map(Worker.stop, workers))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
