"""What the registry answers to questions. Pure: from what the log says to what goes out as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from avro.schema import Schema

from hub.catalogue import EventType
from hub.registry import refusals
from hub.registry.canonical import canonical, compact
from hub.registry.compatibility import Level, compare, differences, said
from hub.registry.entry import AVRO, Entry, Reference
from hub.registry.references import whole
from hub.registry.schemas import Schemas
from hub.registry.soundness import check_bytes, check_names, check_size, is_own, own_problems, parse

INT_MAX = 2**31 - 1
"""The highest id and version: clients read them as an int of 32 bits."""
DEFAULT = Level.BACKWARD
"""Confluent's default."""
OWN = Level.BACKWARD_TRANSITIVE
"""Of the hub's own subjects where none is set: events are kept for decades and must stay readable."""
READWRITE = "READWRITE"


@dataclass(frozen=True)
class Draft:
    """A schema that somebody sent. `id` and `version` only where it is imported from another registry."""

    schema: str
    references: tuple[Reference, ...] = ()
    normalize: bool = False
    id: int | None = None
    version: int | None = None


def level(schemas: Schemas, subject: str | None) -> Level:
    """The level in effect."""
    config = schemas.configs.get(subject) if subject else None
    if config and "compatibilityLevel" in config:
        return Level(config["compatibilityLevel"])
    if subject and is_own(subject):
        return OWN
    return Level(schemas.configs.get(None, {}).get("compatibilityLevel", DEFAULT))


def mode(schemas: Schemas, subject: str | None) -> str:
    """The mode in effect."""
    general = schemas.modes.get(None, READWRITE)
    if general == "READONLY_OVERRIDE" or subject is None:
        return general
    return schemas.modes.get(subject, general)


def normalizes(schemas: Schemas, subject: str, asked: bool) -> bool:
    configs = (schemas.configs.get(subject, {}), schemas.configs.get(None, {}))
    return asked or any(config.get("normalize") is True for config in configs)


def existing(schemas: Schemas, subject: str, *, deleted: bool = False) -> list[Entry]:
    """Its versions. Raises `Refused` (40401) where there is none."""
    found = schemas.versions(subject, deleted=deleted)
    if not found:
        raise refusals.subject_missing(subject)
    return found


def version_number(text: str) -> int | None:
    """`None`: the latest. Raises `Refused` (42202)."""
    if text in ("latest", "-1"):
        return None
    found = number(text)
    if not found:
        raise refusals.version_invalid(text)
    return found


def number(text: str) -> int | None:
    """What these digits say; `None` for what is no number from 0 to `INT_MAX`, however long it is."""
    digits = text.lstrip("0") or text[-1:]
    if not (text.isascii() and text.isdigit() and len(digits) <= len(str(INT_MAX))):
        return None
    return int(digits) if int(digits) <= INT_MAX else None


def one(schemas: Schemas, subject: str, version: str, *, deleted: bool = False) -> Entry:
    """That version. Raises `Refused` (40401, 40402, 42202)."""
    number = version_number(version)
    if number is None:
        return existing(schemas, subject, deleted=deleted)[-1]
    if not schemas.versions(subject, deleted=True):
        raise refusals.subject_missing(subject)
    entry = schemas.version(subject, number)
    if entry is None or (entry.deleted and not deleted):
        raise refusals.version_missing(number)
    return entry


def by_id(schemas: Schemas, id: int) -> Sequence[Entry]:
    """Every version with that id, deleted ones too. Raises `Refused` (40403)."""
    try:
        return schemas.entries_of(id)
    except KeyError:
        raise refusals.id_missing(id) from None


def told(entry: Entry) -> dict[str, Any]:
    """A version, as it goes out."""
    return {"subject": entry.subject, "version": entry.version, **schema_told(entry)}


def schema_told(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"id": entry.id}
    if entry.type != AVRO:
        found["schemaType"] = entry.type
    if entry.references:
        found["references"] = [reference.said() for reference in entry.references]
    return found | {"schema": entry.schema}


def resolved(schemas: Schemas, entry: Entry) -> str:
    """The schema with what it refers to written out."""
    return canonical(compact(whole(schemas, entry.schema, entry.references)))


