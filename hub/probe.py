"""`/metrics`, `/healthz` and `/readyz` of a process that is no HTTP service itself.

Served by a thread of its own, so that they answer while the process is busy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from hub.errors import ConfigError

Start = Callable[..., Any]


class Probe:
    """`ready` says whether the process does its work; `refresh` is called before each scrape."""

    def __init__(
        self,
        registry: CollectorRegistry,
        ready: Callable[[], bool],
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._metrics = make_wsgi_app(registry)
        self._ready, self._refresh = ready, refresh
        self._server: WSGIServer | None = None

    def start(self, host: str, port: int) -> int:
        """Serve from now on; returns the port. Raises `ConfigError` where it is taken."""
        try:
            self._server = make_server(host, port, self._answer, _Threaded, _Quiet)
        except OSError as error:
            raise ConfigError(f"port {port} on {host} is taken: set HUB_METRICS_PORT to another one") from error
        threading.Thread(target=self._server.serve_forever, name="probe", daemon=True).start()
        return int(self._server.server_port)

    def stop(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                self._refresh()
                return self._metrics(environ, start)  # type: ignore[no-any-return]
            case "/healthz":
                return _text(start, "200 OK", "alive")
            case "/readyz":
                ready = self._ready()
                return _text(start, "200 OK" if ready else "503 Service Unavailable", "ready" if ready else "not ready")
        return _text(start, "404 Not Found", "/metrics /healthz /readyz")


class _Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not worth a line."""


def _text(start: Start, status: str, body: str) -> Iterable[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{body}\n".encode()]
