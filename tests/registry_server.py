"""A schema registry on a free port, over the log of a broker; and a small client that shows whole answers."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn
from brokers import make_topic
from starlette.requests import Request

from hub.catalogue import load
from hub.gateway.protocol import BoundedProtocol
from hub.kafka.brokers import open_broker
from hub.kafka.clients import admin
from hub.kafka.connection import Connection
from hub.registry.refusals import unauthenticated
from hub.registry.rest import JSON, registry_app
from hub.registry.rights import Access, Rights, Told
from hub.registry.schemas import TOPIC
from hub.registry.store import open_store


@dataclass(frozen=True)
class Somebody:
    agency: str


def by_password(request: Request) -> Somebody | None:
    """Whoever says its code twice: `Basic mod:mod`. Tests of tokens are elsewhere."""
    import base64

    kind, _, proof = request.headers.get("authorization", "").partition(" ")
    if not kind:
        return None
    user, _, password = base64.b64decode(proof).decode().partition(":")
    if kind != "Basic" or user != password:
        raise unauthenticated()
    return Somebody(user)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    type: str


@dataclass(frozen=True)
class Registry:
    """Where one is, and as whom to ask."""

    url: str
    agency: str | None = None

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Answer:
        asked = "&".join(f"{name}={str(value).lower()}" for name, value in query.items())
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}?{asked}", data, self._headers(), method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return _answer(answer)
        except urllib.error.HTTPError as refused:
            return _answer(refused)

    def get(self, path: str, **query: Any) -> Any:
        found = self.ask("GET", path, **query)
        assert found.status == 200, found
        return found.body

    def refused(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, int]:
        """HTTP status and the registry's own code."""
        found = self.ask(method, path, body, **query)
        assert set(found.body) == {"error_code", "message"} and found.type == JSON, found
        return found.status, found.body["error_code"]

    def register(self, subject: str, schema: Any, **query: Any) -> int:
        found = self.ask("POST", f"/subjects/{quote(subject, safe='')}/versions", sent(schema), **query)
        assert found.status == 200, found
        return int(found.body["id"])

    def _headers(self) -> dict[str, str]:
        import base64

        said = {"content-type": JSON}
        if self.agency:
            proof = base64.b64encode(f"{self.agency}:{self.agency}".encode()).decode()
            said["authorization"] = f"Basic {proof}"
        return said


def sent(schema: Any, **more: Any) -> dict[str, Any]:
    return {"schema": schema if isinstance(schema, str) else json.dumps(schema), **more}


def _answer(found: Any) -> Answer:
    text, kind = found.read(), found.headers.get("content-type", "")
    return Answer(found.status, json.loads(text) if text and "json" in kind else text, kind)


@contextlib.contextmanager
def serving(
    connection: Connection,
    access: Access = "open",
    operators: frozenset[str] = frozenset(),
    port: int = 0,
    changes: Told = lambda *_: None,
) -> Iterator[str]:
    """A registry until the end of the `with`; its address. Port 0 is a free one. `changes` is told of each."""
    with open_store(connection) as store:
        rights = Rights(load(), access, operators, changes=changes)
        app = registry_app(store, rights, by_password)
        config = uvicorn.Config(app, port=port, log_level="warning", lifespan="off", http=BoundedProtocol)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        started = threading.Event()
        while not server.started and thread.is_alive():
            started.wait(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def make_log(connection: Connection) -> None:
    make_topic(connection, TOPIC, cleanup_policy="compact")


def remove_topic(connection: Connection) -> None:
    with admin(connection) as client:
        if TOPIC in client.list_topics():
            client.delete_topics([TOPIC])


@pytest.fixture(scope="session")
def registry_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A broker of the registries' own: other tests remove the topic."""
    folder: Path = tmp_path_factory.mktemp("registry")
    with open_broker("embedded", folder) as connection:
        make_log(connection)
        yield connection


@pytest.fixture(scope="session")
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    """An open registry for the whole run: tests use subjects of their own. HUB_TEST_SCHEMA_REGISTRY names another
    make's, so that the suite tells whether it behaves as this one."""
    other = os.environ.get("HUB_TEST_SCHEMA_REGISTRY")
    if other:
        yield Registry(other.rstrip("/"))
        return
    registry_broker = request.getfixturevalue("registry_broker")
    with serving(registry_broker) as url:
        yield Registry(url)
