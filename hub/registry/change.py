"""What the registry is asked to change. Pure: from what the log says to the records to write and the answer.

Every function may be called again on a later state of the log: that is how two registries that write at once stay
consistent (see `store`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hub.catalogue import EventType
from hub.registry import ask, refusals
from hub.registry.ask import Draft
from hub.registry.canonical import canonical, kept
from hub.registry.compatibility import Level
from hub.registry.entry import Change, Entry, config_change, highest_change, mode_change
from hub.registry.schemas import Schemas
from hub.registry.soundness import is_own

MODES = ("READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT")
READONLY = ("READONLY", "READONLY_OVERRIDE")
HIGHEST_IMPORTED = 2**30
"""A new id follows the highest, so whoever imports the last one leaves none to anybody. No registry that began at 1 has
given out half of them, and the other half is left to count on. Confluent's registry takes any id."""


class Decision(NamedTuple):
    """Records for the log, in one transaction (none: nothing changes), and what the caller is told."""

    changes: list[Change]
    answer: Any


def _known(schemas: Schemas, subject: str, draft: Draft) -> Entry | None:
    """What a registration of something that is there already finds. Raises `Refused` (42207): it has another id."""
    found = ask.registered(schemas, subject, draft)
    if found is not None and draft.id not in (None, found.id):
        raise refusals.id_taken(found.id, draft.id or 0)
    return found


def register(
    schemas: Schemas,
    subject: str,
    draft: Draft,
    of: EventType | None = None,
    may: Callable[[], None] = lambda: None,
) -> Decision:
    """A new version, or the id of the same one. `of`: the catalogue's type, where the subject is one. `may` is asked
    before anything is new, and raises where it may not be.
    Raises `Refused` (409, 42201, 42205, 42207)."""
    found = _known(schemas, subject, draft)
    if found is not None:
        return Decision([], {"id": found.id})
    may()
    mode = ask.mode(schemas, subject)
    if mode in READONLY:
        raise refusals.not_permitted(f"Subject {subject} is in read-only mode")
    if (draft.id is not None) != (mode == "IMPORT"):
        state = "is in import mode: an id is needed" if mode == "IMPORT" else "is not in import mode"
        raise refusals.not_permitted(f"Subject {subject} {state}")
    normalize = ask.normalizes(schemas, subject, draft.normalize)
    check(schemas, subject, draft, of, lenient=mode == "IMPORT")
    entry = schemas.next(subject, canonical(draft.schema, normalize=normalize), draft.references)
    entry = _imported(schemas, entry, draft) if draft.id is not None else entry
    if max(entry.id, entry.version) > ask.INT_MAX:
        raise refusals.not_permitted(f"Ids and versions end at {ask.INT_MAX}: none is left for {subject}")
    return Decision([entry.change()], {"id": entry.id})


def check(schemas: Schemas, subject: str, draft: Draft, of: EventType | None = None, *, lenient: bool = False) -> None:
    """Raises `Refused`: 42201 for what is not sound; 409 with the paths for not compatible with earlier versions, or
    not with the catalogue's."""
    ask.sound(schemas, subject, draft, of)
    if lenient:
        return
    messages = ask.incompatibilities(schemas, subject, draft, ask.at_stake(schemas, subject), of)
    if messages:
        raise refusals.incompatible(subject, messages)


def _imported(schemas: Schemas, entry: Entry, draft: Draft) -> Entry:
    """With the id and version that it had elsewhere. Raises `Refused` (42205) where the id says something else, or is
    new and above `HIGHEST_IMPORTED`."""
    assert draft.id is not None
    wanted = Entry(entry.subject, draft.version or entry.version, draft.id, entry.schema, references=entry.references)
    there = schemas.version(wanted.subject, wanted.version)
    if there is not None and there.id != wanted.id:
        raise refusals.not_permitted(f"Version {wanted.version} of {wanted.subject} has id {there.id}")
    try:
        first = schemas.entries_of(draft.id)[0]
    except KeyError:
        if draft.id > HIGHEST_IMPORTED:
            raise refusals.not_permitted(
                f"Ids up to {HIGHEST_IMPORTED} may be imported: the rest is for new schemas"
            ) from None
        return wanted
    if kept(first.schema) != canonical(wanted.schema) or first.references != wanted.references:
        raise refusals.not_permitted(f"Overwrite new schema with id {draft.id} is not permitted.")
    return wanted


def delete_subject(schemas: Schemas, subject: str, *, permanent: bool, used: str | None = None) -> Decision:
    """Soft: no longer offered. Permanent: the second time, and nothing is left. Answers with the versions. `used`: the
    catalogue's schema of that subject, if it has one. Raises `Refused` (404, 42205, 42206)."""
    _writable(schemas, subject)
    entries, live = schemas.versions(subject, deleted=True), schemas.versions(subject)
    if not entries:
        raise refusals.subject_missing(subject)
    if permanent and live:
        raise refusals.subject_not_deleted(subject)
    if not permanent and not live:
        raise refusals.subject_deleted(subject)
    chosen = entries if permanent else live
    for entry in chosen:
        _unused(schemas, entry, used)
        _unreferenced(schemas, entry)
    changes = _gone(schemas, chosen) if permanent else [entry.change(deleted=True) for entry in chosen]
    if not permanent:
        changes += _settings_gone(schemas, subject)
    return Decision(changes, [entry.version for entry in chosen])


