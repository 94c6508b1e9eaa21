"""A broker as a child process of the hub: started behind `guard.py`, ready when it answers, gone when the hub is."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.errors import ConfigError
from hub.kafka import guard
from hub.kafka.address import LOOPBACK, answers, free_ports, require_free
from hub.kafka.broker import Broker
from hub.kafka.connection import Connection

# A hub that was killed leaves its broker some seconds to close its files; the next hub waits for that.
LOCK_SECONDS = 15.0
LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run: the command, the address it will answer at, its log, seconds of mercy at the end and of patience
    at the start."""

    name: str
    command: Sequence[str]
    address: str
    log: Path
    grace: float
    patience: float


class Child:
    """A running broker process. `pid` is the broker's own, not the guard's; `lock` is kept until it is gone."""

    def __init__(self, launch: Launch, lock: int) -> None:
        self._launch = launch
        self._guard = _spawn(launch, lock)
        self.pid = self._read_pid()

    def wait_ready(self) -> None:
        """Return once the broker answers Kafka's ApiVersions; `ConfigError` with the end of its log otherwise."""
        deadline = time.monotonic() + self._launch.patience
        while not answers(self._launch.address):
            if self._guard.poll() is not None:
                raise self._failed(f"ended with code {self._guard.returncode} before it answered")
            if time.monotonic() > deadline:
                raise self._failed(f"did not answer within {self._launch.patience:.0f} seconds")
            time.sleep(0.05)

    def stop(self) -> None:
        """Close the pipe and wait: the guard sends SIGTERM, then SIGKILL. Safe to call again."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        try:
            self._guard.wait(self._launch.grace + 10)
        except subprocess.TimeoutExpired:
            self._guard.kill()  # the kernel then kills the broker
            self._guard.wait()

    def _read_pid(self) -> int:
        assert self._guard.stdout is not None
        with self._guard.stdout as lines:
            words = lines.readline().split()
        if len(words) != 2:
            raise self._failed("could not be started")
        return int(words[1])

    def _failed(self, what: str) -> ConfigError:
        log = self._launch.log
        text = log.read_text(errors="replace")
        return ConfigError(f"{self._launch.name} {what}; the end of {log}:\n{last_lines(text)}")


class ChildBroker(Broker):
    """What the brokers that run as a child process have in common; one says how it is opened."""

    name: str

    def __init__(self, folder: Path, port: int | None) -> None:
        self.folder = folder
        self._port = port
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def open(self, port: int, lock: int) -> Child:
        """Prepare `folder`, which is ours alone from here on, and run the broker on that port."""
        raise NotImplementedError

    def start(self) -> Connection:
        port = self._port or free_ports(1)[0]
        require_free(port)
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold(self.folder / "lock", self.name) as lock:
            self._child = self.open(port, lock)
        try:
            self._child.wait_ready()
        except BaseException:  # Ctrl-C while it starts, too
            self.stop()
            raise
        return Connection((f"{LOOPBACK}:{port}",))

    def stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop()


@contextmanager
def hold(path: Path, name: str) -> Iterator[int]:
    """A lock on the file, as a descriptor that a child may keep; waits for a broker that is just stopping."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(handle, path, name)
        yield handle
    finally:
        os.close(handle)


def last_lines(text: str) -> str:
    """The end of a log, indented; without the frames of Java's stack traces, which would be all of it."""
    lines = [line for line in text.splitlines() if not line.startswith("\tat ")]
    return "\n".join(f"    {line}" for line in lines[-LOG_LINES:])


def _spawn(launch: Launch, lock: int) -> subprocess.Popen[bytes]:
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    # -I: neither the user's site nor PYTHON* variables may keep the guard from starting
    command = [sys.executable, "-I", guard.__file__, str(os.getpid()), str(launch.grace), *launch.command]
    with launch.log.open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the hub's terminal is for the hub; it stops its broker last
            pass_fds=[lock],
        )


def _take(handle: int, path: Path, name: str) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                message = f"another hub runs {name} in {path.parent}: stop it or choose another --data-dir"
                raise ConfigError(message) from None
            time.sleep(0.1)
