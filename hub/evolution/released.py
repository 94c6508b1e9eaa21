"""`schemas/released/`: every version of every schema that was ever released, frozen.

A file is `<full name>.v<version>.avsc`; `SHA256SUMS` (as `sha256sum` writes it) says what each held when it was frozen.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hub.catalogue.events import OPTIONAL, REQUIRED
from hub.catalogue.fields import ATTRIBUTES
from hub.catalogue.soundness import check_schema
from hub.catalogue.source import read
from hub.errors import Problem
from hub.registry.canonical import canonical, compact

FOLDER, SUMS = "released", "SHA256SUMS"
_NAME = re.compile(r"(?P<name>[A-Za-z_][\w.]*)\.v(?P<version>[1-9][0-9]*)\.avsc")
Schema = dict[str, Any]


@dataclass(frozen=True)
class Release:
    """One version of a schema as it was released."""

    name: str
    version: int
    schema: Schema

    @property
    def file(self) -> str:
        return f"{self.name}.v{self.version}.avsc"


def read_released(schemas: Path, problems: list[Problem]) -> dict[str, list[Release]]:
    """Full name → its releases, ascending; what is altered, missing or misnamed is added to `problems` instead."""
    folder = schemas / FOLDER
    sums = _sums(folder)
    found: dict[str, list[Release]] = {}
    for path in sorted(folder.glob("*.avsc")):
        match = _NAME.fullmatch(path.name)
        if match is None or sums.get(path.name) != _digest(path):
            problems.append(_altered(path, known=path.name in sums))
        else:
            release = Release(match["name"], int(match["version"]), json.loads(path.read_text(encoding="utf-8")))
            found.setdefault(release.name, []).append(release)
    gone = sorted(sums.keys() - {path.name for path in folder.glob("*.avsc")})
    problems += [Problem(f"schemas/{FOLDER}/{name}", 1, "this release is gone", "bring it back") for name in gone]
    return {name: sorted(all_of_it, key=lambda each: each.version) for name, all_of_it in found.items()}


def freeze(schemas: Path, current: Mapping[str, Path], released: Mapping[str, Sequence[Release]]) -> list[str]:
    """Copy what differs from its latest release, or was never released; returns the names of the new files."""
    folder = schemas / FOLDER
    folder.mkdir(exist_ok=True)
    new = []
    for name, path in sorted(current.items()):
        before = released.get(name, ())
        if before and same(before[-1].schema, json.loads(path.read_text(encoding="utf-8"))):
            continue
        release = folder / f"{name}.v{before[-1].version + 1 if before else 1}.avsc"
        release.write_bytes(path.read_bytes())
        new.append(release.name)
    lines = [f"{_digest(path)}  {path.name}\n" for path in sorted(folder.glob("*.avsc"))]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return new


def working(schemas: Path) -> dict[str, Path]:
    """Full name → file of what the working tree would release: event types and the hub's own records."""
    return {path.stem: path for room in ("events", "hub") for path in sorted((schemas / room).glob("*.avsc"))}


def sound(schemas: Path, path: Path, problems: list[Problem]) -> Schema | None:
    """The schema in a file of the working tree; where it is none, `None`, and `problems` says why."""
    document = read(path, f"schemas/{path.relative_to(schemas)}", problems)
    root = frozenset({*REQUIRED, *OPTIONAL})
    if document is None or not check_schema(document, problems, root=root, field=ATTRIBUTES):
        return None
    return cast("Schema", document.value)


def same(one: Schema, other: Schema) -> bool:
    """Whether the registry takes them for one."""
    return canonical(compact(one)) == canonical(compact(other))


def _sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _altered(path: Path, *, known: bool) -> Problem:
    what = "a released schema was altered" if known else "nobody released this file"
    fix = "restore it: what was released stays; a change is a new version" if known else "run `hub schema release`"
    return Problem(f"schemas/{FOLDER}/{path.name}", 1, what, fix)
