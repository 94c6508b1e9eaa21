"""Python source under way: lines, indentation, and stretches of text whose UTF-8 is checked at once.

UTF-8 is checked for many fields at once. A short string is preceded by its length, a byte below 128; so are
index bytes, booleans, small enums. An ASCII byte between two texts keeps a character of one from reaching into
the other, so a stretch of such fields is valid as a whole exactly when each text in it is. Whatever is not
surely ASCII (multi-byte numbers, bytes, floats) ends the stretch: `v[s:o].decode()`, and a new one starts later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Lines:
    """Python source under way, with its indentation."""

    def __init__(self, depth: int) -> None:
        self.lines: list[str] = []
        self.depth = depth
        self._names = 0

    def add(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line for line in lines]

    def name(self, letter: str) -> str:
        """A variable of its own, for nesting."""
        self._names += 1
        return f"{letter}_{self._names}"

    @contextmanager
    def under(self, head: str) -> Iterator[None]:
        self.add(head)
        self.depth += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.add("pass")
        self.depth -= 1


class Stretch(Lines):
    """Lines that know of text not yet checked. `open`: `s` is set; `unchecked`: there may be text since `s`."""

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.open = False
        self.unchecked = False

    def begin_text(self) -> None:
        if not self.open:
            self.add("s = o")
            self.open, self.unchecked = True, False

    def check_text(self, end: str = "o") -> None:
        """Emit the check of what is open; the caller says what `s` is afterwards."""
        if self.open and self.unchecked:
            self.add(f"v[s:{end}].decode()")

    def end_text(self, end: str = "o") -> None:
        self.check_text(end)
        self.open = self.unchecked = False

    @contextmanager
    def maybe(self) -> Iterator[None]:
        """Code that may not run, or run often: an open stretch is open after it."""
        was_open, was_unchecked = self.open, self.unchecked
        yield
        if was_open and not self.open:
            self.add("s = o")
            self.unchecked = False
        elif not was_open:
            self.end_text()
        self.open, self.unchecked = was_open, was_unchecked or self.unchecked
