"""How much the registry takes of one who asks, and of all: nothing of a stranger, and nothing for ever."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from registry_server import Registry, serving

from hub.kafka.connection import Connection
from hub.registry import rest

PATIENCE = 30


@pytest.fixture
def closed(registry_broker: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(rest, "BODY_SECONDS", 0.5)
    monkeypatch.setattr(rest, "REQUESTS", 4)
    with serving(registry_broker, "closed") as url:
        yield url


@contextlib.contextmanager
def half_sent(url: str, agency: str | None = None) -> Iterator[socket.socket]:
    """A request whose body does not go on."""
    head = f"POST /subjects/x HTTP/1.1\r\nHost: x\r\nContent-Type: {rest.JSON}\r\nContent-Length: 1000000\r\n"
    if agency:
        head += f"Authorization: Basic {base64.b64encode(f'{agency}:{agency}'.encode()).decode()}\r\n"
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port or 0), PATIENCE) as client:
        client.sendall(head.encode() + b"\r\n{")
        yield client


def answer(client: socket.socket) -> tuple[int, int]:
    """HTTP status and the registry's own code."""
    with client.makefile("rb") as file:
        status, size = int(file.readline().split()[1]), 0
        while (line := file.readline().strip().lower()) != b"":
            size = int(line.partition(b":")[2]) if line.startswith(b"content-length:") else size
        return status, json.loads(file.read(size))["error_code"]


def test_a_strangers_body_is_not_waited_for(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "BODY_SECONDS", 10 * PATIENCE)
    with half_sent(closed) as client:
        assert answer(client) == (401, 40101)


def test_a_body_that_does_not_come_is_408(closed: str) -> None:
    with half_sent(closed, "mod") as client:
        assert answer(client) == (408, 408)


def test_one_agency_keeps_no_other_out(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "BODY_SECONDS", 10 * PATIENCE)
    with half_sent(closed, "mod"), half_sent(closed, "mod"):
        until(closed, "mod", 429)
        assert Registry(closed, "meis").ask("GET", "/subjects").status == 200
        with half_sent(closed, "dsmf"), half_sent(closed, "dsmf"):
            until(closed, "meis", 503)
            assert Registry(closed).ask("GET", "/subjects").status == 401
    until(closed, "mod", 200)


def until(url: str, agency: str, status: int) -> None:
    """What was sent before has come when it shows."""
    deadline = time.monotonic() + PATIENCE
    while (found := Registry(url, agency).ask("GET", "/subjects")).status != status:
        assert time.monotonic() < deadline, found
