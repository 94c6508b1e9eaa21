"""The nouns that travel: what comes in, what goes out, what is said about it.

A *record* is Kafka's; an *event* is a decoded fact. The pipeline sees records only through the
`Record` protocol, so the same steps run on Kafka's records, on a test's and on a replay's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from hub.errors import Code

Headers = Sequence[tuple[str, bytes]]

EVENT_MAX_BYTES = 1 << 20
"""Largest event the gate lets through, in bytes (CONTRACT: 1 MiB)."""

SOURCE_PREFIX = "urn:az:agency:"
EVENT_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
SEQUENCE = re.compile(rb"[0-9]{1,18}")
CONTENT_TYPE = b"application/avro"


class Record(Protocol):
    """One Kafka record as read. `timestamp` is in milliseconds since 1970."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


Row = tuple[str, int | None, bytes | None, bytes | None, Headers | bytes]
"""An `Output` without its names: what the hot path appends, several of them an event."""


class Output(NamedTuple):
    """One Kafka record to write. `partition` None means: by the key, as Java's default partitioner does."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers | bytes = ()
    """Pairs, or the bytes that they are written as (`hub.avro.packed`)."""


class Rejection(NamedTuple):
    """Why an event is refused, as data. `pointer` is a JSON pointer into the body, `""` the whole.

    `detail` says what was expected and what was found, and never quotes the event.
    """

    code: Code
    step: str
    detail: str
    pointer: str = ""


def placed_once(detail: str | None, pointer: str | None) -> str:
    """A detail to stand beside the pointer: without that pointer at its own beginning."""
    return (detail or "").removeprefix(f"{pointer}: ")


class Outcome(StrEnum):
    """What became of a record; the words of the balance law."""

    __hash__ = str.__hash__  # an enum's own is written in Python, and a batch counts thousands

    ACCEPTED = "ACCEPTED"
    APPLIED = "APPLIED"
    DUPLICATE = "DUPLICATE"
    REJECTED = "REJECTED"


class Tally(NamedTuple):
    """What a batch's counts are counted by; every value is from a closed set of the catalogue."""

    agency: str
    stream: str
    outcome: Outcome
    code: str = ""


class Denial(NamedTuple):
    """A door that stayed shut, for the audit."""

    agency: str
    action: str
    code: Code
    origin: str


@dataclass(slots=True)
class Result:
    """What a step made of one batch. Nothing of it is true before the batch's transaction is committed.

    `changes` maps a state key to its new value; `left` counts what went to (agency, type); `unknown` are the schema ids
    for which records were refused, each with the agency that used it.
    """

    outputs: list[Row] = field(default_factory=list)
    changes: dict[bytes, bytes] = field(default_factory=dict)
    tally: Counter[Tally] = field(default_factory=Counter)
    latest: dict[str, int] = field(default_factory=dict)
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    denials: list[Denial] = field(default_factory=list)
    unknown: set[tuple[str, int]] = field(default_factory=set)

    def extend(self, other: Result) -> None:
        """Append what a later part of the same batch made."""
        self.outputs += other.outputs
        self.changes |= other.changes
        self.tally += other.tally
        self.latest |= other.latest
        self.left += other.left
        self.denials += other.denials
        self.unknown |= other.unknown


def coordinates(record: Record) -> str:
    """`topic/partition/offset`: names a record without naming anybody."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def header(headers: Iterable[tuple[str, bytes]], name: str) -> bytes | None:
    """The first header of that name, or None."""
    return next((value for key, value in headers if key == name), None)
