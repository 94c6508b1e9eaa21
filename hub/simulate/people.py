"""Invented persons, found by number: the same seed and number always give the same person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from hub.simulate.words import FATHERS, FEMALE_NAMES, MALE_NAMES, SURNAMES

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# First a digit, then a letter that no hexadecimal number has: a simulated FİN never shows by chance in an id, a
# time or a type's name, where the gate would take it for a leak.
SECOND = DIGITS[16:]
FIRST = DIGITS[:10]
REST = len(DIGITS) ** 5
ALL_FINS = len(FIRST) * len(SECOND) * REST
STRIDE = 7_368_787_919  # has no factor in common with ALL_FINS: two numbers never give one FİN

BORN_FROM, BORN_DAYS = -9_131, 21_900  # days since 1970: 1945 and sixty years on


@dataclass(frozen=True, slots=True)
class Person:
    """A synthetic person; `birth_date` in days since 1970, `district` a code of the catalogue."""

    number: int
    fin: str
    name: str
    surname: str
    patronymic: str
    birth_date: int
    district: str


class Population:
    """`size` persons, numbered from 0; `relative` gives further ones who share a surname and a district."""

    def __init__(self, seed: int, size: int, districts: Sequence[str]) -> None:
        self.size = max(1, size)
        self._seed, self._districts = seed, tuple(districts) or ("",)
        self._known: dict[int, Person] = {}

    def __getitem__(self, number: int) -> Person:
        person = self._known.get(number)
        if person is None:
            person = self._known[number] = self._invent(number, number)
        return person

    def relative(self, of: Person, nth: int) -> Person:
        """The `nth` relative of a person, someone of their own."""
        return self._invent(self.size * (nth + 1) + of.number, of.number)

    def _invent(self, number: int, family: int) -> Person:
        own = blake2b(b"%d/%d" % (self._seed, number), digest_size=8).digest()
        shared = blake2b(b"%d/%d" % (self._seed, family), digest_size=8).digest()
        woman = own[0] & 1
        names = FEMALE_NAMES if woman else MALE_NAMES
        father = FATHERS[own[2] % len(FATHERS)]
        return Person(
            number=number,
            fin=_fin(self._seed, number),
            name=names[own[1] % len(names)],
            surname=SURNAMES[shared[3] % len(SURNAMES)][woman],
            patronymic=f"{father} {'qızı' if woman else 'oğlu'}",
            birth_date=BORN_FROM + int.from_bytes(own[4:8], "big") % BORN_DAYS,
            district=self._districts[int.from_bytes(shared[4:8], "big") % len(self._districts)],
        )


def _fin(seed: int, number: int) -> str:
    """Seven characters, of which no two numbers share all under one seed."""
    left = (seed * 1_000_003 + number * STRIDE) % ALL_FINS
    left, tail = divmod(left, REST)
    text = FIRST[left % 10] + SECOND[left // 10]
    for _ in range(5):
        tail, digit = divmod(tail, 36)
        text += DIGITS[digit]
    return text
