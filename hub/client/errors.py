"""What a call can end with besides an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

HEADER = "HTTP has no such header: a token is one line of printable ASCII characters, a language is az or en"
WRONG: Mapping[type[Exception], str] = {
    httpx.InvalidURL: "the hub's address is no URL",
    httpx.UnsupportedProtocol: "the hub's address has to begin with https:// or http://",
    httpx.LocalProtocolError: HEADER,
    UnicodeEncodeError: HEADER,
}


class HubProblem(Exception):
    """The hub refuses the request as a whole (RFC 9457 problem). `code` is stable, `detail` is for people."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, dict(problem)
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail") or problem.get("title") or "")
        self.fix = str(problem.get("fix") or "")
        text = f"{self.detail.rstrip('.')}. {self.fix}" if self.detail and self.fix else self.detail or self.fix
        super().__init__(f"{status} {self.code}: {text}")


class HubAway(Exception):
    """The hub did not answer, or was busy, for as long as this client tries. Try again later: nothing is lost by it.

    It may have what was sent all the same. So send the same again, with its id and time: `event` is what
    `Client.publish` sent, for `Client.publish_many([error.event])`.
    """

    event: Mapping[str, Any] | None = None


class NotSent(Exception):
    """The request cannot be sent as it is, and no attempt changes that: says what is wrong with address or token."""


@contextmanager
def sendable() -> Iterator[None]:
    """Raises `NotSent` in place of what httpx says, which may quote the token."""
    try:
        yield
    except tuple(WRONG) as error:
        raise NotSent(WRONG[type(error)]) from None
