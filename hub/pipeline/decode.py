"""Decode: the body is strictly what its schema says, to the last byte."""

from __future__ import annotations

from hub.avro.invalid import Invalid
from hub.event import Rejection
from hub.pipeline.inbound import Inbound
from hub.pipeline.rulebook import Rulebook

STEP = "decode"


def decode(inbound: Inbound, rules: Rulebook) -> Rejection | None:
    """Reads the fields that the gate looks at; every other byte is checked as well."""
    assert inbound.reader is not None
    try:
        inbound.fields = inbound.reader.fields(inbound.reader.read(inbound.value))
    except Invalid as error:
        return Rejection(error.code, STEP, f"expected {error.expected}, found {error.found}", error.pointer)
    return None
