"""The plain lists of the catalogue: streams, legal bases, districts, agencies, services."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, TypeVar, get_args

from hub.catalogue.model import Agency, AgencyKind, Basis, District, Service, Stream
from hub.catalogue.reader import Reader, rows
from hub.catalogue.source import Document
from hub.errors import Problem

VERSION = 1
_CODE = re.compile(r"[a-z][a-z0-9-]{1,30}")
_KINDS: tuple[AgencyKind, ...] = get_args(AgencyKind)
T = TypeVar("T")
C = TypeVar("C", Agency, Service)


class Register(NamedTuple):
    """What `catalogue.yaml` holds, each by code."""

    version: int
    streams: Mapping[str, Stream]
    bases: Mapping[str, Basis]
    districts: Mapping[str, District]


def read_register(reader: Reader) -> Register:
    reader.keys(("version", "streams", "bases", "districts"))
    if reader.value.get("version", VERSION) != VERSION:
        reader.wrong(f"version {reader.value['version']!r}", f"this hub reads version {VERSION}", "version")
    return Register(
        VERSION,
        _by_code(reader, "streams", lambda code, row: Stream(code, row.name("name"))),
        _by_code(reader, "bases", lambda code, row: Basis(code, row.name("name"), row.flag("assumed"))),
        _by_code(reader, "districts", lambda code, row: District(code, row.name("name"))),
    )


def _by_code(reader: Reader, key: str, make: Callable[[str, Reader], T]) -> dict[str, T]:
    """The mapping of code → row at `key`; a missing one was reported with the keys."""
    result: dict[str, T] = {}
    for code, row in reader.entries(key):
        row.keys(("name",), ("assumed",) if key == "bases" else ())
        _check_code(code, row)
        result[code] = make(code, row)
    return dict(sorted(result.items()))


def read_agencies(document: Document, types: Collection[str], problems: list[Problem]) -> dict[str, Agency]:
    """Agencies by code; `types` are the full names of the event types that there are."""
    return _unique("agency", ((row, _agency(row, types)) for row in rows(document, problems)))


def _agency(row: Reader, types: Collection[str]) -> Agency:
    row.keys(("code", "kind", "name", "publishes"), ("assumed", "note"))
    code, kind = row.text("code"), row.text("kind")
    _check_code(code, row, "code")
    row.known("kind", kind, _KINDS, "kind")
    published = _known_texts(row, "publishes", "event type", types)
    known: AgencyKind = next((k for k in _KINDS if k == kind), "partner")
    return Agency(code, known, row.name("name"), frozenset(published), row.flag("assumed"), row.maybe("note"))


def read_services(document: Document, agencies: Collection[str], problems: list[Problem]) -> dict[str, Service]:
    """Services of the coordination centres by code; `agencies` are the codes that there are."""
    return _unique("service", ((row, _service(row, agencies)) for row in rows(document, problems)))


def _service(row: Reader, agencies: Collection[str]) -> Service:
    row.keys(("code", "name", "providers"), ("assumed",))
    code, providers = row.text("code"), _known_texts(row, "providers", "agency", agencies)
    _check_code(code, row, "code")
    if not row.value.get("providers", True):
        row.wrong(f"service {code!r} has no provider", "name at least one agency", "providers")
    return Service(code, row.name("name"), tuple(sorted(providers)), row.flag("assumed"))


def _known_texts(row: Reader, key: str, what: str, pool: Collection[str]) -> list[str]:
    found = row.texts(key)
    places = row.value.get(key) or []
    return [text for text in found if row.known(what, text, pool, key, places.index(text))]


def _unique(what: str, entries: Iterable[tuple[Reader, C]]) -> dict[str, C]:
    result: dict[str, C] = {}
    for row, entry in entries:
        if entry.code in result:
            row.wrong(f"{what} {entry.code!r} stands twice", "keep one", "code")
        elif entry.code:
            result[entry.code] = entry
    return dict(sorted(result.items()))


def _check_code(code: str, row: Reader, *key: str) -> None:
    if code and not _CODE.fullmatch(code):
        row.wrong(f"code {code!r}", "2 to 31 of a–z, 0–9 and -, a letter first", *key)
