"""Readers by schema id: of every registered version of every event type, and of those registered since.

They only become more. Which versions there are is looked up by whoever runs the steps; a step never does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from hub.avro.codec import codec_of
from hub.avro.shape import Record
from hub.catalogue import EventType
from hub.pipeline.reader import Reader


class Version(Protocol):
    """A registered version of a subject: its schema's id, and the schema as JSON text."""

    @property
    def id(self) -> int: ...
    @property
    def schema(self) -> str: ...


class SchemaIds(Protocol):
    """Where schemas are registered (`hub.registry.Schemas`)."""

    def id_of(self, subject: str, schema: str | None = None) -> int: ...
    def versions(self, subject: str, *, deleted: bool = False) -> Sequence[Version]: ...


LookUp = Callable[[Collection[int]], SchemaIds]
"""All that is registered when it is called, for somebody who waits for these ids."""

Make = Callable[[EventType, Mapping[str, Any]], Reader]
"""A reader of a type, written with that schema."""


class Readers(dict[int, Reader]):
    """Looked up by several threads while one of them adds: an id is there with its whole reader, or not yet."""

    def __init__(self, types: Mapping[str, EventType], make: Make, ids: SchemaIds) -> None:
        super().__init__()
        self._types, self._make = types, make
        self.unreadable: dict[int, str] = {}
        self.learn(ids)

    def learn(self, ids: SchemaIds) -> dict[int, str]:
        """Add what is registered and not here yet; returns the types by the ids that are new.

        Deleted versions too: what was written once stays readable. One that this hub cannot read at all (references,
        another language) is left out, and its type noted in `unreadable`: its id is as unknown as one that nobody
        registered.
        """
        found = {
            version.id: (name, version.schema)
            for name in self._types
            for version in ids.versions(name, deleted=True)
            if version.id not in self and version.id not in self.unreadable
        }
        return {id: name for id, (name, text) in found.items() if self._add(id, self._types[name], text)}

    def _add(self, id: int, of: EventType, text: str) -> bool:
        try:
            written = json.loads(text)
            readable = isinstance(codec_of(written).shape, Record)
        except Exception:  # whatever is wrong with it, what one agency registered must not end a hub that runs
            readable = False
        if readable:
            self[id] = self._make(of, written)
        else:
            self.unreadable[id] = of.name
        return readable
