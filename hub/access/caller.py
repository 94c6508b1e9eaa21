"""Who asks, and why somebody is not let in."""

from __future__ import annotations

from typing import Literal, NamedTuple

from hub.errors import Admission, HubError


class Caller(NamedTuple):
    """An agency of the catalogue, proved. `token_id` names the token, and is no secret; None where there was none."""

    agency: str
    proof: Literal["token", "certificate"]
    token_id: str | None = None


class Denied(HubError):
    """Not let in. The message says what was found and expected, and quotes nothing of the proof.

    `agency`: whose proof it was, where that is known; for the audit and metrics.
    """

    status: int

    def __init__(self, code: Admission, detail: str, agency: str | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.agency = code, detail, agency


class Unauthenticated(Denied):
    """Nothing proves who asks. HTTP 401, with `WWW-Authenticate`."""

    status = 401


class Forbidden(Denied):
    """Who asks is proved, and may not come in. HTTP 403."""

    status = 403
