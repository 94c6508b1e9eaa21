"""TLS as it is spoken: real handshakes with every protocol class that there is, and who a client is taken for."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http.client import RemoteDisconnected
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
import uvloop
from auditors import Auditors
from certificates import Authority, Pair, trusting
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.access import Denied, Doorkeeper, connections
from hub.access.certificates import Certificates
from hub.access.connections import Loop
from hub.access.tls import uvicorn_tls
from hub.access.tokens import Tokens
from hub.errors import ConfigError
from hub.gateway.protocol import BoundedProtocol
from hub.settings import Settings

MOD, STRANGER = "urn:az:agency:mod", "urn:az:agency:nobody"
AGENCIES = {"mod", "mia"}
NOBODY: Any = SimpleNamespace(bad_certificate=None, without_certificate=None)


class Unproved:
    """As a door has it (`hub.access.tls.Unproved`)."""

    def __init__(self, keeper: Doorkeeper) -> None:
        self._keeper = keeper
        self.bad_certificate = keeper.bad_certificate

    async def without_certificate(self, scope: Scope, receive: Receive, send: Send) -> None:
        denied = self._keeper.without_certificate()
        await JSONResponse({"code": denied.code}, denied.status)(scope, receive, send)


class World:
    """Two authorities: of the server, and of the agencies' clients."""

    def __init__(self, folder: Path, protocol: type[Any]) -> None:
        self.folder, self.protocol = folder, protocol
        self.servers, self.clients = Authority(folder, "servers"), Authority(folder, "clients")
        self.server = self.servers.server()
        self.audit = Auditors()

    @contextmanager
    def serving(self, **given: Any) -> Iterator[int]:
        """A door that says who asks, behind TLS; its port."""
        tls = {"tls_cert": self.server.cert, "tls_key": self.server.key, "tls_client_ca": self.clients.file}
        settings = Settings(**(tls | given))
        certificates = Certificates(AGENCIES, settings.client_certificates)
        keeper = Doorkeeper("test", Tokens(self.folder / "none.json"), AGENCIES, certificates, self.audit)

        async def who(request: Request) -> JSONResponse:
            try:
                caller = keeper.caller(request)
            except Denied as denied:
                return JSONResponse({"code": denied.code}, denied.status)
            return JSONResponse({"agency": caller.agency, "proof": caller.proof})

        app = Starlette(routes=[Route("/", who, methods=["GET", "POST"])])
        kwargs = uvicorn_tls(settings, self.protocol, Unproved(keeper))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off", **kwargs))
        serve = lambda: uvloop.run(server.serve(), loop_factory=Loop)  # noqa: E731
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        pause = threading.Event()
        while not server.started and thread.is_alive():
            pause.wait(0.01)
        try:
            yield server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)

    def ask(self, port: int, pair: Pair | None = None, body: bytes | None = None) -> tuple[int, dict[str, str]]:
        handler = urllib.request.HTTPSHandler(context=trusting(self.servers, pair))
        try:
            with urllib.request.build_opener(handler).open(f"https://127.0.0.1:{port}/", body, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def refused(self, port: int, pair: Pair | None = None) -> None:
        """No HTTP at all: the handshake fails (with TLS 1.3 the client may learn it only when it reads)."""
        with pytest.raises((ssl.SSLError, urllib.error.URLError, ConnectionError, RemoteDisconnected)) as found:
            self.ask(port, pair)
        assert not isinstance(found.value, urllib.error.HTTPError)


@pytest.fixture(params=[H11Protocol, HttpToolsProtocol, BoundedProtocol], ids=["h11", "httptools", "gateway"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


def test_a_client_certificate_is_its_agency_in_every_request_of_a_connection(world: World) -> None:
    pair = world.clients.client(MOD)
    with world.serving() as port:
        assert world.ask(port, pair) == (200, {"agency": "mod", "proof": "certificate"})
        assert world.ask(port, pair, b"x" * 100_000) == (200, {"agency": "mod", "proof": "certificate"})
        import http.client

        client = http.client.HTTPSConnection("127.0.0.1", port, context=trusting(world.servers, pair), timeout=10)
        for _ in range(3):  # kept alive
            client.request("GET", "/")
            assert json.load(client.getresponse())["agency"] == "mod"
        client.close()


def test_connections_of_different_agencies_are_not_mixed_up(world: World) -> None:
    import http.client

    with world.serving() as port:
        clients = {}
        for agency in ("mod", "mia", None):
            pair = world.clients.client(f"urn:az:agency:{agency}") if agency else None
            context = trusting(world.servers, pair)
            clients[agency] = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
        for _ in range(3):
            for agency, client in clients.items():
                client.request("GET", "/")
                assert json.load(client.getresponse()).get("agency") == agency
        for client in clients.values():
            client.close()


def test_without_a_certificate_nothing_is_proved(world: World) -> None:
    with world.serving() as port:
        assert world.ask(port) == (401, {"code": "credentials_missing"})


def test_a_good_certificate_of_nobody_is_forbidden(world: World) -> None:
    with world.serving() as port:
        for pair in (world.clients.client(STRANGER), world.clients.client(), world.clients.client(name="mod")):
            assert world.ask(port, pair) == (403, {"code": "certificate_unknown"})


def test_a_certificate_that_is_not_good_ends_the_handshake(world: World, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    with world.serving() as port:
        world.refused(port, Authority(others, "clients").client(MOD))  # another authority of the same name
        world.refused(port, world.clients.client(MOD, lasts=-timedelta(days=1)))
        world.refused(port, world.servers.client(MOD))  # the server's authority signs no clients
        world.refused(port, world.servers.server())
        assert world.ask(port, world.clients.client(MOD))[0] == 200
    assert world.audit.denials == [(None, "come in at test", "certificate_invalid")] * 4


def test_where_one_is_required_nobody_comes_in_without(world: World) -> None:
    with world.serving(tls_clients="required") as port:
        assert world.ask(port) == world.ask(port, body=b"x" * 100_000) == (403, {"code": "certificate_missing"})
        assert world.ask(port, world.clients.client(MOD))[0] == 200
        world.refused(port, world.servers.client(MOD))
    assert [code for _, _, code in world.audit.denials] == ["certificate_missing"] * 2 + ["certificate_invalid"]


def test_where_no_authority_is_named_certificates_mean_nothing(world: World) -> None:
    with world.serving(tls_client_ca=None) as port:
        assert world.ask(port, world.clients.client(MOD)) == (401, {"code": "credentials_missing"})


def test_rules_of_the_settings_name_certificates(world: World) -> None:
    by_print, by_name = world.clients.client(), world.clients.client(name="gateway.mia.az")
    refused = world.clients.client(MOD)
    rules = {f"sha256:{by_print.fingerprint}": "mod", "CN=gateway.mia.az": "mia", f"sha256:{refused.fingerprint}": ""}
    with world.serving(client_certificates=rules) as port:
        assert world.ask(port, by_print)[1]["agency"] == "mod"
        assert world.ask(port, by_name)[1]["agency"] == "mia"
        assert world.ask(port, refused) == (403, {"code": "certificate_unknown"})


def test_handshakes_that_do_not_go_on_are_bounded_and_keep_nobody_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HANDSHAKES", 3)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 60.0)
    with world.serving() as port, ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(5)]
        for sock in silent[:2]:
            assert ended(sock), "the oldest go first"
        assert world.ask(port, world.clients.client(MOD))[0] == 200
        assert ended(silent[2])
        for sock in silent[3:]:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(1)


def test_a_handshake_ends_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with world.serving() as port, socket.create_connection(("127.0.0.1", port), 20) as sock:
        assert ended(sock)
        assert world.ask(port, world.clients.client(MOD))[0] == 200


def ended(sock: socket.socket) -> bool:
    """Whether the other side ends it, and has said nothing."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_tls_are_not_spoken(world: World) -> None:
    context = trusting(world.servers)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    handler = urllib.request.HTTPSHandler(context=context)
    with world.serving() as port, pytest.raises(urllib.error.URLError, match=r"(?i)version|protocol"):
        urllib.request.build_opener(handler).open(f"https://127.0.0.1:{port}/", timeout=10)


def test_tls_that_cannot_be_is_said_at_the_start(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="HUB_TLS_KEY"):
        uvicorn_tls(Settings(tls_cert=world.server.cert), H11Protocol, NOBODY)
    with pytest.raises(ConfigError, match="HUB_TLS_CERT"):
        uvicorn_tls(Settings(tls_client_ca=world.clients.file), H11Protocol, NOBODY)
    for given in ({}, {"tls_cert": world.server.cert, "tls_key": world.server.key}):
        with pytest.raises(ConfigError, match="HUB_TLS_CLIENT_CA"):
            uvicorn_tls(Settings(tls_clients="required", **given), H11Protocol, NOBODY)
    missing = tmp_path / "missing.pem"
    with pytest.raises(ConfigError, match="missing.pem"):
        uvicorn_tls(Settings(tls_cert=missing, tls_key=world.server.key), H11Protocol, NOBODY)
    other = world.servers.server()
    with pytest.raises(ConfigError, match="cannot use the TLS files"):
        uvicorn_tls(Settings(tls_cert=world.server.cert, tls_key=other.key), H11Protocol, NOBODY)
    assert uvicorn_tls(Settings(), H11Protocol, NOBODY) == {"http": H11Protocol}
