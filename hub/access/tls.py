"""TLS for uvicorn, and the client's certificate in the ASGI scope: uvicorn itself does not put it there.

`uvicorn_tls(settings, uvicorn's own protocol class, unproved)` is all that a server needs. A proxy that ends TLS in
front of the hub proves nothing to it: no header is taken for a certificate.

Where a certificate is required, who shows none is not cut off in the handshake but refused by the door, with a code
that says why, and is in the audit. One that is not valid can only be cut off there; the audit is told.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from hub.access.certificates import Peer
from hub.errors import ConfigError

KEY = "hub.access.peer"
"""In a scope's `extensions`."""


class Asked(Protocol):
    """What of the settings is about TLS (`hub.settings.Settings`)."""

    @property
    def tls_cert(self) -> Path | None: ...
    @property
    def tls_key(self) -> Path | None: ...
    @property
    def tls_client_ca(self) -> Path | None: ...
    @property
    def tls_clients(self) -> Literal["optional", "required"]: ...


class Unproved(Protocol):
    """What a door does with those whom TLS does not prove."""

    def bad_certificate(self) -> None:
        """One is cut off in the handshake: of another authority, out of its time, not for clients."""

    async def without_certificate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One who shows none, where one is required, asks something: an ASGI application."""


def uvicorn_tls(asked: Asked, protocol: type[Any], unproved: Unproved) -> dict[str, Any]:
    """Keyword arguments of `uvicorn.Config`: `http`, and where TLS is wanted `ssl_*`. Raises `ConfigError`.

    `protocol` is uvicorn's H11Protocol or HttpToolsProtocol, or a class made from one.
    """
    if asked.tls_clients == "required" and asked.tls_client_ca is None:
        raise ConfigError("HUB_TLS_CLIENTS is required, so HUB_TLS_CLIENT_CA has to say who signs certificates")
    if asked.tls_cert is None or asked.tls_key is None:
        if asked.tls_cert or asked.tls_key or asked.tls_client_ca:
            raise ConfigError("HUB_TLS_CERT and HUB_TLS_KEY go together, and HUB_TLS_CLIENT_CA needs both")
        return {"http": protocol}
    context = _context(asked, asked.tls_cert, asked.tls_key)
    context.sslobject_class = _telling(unproved.bad_certificate)
    return {
        "http": with_peer(protocol, unproved.without_certificate if asked.tls_clients == "required" else None),
        "ssl_certfile": asked.tls_cert,
        "ssl_context_factory": lambda config, default: context,
    }


def _context(asked: Asked, cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
        if asked.tls_client_ca is not None:
            context.load_verify_locations(asked.tls_client_ca)  # these and no others: not what the machine trusts
            context.verify_mode = ssl.CERT_OPTIONAL
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(str(path) for path in (cert, key, asked.tls_client_ca) if path)
        raise ConfigError(f"cannot use the TLS files {files}: {error}") from None
    return context


def _telling(bad_certificate: Callable[[], None]) -> type[ssl.SSLObject]:
    """One side of a connection that tells: neither asyncio nor uvloop says why a handshake failed."""

    class Telling(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except ssl.SSLCertVerificationError:
                bad_certificate()
                raise

    return Telling


def with_peer(protocol: type[Any], without: ASGIApp | None) -> type[Any]:
    """The protocol class with the client's certificate in the scope of each of its requests; `without` answers those
    that have none."""

    class WithPeer(protocol):  # type: ignore[misc]
        app: ASGIApp

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            peer = _peer(transport)
            if peer is not None:
                self.app = _Knowing(self.app, peer)
            elif without is not None:
                self.app = without

    return WithPeer


def _peer(transport: asyncio.Transport) -> Peer | None:
    found: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    der = found.getpeercert(binary_form=True) if found else None
    said = found.getpeercert() if found and der else None  # empty, where nobody has verified it
    return Peer.of(said, der) if said and der else None


class _Knowing:
    """The application, as one connection sees it."""

    def __init__(self, app: ASGIApp, peer: Peer) -> None:
        self._app, self._peer = app, peer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), KEY: self._peer}
        await self._app(scope, receive, send)  # this very one: the protocol reads in it what became of the request


def peer_of(scope: Mapping[str, Any]) -> Peer | None:
    """The certificate that the handshake proved; None where there was none."""
    found = scope.get("extensions", {}).get(KEY)
    return found if isinstance(found, Peer) else None
