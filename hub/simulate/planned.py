"""What is going to be sent: each record with its time, and what should become of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from hub.errors import Code
from hub.event import Headers, Outcome
from hub.simulate.people import Person


class Sort(StrEnum):
    """Classes of simulated records; `outcome` and `code` say what the hub should make of them."""

    LIVE = "live"
    BULK = "bulk"
    REQUEST = "request"
    ANSWER = "answer"
    LATE = "late"
    CONTRADICTORY = "contradictory"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    UNAUTHORISED = "unauthorised"
    WRONG_SOURCE = "wrong_source"
    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing_bytes"
    OVERLONG = "overlong"
    BODY_INVALID = "body_invalid"
    SCHEMA_ID_UNKNOWN = "schema_id_unknown"
    TYPE_UNKNOWN = "type_unknown"
    TYPE_MISMATCH = "type_mismatch"
    HEADER_INVALID = "header_invalid"
    FIN_INVALID = "fin_invalid"
    FIN_IN_HEADER = "fin_in_header"
    RULE_BROKEN = "rule_broken"
    NOT_AVRO = "not_avro"
    TOO_LARGE = "too_large"

    @property
    def code(self) -> Code | None:
        """Why it should be rejected; None where it should not be."""
        return CODES.get(self)

    @property
    def outcome(self) -> Outcome:
        if self is Sort.DUPLICATE:
            return Outcome.DUPLICATE
        return Outcome.REJECTED if self in CODES else Outcome.APPLIED


CODES: Mapping[Sort, Code] = {
    Sort.CONFLICT: Code.IDENTITY_CONFLICT,
    Sort.UNAUTHORISED: Code.TYPE_NOT_ALLOWED,
    Sort.WRONG_SOURCE: Code.SOURCE_MISMATCH,
    Sort.TRUNCATED: Code.BODY_TRUNCATED,
    Sort.TRAILING_BYTES: Code.BODY_TRAILING_BYTES,
    Sort.OVERLONG: Code.BODY_OVERLONG,
    Sort.BODY_INVALID: Code.BODY_INVALID,
    Sort.SCHEMA_ID_UNKNOWN: Code.SCHEMA_ID_UNKNOWN,
    Sort.TYPE_UNKNOWN: Code.TYPE_UNKNOWN,
    Sort.TYPE_MISMATCH: Code.TYPE_MISMATCH,
    Sort.HEADER_INVALID: Code.HEADER_INVALID,
    Sort.FIN_INVALID: Code.FIN_INVALID,
    Sort.FIN_IN_HEADER: Code.FIN_IN_HEADER,
    Sort.RULE_BROKEN: Code.RULE_BROKEN,
    Sort.NOT_AVRO: Code.NOT_AVRO,
    Sort.TOO_LARGE: Code.TOO_LARGE,
}

MALFORMED = (
    Sort.TRUNCATED, Sort.TRAILING_BYTES, Sort.OVERLONG, Sort.BODY_INVALID, Sort.SCHEMA_ID_UNKNOWN,
    Sort.TYPE_UNKNOWN, Sort.TYPE_MISMATCH, Sort.HEADER_INVALID, Sort.FIN_INVALID, Sort.FIN_IN_HEADER,
    Sort.RULE_BROKEN, Sort.NOT_AVRO,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of a run, each from 0 to 1. `bulk` is of all records; the others are of those outside the wave."""

    duplicate: float = 0.03
    late: float = 0.03
    contradictory: float = 0.01
    conflict: float = 0.005
    unauthorised: float = 0.01
    wrong_source: float = 0.005
    malformed: float = 0.02
    too_large: float = 0.0003
    request: float = 0.05
    bulk: float = 0.2
    bulk_most: int = 5000


DEFAULT_SHARES = Shares()


class Planned(NamedTuple):
    """One record for `in.<agency>`, meant to be sent `at` seconds after the run began."""

    at: float
    agency: str
    type: str
    sort: Sort
    key: bytes
    headers: Headers
    value: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """An event before it is written: who says what about whom. `given` are raw body fields that matter;
    `case` is the subject where the type's subject is a case."""

    agency: str
    type: str
    person: Person
    given: Mapping[str, Any] = field(default_factory=dict)
    case: str | None = None
