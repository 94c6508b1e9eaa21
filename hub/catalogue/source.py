"""Files of `schemas/` as values that remember on which line each part of them stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hub.errors import Problem

Place = tuple[str | int, ...]
Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Document:
    """One file: `file` as problems name it, its value, and the 1-based line of each place in it."""

    file: str
    value: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of the key or item at `place`, or of the nearest part around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(path: Path, file: str, problems: list[Problem]) -> Document | None:
    """The document at `path`, or `None` with what is wrong added to `problems`."""
    try:
        text = path.read_text(encoding="utf-8")
        return _read_json(text, file, problems) if path.suffix == ".avsc" else _read_yaml(text, file, problems)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problems.append(Problem(file, line, f"not YAML: {error.problem}", "mend the syntax on this line"))
    except json.JSONDecodeError as error:
        problems.append(Problem(file, error.lineno, f"not JSON: {error.msg}", "mend the syntax on this line"))
    except (UnicodeDecodeError, yaml.reader.ReaderError, RecursionError, ValueError) as error:
        problems.append(Problem(file, 1, f"cannot be read: {type(error).__name__}", "save it as UTF-8 text"))
    return None


def _read_json(text: str, file: str, problems: list[Problem]) -> Document:
    # JSON's own parser gives the values (YAML reads 1e5 as a text); YAML's, which reads JSON too, the lines.
    value = json.loads(text)
    return Document(file, value, _Lines(file, problems).of(yaml.compose(text, Loader=Loader)))


def _read_yaml(text: str, file: str, problems: list[Problem]) -> Document:
    node = yaml.compose(text, Loader=Loader)
    lines = _Lines(file, problems).of(node)
    value = yaml.load(text, Loader=Loader) if node is not None else None  # noqa: S506 - a safe loader, in C
    return Document(file, value, lines)


class _Lines:
    """Walks composed nodes; a key given twice and an alias are problems of their own."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file, self.problems = file, problems
        self.lines: dict[Place, int] = {}
        self.seen: set[int] = set()

    def of(self, node: yaml.Node | None) -> dict[Place, int]:
        if node is not None:
            self._walk(node, (), node.start_mark.line + 1)
        return self.lines

    def _walk(self, node: yaml.Node, place: Place, line: int) -> None:
        self.lines[place] = line
        if id(node) in self.seen:
            self._wrong(line, "an alias (*name) of another part", "write the part out: files here are read alone")
            return
        self.seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, place)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._walk(item, (*place, index), item.start_mark.line + 1)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> None:
        for key, value in node.value:
            inner, line = (*place, str(key.value)), key.start_mark.line + 1
            if inner not in self.lines:
                self._walk(value, inner, line)
                continue
            fix = f"keep one; the first is on line {self.lines[inner]}"
            self._wrong(line, f"key {key.value!r} stands twice", fix)

    def _wrong(self, line: int, message: str, fix: str) -> None:
        self.problems.append(Problem(self.file, line, message, fix))
