"""The dead-letter queues: what was refused, why, and the bytes as they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub import registry
from hub.admin.records import Unpacker
from hub.catalogue import Catalogue
from hub.errors import ConfigError
from hub.event import placed_once
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused record. `coordinates` name the input (`in.mod/3/1234`); `envelope` is a `hub.DeadLetter`."""

    agency: str
    coordinates: str
    envelope: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """What may be shown to ops in a list: no value, key or header as it came."""
        names = ("code", "step", "pointer", "detail", "attempts", "first_failure", "last_failure")
        size = len(self.envelope["value"] or b"")
        return {
            "agency": self.agency,
            "record": self.coordinates,
            **{name: self.envelope[name] for name in names},
            "detail": placed_once(self.envelope["detail"], self.envelope["pointer"]),
            "bytes": size,
        }


def letters(
    connection: Connection, catalogue: Catalogue, agencies: Iterable[str], code: str | None = None
) -> Iterator[DeadLetter]:
    """All dead letters of these agencies, oldest first within a partition; of one code alone where given."""
    unpacker = Unpacker(registry.read(connection))
    topics = [f"dlq.{known(catalogue, agency)}" for agency in agencies]
    for record in read_all(connection, topics):
        _, envelope = unpacker.unpack(record.value or b"")
        if code is None or envelope["code"] == code:
            yield DeadLetter(record.topic.removeprefix("dlq."), (record.key or b"").decode(), envelope)


def find(connection: Connection, catalogue: Catalogue, coordinates: str) -> DeadLetter:
    """The dead letter of one input. Raises `ConfigError` where there is none."""
    agency = coordinates.removeprefix("in.").split("/")[0]
    for letter in letters(connection, catalogue, [agency]):
        if letter.coordinates == coordinates:
            return letter
    raise ConfigError(f"{coordinates} is not in dlq.{agency}; `hub dlq list --agency {agency}` names those that are")


def known(catalogue: Catalogue, agency: str) -> str:
    """The agency's code, if the catalogue has it; else `ConfigError`."""
    if agency not in catalogue.agencies:
        raise ConfigError(f"{agency} is no agency of the catalogue")
    return agency
