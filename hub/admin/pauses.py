"""Agencies that are paused: listed, paused and resumed by an operator. Workers follow the notes in `state.hub`.

A change and its line in the audit are one transaction, by a producer whose id all operators share: the last one that
opens it fences the others, so that the audit's chain of the writer `operators` has one end.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from kafka.errors import KafkaError

from hub import registry
from hub.avro.records import RecordCodec
from hub.clock import now_ms
from hub.errors import HubError, Retry
from hub.kafka.clients import producer
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all
from hub.pipeline.pause import TOPIC, Pause, agency_of, key_of, read_pause
from hub.pipeline.summarise import Chain

WRITER = "operators"
SUBJECT = "hub.AuditEntry"
SECONDS = 15.0
SETTLE = 2.0


class _Codecs(NamedTuple):
    audit: RecordCodec


def pauses(connection: Connection) -> dict[str, Pause]:
    """Agency → its pause, of those that are paused now."""
    found = _notes(connection)
    named = ((agency_of(key), note) for key, note in found.items())
    return {agency: read_pause(agency, note) for agency, note in named if agency}


def pause(connection: Connection, hub: str, agency: str, who: str, reason: str) -> Pause:
    """Nothing of the agency is taken from now on. Raises `HubError` where it is paused already."""
    there = pauses(connection).get(agency)
    if there is not None:
        raise HubError(f"{agency} is paused already, by {there.by}: {there.reason}")
    made = Pause(agency, now_ms(), who, reason)
    _write(connection, hub, made.key, made.note(), agency, f"pause the agency, by {who}: {reason}")
    return made


def resume(connection: Connection, hub: str, agency: str, who: str, reason: str) -> Pause:
    """The agency's records are taken again, from where they were left. Raises `HubError` where it is not paused."""
    there = pauses(connection).get(agency)
    if there is None:
        raise HubError(f"{agency} is not paused; `hub agency list` names those that are")
    _write(connection, hub, key_of(agency), None, agency, f"resume the agency, by {who}: {reason}")
    return there


def _notes(connection: Connection) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for record in read_all(connection, TOPIC, settle=SETTLE):
        if record.key is not None and record.value:
            found[record.key] = record.value
        elif record.key is not None:
            found.pop(record.key, None)
    return found


def _write(connection: Connection, hub: str, key: bytes, note: bytes | None, agency: str, action: str) -> None:
    schemas = registry.read(connection)
    schema_id = schemas.id_of(SUBJECT)
    codecs: Any = _Codecs(RecordCodec(schema_id, json.loads(schemas.by_id(schema_id).schema)))
    entry = {"at": now_ms(), "kind": "OPERATOR", "agency": agency, "action": action}
    entry |= {"code": None, "origin": None, "counts": {}}
    try:
        with producer(connection, transactional_id=f"{hub}.{WRITER}") as client:
            client.init_transactions()
            line, chain = _chain(connection).add(codecs, entry)
            client.begin_transaction()
            sent = [
                client.send(TOPIC, key=key, value=note),
                client.send(TOPIC, key=chain.key, value=chain.note()),
                client.send("audit", key=WRITER.encode(), value=line),
            ]
            for each in sent:
                each.get(timeout=SECONDS)
            client.commit_transaction()
    except KafkaError as error:
        raise Retry(
            f"it is not certain whether that was written ({type(error).__name__}): look, and try again"
        ) from error


def _chain(connection: Connection) -> Chain:
    """The end of the operators' chain: nobody else writes it now."""
    chain = Chain(WRITER)
    link = _notes(connection).get(chain.key)
    return chain if link is None else Chain.noted(WRITER, link)
