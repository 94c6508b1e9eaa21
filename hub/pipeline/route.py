"""Route: who receives an event, each with the projection that is its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Receiver(NamedTuple):
    """An agency that may see a type: `when` lets an event through, `body` is the index of its projection.

    `grant` is (agency, type), as the audit counts."""

    agency: str
    topic: str
    secret: bytes
    when: tuple[tuple[str, frozenset[str]], ...]
    body: int
    grant: tuple[str, str]


class Routes:
    """The receivers of one type, looked up by the fields that their conditions name.

    A request to one of 21 providers costs one look, not 21.
    """

    def __init__(self, receivers: Iterable[Receiver]) -> None:
        self._always: list[Receiver] = []
        self._several: list[Receiver] = []
        self._by_field: dict[str, dict[str, list[Receiver]]] = defaultdict(lambda: defaultdict(list))
        for receiver in receivers:
            self._place(receiver)
        self._looks = tuple((name, dict(values)) for name, values in self._by_field.items())
        self.always = () if self._looks or self._several else tuple(self._always)
        """The receivers, where no condition asks for a field; otherwise, and where there are none, empty."""

    def entitled(self, fields: Mapping[str, Any]) -> list[Receiver]:
        """Those whose conditions all hold for these body fields."""
        found = self._always.copy()
        for name, values in self._looks:
            found += values.get(fields[name], ())
        for receiver in self._several:
            if all(fields[name] in values for name, values in receiver.when):
                found.append(receiver)
        return found

    def _place(self, receiver: Receiver) -> None:
        if not receiver.when:
            self._always.append(receiver)
        elif len(receiver.when) > 1:
            self._several.append(receiver)
        else:
            ((name, values),) = receiver.when
            for value in values:
                self._by_field[name][value].append(receiver)
