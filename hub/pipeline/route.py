"""Route: who receives an event, each with the projection that is its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hub.event import Output
from hub.pipeline.identify import pseudonym


class Receiver(NamedTuple):
    """An agency that may see a type: `when` lets an event through, `body` is the index of its projection."""

    agency: str
    topic: str
    secret: bytes
    when: tuple[tuple[str, frozenset[str]], ...]
    body: int


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


def addressed(
    receivers: Sequence[Receiver],
    bodies: Sequence[bytes],
    key: bytes,
    headers: Sequence[tuple[str, bytes]],
    partition: int,
) -> list[Output]:
    """One record per receiver; `bodies` are the type's projections, each made once."""
    return [Output(r.topic, partition, pseudonym(key, r.secret), bodies[r.body], headers) for r in receivers]
