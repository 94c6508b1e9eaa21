"""What was applied is read back as the ledger has it, of whatever version it was written with."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast

import pytest
from world import PARTITIONS, SECRET, VETERAN, Rec, catalogue, event, moved_on, sample, schemas

from hub.avro.codec import encode
from hub.avro.records import wire_header, without_logical_types
from hub.errors import Retry
from hub.gateway.read_back import ReadBack
from hub.kafka.following import Lookup
from hub.pipeline.rulebook import compile_rulebook
from hub.registry.schemas import Schemas


class Kafka:
    """One record."""

    def __init__(self, record: Rec) -> None:
        self._record = record

    def record(self, *_: Any) -> Rec:
        return self._record


class Registry:
    def __init__(self, *, away: bool = False) -> None:
        self.away, self.looks = away, list[tuple[int, ...]]()
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def __call__(self, ids: Collection[int]) -> Schemas:
        self.looks.append(tuple(ids))
        self.asked.set()
        self.go_on.wait(10)
        if self.away:
            raise Retry("away")
        return moved_on()


def newer() -> tuple[int, Rec]:
    """A schema id that came after the start, and an event so written."""
    entry = moved_on().latest(VETERAN)
    assert entry is not None
    schema, body = without_logical_types(json.loads(entry.schema)), sample(VETERAN) | {"note": "Yeni."}
    return entry.id, replace(event(), value=encode(schema, body, wire_header(entry.id)))


def reading(record: Rec, registry: Registry) -> ReadBack:
    rules = compile_rulebook(catalogue(), schemas(), SECRET, PARTITIONS)
    return ReadBack(cast(Lookup, Kafka(record)), rules, registry)


def test_a_record_of_a_version_registered_since_is_read_with_one_look_up() -> None:
    id, record = newer()
    registry = Registry()
    read_back = reading(record, registry)
    found = read_back("in.mes/0/0")
    assert found is not None and read_back("in.mes/0/0") == found
    assert registry.looks == [(id,)]
    other = reading(event(), Registry())("in.mes/0/0")
    assert other is not None and other != found


def test_what_is_known_makes_no_look_up() -> None:
    registry = Registry()
    assert reading(event(), registry)("in.mes/0/0") is not None and not registry.looks


def test_a_registry_that_is_away_is_not_asked_each_time() -> None:
    _, record = newer()
    registry = Registry(away=True)
    read_back = reading(record, registry)
    with pytest.raises(Retry):
        read_back("in.mes/0/0")
    assert read_back("in.mes/0/0") is None and len(registry.looks) == 1


def test_nobody_waits_while_another_asks() -> None:
    _, record = newer()
    registry = Registry()
    registry.go_on.clear()
    read_back = reading(record, registry)
    asking = threading.Thread(target=read_back, args=("in.mes/0/0",))
    asking.start()
    assert registry.asked.wait(10)
    assert read_back("in.mes/0/0") is None
    registry.go_on.set()
    asking.join(10)
    assert read_back("in.mes/0/0") is not None
