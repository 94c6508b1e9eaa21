"""How many requests a door answers at once, so that none keeps the others out."""

from __future__ import annotations

from collections import Counter

PLACE = "hub.place"
"""In the scope of a request: the agency whose place it has."""


class Places:
    """Of so many requests at once, one agency has `of_one` at the most. Used in one event loop."""

    def __init__(self, most: int, of_one: int) -> None:
        self._most, self._of_one, self._of, self.taken = most, max(1, of_one), Counter[str](), 0

    @property
    def full(self) -> bool:
        return self.taken >= self._most

    def full_of(self, agency: str) -> bool:
        """Whether the agency has all that it may have."""
        return self._of[agency] >= self._of_one

    def add(self, agency: str, by: int = 1) -> None:
        self._of[agency] += by
        self.taken += by
