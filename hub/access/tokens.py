"""The tokens as a server knows them: read again when their file changes, so that a revocation works in a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from hub.access import token_file
from hub.access.caller import Unauthenticated
from hub.access.token import claimed_id, id_of, same
from hub.access.token_file import Token
from hub.errors import Admission, ConfigError

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the file: the longest that a revoked token goes on working."""
Stamp = tuple[int, int, int] | None
NOBODYS = "0" * token_file.SHA256_HEX


class Tokens:
    """`clock`: monotonic seconds, `wall`: Unix seconds. Safe for threads.

    A file that cannot be used raises `ConfigError` at the start. Later what was known before goes on, loudly: a typing
    error must not lock every agency out. A file that is gone is a list of none.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._path, self._clock, self._wall = path, clock, wall
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._known = _by_id(path)
        self._next = clock() + LOOK_EVERY
        self.failed: str | None = None

    def prove(self, text: str) -> Token:
        """The token that `text` is. Raises `Unauthenticated`; that it has ended is told to its holder alone."""
        id = claimed_id(text)  # whether it looks like a token matters only where it is none that is known
        token = self._current().get(id)
        if not same(text, token.hash if token else NOBODYS) or token is None:
            if id_of(text) is None:
                raise Unauthenticated(Admission.TOKEN_MALFORMED, "expected zefer_…, 75 characters, as it was issued")
            raise Unauthenticated(Admission.TOKEN_UNKNOWN, "no such token")
        match token.state(self._wall()):
            case "revoked":
                raise Unauthenticated(Admission.TOKEN_REVOKED, f"token {id} was revoked", token.agency)
            case "expired":
                raise Unauthenticated(Admission.TOKEN_EXPIRED, f"token {id} has expired", token.agency)
        return token

    def _current(self) -> Mapping[str, Token]:
        if self._clock() >= self._next and self._lock.acquire(blocking=False):
            try:
                self._next = self._clock() + LOOK_EVERY
                self._look()
            finally:
                self._lock.release()
        return self._known

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp and self.failed is None:
            return
        try:
            self._known = _by_id(self._path)
        except ConfigError as error:
            if self.failed != str(error):
                log.error("the tokens are not read again; those known before are valid still", why=str(error))  # noqa: TRY400
            self.failed = str(error)
            return
        self._stamp, self.failed = stamp, None
        log.info("tokens read again", count=len(self._known))


def _by_id(path: Path) -> dict[str, Token]:
    return {token.id: token for token in token_file.read(path)}


def _stamp(path: Path) -> Stamp:
    """Another one whenever the file is another one, also where it was changed twice within a tick of its clock."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
