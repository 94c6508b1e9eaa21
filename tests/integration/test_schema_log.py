"""Schema ids in `_schemas`, as Confluent's registry lays it out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from brokers import make_topic

from hub.catalogue import load
from hub.errors import Fatal, Retry
from hub.kafka.clients import admin, producer
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all
from hub.registry.log import read, register
from hub.registry.schemas import TOPIC, Entry, Schemas

A, B, C = '{"type":"int"}', '{"type":"long"}', '{"type":"string"}'


@pytest.fixture
def log(broker: Connection) -> Iterator[Connection]:
    """A broker with an empty `_schemas`."""
    remove(broker)
    make_topic(broker, TOPIC, cleanup_policy="compact")
    yield broker
    remove(broker)


def remove(broker: Connection) -> None:
    with admin(broker) as client:
        if TOPIC in client.list_topics():
            client.delete_topics([TOPIC])


def write(broker: Connection, *records: tuple[bytes, bytes | None]) -> None:
    with producer(broker) as sender:
        for key, value in records:
            sender.send(TOPIC, key=key, value=value, partition=0).get(timeout=10)


def test_ids_follow_the_order_given_and_stay(log: Connection) -> None:
    first = register(log, [("b", B), ("a", A)])
    assert (first.id_of("b", B), first.id_of("a", A)) == (1, 2)
    second = register(log, [("a", A), ("c", C), ("b", B)])
    assert [second.id_of(subject) for subject in ("b", "a", "c")] == [1, 2, 3]
    assert second.by_id(3) == ("c", 1, C)
    assert read(log).by_id(1) == ("b", 1, B)


def test_only_what_is_new_is_written(log: Connection) -> None:
    for _ in range(3):
        register(log, [("a", A), ("b", B)])
    assert len(list(read_all(log, TOPIC))) == 2


def test_the_bytes_are_those_of_confluents_registry(log: Connection) -> None:
    register(log, [("a", A)])
    (record,) = read_all(log, TOPIC)
    assert record.key == b'{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}'
    assert record.value == b'{"subject":"a","version":1,"id":1,"schema":"{\\"type\\":\\"int\\"}","deleted":false}'


def test_what_a_confluent_registry_wrote_is_understood(log: Connection) -> None:
    value = {"subject": "a", "version": 1, "id": 7, "schemaType": "AVRO", "references": [], "schema": A}
    write(
        log,
        (b'{"keytype":"NOOP","magic":0}', None),
        (b'{"keytype":"CONFIG","subject":null,"magic":0}', b'{"compatibilityLevel":"FULL"}'),
        (Entry("a", 1, 7, A).key(), json.dumps(value).encode()),
        (b'{"keytype":"MODE","subject":null,"magic":0}', b'{"mode":"READWRITE"}'),
        (b'{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}', b'{"subject":"a","version":1}'),
    )
    schemas = register(log, [("b", B)])
    assert schemas.by_id(7) == ("a", 1, A)
    assert schemas.subjects() == ["b"]
    assert schemas.id_of("b") == 8


def test_a_record_that_no_registry_writes_is_named(log: Connection) -> None:
    write(log, (b"\x00\x00\x00\x00\x01", b"avro"))
    with pytest.raises(Fatal, match="_schemas/0/0"):
        read(log)


def test_there_is_nothing_without_the_topic(broker: Connection) -> None:
    remove(broker)
    assert read(broker).subjects() == []


def test_two_registrars_never_give_an_id_twice(log: Connection) -> None:
    def run(subject: str) -> None:
        pairs = [(f"{subject}{i}", json.dumps({"type": "fixed", "name": subject, "size": i})) for i in range(20)]
        while True:
            try:
                register(log, pairs)
                return
            except Retry:
                continue

    threads = [threading.Thread(target=run, args=(subject,)) for subject in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [json.loads(record.value or b"")["id"] for record in read_all(log, TOPIC)]
    assert sorted(ids) == list(range(1, 61))


def test_every_schema_of_the_catalogue_has_an_id(log: Connection) -> None:
    pairs = list(load().schemas())
    schemas = register(log, pairs)
    assert {schemas.by_id(schemas.id_of(subject, text)) for subject, text in pairs} == {
        (subject, 1, text) for subject, text in pairs
    }


def test_the_same_schema_in_another_subject_shares_its_id() -> None:
    schemas = Schemas()
    entries = schemas.assign([("a", A), ("b", B), ("c", '{ "type" : "int" }')])
    assert [entry.id for entry in entries] == [1, 2, 1]
    assert schemas.by_id(1).subject == "a"


def test_a_changed_schema_is_the_subjects_next_version() -> None:
    schemas = Schemas()
    schemas.assign([("a", A), ("b", B), ("a", C)])
    assert [(entry.version, entry.id) for entry in schemas.versions("a")] == [(1, 1), (2, 3)]
    assert (schemas.id_of("a"), schemas.id_of("a", A)) == (3, 1)
    with pytest.raises(KeyError):
        schemas.id_of("a", B)
    with pytest.raises(KeyError):
        schemas.by_id(9)


def test_a_deleted_version_is_found_by_its_id_and_its_number_is_not_used_again() -> None:
    schemas = Schemas()
    (entry,) = schemas.assign([("a", A)])
    gone = Entry("a", 1, entry.id, A, deleted=True)
    schemas.apply(gone.key(), gone.value())
    assert schemas.by_id(1) == ("a", 1, A)
    assert schemas.latest("a") is None
    (again,) = schemas.assign([("a", A)])
    assert (again.version, again.id) == (2, 1)


def test_a_removed_version_leaves_its_id_alone() -> None:
    schemas = Schemas()
    schemas.assign([("a", A), ("b", B)])
    schemas.apply(Entry("b", 1, 2, B).key(), None)
    (again,) = schemas.assign([("c", C)])
    assert again.id == 3
