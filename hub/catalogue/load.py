"""Reads `schemas/` into one catalogue, or says everything that is wrong with it at once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hub.catalogue import entitlements, events, lists
from hub.catalogue.model import Catalogue, Entitlement, EventType, Schema
from hub.catalogue.named import definitions
from hub.catalogue.projection import project_all
from hub.catalogue.reader import Reader
from hub.catalogue.soundness import check_schema
from hub.catalogue.source import Document, read
from hub.errors import Problem, SchemaError

SCHEMAS = Path(__file__).parents[2] / "schemas"
LISTS = ("catalogue", "agencies", "services")


def load(folder: Path = SCHEMAS) -> Catalogue:
    """The catalogue in `folder`. Raises `SchemaError` with every problem, each with file and line.

    A file that is no JSON or YAML at all hides what refers to it: those are told first, alone.
    """
    files = _read_files(folder)
    loading = _Loading(files)
    catalogue = loading.catalogue()
    if loading.problems:
        raise SchemaError(sorted(set(loading.problems), key=lambda p: (p.file, p.line, p.message)))
    return catalogue


@dataclass(frozen=True, slots=True)
class _Files:
    """All documents: the lists by stem, the others by the name that their file gives them."""

    lists: Mapping[str, Document]
    events: Mapping[str, Document]
    records: Mapping[str, Document]
    entitlements: Mapping[str, Document]
    fingerprint: str


def _read_files(folder: Path) -> _Files:
    problems: list[Problem] = []
    folders = {"events": "*.avsc", "hub": "*.avsc", "catalogue": "*.yaml", "catalogue/entitlements": "*.yaml"}
    paths = {name: sorted((folder / name).glob(pattern)) for name, pattern in folders.items()}
    found = {name: _documents(folder, inner, problems) for name, inner in paths.items()}
    problems += _misplaced(folder, paths, found["catalogue"])
    if problems:
        raise SchemaError(problems)
    return _Files(
        lists=found["catalogue"],
        events=found["events"],
        records=found["hub"],
        entitlements=found["catalogue/entitlements"],
        fingerprint=_fingerprint(folder, (path for inner in paths.values() for path in inner)),
    )


def _documents(folder: Path, paths: Iterable[Path], problems: list[Problem]) -> dict[str, Document]:
    read_all = {path.stem: read(path, _shown(folder, path), problems) for path in paths}
    return {stem: document for stem, document in read_all.items() if document is not None}


def _misplaced(folder: Path, paths: Mapping[str, list[Path]], found: Mapping[str, Document]) -> list[Problem]:
    """A list that is missing, and files that nothing would ever read."""
    known = {path for inner in paths.values() for path in inner}
    extra = [p for p in sorted(folder.rglob("*")) if p.is_file() and p not in known and not _is_apart(folder, p)]
    extra += [path for path in paths["catalogue"] if path.stem not in LISTS]
    missing = [path for name in LISTS if not (path := folder / "catalogue" / f"{name}.yaml").is_file()]
    return [
        *(Problem(_shown(folder, p), 1, "this file is missing", "write it: the catalogue needs it") for p in missing),
        *(Problem(_shown(folder, p), 1, "nothing reads this file", "move or rename it") for p in extra),
    ]


def _is_apart(folder: Path, path: Path) -> bool:
    """Notes, hidden files and `released/` (frozen versions) are no part of what is loaded."""
    parts = path.relative_to(folder).parts
    return path.suffix == ".md" or parts[0] == "released" or any(part.startswith(".") for part in parts)


def _shown(folder: Path, path: Path) -> str:
    return str(Path(folder.name) / path.relative_to(folder))


def _fingerprint(folder: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@dataclass(slots=True)
class _Loading:
    """From documents to the catalogue, collecting problems on the way."""

    files: _Files
    problems: list[Problem] = field(default_factory=list)

    def catalogue(self) -> Catalogue:
        register = lists.read_register(self._reader(self.files.lists["catalogue"]))
        agencies = lists.read_agencies(self.files.lists["agencies"], self.files.events, self.problems)
        services = lists.read_services(self.files.lists["services"], agencies, self.problems)
        types = self._types(events.Known(register.streams, agencies))
        codes: dict[str, Collection[str]] = {
            "agencies": agencies,
            "services": services,
            "districts": register.districts,
        }
        known = entitlements.Known(self.files.events, types, register.bases, codes)
        entitled = self._entitlements(known)
        return Catalogue(
            version=register.version,
            agencies=agencies,
            streams=register.streams,
            types=types,
            services=services,
            bases=register.bases,
            districts=register.districts,
            entitlements=entitled,
            projections={} if self.problems else project_all(_flat(entitled), types),
            records=self._records(),
            fingerprint=self.files.fingerprint,
        )

    def _types(self, known: events.Known) -> dict[str, EventType]:
        types = (events.read_event(document, known, self.problems) for document in self.files.events.values())
        result = {found.name: found for found in types if found}
        self._names_apart({**self.files.events, **self.files.records})
        self._one_slot_per_kind(result.values())
        return result

    def _records(self) -> dict[str, Schema]:
        for name, document in self.files.records.items():
            if check_schema(document, self.problems) and name != _full_name(document.value):
                message = "the file is not named by the type in it"
                self._reader(document).wrong(message, f"rename it to {_full_name(document.value)}.avsc", "name")
        return {name: document.value for name, document in self.files.records.items()}

    def _entitlements(self, known: entitlements.Known) -> dict[str, tuple[Entitlement, ...]]:
        found = [
            entitlement
            for agency, document in self.files.entitlements.items()
            for entitlement in entitlements.read_entitlements(agency, self._reader(document), known)
        ]
        return {name: tuple(e for e in found if e.type == name) for name in known.types}

    def _names_apart(self, documents: Mapping[str, Document]) -> None:
        """Named types of two files must not share a name: code made from them would clash."""
        seen: dict[str, str] = {}
        for document in documents.values():
            for full, place in _defined(document):
                if seen.setdefault(full, document.file) != document.file:
                    line = document.line((*place, "name"))
                    message = f"{full!r} is also defined in {seen[full]}"
                    self.problems.append(Problem(document.file, line, message, "begin its name with its event's"))

    def _one_slot_per_kind(self, types: Iterable[EventType]) -> None:
        """Parallel statuses of a kind are told apart by all of its types or by none."""
        first: dict[str, EventType] = {}
        for type in types:
            if type.status is None:
                continue
            before = first.setdefault(type.status.kind, type)
            if before.status and (before.status.slot is None) != (type.status.slot is None):
                message = f"status {type.status.kind!r} with a slot here and without one in {before.name}"
                reader = self._reader(self.files.events[type.name])
                reader.wrong(message, "give all its types a slot, or none", "status")

    def _reader(self, document: Document) -> Reader:
        return Reader(document, self.problems)


def _full_name(schema: Schema) -> str:
    return f"{schema.get('namespace')}.{schema['name']}"


def _defined(document: Document) -> list[tuple[str, tuple[str | int, ...]]]:
    try:
        return [(full, place) for full, _, place in definitions(document.value)]
    except (KeyError, TypeError, AttributeError):  # a broken schema: lint has told what is wrong
        return []


def _flat(entitled: Mapping[str, tuple[Entitlement, ...]]) -> list[Entitlement]:
    return [entitlement for of_type in entitled.values() for entitlement in of_type]
