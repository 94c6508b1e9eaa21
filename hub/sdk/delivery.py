"""One event as one agency may see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a sink gets. Personal data is in `data` and `raw` alone, and neither is in the repr.

    `event_id` is the hub's own and the same at every repetition: a receiver that remembers it sees each effect
    once. `originid` is the publisher's id. `key` is this agency's pseudonym of the person (or of the case).
    `version` is how many events of its person or case were applied with it, None where that is unknown; `late`
    says that the event corrects the past. `data` has dates as `date`, times as aware `datetime`, decimals as `Decimal`;
    `raw` is the same as Avro in Confluent's wire format, of the schema `schema_id`.
    `partition` and `offset` are those of `out.<agency>`; `accepted` is when the hub took the event, in
    milliseconds since 1970.
    """

    event_id: str
    originid: str
    type: str
    source: str
    time: datetime
    key: str
    version: int | None
    late: bool
    data: dict[str, Any] = field(repr=False)
    raw: bytes = field(repr=False)
    schema_id: int
    partition: int
    offset: int
    accepted: int
    sequence: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
