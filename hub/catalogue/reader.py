"""Reads a mapping of a document key by key; whatever is not as it should be is a problem with its line."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Any

from hub.catalogue.model import Name
from hub.catalogue.source import Document, Place
from hub.errors import Problem

QUOTE = "write a text; quote it if YAML reads it otherwise"


class Reader:
    """One mapping at `place` of `document`. Getters return an empty stand-in for what is wrong, so that
    reading goes on and finds the rest."""

    def __init__(self, document: Document, problems: list[Problem], place: Place = ()) -> None:
        self.document, self.problems, self.place = document, problems, place
        self.value: dict[str, Any] = self._mapping(_at(document.value, place))

    def wrong(self, message: str, fix: str, *keys: str | int) -> None:
        """Add a problem at the line of `keys` below this mapping."""
        line = self.document.line((*self.place, *keys))
        self.problems.append(Problem(self.document.file, line, message, fix))

    def keys(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Refuse keys that are unknown and ask for those that are missing."""
        allowed = sorted({*required, *optional})
        for key in self.value:
            if key not in allowed:
                self.wrong(f"unknown key {key!r}", suggestion(str(key), allowed), key)
        for key in required:
            if key not in self.value:
                self.wrong(f"key {key!r} is missing", f"add {key!r} here")

    def text(self, key: str) -> str:
        """The text at `key`; "" when it is missing or no text."""
        value = self.value.get(key, "")
        if isinstance(value, str) and (value.strip() or key not in self.value):
            return value
        self.wrong(f"{key!r} must be a text, found {_kind(value)}", QUOTE, key)
        return ""

    def maybe(self, key: str) -> str | None:
        """The text at `key`, or `None` where there is no such key."""
        return self.text(key) or None if key in self.value else None

    def flag(self, key: str) -> bool:
        value = self.value.get(key, False)
        if not isinstance(value, bool):
            self.wrong(
                f"{key!r} must be true or absent, found {_kind(value)}",
                "write true, or leave the key out",
                key,
            )
        return value is True

    def texts(self, key: str) -> list[str]:
        """The list of distinct texts at `key`; [] where there is none."""
        value = self.value.get(key, [])
        if not isinstance(value, list):
            self.wrong(f"{key!r} must be a list, found {_kind(value)}", "write a list of texts", key)
            return []
        return [item for index, item in enumerate(value) if self._is_new_text(value, index, key)]

    def name(self, key: str) -> Name:
        """The Azerbaijani and English names at `key`."""
        inner = self.inner(key)
        inner.keys(("az", "en"))
        return Name(inner.text("az"), inner.text("en"))

    def inner(self, *keys: str | int) -> Reader:
        return Reader(self.document, self.problems, (*self.place, *keys))

    def entries(self, key: str) -> Iterator[tuple[str, Reader]]:
        """(key, mapping) of the mapping of mappings at `key`; none where there is no such key."""
        outer = self.inner(key) if key in self.value else None
        for name in outer.value if outer else ():
            yield str(name), self.inner(key, name)

    def known(self, what: str, value: str, pool: Collection[str], *keys: str | int) -> bool:
        """Whether `value` is in `pool`; if not (and it is not the empty stand-in) that is a problem."""
        if value and value not in pool:
            self.wrong(f"unknown {what} {value!r}", suggestion(value, pool), *keys)
        return value in pool

    def _mapping(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.wrong(f"a mapping is expected here, found {_kind(value)}", "write `key: value` pairs")
        return {}

    def _is_new_text(self, items: list[Any], index: int, key: str) -> bool:
        item = items[index]
        if not isinstance(item, str) or not item:
            self.wrong(f"a text is expected, found {_kind(item)}", QUOTE, key, index)
        elif item in items[:index]:
            self.wrong(f"{item!r} stands twice in {key!r}", "keep one", key, index)
        else:
            return True
        return False


def rows(document: Document, problems: list[Problem]) -> Iterator[Reader]:
    """The mappings of a document that is a list."""
    if not isinstance(document.value, list):
        fix = "write a list: each entry starts with `- `"
        problems.append(Problem(document.file, 1, f"a list is expected here, found {_kind(document.value)}", fix))
        return
    for index in range(len(document.value)):
        yield Reader(document, problems, (index,))


def suggestion(value: str, pool: Collection[str]) -> str:
    """What to write instead of `value`: the nearest of `pool`, or all of it when that is short."""
    near = difflib.get_close_matches(value, pool, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if 0 < len(pool) <= 12:
        return "use one of " + ", ".join(sorted(pool))
    return "use a name that the catalogue has, or add it there first"


def _at(value: Any, place: Place) -> Any:
    for key in place:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _kind(value: object) -> str:
    kinds = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", int: "a number"}
    return (
        "nothing" if value is None else "an empty text" if value == "" else kinds.get(type(value), type(value).__name__)
    )
