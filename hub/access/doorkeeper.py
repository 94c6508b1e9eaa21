"""Asks everybody who he is: a bearer token, a client certificate, or both of one agency."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container
from typing import Protocol

from starlette.requests import Request

from hub.access.caller import Caller, Denied, Forbidden, Unauthenticated
from hub.access.certificates import Certificates
from hub.access.tls import peer_of
from hub.access.token_file import Token
from hub.access.tokens import Tokens
from hub.errors import Admission


class Tells(Protocol):
    """Who is told of denials (`Audit`)."""

    def denied(self, agency: str | None, action: str, code: str, count: int = 1) -> None: ...


class Doorkeeper:
    """Of one door: `door` names it in the audit. `basic`: whether a token may come as the password of its agency's
    code, as clients of schema registries send it. Safe for threads; a call takes microseconds and waits for nobody.
    """

    def __init__(
        self,
        door: str,
        tokens: Tokens,
        agencies: Container[str],
        certificates: Certificates,
        audit: Tells,
        *,
        basic: bool = False,
    ) -> None:
        self._door, self._tokens, self._agencies = door, tokens, agencies
        self._certificates, self._audit, self._basic = certificates, audit, basic

    def caller(self, request: Request) -> Caller:
        """Who asks. Raises `Unauthenticated`, `Forbidden`; the audit has been told then."""
        found = self.maybe(request)
        if found is None:
            self._audit.denied(None, self._action, Admission.CREDENTIALS_MISSING)
            raise Unauthenticated(
                Admission.CREDENTIALS_MISSING, "expected Authorization: Bearer zefer_…, or a client certificate"
            )
        return found

    def maybe(self, request: Request) -> Caller | None:
        """Who asks; None for somebody who does not say. A proof that is wrong is denied as in `caller`."""
        try:
            return self._caller(request)
        except Denied as denied:
            self._audit.denied(denied.agency, self._action, denied.code)
            raise

    def bad_certificate(self) -> None:
        """Somebody's certificate ended the handshake: there is nobody to answer any more."""
        self._audit.denied(None, self._action, Admission.CERTIFICATE_INVALID)

    def without_certificate(self) -> Forbidden:
        """Why somebody is not let in who shows none where one is required; the audit has been told."""
        self._audit.denied(None, self._action, Admission.CERTIFICATE_MISSING)
        return Forbidden(Admission.CERTIFICATE_MISSING, "expected a client certificate, found none")

    @property
    def _action(self) -> str:
        return f"come in at {self._door}"

    def _caller(self, request: Request) -> Caller | None:
        peer, said = peer_of(request.scope), request.headers.getlist("authorization")
        by_certificate = self._certificates.agency(peer) if peer else None
        if not said:
            return Caller(by_certificate, "certificate") if by_certificate else None
        token = self._proved(said)
        if by_certificate not in (None, token.agency):
            raise Forbidden(
                Admission.PROOFS_DIFFER, "token and certificate are of different agencies: send one", token.agency
            )
        return Caller(token.agency, "token", token.id)

    def _proved(self, said: list[str]) -> Token:
        user, text = _read(said[0], basic=self._basic) if len(said) == 1 else (None, "")
        token = self._tokens.prove(text)
        if user not in (None, token.agency):
            raise Unauthenticated(Admission.PROOFS_DIFFER, "the token is not of the agency that is named", token.agency)
        if token.agency not in self._agencies:
            raise Forbidden(Admission.AGENCY_UNKNOWN, "the catalogue no longer has the token's agency")
        return token


def _read(header: str, *, basic: bool) -> tuple[str | None, str]:
    """User, where one is named, and token; an empty token for what cannot be read."""
    kind, _, proof = header.partition(" ")
    if kind.lower() == "bearer":
        return None, proof.strip()
    if kind.lower() != "basic" or not basic:
        return None, ""
    try:
        user, _, text = base64.b64decode(proof.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, ""
    return user, text
