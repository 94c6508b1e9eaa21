r"""Texts that match a pattern of a schema: the small part of regular expressions that schemas use.

Literals, escapes (`\d`, `\+`), classes, groups with alternatives, and the quantifiers ? * + {n} {n,m}.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from random import Random

from hub.errors import ConfigError

Make = Callable[[Random], str]

CLASSES = {"d": string.digits, "w": string.ascii_letters + string.digits + "_", "s": " "}
UNBOUNDED = 8  # how many more than the least `*` and `+` give at the most


def text_maker(pattern: str) -> Make:
    """A function that makes texts matching the whole pattern. Raises `ConfigError` for one beyond this module."""
    made = _Parser(pattern).parse()
    sample = made(Random(0))
    if not re.fullmatch(pattern, sample):
        raise ConfigError(f"the simulator cannot make a text for the pattern {pattern}")
    return made


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0

    def parse(self) -> Make:
        made = self._choice()
        if self.at < len(self.pattern):
            raise self._cannot()
        return made

    def _choice(self) -> Make:
        branches = [self._row()]
        while self._take("|"):
            branches.append(self._row())
        return branches[0] if len(branches) == 1 else lambda rng: rng.choice(branches)(rng)

    def _row(self) -> Make:
        parts: list[Make] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return lambda rng: "".join([part(rng) for part in parts])

    def _atom(self) -> Make:
        if self._take("("):
            self._take("?:")
            made = self._choice()
            if not self._take(")"):
                raise self._cannot()
            return made
        return _one_of(self._letters())

    def _letters(self) -> str:
        letter = self._next()
        if letter == "[":
            return self._set()
        if letter == "\\":
            letter = self._next()
            return CLASSES.get(letter, letter)
        if letter in "^$*+?{":
            raise self._cannot()
        return string.ascii_lowercase if letter == "." else letter

    def _set(self) -> str:
        letters = ""
        while not self._take("]"):
            first = self._letters()
            if len(first) == 1 and self.pattern[self.at] == "-" and self.pattern[self.at + 1] != "]":
                self.at += 1
                first = "".join(map(chr, range(ord(first), ord(self._letters()) + 1)))
            letters += first
        if not letters:
            raise self._cannot()
        return letters

    def _repeated(self, made: Make) -> Make:
        found = re.compile(r"([?*+])|\{(\d+)(?:(,)(\d*))?\}").match(self.pattern, self.at)
        if not found:
            return made
        self.at = found.end()
        sign, least, comma, most = found.groups()
        low = int(least) if least else int(sign == "+")
        high = 1 if sign == "?" else int(most) if most else low + UNBOUNDED if sign or comma else low
        if low == high:
            return lambda rng: "".join([made(rng) for _ in range(low)])
        return lambda rng: "".join([made(rng) for _ in range(rng.randint(low, high))])

    def _next(self) -> str:
        if self.at >= len(self.pattern):
            raise self._cannot()
        self.at += 1
        return self.pattern[self.at - 1]

    def _take(self, text: str) -> bool:
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def _cannot(self) -> ConfigError:
        return ConfigError(f"the simulator cannot make a text for the pattern {self.pattern}")


def _one_of(letters: str) -> Make:
    return (lambda rng: rng.choice(letters)) if len(letters) > 1 else lambda rng: letters
