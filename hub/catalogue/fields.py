"""What the hub asks of a field beyond Avro: its classification, its constraints, a FİN marked as one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub.avro.lint import full_name
from hub.catalogue.named import definitions, named_types
from hub.catalogue.reader import suggestion
from hub.catalogue.source import Document, Place
from hub.errors import Problem

CLASSES = ("open", "personal", "special", "identifier")
FIN = "[0-9A-Z]{7}"
FIN_IN_WORDS = "7 upper-case Latin letters and digits"
LISTS = ("agencies", "services", "districts")
NUMBERS = frozenset({"int", "long", "float", "double"})
ATTRIBUTES = frozenset({"classification", "pattern", "minimum", "maximum", "maxLength", "catalogue"})
_FIN_NAME = re.compile(r"(.*_)?fins?")


@dataclass(frozen=True, slots=True)
class Look:
    """A field's type seen from outside. `base` is Avro's name of it, a logical type's name where it has
    one, `union` where several branches are left beside null."""

    base: str
    nullable: bool = False
    symbols: tuple[str, ...] = ()


def look(node: Any, named: Mapping[str, dict[str, Any]], space: str) -> Look:
    """How a sound type looks; `named` and `space` resolve references."""
    if isinstance(node, list):
        branches = [branch for branch in node if branch not in ("null", {"type": "null"})]
        inner = look(branches[0], named, space) if len(branches) == 1 else Look("union" if branches else "null")
        return Look(inner.base, len(branches) < len(node), inner.symbols)
    if isinstance(node, str):
        found = named.get(full_name(node, space))
        return look(found, named, space) if found else Look(node, nullable=node == "null")
    return Look(str(node.get("logicalType", node["type"])), symbols=tuple(node.get("symbols", ())))


def looks(schema: dict[str, Any]) -> dict[str, Look]:
    """Top-level field → how its type looks, in a sound schema."""
    named, space = named_types(schema), schema["namespace"]
    return {field["name"]: look(field["type"], named, space) for field in schema["fields"]}


def check_fields(document: Document, problems: list[Problem]) -> None:
    """Problems of every field of a schema that lint found sound, nested ones too."""
    named = named_types(document.value)
    for full, node, place in definitions(document.value):
        for index, field in enumerate(node.get("fields", ())):
            seen = _held(field["type"], named, full.rpartition(".")[0])
            _Field(document, problems, (*place, "fields", index), field, seen).check()


def _held(node: Any, named: Mapping[str, dict[str, Any]], space: str) -> Look:
    """How the values look that a field's constraints are about: of an array or a map, what is in it."""
    while isinstance(node, dict) and node["type"] in ("array", "map"):
        node = node["items"] if node["type"] == "array" else node["values"]
    return look(node, named, space)


def identifiers(schema: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Paths of the FİN fields of a sound schema; `*` is an array's item or a map's value."""
    return tuple(_identifiers(schema, named_types(schema), ""))


def _identifiers(node: Any, named: Mapping[str, Any], space: str) -> Iterator[tuple[str, ...]]:
    if isinstance(node, str):
        node = named.get(full_name(node, space))
    if isinstance(node, list):
        for branch in node:
            yield from _identifiers(branch, named, space)
    elif isinstance(node, dict) and node["type"] in ("array", "map"):
        for path in _identifiers(node.get("items", node.get("values")), named, space):
            yield ("*", *path)
    elif isinstance(node, dict) and node["type"] == "record":
        yield from _of_record(node, named, full_name(node["name"], node.get("namespace", space)))


def _of_record(node: dict[str, Any], named: Mapping[str, Any], full: str) -> Iterator[tuple[str, ...]]:
    for field in node["fields"]:
        if field.get("classification") == "identifier":
            yield (field["name"],)
        for path in _identifiers(field["type"], named, full.rpartition(".")[0]):
            yield (field["name"], *path)


@dataclass(frozen=True, slots=True)
class _Field:
    """One field under check."""

    document: Document
    problems: list[Problem]
    place: Place
    field: dict[str, Any]
    seen: Look

    def check(self) -> None:
        self._classification()
        self._identifier()
        self._pattern()
        self._numbers()
        self._list()

    def wrong(self, message: str, fix: str, *key: str) -> None:
        line = self.document.line((*self.place, *key))
        self.problems.append(Problem(self.document.file, line, f"field {self.field['name']!r}: {message}", fix))

    def _classification(self) -> None:
        found = self.field.get("classification")
        if found is None:
            self.wrong("no classification", f'add "classification": one of {", ".join(CLASSES)}')
        elif found not in CLASSES:
            self.wrong(f"unknown classification {found!r}", suggestion(str(found), CLASSES), "classification")

    def _identifier(self) -> None:
        found = self.field.get("classification")
        if _FIN_NAME.fullmatch(self.field["name"]) and found in CLASSES and found != "identifier":
            self.wrong(f"a FİN classified {found!r}", "classify it identifier", "classification")
        if found == "identifier" and (not self._is_string() or self.field.get("pattern") != FIN):
            self.wrong("an identifier that is no FİN", f'make it a string with "pattern": "{FIN}"', "classification")

    def _is_string(self) -> bool:
        return self.field["type"] in ("string", ["null", "string"], ["string", "null"])

    def _pattern(self) -> None:
        for key in ("pattern", "maxLength"):
            if key in self.field and self.seen.base != "string":
                self.wrong(f"{key!r} on {self.seen.base}", "only a string takes it: leave it out", key)
        limit = self.field.get("maxLength", 1)
        if not isinstance(limit, int) or limit < 1:
            self.wrong("'maxLength' is no number above 0", "give the longest length in characters", "maxLength")
        if not _compiles(self.field.get("pattern", "")):
            self.wrong("'pattern' is no regular expression", "correct it; it must match the whole value", "pattern")

    def _numbers(self) -> None:
        bounds = [self.field[key] for key in ("minimum", "maximum") if key in self.field]
        if not bounds:
            return
        key = "minimum" if "minimum" in self.field else "maximum"
        if self.seen.base not in NUMBERS:
            self.wrong(
                f"{key!r} on {self.seen.base}",
                f"only {', '.join(sorted(NUMBERS))} take it: leave it out",
                key,
            )
        elif not all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in bounds):
            self.wrong(f"{key!r} is no number", "give a number", key)
        elif bounds != sorted(bounds):
            self.wrong("'minimum' is above 'maximum'", "exchange them", key)

    def _list(self) -> None:
        found = self.field.get("catalogue")
        if found is not None and (found not in LISTS or self.seen.base != "string"):
            self.wrong(
                f"'catalogue' {found!r} on {self.seen.base}",
                f"a string may name {', '.join(LISTS)}",
                "catalogue",
            )


def _compiles(pattern: object) -> bool:
    try:
        return isinstance(pattern, str) and re.compile(pattern) is not None
    except re.error:
        return False
