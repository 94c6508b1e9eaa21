"""Where the broker is and how one proves to it who one is; turned into each client library's own words."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from hub.errors import ConfigError

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class Connection:
    """Bootstrap servers (`host:port` each) with the security that goes with them.

    Raises `ConfigError` for a combination that no broker could accept. The password is never part of the repr.
    """

    servers: tuple[str, ...]
    protocol: Protocol = "PLAINTEXT"
    sasl_mechanism: Mechanism | None = None
    sasl_user: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_ca: Path | None = None
    ssl_cert: Path | None = None
    ssl_key: Path | None = None
    schema_registry: str | None = None
    """Where schema ids are looked up, if not in the broker's own `_schemas`; with what proves the hub to it."""
    schema_registry_auth: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_servers(self.servers)
        _check_choice("security protocol", self.protocol, get_args(Protocol))
        if self.protocol.startswith("SASL"):
            _check_choice("SASL mechanism", self.sasl_mechanism, get_args(Mechanism))
            if not (self.sasl_user and self.sasl_password):
                raise ConfigError(f"{self.protocol} needs a SASL user and a password")
        if (self.ssl_cert is None) != (self.ssl_key is None):
            raise ConfigError("a client certificate and its key go together: one of the two is missing")

    @classmethod
    def plain(cls, servers: str) -> Connection:
        """Without any security, from a comma-separated list (`127.0.0.1:9092`)."""
        return cls(tuple(part.strip() for part in servers.split(",") if part.strip()))

    @property
    def bootstrap(self) -> str:
        """The servers as one comma-separated string."""
        return ",".join(self.servers)

    def aiokafka(self) -> dict[str, Any]:
        """Keyword arguments for aiokafka's consumer, producer and admin client."""
        return self._common() | ({"sasl_mechanism": self.sasl_mechanism} if self.sasl_mechanism else {})

    def kafka_python(self) -> dict[str, Any]:
        """Keyword arguments for kafka-python's consumer, producer and admin client."""
        return self._common() | {"sasl_mechanism": self.sasl_mechanism}

    def ssl_context(self) -> ssl.SSLContext | None:
        """None where the protocol has no TLS; raises `ConfigError` when a certificate cannot be read."""
        if not self.protocol.endswith("SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ssl_ca)
            if self.ssl_cert is not None:
                context.load_cert_chain(self.ssl_cert, self.ssl_key)
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(str(path) for path in (self.ssl_ca, self.ssl_cert, self.ssl_key) if path)
            raise ConfigError(f"cannot use the TLS files {files}: {error}") from error
        return context

    def _common(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": list(self.servers),
            "security_protocol": self.protocol,
            "ssl_context": self.ssl_context(),
            "sasl_plain_username": self.sasl_user,
            "sasl_plain_password": self.sasl_password,
        }


def _check_servers(servers: tuple[str, ...]) -> None:
    if not servers:
        raise ConfigError("no bootstrap servers: set HUB_BOOTSTRAP_SERVERS to host:port[,host:port…]")
    for server in servers:
        host, _, port = server.rpartition(":")
        if not (host and port.isdigit()):
            raise ConfigError(f"bootstrap server {server!r} is not host:port")


def _check_choice(what: str, found: str | None, expected: tuple[str, ...]) -> None:
    if found not in expected:
        raise ConfigError(f"{what} is {found!r}, expected one of {', '.join(expected)}")
