"""What operators do, in the audit: one chain of all of them, whose end is noted in `state.hub`.

A line, and the notes that go with it, are one transaction, by a producer whose id all operators share: the last one
that opens it fences the others, so that the chain has one end. The note spares each command a search through all that
others have written to the audit since.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from hub import registry
from hub.avro.records import RecordCodec
from hub.clock import now_ms
from hub.errors import Retry
from hub.kafka.clients import DECIDED_SECONDS, TRANSACTION_MS, producer
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all
from hub.pipeline.pause import TOPIC
from hub.pipeline.summarise import TOPIC as AUDIT
from hub.pipeline.summarise import Chain

WRITER = "operators"
SUBJECT = "hub.AuditEntry"
SECONDS = 15.0
TRIES, AGAIN_SECONDS = 6, 0.5
"""Where another operator does something at the same moment."""

Notes = Mapping[bytes, bytes | None]
"""Key → value in `state.hub`; None: it is taken back."""


class _Codecs(NamedTuple):
    audit: RecordCodec


def read_notes(connection: Connection) -> dict[bytes, bytes]:
    """All that is noted now. Raises `Retry` where somebody who was killed hides what was noted since."""
    found: dict[bytes, bytes] = {}
    for record in read_all(connection, TOPIC, settle=DECIDED_SECONDS, whole=True):
        if record.key is not None and record.value:
            found[record.key] = record.value
        elif record.key is not None:
            found.pop(record.key, None)
    return found


def record(
    connection: Connection,
    hub: str,
    agency: str | None,
    action: str,
    origin: str | None = None,
    notes: Notes | None = None,
) -> None:
    """`agency` is the one concerned, `origin` the record; `action` names nobody but who acted. Raises `Retry` where it
    is not certain whether that was written, `ConfigError` where no broker answers."""
    schemas = registry.read(connection)
    schema_id = schemas.id_of(SUBJECT)
    codecs = _Codecs(RecordCodec(schema_id, json.loads(schemas.by_id(schema_id).schema)))
    entry = {"at": now_ms(), "kind": "OPERATOR", "agency": agency, "action": action}
    entry |= {"code": None, "origin": origin, "counts": {}}
    for left in reversed(range(TRIES)):
        try:
            _write(connection, hub, codecs, entry, notes or {})
        except KafkaError as error:
            if not (left and _fenced(error)):
                raise _uncertain(error) from error
            time.sleep(random.uniform(0, AGAIN_SECONDS))
        else:
            return


def _write(connection: Connection, hub: str, codecs: Any, entry: dict[str, Any], notes: Notes) -> None:
    settings = {"transactional_id": f"{hub}.{WRITER}", "transaction_timeout_ms": TRANSACTION_MS}
    with producer(connection, **settings) as client:
        client.init_transactions()
        line, chain = _chain(connection).add(codecs, entry)
        client.begin_transaction()
        sent = [client.send(TOPIC, key=key, value=note) for key, note in {**notes, chain.key: chain.note()}.items()]
        sent.append(client.send(AUDIT, key=WRITER.encode(), value=line))
        for each in sent:
            each.get(timeout=SECONDS)
        client.commit_transaction()


def _chain(connection: Connection) -> Chain:
    """The end of the operators' chain: nobody else writes it now."""
    chain = Chain(WRITER)
    link = read_notes(connection).get(chain.key)
    return chain if link is None else Chain.noted(WRITER, link)


def _fenced(error: KafkaError) -> bool:
    """Whether another operator has opened the chain. Of what is sent once that is known, kafka-python says it inside of
    another error."""
    return any(isinstance(each, (ProducerFencedError, InvalidProducerEpochError)) for each in (error, *error.args))


def _uncertain(error: KafkaError) -> Retry:
    return Retry(f"it is not certain whether that was written ({type(error).__name__}): look, and try again")
