"""TCP addresses on this machine: a free port, a port that somebody has, a broker that answers."""

from __future__ import annotations

import os
import socket
import struct

from hub.errors import ConfigError

LOOPBACK = "127.0.0.1"
HANDED = "HUB_LISTENING_FD"
"""In a child's environment: the descriptor of a listening socket that its parent hands over."""
BACKLOG = 1024
# Kafka request: ApiVersions (18) version 0, correlation id 1, client id "hub"; the length comes before it.
_API_VERSIONS = struct.pack(">hhih3s", 18, 0, 1, 3, b"hub")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all are held until all are found, so that none comes twice."""
    held = [opened(LOOPBACK, 0) for _ in range(count)]
    try:
        return [server.getsockname()[1] for server in held]
    finally:
        for server in held:
            server.close()


def require_free(port: int) -> None:
    """`ConfigError` that names the port when something listens on it."""
    try:
        opened(LOOPBACK, port).close()
    except OSError as error:
        raise ConfigError(f"port {port} on {LOOPBACK} is busy ({error.strerror}): choose another one") from error


def opened(host: str, port: int) -> socket.socket:
    """A socket that listens there (0: on a free port). Raises `OSError`."""
    return socket.create_server((host, port), backlog=BACKLOG)


def listening(host: str, port: int, variable: str) -> socket.socket:
    """A socket on that port (0: a free one), or the one that this process was handed.

    Raises `ConfigError` that names a port that is taken and the `variable` that sets another one.
    """
    handed = os.environ.pop(HANDED, None)
    if handed:
        return socket.socket(fileno=int(handed))
    try:
        return opened(host, port)
    except OSError as error:
        raise ConfigError(f"port {port} on {host} cannot be used ({error.strerror}): set {variable}") from error


def answers(address: str, timeout: float = 1.0) -> bool:
    """Whether a Kafka broker at `host:port` answers an ApiVersions request."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=timeout) as sock:
            sock.sendall(struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS)
            return len(sock.recv(8)) == 8
    except OSError:
        return False
