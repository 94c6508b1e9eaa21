"""A `state.ledger` as years would leave it: facts of many persons, as the ledger's own transactions write them.

Made by the ledger's own writer of facts from the benchmark's events; what is left out is all else that an event
makes, so that three million of them are there in a minute. Persons come in random order, in another one each time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from aiokafka import TopicPartition
from bench.events import ID_DIGITS, TYPE, events
from bench.room import PARTITIONS, SECRET, Room

from hub import registry
from hub.catalogue import load
from hub.engine.partitioner import murmur2
from hub.engine.transaction import Transactions
from hub.event import Row
from hub.kafka.member import Member
from hub.pipeline.attributes import trusted_time
from hub.pipeline.facts import Facts
from hub.pipeline.forms import Forms
from hub.pipeline.identify import Pseudonyms, identity
from hub.pipeline.rulebook import compile_rulebook
from hub.registry.schemas import Schemas

TOPIC, SOURCE = "state.ledger", b"urn:az:agency:src"
WHEN = trusted_time(b"2026-11-01T10:00:00Z")
SAMPLES = 1000
BATCH = 2000
"""Facts of one partition in one transaction, as in a backfill."""


class FactsOf:
    """The facts of the benchmark's events about `persons` persons; wave w has each person's event number w."""

    def __init__(self, schemas: Path, known: Schemas, persons: int) -> None:
        rules = compile_rulebook(load(schemas), known, SECRET.encode(), PARTITIONS)
        reader = rules.ledger_readers[known.id_of(TYPE)]
        forms = Forms(rules.codecs.fact, lambda source, stream: 0)
        self._facts, self._persons = Facts(rules.codecs.fact, forms, reader.type, "src", reader.wants), persons
        person_id = Pseudonyms(SECRET.encode()).person_id
        self._keys = [person_id(b"P%06d" % person) for person in range(persons)]
        self._partitions = bytes((murmur2(key) & 0x7FFFFFFF) % PARTITIONS for key in self._keys)
        samples = events(SAMPLES, known.id_of(TYPE), persons)
        self._read = {dict(event.headers)["ce_id"][:ID_DIGITS]: reader.read(event.value) for event in samples}

    def wave(self, number: int) -> Iterator[Row]:
        """One fact of each person."""
        order = list(range(number * self._persons, (number + 1) * self._persons))
        random.Random(number).shuffle(order)
        return map(self._fact, order)

    def _fact(self, number: int) -> Row:
        person = number * 7919 % self._persons  # as `bench.events.body` has it
        key, id = self._keys[person], b"%0*d-aaaa-bbbb-cccc-dddddddddddd" % (ID_DIGITS, number)
        values, _, shown, _ = self._read[b"%0*d" % (ID_DIGITS, number % SAMPLES)]
        who = identity(SOURCE, id, key)
        value, _, _ = self._facts.write(key, who, who[::-1], id, WHEN, number // self._persons + 1, values, shown)
        return TOPIC, self._partitions[person], b"%b/%b" % (key, who.hex().encode()), value, ()


def fill(room: Room, rows: Iterable[Row]) -> int:
    """Write rows of `state.ledger` in transactions, one producer a partition; returns how many."""
    return asyncio.run(_fill(room, rows))


def facts_of(room: Room, schemas: Path, persons: int) -> FactsOf:
    return FactsOf(schemas, registry.read(room.connection), persons)


async def _fill(room: Room, rows: Iterable[Row]) -> int:
    producers = [
        Transactions(room.connection, f"bench.fill.{number}", Member("bench-fill"), [TOPIC], PARTITIONS)
        for number in range(PARTITIONS)
    ]
    await asyncio.gather(*(producer.start() for producer in producers))
    waiting: list[list[Row]] = [[] for _ in producers]
    written = 0
    for row in rows:
        number = row[1] or 0
        waiting[number].append(row)
        if len(waiting[number]) >= BATCH:
            written += await _commit(producers[number], number, waiting[number])
    for number, left in enumerate(waiting):
        written += await _commit(producers[number], number, left)
    await asyncio.gather(*(producer.close() for producer in producers))
    return written


async def _commit(producer: Transactions, number: int, rows: list[Row]) -> int:
    count = len(rows)
    if rows:
        await producer.commit(rows, {TopicPartition("events.veteran", number): 0})
        rows.clear()
    return count
