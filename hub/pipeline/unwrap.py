"""Unwrap: the wire format names a registered schema, the headers are CloudEvents attributes.

Source of the wire format: Confluent Schema Registry serializers (byte 0, 4-byte big-endian schema id).
"""

from __future__ import annotations

from hub.avro.records import WIRE_HEADER_BYTES, schema_id_of
from hub.errors import Code
from hub.event import Rejection
from hub.pipeline.attributes import STEP, Attributes, read_attributes
from hub.pipeline.inbound import Inbound
from hub.pipeline.rulebook import Rulebook


def unwrap(inbound: Inbound, rules: Rulebook) -> Rejection | None:
    """Finds the reader of the schema id, and reads the attributes."""
    value = inbound.value
    if len(value) < WIRE_HEADER_BYTES or value[0]:
        return Rejection(Code.NOT_AVRO, STEP, "expected byte 0 and a 4-byte schema id before the Avro body")
    schema_id = schema_id_of(value)
    inbound.headers = inbound.record.headers
    found = read_attributes(inbound.headers)
    if isinstance(found, Attributes):
        inbound.attributes = found
    inbound.reader = rules.gate_readers.get(schema_id)
    if inbound.reader is None:
        return Rejection(Code.SCHEMA_ID_UNKNOWN, STEP, f"schema id {schema_id} is of no event type here")
    return found if isinstance(found, Rejection) else None