def registered(schemas: Schemas, subject: str, draft: Draft, *, deleted: bool = False) -> Entry | None:
    """The version that says the same, as the subject compares; a deleted one only where that is asked for."""
    normalize = normalizes(schemas, subject, draft.normalize)
    return schemas.same(subject, draft.schema, draft.references, normalize=normalize, deleted=deleted)


def lookup(schemas: Schemas, subject: str, draft: Draft, *, deleted: bool = False) -> Entry:
    """The version that says the same, whatever would be said of it today. Raises `Refused` (40401, 40403, 42201)."""
    found = registered(schemas, subject, draft) or (deleted and registered(schemas, subject, draft, deleted=True))
    if found:
        return found
    _judged(schemas, draft)
    if not schemas.versions(subject, deleted=True):
        raise refusals.subject_missing(subject)
    raise refusals.schema_missing()


def _judged(schemas: Schemas, draft: Draft, *, new: bool = False) -> Any:
    """What is not registered, complete in itself. Raises `Refused` (42201) for no Avro, or what takes too long to
    judge."""
    check_bytes(draft.schema)
    node = whole(schemas, draft.schema, draft.references, new=new)
    check_size(node)
    parse(node)
    return node


def sound(schemas: Schemas, subject: str, draft: Draft, of: EventType | None = None) -> None:
    """Raises `Refused` (42201) for no Avro, own and not sound, or nothing that a hub reads as its type `of`."""
    node = _judged(schemas, draft, new=True)
    check_names(node)  # not of what is there already: it has to stay readable
    problems = own_problems(subject, node) if is_own(subject) else []
    if problems:
        raise refusals.schema_invalid("; ".join(f"{each.message} ({each.fix})" for each in problems[:20]))
    if of and (draft.references or node.get("key") != of.schema["key"]):
        raise refusals.schema_invalid(f"a hub reads {subject} complete in itself, and keyed by {of.key_field}")


def incompatibilities(
    schemas: Schemas, subject: str, draft: Draft, against: Iterable[Entry], of: EventType | None = None
) -> list[str]:
    """Confluent's messages on why the draft is not compatible with these versions, at the level in effect, or not with
    the catalogue's type `of`, as which hubs read it."""
    wanted = level(schemas, subject)
    new = parse(whole(schemas, draft.schema, draft.references))
    for entry in sorted(against, key=lambda entry: -entry.version):
        old = parse(whole(schemas, entry.schema, entry.references))
        found = [said(*each) for each in compare(new, old, wanted)]
        if found:
            tail = (f"{{oldSchemaVersion: {entry.version}}}", f"{{oldSchema: '{entry.schema}'}}")
            return [*found, *tail, f"{{compatibility: '{wanted}'}}"]
    return _unread(of, new) if of else []


def _unread(of: EventType, new: Schema) -> list[str]:
    """Why a hub that has this version of the type could not read the other one's events."""
    found = [said(each, "catalogue", "new") for each in differences(parse(of.schema), new)]
    return [*found, "{what running hubs cannot read comes with the catalogue: `hub schema register`}"] if found else []


def compatible(
    schemas: Schemas, subject: str, draft: Draft, version: str | None, of: EventType | None = None
) -> list[str]:
    """Messages against that version, or against those that the level asks for, and the catalogue's type; empty:
    compatible. Raises `Refused` (42201) where nobody could register it whatever there is; what is there already can be.
    """
    if registered(schemas, subject, draft) is None:
        sound(schemas, subject, draft, of)
    else:
        of = None
    return incompatibilities(schemas, subject, draft, _compared(schemas, subject, version), of)


def _compared(schemas: Schemas, subject: str, version: str | None) -> list[Entry]:
    if version is None:
        return at_stake(schemas, subject)
    if version_number(version) is None:
        return schemas.versions(subject)[-1:]
    return [one(schemas, subject, version)]


def at_stake(schemas: Schemas, subject: str) -> list[Entry]:
    """The versions that a new one must get along with."""
    wanted = level(schemas, subject)
    if wanted is Level.NONE:
        return []
    return schemas.versions(subject) if wanted.transitive else schemas.versions(subject)[-1:]
