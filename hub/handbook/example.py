"""An example of every event type: invented, valid, the same each time."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from hub.avro.codec import decode, encode, to_json
from hub.avro.records import without_logical_types
from hub.catalogue import Catalogue, EventType
from hub.simulate.fill import Filler, Scene
from hub.simulate.people import Population

MOMENT = 1_793_178_000_000
"""When examples happen, milliseconds since 1970: 2026-10-28T09:00:00Z."""


def example(catalogue: Catalogue, of: EventType) -> dict[str, Any]:
    """A CloudEvent in JSON's structured mode, as it is posted to the gateway; its person does not exist."""
    publisher = publishers(catalogue, of.name)[0]
    rng = Random(of.name)
    people = Population(7, 100, tuple(catalogue.districts))
    scene = Scene(rng, people[rng.randrange(100)], people, MOMENT, publisher, "2026-000117")
    body = Filler(of, catalogue).fill(scene, {"fin": scene.person.fin} if of.key_kind == "person" else {})
    return {
        "specversion": "1.0",
        "id": f"{publisher}-2026-000117",
        "source": f"urn:az:agency:{publisher}",
        "type": of.name,
        "time": datetime.fromtimestamp(MOMENT / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": to_json(of.schema, decode(of.schema, encode(without_logical_types(of.schema), body, b""), 0)),
    }


def publishers(catalogue: Catalogue, name: str) -> list[str]:
    """Codes of the agencies that publish the type; its owner where nobody does."""
    found = [agency.code for agency in catalogue.agencies.values() if name in agency.publishes]
    return found or [catalogue.types[name].owner]
