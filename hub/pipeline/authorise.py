"""Authorise: the topic's agency speaks for itself, and may publish this type. Deny by default."""

from __future__ import annotations

from hub.errors import Code
from hub.event import Rejection
from hub.pipeline.inbound import Inbound
from hub.pipeline.rulebook import Rulebook

STEP = "authorise"


def authorise(inbound: Inbound, rules: Rulebook) -> Rejection | None:
    """Refuses an unknown type, another's name, a type that the catalogue does not let the agency publish."""
    attributes, agency = inbound.attributes, inbound.agency
    assert attributes is not None
    if attributes.type not in rules.catalogue.types:
        return Rejection(Code.TYPE_UNKNOWN, STEP, "header ce_type: expected an event type of the catalogue")
    if attributes.source != rules.source_of_agency[agency]:
        expected = rules.source_of_agency[agency]
        return Rejection(Code.SOURCE_MISMATCH, STEP, f"header ce_source: expected {expected} on this topic")
    if not rules.catalogue.may_publish(agency, attributes.type):
        return Rejection(Code.TYPE_NOT_ALLOWED, STEP, f"{agency} may not publish {attributes.type}")
    assert inbound.reader is not None
    written = inbound.reader.type.name
    if written != attributes.type:
        detail = f"header ce_type: {attributes.type}, but the schema id is of {written}"
        return Rejection(Code.TYPE_MISMATCH, STEP, detail)
    return None
