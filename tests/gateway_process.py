"""A gateway process of a test's own, beside whatever broker there is."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from hub.gateway.publish import BATCH, SINGLE
from hub.kafka.address import free_ports

__all__ = ["BATCH", "SINGLE", "environment", "files", "process", "secret_of"]


def environment(bootstrap: str, folder: Path, **more: str) -> dict[str, str]:
    given = {"HUB_BROKER": "external", "HUB_BOOTSTRAP_SERVERS": bootstrap, "HUB_DATA_DIR": str(folder)}
    return os.environ | given | {"HUB_PERSON_SECRET": secret_of(folder)} | more


def secret_of(folder: Path) -> str:
    path = folder / "person.secret"
    return path.read_text().strip() if path.exists() else "s" * 32


@contextmanager
def process(bootstrap: str, folder: Path, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A gateway of its own, ready; its port."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "hub", "gateway", "--port", str(port)]
    with subprocess.Popen(command, env=environment(bootstrap, folder, **more), stderr=subprocess.DEVNULL) as found:
        try:
            deadline = time.monotonic() + 90
            while not _ready(port):
                assert found.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
            yield found, port
        finally:
            found.terminate()


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def files(soft: int) -> Iterator[None]:
    """So many files may this process have open, and what it starts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
