"""Whether the working tree may be released: everything that was ever released must stay readable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hub.errors import Problem
from hub.evolution.breaks import unreadable
from hub.evolution.released import Release, read_released, same, sound, working
from hub.registry.compatibility import Difference

State = Literal["unchanged", "new", "changed", "broken", "gone"]


class Checked(NamedTuple):
    """One schema: its state, and the version that it has or would have."""

    name: str
    state: State
    version: int


def check(schemas: Path) -> tuple[list[Checked], list[Problem]]:
    """Of every schema how it stands to its releases, and what of that forbids to release the working tree.

    What is no sound schema at all is `broken`, and the catalogue's loader says why.
    """
    problems: list[Problem] = []
    released = read_released(schemas, problems)
    current = {name: sound(schemas, path, []) for name, path in working(schemas).items()}
    files = {name: f"schemas/{path.relative_to(schemas)}" for name, path in working(schemas).items()}
    found = [_checked(name, schema, released, files[name], problems) for name, schema in current.items()]
    for name in sorted(released.keys() - current.keys()):
        message = f"{name} was released and is gone: kept events of it could not be read"
        problems.append(Problem(f"schemas/events/{name}.avsc", 1, message, "bring it back; nobody has to publish it"))
        found.append(Checked(name, "gone", released[name][-1].version))
    return found, problems


def _checked(
    name: str, schema: dict[str, Any] | None, released: Mapping[str, list[Release]], file: str, problems: list[Problem]
) -> Checked:
    before = released.get(name, [])
    if schema is None:
        return Checked(name, "broken", before[-1].version + 1 if before else 1)
    if not before:
        return Checked(name, "new", 1)
    if same(before[-1].schema, schema):
        return Checked(name, "unchanged", before[-1].version)
    wrong = [problem for release in before for problem in _unreadable(schema, release, file)]
    problems += wrong
    return Checked(name, "broken" if wrong else "changed", before[-1].version + 1)


def _unreadable(schema: dict[str, Any], release: Release, file: str) -> list[Problem]:
    fix = "give the field a default, widen instead of narrowing, or make a new type: a new meaning is a new type"
    old = f"data of version {release.version} cannot be read"
    return [
        Problem(file, 1, f"{old} at {each.path}: {_said(each)}", fix) for each in unreadable(schema, release.schema)
    ]


def _said(of: Difference) -> str:
    return f"{of.kind.lower().replace('_', ' ')}: {of.message}"
