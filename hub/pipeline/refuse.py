"""Refuse: a rejected record goes to the dead-letter queue as it came, and its sender gets a receipt.

Towards people only the receipt and the envelope's value speak; headers and keys name places, not persons.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hub.errors import Code
from hub.event import Headers, Output, Rejection
from hub.pipeline.rulebook import Codecs


class Origin(NamedTuple):
    """Where in `in.<agency>` a record came in, and when (`accepted`, milliseconds since 1970)."""

    agency: str
    topic: str
    partition: int
    offset: int
    accepted: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def dead_letter(
    codecs: Codecs,
    origin: Origin,
    rejection: Rejection,
    received: tuple[bytes | None, bytes | None, Headers],
    now: int,
    partition: int,
) -> Output:
    """The record that goes to `dlq.<agency>`; `received` is key, value and headers as they came."""
    key, value, headers = received
    envelope = codecs.dead_letter.pack(
        {
            "value": value,
            "key": key,
            "headers": [{"name": name, "value": content} for name, content in headers],
            "code": rejection.code,
            "step": rejection.step,
            "detail": rejection.detail,
            "pointer": rejection.pointer,
            "origin_topic": origin.topic,
            "origin_partition": origin.partition,
            "origin_offset": origin.offset,
            "attempts": 1,
            "first_failure": now,
            "last_failure": now,
            "redrive_of": None,
        }
    )
    marks = (("code", rejection.code.encode()), ("step", rejection.step.encode()))
    return Output(f"dlq.{origin.agency}", partition, str(origin).encode(), envelope, marks)


def receipt(
    codecs: Codecs,
    origin: Origin,
    verdict: str,
    now: int,
    partition: int,
    *,
    id: str | None = None,
    event_id: str | None = None,
    type: str | None = None,
    rejection: Rejection | None = None,
    version: int | None = None,
    late: bool = False,
    sequence_gap: bool = False,
) -> Output:
    """The one verdict receipt of an input record, for `receipts.<agency>`."""
    value: dict[str, Any] = {
        "origin_topic": origin.topic,
        "origin_partition": origin.partition,
        "origin_offset": origin.offset,
        "id": id,
        "event_id": event_id,
        "type": type,
        "verdict": verdict,
        "step": rejection and rejection.step,
        "code": rejection and rejection.code.value,
        "detail": rejection and rejection.detail,
        "pointer": rejection and rejection.pointer,
        "version": version,
        "late": late,
        "sequence_gap": sequence_gap,
        "accepted": origin.accepted,
        "decided": now,
    }
    return Output(f"receipts.{origin.agency}", partition, str(origin).encode(), codecs.receipt.pack(value))


DENIALS = frozenset({Code.TYPE_NOT_ALLOWED, Code.SOURCE_MISMATCH})
"""Codes that mean a door stayed shut; each is recorded in the audit."""
