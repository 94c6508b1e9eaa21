"""Who asks, by the token that comes with the request: as a bearer, or as the password of its agency (Basic).

Confluent's clients in every language know Basic (`basic.auth.user.info=<agency>:<token>`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from hub.registry.refusals import unauthenticated
from hub.registry.rights import Authenticate

AgencyOf = Callable[[str], str | None]
"""Token → agency; None for one that is not valid."""


@dataclass(frozen=True, slots=True)
class Proved:
    agency: str


def by_token(agency_of: AgencyOf) -> Authenticate:
    """Raises `Refused` (401) for a proof that is wrong; nobody, where there is none."""

    def authenticate(request: Request) -> Proved | None:
        said = request.headers.getlist("authorization")
        if not said:
            return None
        user, token = _token(said[0]) if len(said) == 1 else (None, "")
        agency = agency_of(token) if token else None
        if agency is None or user not in (None, agency):
            raise unauthenticated()
        return Proved(agency)

    return authenticate


def _token(header: str) -> tuple[str | None, str]:
    """User, where one is named, and token; an empty token for what cannot be read."""
    kind, _, proof = header.partition(" ")
    if kind.lower() == "bearer":
        return None, proof.strip()
    if kind.lower() != "basic":
        return None, ""
    try:
        user, _, token = base64.b64decode(proof.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, ""
    return user, token
