"""What faults act on: workers, the broker's nodes, and a log of what was done to them, when."""

from __future__ import annotations

import contextlib
import errno
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chaos.subject import HERE, Broker, Gateway, Worker
from chaos.watch import Watch

CRASH_SECONDS = 40.0
"""A worker that is to crash at a step of a batch comes to it in this time."""

FULL_SECONDS = 20.0
"""A disk stays full until the broker has ended, but no longer than this."""

BLOCK = 1 << 20


class Stage:
    """What faults act on. All that they do is in the fault log with its time."""

    def __init__(
        self,
        broker: Broker,
        workers: list[Worker],
        watch: Watch,
        tick: Callable[[int], None],
        disk: Path | None = None,
        gateway: Gateway | None = None,
    ) -> None:
        self.broker, self.workers, self.disk, self.healed = broker, workers, disk, time.monotonic()
        self.gateway = gateway
        self.faults: list[dict[str, Any]] = []
        self.stops: list[float] = []
        self.void: list[str] = []
        """Why all this proves nothing, where it does not."""
        self._watch, self._tick = watch, tick

    def seen(self) -> set[str]:
        """Coordinates that have a verdict."""
        return set(self._watch.seen)

    def sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._tick(len(self._watch.seen))
            time.sleep(min(left, 0.2))

    @contextlib.contextmanager
    def fault(self, what: str, whom: str) -> Iterator[None]:
        """A fault, from when it hits until it is healed."""
        row = {"what": what, "whom": whom, "at": time.time() * 1000}
        self.faults.append(row)
        yield
        self.healed = time.monotonic()
        row["seconds"] = round(time.time() - row["at"] / 1000, 2)

    def kill(self, number: int) -> None:
        """kill -9 of a worker, which its supervisor starts again."""
        worker = self.workers[number]
        with self.fault("kill -9", worker.name):
            worker.kill()
            worker.start()

    def kill_gateway(self) -> None:
        """kill -9 of the gateway, which its supervisor starts again."""
        assert self.gateway is not None
        with self.fault("kill -9", self.gateway.name):
            self.gateway.kill()
            self.gateway.start()
            self.gateway.wait_ready()

    def lose_both(self, seconds: float) -> None:
        """The broker stands still, and the gateway is killed with all that it could not hand over."""
        assert self.gateway is not None
        with self.fault("freeze", "broker-1"):
            self.broker.signal(signal.SIGSTOP)
            self.sleep(seconds)
            with self.fault("kill -9", self.gateway.name):
                self.gateway.kill()
                self.broker.signal(signal.SIGCONT)
                self.gateway.start()
                self.gateway.wait_ready()

    def freeze(self, number: int, seconds: float) -> None:
        worker = self.workers[number]
        with self.fault("freeze", worker.name):
            worker.signal(signal.SIGSTOP)
            self.sleep(seconds)
            worker.signal(signal.SIGCONT)

    def restart(self, number: int) -> None:
        """A graceful stop and a start."""
        worker = self.workers[number]
        with self.fault("graceful stop", worker.name):
            self.stops.append(worker.stop())
            worker.start()

    def stop(self, number: int) -> None:
        """A graceful stop; the others take over."""
        with self.fault("graceful stop", self.workers[number].name):
            self.stops.append(self.workers[number].stop())

    def crash(self, steps: list[str]) -> None:
        """Worker 1 kills itself with -9 at the first step (LANE_STEP of mutants.py), worker 2 at the second, at the
        same time; both are started again."""
        pairs = list(zip(self.workers, steps))
        for worker, step in pairs:
            with self.fault("kill -9", worker.name):
                worker.kill()
                worker.start(f"crash_{step}")
        deadline = time.monotonic() + CRASH_SECONDS
        while pairs:
            self.sleep(0.05)
            for worker, step in [pair for pair in pairs if not pair[0].running or time.monotonic() > deadline]:
                if worker.running:
                    raise RuntimeError(f"{worker.name} did not come to {step} in {CRASH_SECONDS:.0f} s")
                pairs.remove((worker, step))
                with self.fault(f"kill -9 at {step.replace('_', ', ')}", worker.name):
                    worker.start()

    def rebalance(self, intruder: Intruder) -> None:
        """Another member comes, and goes: two rebalances of its group."""
        for order in ("join", "leave"):
            with self.fault("rebalance", intruder.group):
                intruder.ask(order)

    def kill_broker(self, pause: float, node: int = 1) -> None:
        with self.fault("kill -9", f"broker-{node}"):
            self.broker.kill(node)
            self.sleep(pause)
            self.broker.start_nodes(node)

    def stop_broker(self, pause: float) -> None:
        with self.fault("graceful stop", "broker-1"):
            self.broker.stop_node()
            self.sleep(pause)
            self.broker.start_nodes(1)

    def freeze_broker(self, seconds: float) -> None:
        with self.fault("freeze", "broker-1"):
            self.broker.signal(signal.SIGSTOP)
            self.sleep(seconds)
            self.broker.signal(signal.SIGCONT)

    def fill_disk(self, folder: Path) -> None:
        """No byte is left on the broker's disk; freed when the broker has ended, and it is started again."""
        with self.fault("disk full", "broker-1"):
            filler = folder / "filler"
            _fill(filler)
            until = time.monotonic() + FULL_SECONDS
            while self.broker.running() and time.monotonic() < until:
                self.sleep(0.2)
            ended = not self.broker.running()
            filler.unlink()
            if ended:
                self.broker.start_nodes(1)
        self.faults[-1]["broker"] = "ended, and was started again" if ended else "lived on"


class Intruder:
    """A member of a group that comes and goes (intruder.py)."""

    def __init__(self, bootstrap: str, lane: str) -> None:
        self.group, prefix = f"zefer.{lane}", {"gate": "in.", "ledger": "events."}[lane]
        words = ["--bootstrap", bootstrap, "--group", self.group, "--prefix", prefix]
        pipe = subprocess.PIPE
        program = [sys.executable, str(HERE / "intruder.py")]
        self._process = subprocess.Popen(
            [*program, *words], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self._process.stdout.readline()

    def ask(self, order: str) -> None:
        print(order, file=self._process.stdin, flush=True)
        if self._process.stdout.readline().strip() != order:
            raise RuntimeError(f"the member that was to {order} {self.group} has ended")

    def close(self) -> None:
        self._process.communicate()


def _fill(path: Path) -> None:
    block = b"x" * BLOCK
    with path.open("wb", buffering=0) as file:
        while len(block):
            try:
                file.write(block)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                block = block[: len(block) // 2]
