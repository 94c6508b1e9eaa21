"""Who asks the registry: as the doorkeeper of all doors knows it, in the registry's own words.

A token comes as a bearer, or as the password of its agency (Basic): Confluent's clients in every language know that
(`basic.auth.user.info=<agency>:<token>`). A client certificate does as well.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from hub.access import Caller, Denied, Doorkeeper, Unauthenticated
from hub.registry import refusals
from hub.registry.rights import Authenticate


def by_doorkeeper(keeper: Doorkeeper, told: Callable[[Denied], None]) -> Authenticate:
    """Raises `Refused` (401, 403) for a proof that is wrong; nobody, where there is none. The keeper tells the audit
    of it, and `told` is told for the metrics."""

    def authenticate(request: Request) -> Caller | None:
        try:
            return keeper.maybe(request)
        except Denied as denied:
            told(denied)
            if isinstance(denied, Unauthenticated):
                raise refusals.unauthenticated() from None
            raise refusals.denied("Read", "Cluster", denied.detail) from None

    return authenticate
