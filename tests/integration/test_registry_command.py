"""`hub registry` as it is started: ready, answering, a busy port named, stopped in order."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from gateway_process import files
from registry_server import Registry, sent

from hub.access.connections import CONNECTIONS
from hub.kafka.connection import Connection

TYPE = "az.zefer.veteran.VeteranStatusGranted"


def start(broker: Connection, **given: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HUB_BOOTSTRAP_SERVERS": broker.bootstrap, "HUB_REGISTRY_PORT": "0", **given}
    command = [sys.executable, "-m", "hub", "registry"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


@pytest.fixture
def process(registry_broker: Connection) -> Iterator[subprocess.Popen[str]]:
    running = start(registry_broker)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def test_it_is_closed_answers_and_stops(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    said = process.stderr.readline()
    found = re.fullmatch(r"schema registry \(closed\): (http://127\.0\.0\.1:\d+)\n", said)
    assert found, said
    registry = Registry(found[1])
    assert registry.ask("GET", "/healthz").status == 200 and registry.ask("GET", "/readyz").status == 200
    assert registry.refused("GET", "/subjects") == (401, 40101)
    scraped = registry.ask("GET", "/metrics").body.decode()
    assert 'hub_http_requests_total{door="registry",route="/subjects",status="401"} 1.0' in scraped
    assert 'hub_http_rejected_total{agency="nobody",code="credentials_missing"} 1.0' in scraped
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (0, -signal.SIGTERM)


def test_what_a_stranger_asks_for_is_not_logged(registry_broker: Connection) -> None:
    running = start(registry_broker, HUB_REGISTRY_ACCESS="open")
    try:
        assert running.stderr is not None
        registry = Registry(running.stderr.readline().split()[-1])
        for subject in ("az.zefer.5ZK3LMP", TYPE):
            assert registry.refused("POST", f"/subjects/{subject}/versions", sent('"int"')) == (401, 40101)
    finally:
        running.terminate()
        _, said = running.communicate(timeout=60)
    assert said.count("denied") == 2 and TYPE in said and "5ZK3LMP" not in said


def test_a_busy_port_is_named(registry_broker: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = start(registry_broker, HUB_REGISTRY_PORT=str(port))
        _, said = running.communicate(timeout=60)
    assert running.returncode == 2 and str(port) in said and "HUB_REGISTRY_PORT" in said


def test_another_registry_makes_this_one_pointless(registry_broker: Connection) -> None:
    running = start(registry_broker, HUB_SCHEMA_REGISTRY_URL="http://127.0.0.1:9")
    _, said = running.communicate(timeout=60)
    assert running.returncode == 2 and "HUB_SCHEMA_REGISTRY_URL" in said


def test_the_command_has_the_bounds_of_the_gateway(registry_broker: Connection) -> None:
    """Of connections, heads and what is left of a body after its answer: `hub/gateway/protocol.py`."""
    running = start(registry_broker)
    try:
        assert running.stderr is not None
        url = running.stderr.readline().split()[-1]
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port or 0), 30) as client:
            client.sendall(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 431 ")
    finally:
        running.kill()
        running.communicate()


@pytest.mark.parametrize("most", [None, 1_024])
def test_a_stranger_with_more_connections_than_there_may_be_keeps_nobody_out(
    registry_broker: Connection, most: int | None
) -> None:
    """However few files a shell lets a process open, or the machine."""
    with files(1_024):
        running = start(registry_broker, HUB_REGISTRY_ACCESS="open")
    try:
        assert running.stderr is not None
        url = running.stderr.readline().split()[-1]
        assert Registry(url).ask("GET", "/subjects").status == 200
        assert resource.prlimit(running.pid, resource.RLIMIT_NOFILE)[0] > 1_024, "it has asked for more"
        if most:
            resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (most, most))
        with ExitStack() as stack:
            stack.enter_context(files(CONNECTIONS + 1_000))
            for _ in range((most or CONNECTIONS) + 200):
                address = urlsplit(url).hostname, urlsplit(url).port or 0
                stack.enter_context(socket.create_connection(address, timeout=30))
            assert [Registry(url).ask("GET", "/subjects").status for _ in range(3)] == [200] * 3
    finally:
        running.kill()
        running.communicate()
