"""Confluent's REST interface of a schema registry, over a `Store`.

What is asked is parsed here; what is answered is decided in `ask` and `change`; who may is decided in `rights`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.registry import ask, change, refusals
from hub.registry.ask import Draft
from hub.registry.entry import AVRO, Reference
from hub.registry.references import whole
from hub.registry.refusals import Refused
from hub.registry.rights import Authenticate, Caller, Rights
from hub.registry.schemas import Schemas
from hub.registry.soundness import parse
from hub.registry.store import Store

log = structlog.get_logger(__name__)
JSON = "application/vnd.schemaregistry.v1+json"
ACCEPTED = (JSON, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream", "")
MAX_BODY = 1 << 20
MAX_SUBJECT = 249
INT_MAX = 2**31 - 1
Handler = Callable[["Asked"], Any]


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

    @property
    def id(self) -> int:
        text = self._request.path_params["id"]
        if not (text.isascii() and text.isdigit() and int(text[:12]) <= INT_MAX):
            raise HTTPException(404)
        return int(text)

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
        try:
            said = json.loads(self._body)
        except (ValueError, RecursionError):
            raise refusals.malformed("the body is no JSON") from None
        if not isinstance(said, dict):
            raise refusals.malformed("the body is no JSON object")
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


def checked_subject(subject: str) -> str:
    if subject.startswith(":"):
        raise refusals.subject_invalid("this registry has the default context alone")
    if not subject or len(subject) > MAX_SUBJECT or not subject.isprintable():
        raise refusals.subject_invalid(f"1 to {MAX_SUBJECT} printable characters are expected")
    return subject


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


def _page(asked: Asked, found: list[Any]) -> list[Any]:
    first, limit = max(asked.number("offset", 0), 0), asked.number("limit", -1)
    return found[first:] if limit < 0 else found[first : first + limit]


def _prefixed(asked: Asked, names: list[str]) -> list[str]:
    prefix = asked.text("subjectPrefix", ":*:").removeprefix(":*:").removeprefix(":.:")
    return [name for name in names if name.startswith(prefix)]


def subjects(asked: Asked) -> list[str]:
    live = asked.ask(Schemas.subjects)
    if not (asked.flag("deleted") or asked.flag("deletedOnly")):
        return _page(asked, _prefixed(asked, live))
    found = asked.ask(lambda schemas: schemas.subjects(deleted=True))
    gone = [name for name in found if name not in set(live)]
    return _page(asked, _prefixed(asked, gone if asked.flag("deletedOnly") else found))


def versions(asked: Asked) -> list[int]:
    deleted, only = asked.flag("deleted"), asked.flag("deletedOnly")
    found = asked.ask(lambda schemas: ask.existing(schemas, asked.subject, deleted=deleted or only))
    return _page(asked, [entry.version for entry in found if entry.deleted or not only])


def version(asked: Asked) -> dict[str, Any]:
    deleted = asked.flag("deleted")
    entry = asked.ask(lambda schemas: ask.one(schemas, asked.subject, asked.version, deleted=deleted))
    return ask.told(entry)


def version_schema(asked: Asked) -> Text:
    deleted = asked.flag("deleted")
    return Text(asked.ask(lambda schemas: ask.one(schemas, asked.subject, asked.version, deleted=deleted)).schema)


def referenced_by(asked: Asked) -> list[int]:
    def find(schemas: Schemas) -> list[int]:
        entry = ask.one(schemas, asked.subject, asked.version)
        return sorted({each.id for each in schemas.referrers(entry.subject, entry.version)})

    return cast("list[int]", asked.ask(find))


def lookup(asked: Asked) -> dict[str, Any]:
    draft, deleted = asked.draft(), asked.flag("deleted")
    return ask.told(asked.ask(lambda schemas: ask.lookup(schemas, asked.subject, draft, deleted=deleted)))


def register(asked: Asked) -> Any:
    """What is there already is answered to whoever may read; what is new needs the right to it."""
    subject, draft = asked.subject, asked.draft()
    found = asked.ask(lambda schemas: change.known(schemas, subject, draft))
    if found is None:
        asked.rights.register(asked.caller, subject)
    return asked.store.change(lambda schemas: change.register(schemas, subject, draft))


def delete_subject(asked: Asked) -> Any:
    subject, permanent = asked.subject, asked.flag("permanent")
    asked.rights.administer(asked.caller, subject)
    return asked.store.change(lambda schemas: change.delete_subject(schemas, subject, permanent=permanent))


def delete_version(asked: Asked) -> Any:
    subject, number, permanent = asked.subject, asked.version, asked.flag("permanent")
    asked.rights.administer(asked.caller, subject)
    return asked.store.change(lambda schemas: change.delete_version(schemas, subject, number, permanent=permanent))


def by_id(asked: Asked) -> dict[str, Any]:
    def find(schemas: Schemas) -> dict[str, Any]:
        entry = ask.by_id(schemas, asked.id)[0]
        found = {name: value for name, value in ask.schema_told(entry).items() if name != "id"}
        if asked.text("format") == "resolved":
            found["schema"] = ask.resolved(schemas, entry)
        return found | ({"maxId": schemas.highest_id} if asked.flag("fetchMaxId") else {})

    return cast("dict[str, Any]", asked.ask(find))


def id_schema(asked: Asked) -> Text:
    return Text(by_id(asked)["schema"])


def id_versions(asked: Asked) -> list[dict[str, Any]]:
    only = asked.text("subject")
    found = asked.ask(lambda schemas: ask.by_id(schemas, asked.id))
    offered = [entry for entry in found if asked.flag("deleted") or not entry.deleted]
    return [{"subject": e.subject, "version": e.version} for e in offered if not only or e.subject == only]


def id_subjects(asked: Asked) -> list[str]:
    return _page(asked, sorted({each["subject"] for each in id_versions(asked)}))


def schema_types(asked: Asked) -> list[str]:
    return [AVRO]


def schemas(asked: Asked) -> list[dict[str, Any]]:
    deleted = asked.flag("deleted")

    def find(known: Schemas) -> list[dict[str, Any]]:
        names = _prefixed(asked, known.subjects(deleted=deleted))
        found = [known.versions(name, deleted=deleted) for name in names]
        chosen = [entries[-1:] if asked.flag("latestOnly") else entries for entries in found]
        return [ask.told(entry) for entries in chosen for entry in entries]

    return _page(asked, asked.ask(find))


def get_config(asked: Asked) -> dict[str, Any]:
    return cast("dict[str, Any]", asked.ask(lambda known: {"compatibilityLevel": ask.level(known, None).value}))


def get_subject_config(asked: Asked) -> dict[str, Any]:
    def find(known: Schemas) -> dict[str, Any]:
        if asked.subject in known.configs:
            return known.configs[asked.subject]
        if not asked.flag("defaultToGlobal"):
            raise refusals.config_missing(asked.subject)
        return {"compatibilityLevel": ask.level(known, asked.subject).value}

    return cast("dict[str, Any]", asked.ask(find))


def _subject_or_all(asked: Asked, request: Mapping[str, Any]) -> str | None:
    subject = asked.subject if "subject" in request else None
    asked.rights.administer(asked.caller, subject)
    return subject


def put_config(asked: Asked) -> Any:
    subject, said = _subject_or_all(asked, asked._request.path_params), asked.json()
    return asked.store.change(lambda known: change.set_level(known, subject, said))


def delete_config(asked: Asked) -> Any:
    subject = _subject_or_all(asked, asked._request.path_params)
    return asked.store.change(lambda known: change.delete_level(known, subject))


def get_mode(asked: Asked) -> dict[str, str]:
    return cast("dict[str, str]", asked.ask(lambda known: {"mode": ask.mode(known, None)}))


def get_subject_mode(asked: Asked) -> dict[str, str]:
    def find(known: Schemas) -> dict[str, str]:
        if asked.subject not in known.modes and not asked.flag("defaultToGlobal"):
            raise refusals.mode_missing(asked.subject)
        return {"mode": ask.mode(known, asked.subject)}

    return cast("dict[str, str]", asked.ask(find))


def put_mode(asked: Asked) -> Any:
    subject, mode = _subject_or_all(asked, asked._request.path_params), asked.json().get("mode")
    force = asked.flag("force")
    return asked.store.change(lambda known: change.set_mode(known, subject, mode, force=force))


def delete_mode(asked: Asked) -> Any:
    subject = _subject_or_all(asked, asked._request.path_params)
    return asked.store.change(lambda known: change.delete_mode(known, subject))


def compatibility(asked: Asked) -> dict[str, Any]:
    draft, version = asked.draft(), asked._request.path_params.get("version")

    def find(known: Schemas) -> list[str]:
        parse(whole(known, draft.schema, draft.references))
        return ask.compatible(known, asked.subject, draft, version)

    messages = asked.ask(find)
    return {"is_compatible": not messages} | ({"messages": messages} if asked.flag("verbose") else {})


def root(asked: Asked) -> dict[str, Any]:
    return {}


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/", root),
    ("GET", "/subjects", subjects),
    ("POST", "/subjects/{subject}", lookup),
    ("DELETE", "/subjects/{subject}", delete_subject),
    ("GET", "/subjects/{subject}/versions", versions),
    ("POST", "/subjects/{subject}/versions", register),
    ("GET", "/subjects/{subject}/versions/{version}", version),
    ("DELETE", "/subjects/{subject}/versions/{version}", delete_version),
    ("GET", "/subjects/{subject}/versions/{version}/schema", version_schema),
    ("GET", "/subjects/{subject}/versions/{version}/referencedby", referenced_by),
    ("GET", "/schemas", schemas),
    ("GET", "/schemas/types", schema_types),
    ("GET", "/schemas/ids/{id}", by_id),
    ("GET", "/schemas/ids/{id}/schema", id_schema),
    ("GET", "/schemas/ids/{id}/subjects", id_subjects),
    ("GET", "/schemas/ids/{id}/versions", id_versions),
    ("GET", "/config", get_config),
    ("PUT", "/config", put_config),
    ("DELETE", "/config", delete_config),
    ("GET", "/config/{subject}", get_subject_config),
    ("PUT", "/config/{subject}", put_config),
    ("DELETE", "/config/{subject}", delete_config),
    ("GET", "/mode", get_mode),
    ("PUT", "/mode", put_mode),
    ("DELETE", "/mode", delete_mode),
    ("GET", "/mode/{subject}", get_subject_mode),
    ("PUT", "/mode/{subject}", put_mode),
    ("DELETE", "/mode/{subject}", delete_mode),
    ("POST", "/compatibility/subjects/{subject}/versions", compatibility),
    ("POST", "/compatibility/subjects/{subject}/versions/{version}", compatibility),
)
OPEN = frozenset({"/"})
"""Answered to anybody."""


def registry_app(store: Store, rights: Rights, authenticate: Authenticate, extra: Sequence[Route] = ()) -> Starlette:
    """The ASGI application; `extra` are routes of whoever serves it (health, metrics)."""
    routes = [*extra, *_routes(store, rights, authenticate)]
    handlers: dict[Any, Any] = {Refused: _refused, HTTPException: _http}
    return Starlette(routes=routes, exception_handlers=handlers, middleware=[Middleware(_Escaped)])


class _Escaped:
    """Routes by the path as it was sent: a subject may hold an escaped slash."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        await self._app({**scope, "path": raw.decode("latin-1")} if raw else scope, receive, send)


