"""Entries of every version that was ever released are read, and one chain may go through several."""

from __future__ import annotations

import json

import pytest
from world import NOW, catalogue

from hub.access.audit_log import Codecs
from hub.access.entries import SUBJECT, codec_of, unpacker
from hub.access.verify import verify
from hub.avro.records import RecordCodec
from hub.catalogue import SCHEMAS
from hub.errors import ConfigError
from hub.kafka.reading import Record
from hub.pipeline.summarise import Chain
from hub.registry.change import delete_version
from hub.registry.schemas import Schemas

ENTRY = {"at": NOW, "kind": "DENIAL", "agency": None, "action": "a", "code": None, "origin": None, "counts": {}}


def released() -> Schemas:
    """A registry that has every released version, in order."""
    files = sorted((SCHEMAS / "released").glob(f"{SUBJECT}.v*.avsc"))
    assert len(files) > 1
    known = Schemas()
    for file in files:
        known.assign([(SUBJECT, json.dumps(json.loads(file.read_text())))])
    return known


def test_a_chain_goes_through_versions() -> None:
    known, chain, records = released(), Chain("gateway.a"), []
    for place, version in enumerate(known.versions(SUBJECT)):
        codec = RecordCodec(version.id, json.loads(version.schema))
        value, chain = chain.add(Codecs(codec), ENTRY)
        records.append(Record("audit", 0, place, NOW, b"gateway.a", value, ()))
    for change in delete_version(known, SUBJECT, "1", permanent=False).changes:
        known.apply(*change)  # no longer offered, and read all the same
    chains, breaks = verify(records, unpacker(known))
    assert breaks == [] and chains["gateway.a"].entries == len(records) > 1


def test_the_hash_stays_the_last_field() -> None:
    """What is hashed are an entry's bytes with zeros in their last 32."""
    assert catalogue().records[SUBJECT]["fields"][-1]["name"] == "hash"
    assert all(json.loads(v.schema)["fields"][-1]["name"] == "hash" for v in released().versions(SUBJECT))


def test_the_newest_version_is_written() -> None:
    known = released()
    assert codec_of(known).schema_id == known.versions(SUBJECT)[-1].id


def test_a_registry_without_it_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="hub topics apply"):
        codec_of(Schemas())
