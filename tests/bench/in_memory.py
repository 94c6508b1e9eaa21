"""What the parts of the job cost, measured alone: HMAC, headers, identities, status, receipts, projections."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from bench.events import PERSONS, SCHEMAS, TYPE, events

from hub.catalogue import load
from hub.engine.partitioner import murmur2
from hub.kafka.batch import record_batches
from hub.pipeline.attributes import read_attributes
from hub.pipeline.gate import Gate
from hub.pipeline.headers import OutboundHeaders
from hub.pipeline.identify import Contents, Pseudonyms, identity, pseudonym
from hub.pipeline.ledger import Ledger, origin_of
from hub.pipeline.person import facts_of
from hub.pipeline.refuse import receipt
from hub.pipeline.rulebook import compile_rulebook
from hub.pipeline.status import StatusWriter
from hub.registry.schemas import Schemas

ROUNDS, REPEATS = 2000, 5


def cost_of_parts() -> dict[str, float]:
    """µs an event, the best of five rounds each."""
    from world import Memory, Rec

    catalogue, schemas = load(SCHEMAS), Schemas()
    schemas.assign(catalogue.schemas())
    rules = compile_rulebook(catalogue, schemas, b"b" * 32, 4)
    records = [
        Rec("in.src", 0, i, None, event.value, event.headers)
        for i, event in enumerate(events(ROUNDS, schemas.id_of(TYPE), PERSONS))
    ]
    memory = Memory()
    memory.gate, memory.ledger = Gate(rules, lambda: 0), Ledger(rules, lambda: 0)
    passed = [r for r in memory.pass_gate(records) if r.partition == 0]
    entry = next(iter(memory.ledger({}, passed).changes.values()))
    record, one = passed[0], records[0]
    reader = rules.ledger_readers[schemas.id_of(TYPE)]
    gate_reader = rules.gate_readers[schemas.id_of(TYPE)]
    codecs, origin = rules.codecs, origin_of(record)
    facts, status = [*map(memory.ledger._forms.read, facts_of(entry))], StatusWriter(codecs.status)
    fields = gate_reader.fields(gate_reader.read(one.value or b""))
    key, value = record.key or b"", record.value or b""
    person_id = Pseudonyms(b"b" * 32).person_id
    content, outbound = Contents(TYPE), OutboundHeaders(b"urn:az:agency:src", TYPE.encode())
    rows = memory.ledger({}, passed).outputs
    parts: dict[str, Callable[[], object]] = {
        "person id (HMAC-SHA-256)": lambda: person_id(b"P000001"),
        "partition of a new key (murmur2)": lambda: murmur2(key),
        "headers read": lambda: read_attributes(record.headers),
        "headers written": lambda: outbound(dict(record.headers), b"a" * 32, 1, late=False),
        "scan at the gate": lambda: gate_reader.read(value),
        "rules (pydantic)": lambda: rules.checks[TYPE](fields, "src"),
        "scan and two projections": lambda: reader.read(value),
        "identity and content": lambda: (identity(b"s", b"i", b"k"), content(0, 0, value)),
        "two pseudonyms": lambda: (pseudonym(key, b"a"), pseudonym(key, b"b")),
        "status folded and packed": lambda: status.write(b"p", 1, facts),
        "receipt made": lambda: receipt(codecs, origin, "APPLIED", 0, 0, id="e-1", event_id="a" * 32, version=1),
    }
    found = {name: _best(part, ROUNDS) for name, part in parts.items()}
    found["gate, all of it"] = _best(lambda: memory.gate({}, records), 1) / len(records)
    found["ledger, all of it"] = _best(lambda: memory.ledger({}, passed), 1) / len(passed)
    found["the ledger's records written"] = _best(lambda: list(record_batches(rows, 0, 1 << 24)), 1) / len(passed)
    return {name: round(cost, 2) for name, cost in found.items()}


def _best(part: Callable[[], object], rounds: int) -> float:
    """µs of one call."""
    gc.disable()
    try:
        times = []
        for _ in range(REPEATS):
            began = time.process_time()
            for _ in range(rounds):
                part()
            times.append((time.process_time() - began) / rounds)
    finally:
        gc.enable()
    return min(times) * 1e6
