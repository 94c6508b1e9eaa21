"""One request to the registry, parsed: everything that it may say wrongly is refused here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request

from hub.registry import refusals
from hub.registry.ask import INT_MAX, Draft, number
from hub.registry.change import Decision
from hub.registry.entry import AVRO, Reference
from hub.registry.rights import Caller, Rights
from hub.registry.schemas import Schemas
from hub.registry.store import Store

MAX_SUBJECT = 249
NOT_KEPT = (
    *("metadata", "ruleSet", "alias", "validateFields", "compatibilityGroup"),
    *("defaultMetadata", "overrideMetadata", "defaultRuleSet", "overrideRuleSet"),
)
"""What Confluent's registry keeps and this one does not: whoever sends it counts on it."""


class Text(str):
    """A schema to be sent as it stands."""

    __slots__ = ()


class Asked:
    """One request: what it says, who asks, and the registry to answer from."""

    def __init__(self, request: Request, body: bytes, caller: Caller | None, store: Store, rights: Rights) -> None:
        self._request, self._body, self.caller = request, body, caller
        self.store, self.rights = store, rights

    @property
    def subject(self) -> str:
        """Raises `Refused` (42208) for one that is empty, too long, or in another context."""
        return checked_subject(unquote(self._request.path_params["subject"]))

    @property
    def version(self) -> str:
        return str(self._request.path_params["version"])

    def named(self, name: str) -> str | None:
        """What the path says of that, where it does."""
        return self._request.path_params.get(name)

    @property
    def id(self) -> int:
        found = number(self._request.path_params["id"])
        if found is None:
            raise HTTPException(404)
        return found

    def flag(self, name: str) -> bool:
        return self._request.query_params.get(name, "").lower() == "true"

    def text(self, name: str, default: str = "") -> str:
        return self._request.query_params.get(name, default)

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.text(name) or default)
        except ValueError:
            raise refusals.malformed(f"{name} is a number") from None

    def json(self) -> dict[str, Any]:
        """The body. Raises `Refused` (400, 42201)."""
        try:
            said = json.loads(self._body)
        except (ValueError, RecursionError):
            raise refusals.malformed("the body is no JSON") from None
        if not isinstance(said, dict):
            raise refusals.malformed("the body is no JSON object")
        for name in NOT_KEPT:
            if _says_something(said.get(name)):
                raise refusals.not_kept(name)
        return said

    def draft(self) -> Draft:
        """The schema that the body holds. Raises `Refused` (400, 42201)."""
        said = self.json()
        schema, kind = said.get("schema"), said.get("schemaType") or AVRO
        if kind != AVRO:
            raise refusals.schema_invalid(f"Invalid schema type {str(kind)[:40]}: this registry keeps {AVRO}")
        if not isinstance(schema, str) or not schema.strip():
            raise refusals.schema_invalid("Empty schema")
        return Draft(
            schema,
            _references(said.get("references")),
            self.flag("normalize"),
            _positive(said.get("id"), "id"),
            _positive(said.get("version"), "version"),
        )

    def ask(self, question: Callable[[Schemas], Any]) -> Any:
        return self.store.ask(question)

    def change(self, operation: str, decide: Callable[[Schemas], Decision], subject: str | None = None) -> Any:
        """Written, and told to the audit before that: where the broker's answer is lost nobody knows what became of it,
        and a line of what was not done is better than none of what was. `operation` is of a closed set once it is
        decided."""
        agency = self.caller.agency if self.caller else None
        return self.store.change(decide, lambda: self.rights.changes(agency, operation, subject or ""))


def checked_subject(subject: str) -> str:
    if subject.startswith(":"):
        raise refusals.subject_invalid("this registry has the default context alone")
    if not subject or len(subject) > MAX_SUBJECT or not subject.isprintable():
        raise refusals.subject_invalid(f"1 to {MAX_SUBJECT} printable characters are expected")
    return subject


def _says_something(said: object) -> bool:
    """Clients send rule sets without a rule."""
    return any(said.values()) if isinstance(said, dict) else bool(said)


def _references(said: object) -> tuple[Reference, ...]:
    if said is None:
        return ()
    if not isinstance(said, list):
        raise refusals.malformed("references is a list")
    return tuple(_reference(each) for each in said)


def _reference(said: object) -> Reference:
    if not isinstance(said, dict) or not all(isinstance(said.get(name), str) for name in ("name", "subject")):
        raise refusals.malformed("a reference has name, subject and version")
    version = _positive(said.get("version"), "a reference's version")
    if version is None:
        raise refusals.malformed("a reference has name, subject and version")
    return Reference(said["name"], checked_subject(said["subject"]), version)


def _positive(said: object, name: str) -> int | None:
    if said is None or (said == -1 and not isinstance(said, bool)):
        return None
    if not isinstance(said, int) or isinstance(said, bool) or not 1 <= said <= INT_MAX:
        raise refusals.malformed(f"{name} is a number above 0")
    return said
