"""Measure: nothing is decoded that is larger than an event may be."""

from __future__ import annotations

from hub.errors import Code
from hub.event import EVENT_MAX_BYTES, Rejection
from hub.pipeline.inbound import Inbound
from hub.pipeline.rulebook import Rulebook


def measure(inbound: Inbound, rules: Rulebook) -> Rejection | None:
    """Refuses a value of more than 1 MiB."""
    inbound.value = inbound.record.value or b""
    if len(inbound.value) > EVENT_MAX_BYTES:
        found = f"at most {EVENT_MAX_BYTES} bytes expected, {len(inbound.value)} found"
        return Rejection(Code.TOO_LARGE, "measure", found)
    return None
