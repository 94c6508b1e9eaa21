"""Audit entries as they are registered: what to write them with, and how to read those of every version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hub.access.verify import Unpack
from hub.avro.records import RecordCodec, schema_id_of
from hub.errors import ConfigError

SUBJECT = "hub.AuditEntry"


class Version(Protocol):
    """A registered version: its id, and the schema as JSON text."""

    @property
    def id(self) -> int: ...
    @property
    def schema(self) -> str: ...


class Registered(Protocol):
    """Where schemas are registered (`hub.registry.Schemas`)."""

    def versions(self, subject: str, *, deleted: bool = False) -> Sequence[Version]: ...


def codec_of(schemas: Registered) -> RecordCodec:
    """Of the newest version. Raises `ConfigError` where there is none."""
    versions = schemas.versions(SUBJECT) or schemas.versions(SUBJECT, deleted=True)
    if not versions:
        raise ConfigError(f"{SUBJECT} is not registered; `hub topics apply` registers the hub's schemas")
    return RecordCodec(versions[-1].id, json.loads(versions[-1].schema))


def unpacker(schemas: Registered) -> Unpack:
    """Reads an entry by the schema that it names. Raises `ConfigError` where no version is registered."""
    codec_of(schemas)
    codecs = {v.id: RecordCodec(v.id, json.loads(v.schema)) for v in schemas.versions(SUBJECT, deleted=True)}

    def unpack(data: bytes) -> Mapping[str, Any]:
        if data[:1] != b"\0":
            raise ValueError("not in the wire format")
        return codecs[schema_id_of(data)].unpack(data)

    return unpack
