"""Who may do what in the registry. Deny by default.

`open` is for one machine and tests: anyone reads, and anyone registers any valid Avro under subjects that are not
the hub's. `closed`, for production: only agencies read, and nobody registers what is not the hub's. In both, what is
the hub's own is linted, and only the owner of a type or an operator registers a new version of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from starlette.requests import Request

from hub.catalogue import Catalogue
from hub.registry.refusals import denied, unauthenticated
from hub.registry.soundness import is_own

Access = Literal["open", "closed"]


class Caller(Protocol):
    """Who asks, proved."""

    @property
    def agency(self) -> str: ...


Authenticate = Callable[[Request], Caller | None]
"""Who asks; None: nobody said so. Raises `Refused` for a proof that is wrong."""
Told = Callable[[str | None, str, str], None]
"""Told, for the audit, of each denial, or of each change before it is written: agency, operation, subject; the latter
empty for all."""


def nobody(request: Request) -> None:
    """Knows nobody."""


@dataclass(frozen=True)
class Rights:
    """`operators` are agencies that may do all: delete, set levels and modes, register the hub's own records."""

    catalogue: Catalogue
    access: Access = "closed"
    operators: frozenset[str] = frozenset()
    denied: Told = field(default=lambda agency, operation, subject: None)
    changes: Told = field(default=lambda agency, operation, subject: None)

    @property
    def open(self) -> bool:
        return self.access == "open"

    def read(self, caller: Caller | None) -> None:
        if caller is None and not self.open:
            self._told(caller, "Read", "")
            raise unauthenticated()

    def register(self, caller: Caller | None, subject: str) -> None:
        """A schema that the subject does not have yet."""
        if self._is_operator(caller) or (self.open and not is_own(subject)) or self._owns(caller, subject):
            return
        self._told(caller, "Write", subject)
        if caller is None:
            raise unauthenticated()
        raise denied("Write", f"Subject: {subject}", self._why_not(subject))

    def administer(self, caller: Caller | None, subject: str | None) -> None:
        """Delete, set a level or a mode; of all subjects where none is named."""
        if self._is_operator(caller) or (self.open and (subject is None or not is_own(subject))):
            return
        self._told(caller, "Administer", subject or "")
        if caller is None:
            raise unauthenticated()
        raise denied("Write", f"Subject: {subject}" if subject else "Cluster", "only operators of the hub may do that")

    def _is_operator(self, caller: Caller | None) -> bool:
        return caller is not None and caller.agency in self.operators

    def _owns(self, caller: Caller | None, subject: str) -> bool:
        known = self.catalogue.types.get(subject)
        return caller is not None and known is not None and known.owner == caller.agency

    def _why_not(self, subject: str) -> str:
        known = self.catalogue.types.get(subject)
        if known:
            return f"the type is {known.owner}'s; set auto.register.schemas=false and use what is registered"
        if is_own(subject):
            return "the catalogue has no such type; see `hub schema register`"
        return (
            "this registry is closed to subjects that are not the hub's; with value.subject.name.strategy="
            "RecordNameStrategy the subject is the event type"
        )

    def _told(self, caller: Caller | None, operation: str, subject: str) -> None:
        self.denied(caller.agency if caller else None, operation, subject)
