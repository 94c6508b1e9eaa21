"""TCP addresses on this machine: a free port, a port that somebody has, a broker that answers."""

from __future__ import annotations

import socket
import struct

from hub.errors import ConfigError

LOOPBACK = "127.0.0.1"
# Kafka request: ApiVersions (18) version 0, correlation id 1, client id "hub"; the length comes before it.
_API_VERSIONS = struct.pack(">hhih3s", 18, 0, 1, 3, b"hub")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all are held until all are found, so that none comes twice."""
    held = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    try:
        return [server.getsockname()[1] for server in held]
    finally:
        for server in held:
            server.close()


def require_free(port: int) -> None:
    """`ConfigError` that names the port when something listens on it."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        raise ConfigError(f"port {port} on {LOOPBACK} is busy ({error.strerror}): choose another one") from error


def answers(address: str, timeout: float = 1.0) -> bool:
    """Whether a Kafka broker at `host:port` answers an ApiVersions request."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=timeout) as sock:
            sock.sendall(struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS)
            return len(sock.recv(8)) == 8
    except OSError:
        return False