def delete_version(
    schemas: Schemas, subject: str, version: str, *, permanent: bool, used: str | None = None
) -> Decision:
    """As `delete_subject`, of one version."""
    _writable(schemas, subject)
    entry = ask.one(schemas, subject, version, deleted=True) if version not in ("latest", "-1") else None
    entry = entry or ask.one(schemas, subject, version)
    if permanent and not entry.deleted:
        raise refusals.version_not_deleted(subject, entry.version)
    if not permanent and entry.deleted:
        raise refusals.version_deleted(subject, entry.version)
    _unused(schemas, entry, used)
    _unreferenced(schemas, entry)
    if permanent:
        return Decision(_gone(schemas, [entry]), entry.version)
    settings = [] if len(schemas.versions(subject)) > 1 else _settings_gone(schemas, subject)
    return Decision([entry.change(deleted=True), *settings], entry.version)


def set_level(schemas: Schemas, subject: str | None, said: dict[str, Any]) -> Decision:
    """`{"compatibility": …, "normalize": …}`; what is not named, or null, stays. Raises `Refused` (42203)."""
    _writable(schemas, subject)
    if not said.keys() & {"compatibility", "normalize"}:
        raise refusals.level_invalid()
    new = dict(schemas.configs.get(subject, {}))
    if said.get("compatibility") is not None:
        new["compatibilityLevel"] = _level(said["compatibility"]).value
    if said.get("normalize") is not None:
        if not isinstance(said["normalize"], bool):
            raise refusals.malformed("normalize is true or false")
        new["normalize"] = said["normalize"]
    answer = {("compatibility" if name == "compatibilityLevel" else name): value for name, value in new.items()}
    return Decision([config_change(subject, new)] if new else [], answer)


def delete_level(schemas: Schemas, subject: str | None) -> Decision:
    """Answers with what it was."""
    _writable(schemas, subject)
    was = schemas.configs.get(subject)
    if subject and was is None:
        raise refusals.subject_missing(subject)
    changes = [config_change(subject, None)] if was else []
    return Decision(changes, was or {"compatibilityLevel": ask.DEFAULT.value})


def set_mode(schemas: Schemas, subject: str | None, mode: object, *, force: bool) -> Decision:
    """IMPORT needs a subject without schemas, so that no id can clash, unless it is forced."""
    if not isinstance(mode, str) or mode.upper() not in MODES:
        raise refusals.mode_invalid()
    wanted = mode.upper()
    there = schemas.versions(subject) if subject else schemas.subjects()
    if wanted == "IMPORT" and there and not force and ask.mode(schemas, subject) != "IMPORT":
        raise refusals.not_permitted("Cannot import since found existing subjects")
    return Decision([mode_change(subject, wanted)], {"mode": wanted})


def delete_mode(schemas: Schemas, subject: str | None) -> Decision:
    was = schemas.modes.get(subject)
    if was is None and subject:
        raise refusals.subject_missing(subject)
    return Decision([mode_change(subject, None)] if was else [], {"mode": was or ask.READWRITE})


def _level(said: object) -> Level:
    try:
        return Level(said.upper() if isinstance(said, str) else "")
    except ValueError:
        raise refusals.level_invalid() from None


def _writable(schemas: Schemas, subject: str | None) -> None:
    if ask.mode(schemas, subject) in READONLY:
        raise refusals.not_permitted(f"Subject {subject or 'null'} is in read-only mode")


def _unused(schemas: Schemas, entry: Entry, used: str | None) -> None:
    """Raises `Refused` (42205) for the version that publishers of the catalogue's type look up."""
    if used is not None and entry == schemas.same(entry.subject, used):
        raise refusals.not_permitted(
            f"Version {entry.version} of {entry.subject} is the catalogue's, which this hub runs on: take the type out "
            "of the catalogue, start the hub with that, then delete"
        )


def _unreferenced(schemas: Schemas, entry: Entry) -> None:
    by = sorted({each.id for each in schemas.referrers(entry.subject, entry.version)})
    if by:
        raise refusals.referenced(entry.subject, entry.version, by)


def _gone(schemas: Schemas, entries: list[Entry]) -> list[Change]:
    """Raises `Refused` (42205) for what is the hub's own: kept events name their version by its id."""
    if any(is_own(entry.subject) for entry in entries):
        raise refusals.not_permitted("What is the hub's own stays: kept events could not be read without it")
    return [*(entry.removal() for entry in entries), highest_change(schemas.highest_id)]


def _settings_gone(schemas: Schemas, subject: str) -> list[Change]:
    """With the last version go level and mode: they are not to hold for what begins anew."""
    changes = [config_change(subject, None)] if subject in schemas.configs else []
    return [*changes, mode_change(subject, None)] if subject in schemas.modes else changes