def _routes(store: Store, rights: Rights, authenticate: Authenticate) -> list[Route]:
    """One route a path, so that a wrong method is told apart from a wrong path."""
    paths: dict[str, dict[str, Handler]] = {}
    for method, path, handler in ROUTES:
        paths.setdefault(path, {})[method] = handler
    return [
        Route(path, _endpoint(path, handlers, store, rights, authenticate), methods=list(handlers))
        for path, handlers in paths.items()
    ]


def _endpoint(
    path: str, handlers: Mapping[str, Handler], store: Store, rights: Rights, authenticate: Authenticate
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        body = await _body(request)
        method = "GET" if request.method == "HEAD" else request.method
        return await run_in_threadpool(answer, request, body, handlers[method])

    def answer(request: Request, body: bytes, handler: Handler) -> Response:
        try:
            caller = authenticate(request)
            if path not in OPEN:
                rights.read(caller)
            return _response(handler(Asked(request, body, caller, store, rights)))
        except (Refused, HTTPException):
            raise
        except Exception as error:
            log.error("a request to the registry failed", error=type(error).__name__, path=path)  # noqa: TRY400
            raise refusals.store_failed("the request could not be carried out; the registry's log says more") from error

    return endpoint


async def _body(request: Request) -> bytes:
    """Raises `Refused` (413, 415) before more than `MAX_BODY` bytes are kept."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in ("POST", "PUT") and kind not in ACCEPTED:
        raise Refused(415, 415, f"HTTP 415 Unsupported Media Type: {JSON} is expected")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, 415, "HTTP 415 Unsupported Media Type: a body without content-encoding is expected")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise Refused(413, 413, f"HTTP 413 Request Entity Too Large: at most {MAX_BODY} bytes")
    except ClientDisconnect:
        raise refusals.malformed("the body ended early") from None
    return bytes(body)


def _response(answer: Any, status: int = 200) -> Response:
    text = answer if isinstance(answer, Text) else json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, media_type=JSON)


async def _refused(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    response = _response({"error_code": refused.code, "message": str(refused)}, refused.status)
    if refused.status == 401:
        response.headers["www-authenticate"] = 'Basic realm="schema registry"'
    return response


async def _http(request: Request, found: Exception) -> Response:
    assert isinstance(found, HTTPException)
    said = {"error_code": found.status_code, "message": f"HTTP {found.status_code} {found.detail}"}
    response = _response(said, found.status_code)
    response.headers.update(found.headers or {})
    return response
