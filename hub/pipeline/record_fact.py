"""Record: the plain `hub.Fact` of an event, as `state.ledger` keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.catalogue import EventType
from hub.pipeline.attributes import Attributes

NO_STATUS: Mapping[str, Any] = {
    "kind": None,
    "slot": None,
    "transition": None,
    "effective": None,
    "until": None,
    "document": None,
    "voids": None,
    "attributes": {},
}


def stored_fact(
    of: EventType,
    attributes: Attributes,
    agency: str,
    key: str,
    digests: tuple[bytes, bytes],
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    """`key` is the state key, `digests` identity and content, `fields` the raw ones that the status rule names."""
    identity, content = digests
    return {
        "person_id": key,
        "identity": identity,
        "content": content,
        "type": of.name,
        "source": agency,
        "stream": of.stream,
        "sequence": attributes.sequence,
        "time": attributes.time,
        "id": attributes.id,
        **_status(of, fields),
    }


def _status(of: EventType, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    rule = of.status
    if rule is None:
        return NO_STATUS
    return {
        "kind": rule.kind,
        "slot": rule.slot and fields[rule.slot],
        "transition": rule.transition,
        "effective": fields[rule.effective],
        "until": rule.until and fields[rule.until],
        "document": rule.document and fields[rule.document],
        "voids": rule.voids and fields[rule.voids],
        "attributes": {name: fields[name] for name in rule.carries},
    }
