"""Parts of the registry that need no broker: who asks, and the text of a schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from world import PARTITIONS, SECRET, catalogue, schemas

from hub.pipeline.rulebook import compile_rulebook
from hub.registry.canonical import canonical
from hub.registry.schemas import Schemas


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"type": "string"}, "string"),
        ({"type": "fixed", "name": "a.F", "size": 2}, {"size": 2, "type": "fixed", "namespace": "a", "name": "F"}),
        (
            {"type": "record", "name": "R", "fields": [{"name": "x", "type": {"type": "int"}, "order": "ascending"}]},
            {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]},
        ),
        (
            {"type": "record", "name": "a.R", "fields": [{"name": "x", "type": ["null", "a.R"]}]},
            {"type": "record", "name": "R", "namespace": "a", "fields": [{"name": "x", "type": ["null", "R"]}]},
        ),
    ],
)
def test_two_ways_to_say_a_schema_are_one(one: Any, other: Any) -> None:
    assert canonical(json.dumps(one, indent=3)) == canonical(json.dumps(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"type": "string", "p": 1, "q": 2}, {"type": "string", "q": 2, "p": 1}),
        (
            {"type": "map", "values": "int", "x": {"a": 1, "b": 2}},
            {"type": "map", "values": "int", "x": {"b": 2, "a": 1}},
        ),
    ],
)
def test_attributes_that_avro_does_not_know_have_an_order_until_it_is_normalised(one: Any, other: Any) -> None:
    texts = json.dumps(one), json.dumps(other)
    assert canonical(texts[0]) != canonical(texts[1])
    assert canonical(texts[0], normalize=True) == canonical(texts[1], normalize=True)


def test_a_doc_a_default_and_a_symbol_make_a_schema_another() -> None:
    base = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
    others = [
        {**base, "doc": "d"},
        {**base, "default": "A"},
        {**base, "symbols": ["B", "A"]},
        {**base, "aliases": ["F"]},
    ]
    assert len({canonical(json.dumps(each)) for each in (base, *others)}) == 5


def test_the_canonical_text_says_the_same_schema() -> None:
    import fastavro

    for _, text in catalogue().schemas():
        again = json.loads(canonical(text))
        same = [fastavro.schema.to_parsing_canonical_form(node) for node in (json.loads(text), again)]
        assert same[0] == same[1]
        assert canonical(canonical(text)) == canonical(text)


def test_a_worker_starts_on_schemas_that_another_registry_no_longer_offers() -> None:
    deleted = Schemas()
    for subject in schemas().subjects():
        for entry in schemas().versions(subject):
            deleted.apply(*entry.change(deleted=True))
    assert deleted.subjects() == []
    found = compile_rulebook(catalogue(), deleted, SECRET, PARTITIONS)
    assert found.codecs.audit.schema_id == schemas().id_of("hub.AuditEntry")
