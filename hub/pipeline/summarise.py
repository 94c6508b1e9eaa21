"""Summarise: per batch, one line for the agents and what the auditors must be able to follow.

Audit entries are chained: each holds the hash of its writer's entry before, so that none can be
taken out or changed unseen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from hub.avro.records import RecordCodec
from hub.event import Output, Result
from hub.pipeline.rulebook import Codecs, Rulebook

TOPIC = "audit"
NOTHING = bytes(32)


class Packs(Protocol):
    """What an entry is packed with (`Codecs`)."""

    @property
    def audit(self) -> RecordCodec: ...


class Chain(NamedTuple):
    """The end of one writer's audit chain: the number and hash of its last entry."""

    writer: str
    number: int = 0
    hash: bytes = NOTHING

    @property
    def key(self) -> bytes:
        """Of the note in `state.hub` with this end."""
        return f"audit/{self.writer}".encode()

    def note(self) -> bytes:
        """That note's value."""
        return json.dumps({"number": self.number, "hash": self.hash.hex()}).encode()

    @classmethod
    def noted(cls, writer: str, note: bytes) -> Chain:
        """The end that a note states."""
        found = json.loads(note)
        return cls(writer, found["number"], bytes.fromhex(found["hash"]))

    def add(self, codecs: Packs, entry: dict[str, Any]) -> tuple[bytes, Chain]:
        """The wire bytes of the next entry, and the chain that ends in it."""
        plain = {**entry, "writer": self.writer, "number": self.number + 1, "previous": self.hash}
        digest = sha256(codecs.audit.pack({**plain, "hash": NOTHING})).digest()
        return codecs.audit.pack({**plain, "hash": digest}), Chain(self.writer, self.number + 1, digest)


def summarise(
    rules: Rulebook, result: Result, lane: str, chain: Chain, partition: int, records: int, now: int
) -> tuple[list[Output], Chain]:
    """The batch's record for `activity`, its entries for `audit`, and the chain after them."""
    codecs = rules.codecs
    outputs = [Output("activity", partition, None, _activity(codecs, result, lane, chain, partition, records, now))]
    for entry in _entries(rules, result, now):
        value, chain = chain.add(codecs, entry)
        outputs.append(Output(TOPIC, partition, chain.writer.encode(), value))
    return outputs, chain


def _activity(codecs: Codecs, result: Result, lane: str, chain: Chain, partition: int, records: int, now: int) -> bytes:
    tallies = [
        {
            "agency": tally.agency,
            "stream": tally.stream,
            "outcome": tally.outcome.value,
            "code": tally.code or None,
            "count": count,
            "last_accepted": result.latest.get(tally.agency),
        }
        for tally, count in result.tally.items()
    ]
    return codecs.activity.pack(
        {
            "writer": chain.writer,
            "lane": lane,
            "partition": partition,
            "at": now,
            "records": records,
            "tallies": tallies,
        }
    )


def _entries(rules: Rulebook, result: Result, now: int) -> Iterator[dict[str, Any]]:
    for denial in result.denials:
        yield {
            "at": now,
            "kind": "DENIAL",
            "agency": denial.agency,
            "action": denial.action,
            "code": denial.code.value,
            "origin": denial.origin,
            "counts": {},
        }
    if result.left:
        yield {
            "at": now,
            "kind": "DELIVERY",
            "agency": None,
            "action": "offer events to entitled agencies",
            "code": None,
            "origin": None,
            "counts": {
                f"{agency} {type_name} {rules.basis_of[agency, type_name]}": count
                for (agency, type_name), count in sorted(result.left.items())
            },
        }
