"""Another registry that keeps the schemas, spoken to as to Confluent's: the same shape as the log."""

from __future__ import annotations

import base64
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from hub.errors import ConfigError, Retry
from hub.registry.entry import entry_of
from hub.registry.schemas import Place, Schemas

TYPE = "application/vnd.schemaregistry.v1+json"
ANSWER_SECONDS = 30.0
ATTEMPTS = 5
OTHER_CONTEXTS = ":."
"""Subjects in Confluent's contexts begin so; their ids are of another count."""


class Answered(Exception):
    """The registry answered with an error: its own code and message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message = status, code, message


class External:
    """`auth` is `user:password`, or a bearer token; it is never part of a message. Each of the `attempts` waits so many
    `seconds`."""

    def __init__(
        self, url: str, auth: str | None = None, *, seconds: float = ANSWER_SECONDS, attempts: int = ATTEMPTS
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError("HUB_SCHEMA_REGISTRY_URL begins with http:// or https://")
        self._url, self._seconds, self._attempts = url.rstrip("/"), seconds, attempts
        self._headers = {"accept": TYPE, "content-type": TYPE, **_authorization(auth)}

    def read(self) -> Schemas:
        """Every version of every subject, deleted ones too where it tells them."""
        live, schemas = self._all(), Schemas()
        found = self._all(deleted=True)
        for place in sorted(found, key=lambda place: (found[place]["id"], place[1])):
            schemas.add(entry_of({**found[place], "deleted": place not in live}))
        return schemas

    def _all(self, *, deleted: bool = False) -> dict[Place, Any]:
        """Page by page: Confluent's gives a thousand at once. One that knows no pages gives the same again."""
        found: dict[Place, Any] = {}
        while True:
            page = self.ask("GET", f"/schemas?deleted={str(deleted).lower()}&offset={len(found)}")
            known = len(found)
            found |= {(each["subject"], each["version"]): each for each in page}
            if len(found) == known:
                return {place: each for place, each in found.items() if not place[0].startswith(OTHER_CONTEXTS)}

    def register(self, pairs: Iterable[tuple[str, str]]) -> Schemas:
        """Make sure that each (subject, schema) is there. Raises `ConfigError` with the registry's own words."""
        wanted, known = list(pairs), self.read()
        for subject, schema in wanted:
            if known.same(subject, schema) is None:
                self.register_one(subject, schema)
        return self.read()

    def register_one(self, subject: str, schema: str) -> int:
        """The id that it has from now on."""
        try:
            found = self.ask("POST", f"/subjects/{quote(subject, safe='')}/versions", {"schema": schema})
        except Answered as refused:
            raise ConfigError(f"the schema registry at {self._url} refused {subject}: {refused}") from None
        return int(found["id"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Its answer. Raises `Answered` for an error of its own, `ConfigError` for a missing right, `Retry` where it
        does not answer."""
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(0.2 * 2**attempt)
            try:
                return self._once(method, path, body)
            except Answered as error:
                if error.status < 500:
                    raise
                last: Exception = error
            except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
                last = error
        raise Retry(f"the schema registry at {self._url} does not answer: {last}") from last

    def _once(self, method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, self._headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=self._seconds) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise self._refused(refused) from None

    def _refused(self, refused: urllib.error.HTTPError) -> Exception:
        try:
            said = json.loads(refused.read())
            code, message = int(said["error_code"]), str(said["message"])
        except (ValueError, KeyError, TypeError):
            code, message = refused.code, "no word of a schema registry"
        if refused.code in (401, 403):
            return ConfigError(
                f"the schema registry at {self._url} refused the hub ({message}): see HUB_SCHEMA_REGISTRY_AUTH"
            )
        return Answered(refused.code, code, message)


def _authorization(auth: str | None) -> dict[str, str]:
    if not auth:
        return {}
    if ":" in auth:
        return {"authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"}
    return {"authorization": f"Bearer {auth}"}
