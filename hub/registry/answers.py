"""What each path of the registry answers: decided in `ask` and `change`, allowed by `rights`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from hub.registry import ask, change, refusals
from hub.registry.asked import Asked, Text
from hub.registry.entry import AVRO
from hub.registry.schemas import Schemas

Handler = Callable[[Asked], Any]


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
    of = asked.rights.catalogue.types.get(subject)
    may = partial(asked.rights.register, asked.caller, subject)
    return asked.store.change(lambda schemas: change.register(schemas, subject, draft, of, may))


def delete_subject(asked: Asked) -> Any:
    subject, permanent = asked.subject, asked.flag("permanent")
    asked.rights.administer(asked.caller, subject)
    used = _used(asked)
    return asked.store.change(lambda schemas: change.delete_subject(schemas, subject, permanent=permanent, used=used))


def delete_version(asked: Asked) -> Any:
    subject, number, permanent = asked.subject, asked.version, asked.flag("permanent")
    asked.rights.administer(asked.caller, subject)
    used = _used(asked)
    return asked.store.change(
        lambda schemas: change.delete_version(schemas, subject, number, permanent=permanent, used=used)
    )


def _used(asked: Asked) -> str | None:
    """The catalogue's schema of that subject."""
    return dict(asked.rights.catalogue.schemas()).get(asked.subject)


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


def _subject_or_all(asked: Asked) -> str | None:
    subject = asked.subject if asked.named("subject") is not None else None
    asked.rights.administer(asked.caller, subject)
    return subject


def put_config(asked: Asked) -> Any:
    subject, said = _subject_or_all(asked), asked.json()
    return asked.store.change(lambda known: change.set_level(known, subject, said))


def delete_config(asked: Asked) -> Any:
    subject = _subject_or_all(asked)
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
    subject, mode = _subject_or_all(asked), asked.json().get("mode")
    force = asked.flag("force")
    return asked.store.change(lambda known: change.set_mode(known, subject, mode, force=force))


def delete_mode(asked: Asked) -> Any:
    subject = _subject_or_all(asked)
    return asked.store.change(lambda known: change.delete_mode(known, subject))


def compatibility(asked: Asked) -> dict[str, Any]:
    """Judged as a registration would be."""
    subject, draft, version = asked.subject, asked.draft(), asked.named("version")
    of = asked.rights.catalogue.types.get(subject)
    messages = asked.ask(lambda known: ask.compatible(known, subject, draft, version, of))
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
WRITES = frozenset(
    {register, delete_subject, delete_version, put_config, delete_config, put_mode, delete_mode},
)
JUDGES = frozenset({lookup, compatibility})
"""Answers for which schemas are parsed."""
JUDGED_AT_ONCE = 4
"""They take turns at the processor: more at once would only keep those waiting who ask for an id."""
AT_ONCE = 8
"""Writes at once: those that wait for a broker that is away leave threads to those who read."""
