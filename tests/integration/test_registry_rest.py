"""The registry's REST interface, as Confluent's: paths, answers, codes."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fastavro
import pytest
from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Metadata,
    MetadataProperties,
    Rule,
    RuleKind,
    RuleMode,
    RuleParams,
    RuleSet,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    ServerConfig,
)
from confluent_kafka.schema_registry.error import SchemaRegistryError
from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError
from registry_server import Registry, make_log, remove_topic, sent, serving

from hub.kafka.brokers import open_broker
from hub.kafka.clients import producer
from hub.kafka.connection import Connection
from hub.registry import ask, soundness
from hub.registry.entry import Entry
from hub.registry.schemas import TOPIC

A = {"type": "record", "name": "A", "namespace": "t", "fields": [{"name": "x", "type": "int"}]}
WIDER = {**A, "fields": [{"name": "x", "type": "long"}]}
OTHER = {**A, "fields": [{"name": "x", "type": "string"}]}
MORE = {**A, "fields": [*A["fields"], {"name": "y", "type": "int", "default": 0}]}  # type: ignore[misc]
Name = Callable[[str], str]
PATIENCE = 30


def unlike(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """The same shape under a name of this test's own."""
    return {**schema, "name": "".join(c if c.isascii() and c.isalnum() else "_" for c in f"S{name}")}


def test_a_schema_registered_is_found_in_every_way(registry: Registry, name: Name) -> None:
    subject = name("found")
    schema = unlike(A, subject)
    id = registry.register(subject, schema)
    text = registry.get(f"/schemas/ids/{id}")["schema"]
    assert json.loads(text) == schema
    assert subject in registry.get("/subjects")
    assert registry.get("/subjects", subjectPrefix=subject) == [subject]
    assert registry.get(f"/subjects/{subject}/versions") == [1]
    told = {"subject": subject, "version": 1, "id": id, "schema": text}
    for version in ("1", "latest", "-1"):
        assert registry.get(f"/subjects/{subject}/versions/{version}") == told
        assert registry.get(f"/subjects/{subject}/versions/{version}/schema") == schema
    assert registry.ask("POST", f"/subjects/{subject}", sent(schema)).body == told
    assert registry.get(f"/schemas/ids/{id}/schema") == schema
    assert registry.get(f"/schemas/ids/{id}/subjects") == [subject]
    assert registry.get(f"/schemas/ids/{id}/versions") == [{"subject": subject, "version": 1}]
    assert registry.get("/schemas", subjectPrefix=subject) == [told]
    assert registry.get("/schemas/types") == ["AVRO"]
    assert registry.get(f"/schemas/ids/{id}", fetchMaxId="true")["maxId"] >= id
    assert registry.ask("GET", "/").type == "application/vnd.schemaregistry.v1+json"


def test_the_same_text_has_one_id_whatever_the_subject_and_the_white_space(registry: Registry, name: Name) -> None:
    one, two = name("same"), name("same")
    schema = unlike(A, one)
    id = registry.register(one, json.dumps(schema, indent=4))
    assert registry.register(one, schema) == id
    assert registry.register(two, {**schema, "namespace": "", "name": f"t.{schema['name']}"}) == id
    assert registry.get(f"/schemas/ids/{id}/subjects") == sorted([one, two])
    assert registry.get(f"/subjects/{one}/versions") == [1]
    assert registry.register(one, unlike(WIDER, one)) > id


def test_a_namespace_that_is_null_is_the_one_around(registry: Registry, name: Name) -> None:
    subject, used = name("null"), name("null")
    inner = unlike(A, used)
    outer = {**unlike(A, subject), "fields": [{"name": "a", "type": {**inner, "namespace": None}}]}
    id = registry.register(subject, outer)
    assert "None" not in registry.get(f"/schemas/ids/{id}")["schema"]
    said = {**outer, "fields": [{"name": "a", "type": {**inner, "namespace": "t"}}]}
    assert registry.register(subject, said) == id
    registry.register(used, {**inner, "namespace": None})
    reference = [{"name": inner["name"], "subject": used, "version": 1}]
    user = sent({**record(f"U{inner['name']}", inner["name"]), "namespace": None}, references=reference)
    found = registry.ask("POST", f"/subjects/{name('user')}/versions", user)
    assert found.status == 200, found
    whole = registry.get(f"/schemas/ids/{found.body['id']}", format="resolved")["schema"]
    assert json.loads(whole)["name"] == f"U{inner['name']}" and "None" not in whole


def test_normalize_makes_the_order_of_attributes_nothing(registry: Registry, name: Name) -> None:
    subject = name("normal")
    first, second = ({**unlike(A, subject), **extra} for extra in ({"p": 1, "q": 2}, {"q": 2, "p": 1}))
    id = registry.register(subject, first, normalize=True)
    assert registry.register(subject, second, normalize=True) == id
    assert registry.ask("POST", f"/subjects/{subject}", sent(second), normalize=True).body["id"] == id
    assert registry.refused("POST", f"/subjects/{subject}", sent(second)) == (404, 40403)
    assert registry.register(subject, second) != id
    other = name("normal")
    assert registry.ask("PUT", f"/config/{other}", {"normalize": True}).body == {"normalize": True}
    assert registry.register(other, second) == id


def test_an_incompatible_schema_is_refused_with_its_path(registry: Registry, name: Name) -> None:
    subject = name("refused")
    registry.register(subject, unlike(A, subject))
    found = registry.ask("POST", f"/subjects/{subject}/versions", sent(unlike(OTHER, subject)))
    assert (found.status, found.body["error_code"]) == (409, 409)
    assert "TYPE_MISMATCH" in found.body["message"] and "'/fields/0/type'" in found.body["message"]
    missing = {**unlike(A, subject), "fields": [*A["fields"], {"name": "y", "type": "int"}]}  # type: ignore[misc]
    found = registry.ask("POST", f"/subjects/{subject}/versions", sent(missing))
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in found.body["message"] and "'/fields/1'" in found.body["message"]
    assert registry.get(f"/subjects/{subject}/versions") == [1]


@pytest.mark.parametrize("base", [{"type": "bytes"}, {"type": "fixed", "name": "Digits", "size": 9}])
def test_a_decimal_whose_digits_move_or_go_is_refused_with_its_path(
    registry: Registry, name: Name, base: dict[str, Any]
) -> None:
    """Readers in Java would take 12.50 for 1250: they do not look at the scale that it was written with."""
    subject, client = name("decimal"), SchemaRegistryClient({"url": registry.url})

    def amount(precision: int, scale: int) -> Schema:
        decimal = {**base, "logicalType": "decimal", "precision": precision, "scale": scale}
        field = {"name": "x", "type": ["null", {"type": "array", "items": decimal}]}
        return Schema(json.dumps({**unlike(A, subject), "fields": [field]}), "AVRO")

    client.register_schema(subject, amount(12, 2))
    for digits in ((12, 0), (14, 4), (10, 2)):
        assert client.test_compatibility(subject, amount(*digits)) is False
        with pytest.raises(SchemaRegistryError) as refused:
            client.register_schema(subject, amount(*digits))
        assert refused.value.error_code == 409
        assert "'/fields/0/type/1/items'" in str(refused.value) and "decimal(12, 2) → " in str(refused.value)
    assert client.test_compatibility(subject, amount(14, 2)) is True
    client.set_compatibility(subject, "FULL")
    assert client.test_compatibility(subject, amount(14, 2)) is False


@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        ("NONE", {"other", "wider", "narrower"}),
        ("BACKWARD", {"wider", "more"}),
        ("FORWARD", {"narrower", "more"}),
        ("FULL", {"more"}),
        ("BACKWARD_TRANSITIVE", {"wider", "more"}),
        ("FORWARD_TRANSITIVE", {"narrower", "more"}),
        ("FULL_TRANSITIVE", {"more"}),
    ],
)
def test_every_level_allows_what_it_says(registry: Registry, name: Name, level: str, allowed: set[str]) -> None:
    changes = {"other": (A, OTHER), "wider": (A, WIDER), "narrower": (WIDER, A), "more": (A, MORE)}
    for what, (old, new) in changes.items():
        subject = name("level")
        registry.register(subject, unlike(old, subject))
        assert registry.ask("PUT", f"/config/{subject}", {"compatibility": level}).body == {"compatibility": level}
        path = f"/compatibility/subjects/{subject}/versions"
        answers = [registry.ask("POST", p, sent(unlike(new, subject))).body for p in (path, f"{path}/latest")]
        expected = {"is_compatible": what in allowed or level == "NONE"}
        assert answers == [expected, expected], (what, level)


def test_transitive_levels_look_at_all_versions(registry: Registry, name: Name) -> None:
    subject = name("transitive")
    without = {**unlike(A, subject), "fields": []}
    registry.register(subject, unlike(A, subject))
    registry.register(subject, without)
    assert registry.register(subject, unlike(MORE, subject) | {"fields": [MORE["fields"][1]]}) > 0
    again = sent({**unlike(A, subject), "fields": [{"name": "x", "type": "string", "default": ""}]})
    path = f"/compatibility/subjects/{subject}/versions"
    assert registry.ask("POST", path, again).body == {"is_compatible": True}
    registry.ask("PUT", f"/config/{subject}", {"compatibility": "BACKWARD_TRANSITIVE"})
    found = registry.ask("POST", path, again, verbose=True).body
    assert found["is_compatible"] is False and "{oldSchemaVersion: 1}" in found["messages"]
    assert registry.ask("POST", f"{path}/2", again, verbose=True).body == {"is_compatible": True, "messages": []}


def test_levels_are_inherited_and_taken_back(registry: Registry, name: Name) -> None:
    subject = name("config")
    registry.register(subject, unlike(A, subject))
    assert registry.get("/config") == {"compatibilityLevel": "BACKWARD"}
    assert registry.refused("GET", f"/config/{subject}") == (404, 40408)
    assert registry.get(f"/config/{subject}", defaultToGlobal=True) == {"compatibilityLevel": "BACKWARD"}
    registry.ask("PUT", f"/config/{subject}", {"compatibility": "full"})
    assert registry.get(f"/config/{subject}") == {"compatibilityLevel": "FULL"}
    assert registry.ask("DELETE", f"/config/{subject}").body == {"compatibilityLevel": "FULL"}
    assert registry.refused("GET", f"/config/{subject}") == (404, 40408)
    assert registry.refused("PUT", f"/config/{subject}", {"compatibility": "SOME"}) == (422, 42203)


@pytest.mark.parametrize(
    "body", [{}, {"compatibilityLevel": "FULL"}, {"compatibility": 5}, {"compatibility": ["NONE"]}]
)
def test_what_names_no_level_changes_none(registry: Registry, name: Name, body: dict[str, Any]) -> None:
    subject = name("config")
    registry.ask("PUT", f"/config/{subject}", {"compatibility": "FULL"})
    assert registry.refused("PUT", f"/config/{subject}", body) == (422, 42203)
    assert registry.get(f"/config/{subject}") == {"compatibilityLevel": "FULL"}


def test_a_level_that_is_null_stays(registry: Registry, name: Name) -> None:
    subject = name("config")
    registry.ask("PUT", f"/config/{subject}", {"compatibility": "FULL"})
    for body in ({"compatibility": None}, {"compatibility": None, "normalize": True}, {"normalize": None}):
        assert registry.ask("PUT", f"/config/{subject}", body).body["compatibility"] == "FULL"
    assert registry.get(f"/config/{subject}") == {"compatibilityLevel": "FULL", "normalize": True}
    nothing = name("config")
    assert registry.ask("PUT", f"/config/{nothing}", {"compatibility": None}).body == {}
    assert registry.refused("GET", f"/config/{nothing}") == (404, 40408)


def test_references_are_resolved_and_protected(registry: Registry, name: Name) -> None:
    inner, outer = name("inner"), name("outer")
    used = unlike(A, inner)
    user = {"type": "record", "name": "User", "namespace": "t", "fields": [{"name": "a", "type": f"t.{used['name']}"}]}
    user = unlike(user, outer)
    registry.register(inner, used)
    reference = {"name": f"t.{used['name']}", "subject": inner, "version": 1}
    assert registry.refused("POST", f"/subjects/{outer}/versions", sent(user)) == (422, 42201)
    lost = sent(user, references=[{**reference, "version": 7}])
    assert registry.refused("POST", f"/subjects/{outer}/versions", lost) == (422, 42201)
    body = sent(user, references=[reference])
    id = registry.ask("POST", f"/subjects/{outer}/versions", body).body["id"]
    assert registry.get(f"/schemas/ids/{id}")["references"] == [reference]
    assert registry.ask("POST", f"/subjects/{outer}", body).body["references"] == [reference]
    assert registry.refused("POST", f"/subjects/{outer}", sent(user)) == (422, 42201)
    assert registry.get(f"/subjects/{inner}/versions/1/referencedby") == [id]
    assert json.loads(registry.get(f"/schemas/ids/{id}", format="resolved")["schema"])["fields"][0]["type"] == {
        k: v for k, v in used.items() if k != "namespace"
    }
    changed = {**user, "fields": [{"name": "a", "type": "string"}]}
    assert registry.refused("POST", f"/subjects/{outer}/versions", sent(changed))[0] == 409
    assert registry.refused("DELETE", f"/subjects/{inner}/versions/1") == (422, 42206)
    assert registry.refused("DELETE", f"/subjects/{inner}") == (422, 42206)
    assert registry.ask("DELETE", f"/subjects/{outer}").body == [1]
    assert registry.ask("DELETE", f"/subjects/{inner}").body == [1]


def record(name: str, *types: str) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": f"f{i}", "type": t} for i, t in enumerate(types)]}


def referring(*subjects: str) -> list[dict[str, Any]]:
    """To the first version of subjects that are named as the type which they hold."""
    return [{"name": each, "subject": each, "version": 1} for each in subjects]


def test_two_references_may_lead_to_the_same_type(registry: Registry, name: Name) -> None:
    money, one, two, order = (f"{what}_{unlike(A, name(what))['name']}" for what in ("Money", "One", "Two", "Order"))
    registry.register(money, record(money, "int"))
    for each in (one, two):
        body = sent(record(each, money, money), references=referring(money))
        assert registry.ask("POST", f"/subjects/{each}/versions", body).status == 200
    for index, among in enumerate(((one, two), (two, one), (money, one, two), (one, money))):
        subject = f"{order}{index}"
        body = sent(record(subject, *among), references=referring(*among))
        found = registry.ask("POST", f"/subjects/{subject}/versions", body)
        assert found.status == 200, found
        whole = json.loads(registry.get(f"/schemas/ids/{found.body['id']}", format="resolved")["schema"])
        fastavro.parse_schema(whole, named_schemas={})


def test_a_type_is_defined_once_among_a_schema_and_its_references(registry: Registry, name: Name) -> None:
    """As in Java, whose readers take nothing else."""
    inner, twin, outer = (f"{what}_{unlike(A, name(what))['name']}" for what in ("Inner", "Twin", "Outer"))
    registry.register(inner, record(inner, "int"))
    registry.register(twin, record(inner, "string"))
    versions = f"/subjects/{outer}/versions"
    both = [*referring(inner), {"name": inner, "subject": twin, "version": 1}]
    assert registry.refused("POST", versions, sent(record(outer, inner), references=both)) == (422, 42201)
    again = {**record(outer), "fields": [{"name": "a", "type": record(inner, "int")}]}
    assert registry.refused("POST", versions, sent(again, references=referring(inner))) == (422, 42201)


def test_a_type_in_two_versions_is_refused_with_both_places(registry: Registry, name: Name) -> None:
    """Confluent's registry takes the first that it comes upon, and the other one's user for what it does not say."""
    inner, middle, outer = (f"{what}_{unlike(A, name(what))['name']}" for what in ("Inner", "Middle", "Outer"))
    client = SchemaRegistryClient({"url": registry.url})
    registry.register(inner, record(inner, "int"))
    registry.register(inner, record(inner, "long"))
    second = SchemaReference(inner, inner, 2)
    client.register_schema(middle, Schema(json.dumps(record(middle, inner)), "AVRO", [second]))
    one, two = SchemaReference(inner, inner, 1), SchemaReference(middle, middle, 1)
    for among in ([one, two], [two, one]):
        with pytest.raises(SchemaRegistryError) as refused:
            client.register_schema(outer, Schema(json.dumps(record(outer, inner, middle)), "AVRO", among))
        assert refused.value.error_code == 42201
        said = f"two definitions of {inner}: {inner} version 1 and {inner} version 2"
        assert said in refused.value.error_message
    assert client.register_schema(outer, Schema(json.dumps(record(outer, inner, middle)), "AVRO", [second, two]))


def test_references_that_repeat_cost_what_they_lead_to(registry: Registry, name: Name) -> None:
    """Four of each in twelve levels: as many ways as no registry could go."""
    base = f"X_{unlike(A, name('x'))['name']}"
    registry.register(f"{base}0", record(f"{base}0", "int"))
    for level in range(1, 13):
        body = sent(record(f"{base}{level}", f"{base}{level - 1}"), references=referring(f"{base}{level - 1}") * 4)
        assert registry.ask("POST", f"/subjects/{base}{level}/versions", body).status == 200


def test_references_lead_to_so_many_schemas_at_most(registry: Registry, name: Name) -> None:
    base = f"M_{unlike(A, name('m'))['name']}"
    subjects = [f"{base}{index}" for index in range(101)]
    for each in subjects:
        registry.register(each, record(each, "int"))
    versions = f"/subjects/{base}/versions"
    assert registry.ask("POST", versions, sent(record(base), references=referring(*subjects[1:]))).status == 200
    assert registry.refused("POST", versions, sent(record(base), references=referring(*subjects))) == (422, 42201)


def test_deleted_softly_then_for_good(registry: Registry, name: Name) -> None:
    subject = name("deleted")
    first = registry.register(subject, unlike(A, subject))
    second = registry.register(subject, unlike(WIDER, subject))
    path = f"/subjects/{subject}"
    assert registry.refused("DELETE", f"{path}/versions/1", permanent=True) == (404, 40407)
    assert registry.refused("DELETE", path, permanent=True) == (404, 40405)
    assert registry.ask("DELETE", f"{path}/versions/1").body == 1
    assert registry.refused("DELETE", f"{path}/versions/1") == (404, 40406)
    assert registry.refused("GET", f"{path}/versions/1") == (404, 40402)
    assert registry.get(f"{path}/versions/1", deleted=True)["id"] == first
    assert registry.get(f"{path}/versions") == [2]
    assert registry.get(f"{path}/versions", deleted=True) == [1, 2]
    assert registry.get(f"{path}/versions", deletedOnly=True) == [1]
    assert registry.get(f"/schemas/ids/{first}")["schema"]
    assert registry.ask("DELETE", path).body == [2]
    assert registry.refused("DELETE", path) == (404, 40404)
    assert registry.refused("GET", f"{path}/versions") == (404, 40401)
    assert subject not in registry.get("/subjects")
    assert subject in registry.get("/subjects", deleted=True) and subject in registry.get("/subjects", deletedOnly=True)
    assert registry.refused("POST", path, sent(unlike(A, subject))) == (404, 40403)
    assert registry.ask("POST", path, sent(unlike(A, subject)), deleted=True).body["id"] == first
    assert registry.ask("DELETE", path, permanent=True).body == [1, 2]
    assert registry.refused("GET", f"{path}/versions", deleted=True) == (404, 40401)
    assert registry.refused("GET", f"/schemas/ids/{second}") == (404, 40403)
    assert registry.register(subject, unlike(A, subject)) > second


def test_what_is_deleted_is_found_after_what_it_refers_to_was_deleted(registry: Registry, name: Name) -> None:
    money, price, order = (f"{what}_{unlike(A, name(what))['name']}" for what in ("Money", "Price", "Order"))
    client = SchemaRegistryClient({"url": registry.url})
    registry.register(money, record(money, "int"))
    versions, body = f"/subjects/{price}/versions", sent(record(price, money), references=referring(money))
    id = registry.ask("POST", versions, body).body["id"]
    for subject in (price, money):
        assert registry.ask("DELETE", f"/subjects/{subject}").body == [1]
    references = [SchemaReference(money, money, 1)]
    schema = Schema(json.dumps(record(price, money)), "AVRO", references)
    assert client.lookup_schema(price, schema, deleted=True).schema_id == id
    assert registry.refused("POST", f"/subjects/{price}", body) == (404, 40403)
    whole = json.loads(registry.get(f"/schemas/ids/{id}", format="resolved")["schema"])
    assert whole["fields"][0]["type"]["name"] == money
    assert registry.refused("POST", versions, body) == (422, 42201), "what is new refers to what is offered"
    new = sent(record(order, price), references=referring(price))
    assert registry.refused("POST", f"/compatibility/subjects/{order}/versions", new) == (422, 42201)


def test_with_its_last_version_go_a_subjects_level_and_mode(registry: Registry, name: Name) -> None:
    subject = name("settings")
    for schema in (A, WIDER):
        registry.register(subject, unlike(schema, subject))
    registry.ask("PUT", f"/config/{subject}", {"compatibility": "NONE"})
    registry.ask("PUT", f"/mode/{subject}", {"mode": "READWRITE"})
    assert registry.ask("DELETE", f"/subjects/{subject}/versions/1").body == 1
    assert registry.get(f"/config/{subject}") == {"compatibilityLevel": "NONE"}
    assert registry.ask("DELETE", f"/subjects/{subject}/versions/latest").body == 2
    assert registry.refused("GET", f"/config/{subject}") == (404, 40408)
    assert registry.refused("GET", f"/mode/{subject}") == (404, 40409)


def test_a_deletion_whose_commit_is_not_answered_is_answered(
    registry: Registry, name: Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, commit = name("unanswered"), KafkaProducer.commit_transaction
    path = f"/subjects/{subject}"

    def lost(producer: KafkaProducer) -> None:
        monkeypatch.setattr(KafkaProducer, "commit_transaction", commit)
        producer.commit_transaction()
        raise KafkaTimeoutError("the answer is lost")

    def unanswered(path: str, **query: Any) -> Any:
        monkeypatch.setattr(KafkaProducer, "commit_transaction", lost)
        return registry.ask("DELETE", path, **query).body

    for schema in (A, WIDER, MORE):
        registry.register(subject, unlike(schema, subject))
        registry.ask("PUT", f"/config/{subject}", {"compatibility": "NONE"})
    assert unanswered(f"/config/{subject}") == {"compatibilityLevel": "NONE"}
    assert unanswered(f"{path}/versions/1") == 1
    assert unanswered(path) == [2, 3]
    assert unanswered(path, permanent=True) == [1, 2, 3]
    assert registry.refused("DELETE", path) == (404, 40401)


def test_a_deleted_schema_registered_again_keeps_its_id(registry: Registry, name: Name) -> None:
    subject = name("again")
    id = registry.register(subject, unlike(A, subject))
    registry.ask("DELETE", f"/subjects/{subject}")
    assert registry.register(subject, unlike(A, subject)) == id
    assert registry.get(f"/subjects/{subject}/versions") == [2]


def test_modes(registry: Registry, name: Name) -> None:
    subject = name("mode")
    schema = unlike(A, subject)
    assert registry.get("/mode") == {"mode": "READWRITE"}
    assert registry.refused("GET", f"/mode/{subject}") == (404, 40409)
    assert registry.get(f"/mode/{subject}", defaultToGlobal=True) == {"mode": "READWRITE"}
    assert registry.refused("PUT", f"/mode/{subject}", {"mode": "SOME"}) == (422, 42204)
    versions = f"/subjects/{subject}/versions"
    assert registry.refused("POST", versions, sent(schema, id=70_001)) == (422, 42205)
    assert registry.ask("PUT", f"/mode/{subject}", {"mode": "IMPORT"}).body == {"mode": "IMPORT"}
    assert registry.refused("POST", versions, sent(schema)) == (422, 42205)
    assert registry.ask("POST", versions, sent(schema, id=70_001, version=3)).body == {"id": 70_001}
    assert registry.ask("POST", versions, sent(schema, id=70_001)).body == {"id": 70_001}
    assert registry.refused("POST", versions, sent(schema, id=70_002)) == (422, 42207)
    assert registry.refused("POST", versions, sent(unlike(OTHER, subject), id=70_001)) == (422, 42205)
    assert registry.get(versions) == [3]
    registry.ask("PUT", f"/mode/{subject}", {"mode": "READONLY"})
    assert registry.refused("POST", versions, sent(unlike(WIDER, subject))) == (422, 42205)
    assert registry.register(subject, schema) == 70_001, "what is there already changes nothing"
    assert registry.refused("DELETE", f"/subjects/{subject}") == (422, 42205)
    assert registry.ask("DELETE", f"/mode/{subject}").body == {"mode": "READONLY"}
    assert registry.refused("PUT", f"/mode/{subject}", {"mode": "IMPORT"}) == (422, 42205)
    assert registry.ask("PUT", f"/mode/{subject}", {"mode": "IMPORT"}, force=True).body == {"mode": "IMPORT"}
    registry.ask("DELETE", f"/mode/{subject}")
    assert registry.register(name("after"), unlike(A, name("after"))) > 70_001


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ("", (422, 42201)),
        ("{", (422, 42201)),
        ('"sring"', (422, 42201)),
        ('{"type":"record","name":"X"}', (422, 42201)),
        ('{"type":"record","name":"X","fields":[{"name":"a","type":"int","default":"no"}]}', (422, 42201)),
        ('{"type":"enum","name":"X","symbols":["A","A"]}', (422, 42201)),
        ('{"type":"record","name":"X","fields":[{"name":"x-y","type":"int"}]}', (422, 42201)),
        ('{"type":"record","name":"X","fields":[{"name":"1x","type":"int"}]}', (422, 42201)),
        ('{"type":"record","name":"X","fields":[{"name":"x.y","type":"int"}]}', (422, 42201)),
        ('{"type":"record","name":"X","fields":[{"name":"ünvan","type":"int"}]}', (422, 42201)),
        (
            '{"type":"map","values":["null",{"type":"error","name":"X","fields":[{"name":"y\\n","type":"int"}]}]}',
            (422, 42201),
        ),
        ('{"type":"record","name":"x-y","fields":[]}', (422, 42201)),
        ('{"type":"record","name":"X","namespace":"t.2","fields":[]}', (422, 42201)),
        ('{"type":"fixed","name":"X\\n","size":2}', (422, 42201)),
        ('{"type":"enum","name":"X","aliases":["t.x-y"],"symbols":["A"]}', (422, 42201)),
        ('{"type":"enum","name":"X","symbols":["x-y"]}', (422, 42201)),
        ("[" * 50_000 + "]" * 50_000, (422, 42201)),
        ('{"type":"array","items":' * 300 + '"int"' + "}" * 300, (422, 42201)),
        ('{"type":"record","name":["X"],"fields":{}}', (422, 42201)),
        ('{"type":{"type":{"type":5}}}', (422, 42201)),
        ('{"type":"record","name":"X","fields":[{"name":"a","type":[{}]}]}', (422, 42201)),
        (5, (422, 42201)),
    ],
)
def test_what_is_no_avro_is_42201(registry: Registry, name: Name, schema: Any, code: tuple[int, int]) -> None:
    subject = name("bad")
    body = {"schema": schema}
    assert registry.refused("POST", f"/subjects/{subject}/versions", body) == code
    assert registry.refused("POST", f"/compatibility/subjects/{subject}/versions", body) == code


def test_a_name_that_avro_does_not_have_is_not_imported_either(registry: Registry, name: Name) -> None:
    subject, client = name("import"), SchemaRegistryClient({"url": registry.url})
    registry.ask("PUT", f"/mode/{subject}", {"mode": "IMPORT"})
    schema = {**unlike(A, subject), "fields": [{"name": "x-y", "type": "int"}]}
    found = registry.ask("POST", f"/subjects/{subject}/versions", sent(schema, id=70_100))
    assert found.body["error_code"] == 42201 and "'x-y' is no name of a field" in found.body["message"], found
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(name("named"), Schema(json.dumps(schema), "AVRO"))
    assert refused.value.error_code == 42201


def test_what_has_such_a_name_from_before_is_found_and_followed(fresh: Connection) -> None:
    old = {**A, "fields": [{"name": "x-y", "type": "int"}]}
    write(fresh, *Entry("s", 1, 1, json.dumps(old)).change())
    with serving(fresh) as url:
        registry = Registry(url)
        assert registry.register("s", old) == 1
        assert registry.ask("POST", "/subjects/s", sent(old)).body["version"] == 1
        renamed = {**A, "fields": [{"name": "x_y", "type": "int", "aliases": ["x-y"]}]}
        assert registry.ask("POST", "/compatibility/subjects/s/versions", sent(renamed)).body == {"is_compatible": True}
        assert registry.register("s", renamed) == 2


def test_other_languages_and_contexts_are_refused(registry: Registry, name: Name) -> None:
    body = {"schema": "{}", "schemaType": "JSON"}
    assert registry.refused("POST", f"/subjects/{name('json')}/versions", body) == (422, 42201)
    assert registry.refused("POST", "/subjects/:.other:a/versions", sent(A)) == (422, 42208)


def test_what_it_would_drop_it_refuses(registry: Registry, name: Name) -> None:
    """Rules that nobody applies would let through what they are to keep back."""
    subject, client = name("rules"), SchemaRegistryClient({"url": registry.url})
    text = json.dumps(unlike(A, subject))
    rule = Rule(
        "fin", "", RuleKind.CONDITION, RuleMode.WRITE, "CEL", [], RuleParams({}), "size(message.x) == 7", "", "", False
    )
    for more in (
        {"rule_set": RuleSet([], [rule])},
        {"metadata": Metadata(None, MetadataProperties({"owner": "mod"}), None)},
    ):
        with pytest.raises(SchemaRegistryError) as refused:
            client.register_schema(subject, Schema(text, "AVRO", **more))
        assert refused.value.error_code == 42201
    assert client.register_schema(subject, Schema(text, "AVRO", rule_set=RuleSet([], [])))
    for config in (
        ServerConfig(compatibility=ConfigCompatibilityLevel.FULL, compatibility_group="major"),
        ServerConfig(compatibility=ConfigCompatibilityLevel.FULL, default_rule_set=RuleSet([], [rule])),
        ServerConfig(override_metadata=Metadata(None, MetadataProperties({"owner": "mod"}), None)),
    ):
        with pytest.raises(SchemaRegistryError) as refused:
            client.set_config(subject, config)
        assert refused.value.error_code == 42201
    assert registry.refused("GET", f"/config/{subject}") == (404, 40408)
    assert client.set_config(subject, ServerConfig(compatibility=ConfigCompatibilityLevel.FULL))


@pytest.mark.parametrize("version", ["0", "-2", "x", "1e3", "2147483648", "٣"])
def test_no_version_is_42202(registry: Registry, name: Name, version: str) -> None:
    subject = name("v")
    registry.register(subject, unlike(A, subject))
    assert registry.refused("GET", f"/subjects/{subject}/versions/{quote(version)}") == (422, 42202)
    assert registry.refused("DELETE", f"/subjects/{subject}/versions/{quote(version)}") == (422, 42202)


def test_numbers_may_be_of_any_length(registry: Registry, name: Name) -> None:
    subject, long = name("long"), "0" * 12 + "7" * 3900
    id = registry.register(subject, unlike(A, subject))
    assert registry.refused("GET", f"/schemas/ids/{long}") == (404, 404)
    assert registry.refused("GET", f"/subjects/{subject}/versions/{long}") == (422, 42202)
    assert registry.get("/schemas", limit=long)
    assert registry.get(f"/schemas/ids/{'0' * 3900}{id}") == registry.get(f"/schemas/ids/{id}")
    assert registry.get(f"/subjects/{subject}/versions/{'0' * 3900}1")["id"] == id


def test_what_is_not_there_has_its_code(registry: Registry, name: Name) -> None:
    nobody = name("nobody")
    for method, path in (("GET", "/versions"), ("GET", "/versions/1"), ("GET", "/versions/latest"), ("DELETE", "")):
        assert registry.refused(method, f"/subjects/{nobody}{path}") == (404, 40401)
    assert registry.refused("POST", f"/subjects/{nobody}", sent(A)) == (404, 40401)
    assert registry.refused("GET", "/schemas/ids/999999") == (404, 40403)
    assert registry.refused("GET", "/schemas/ids/999999/subjects") == (404, 40403)
    assert registry.refused("GET", "/schemas/ids/x") == (404, 404)
    assert registry.refused("GET", "/nowhere") == (404, 404)
    assert registry.refused("PATCH", "/subjects") == (405, 405)
    registry.register(nobody, unlike(A, nobody))
    assert registry.refused("GET", f"/subjects/{nobody}/versions/9") == (404, 40402)
    assert registry.refused("POST", f"/compatibility/subjects/{nobody}/versions/9", sent(A)) == (404, 40402)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"schema": {}}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_none_is_the_callers_fault(registry: Registry, name: Name, body: bytes) -> None:
    status, code = registry.refused("POST", f"/subjects/{name('body')}/versions", body)
    assert (status, code) in ((400, 400), (422, 42201))


def test_bodies_have_a_limit_and_a_type(registry: Registry, name: Name) -> None:
    assert registry.refused("POST", f"/subjects/{name('big')}", b" " * ((1 << 20) + 1)) == (413, 413)


def wide(fields: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "Wide",
        "fields": [{"name": f"f{i}", "type": "int"} for i in range(fields)],
        **more,
    }


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (wide(1, doc="ə" * (128 << 10)), "more than 262144 bytes"),
        (wide(2_100), "more than 4000 fields, types and branches of unions"),
        ([{"type": "fixed", "name": f"F{i}", "size": 1} for i in range(4_001)], "more than 4000 fields"),
    ],
    ids=["text", "fields", "branches"],
)
def test_schemas_have_a_size(registry: Registry, name: Name, schema: Any, said: str) -> None:
    subject = name("wide")
    for path in (
        f"/subjects/{subject}/versions",
        f"/subjects/{subject}",
        f"/compatibility/subjects/{subject}/versions",
    ):
        found = registry.ask("POST", path, sent(schema))
        assert (found.status, found.body["error_code"]) == (422, 42201) and said in found.body["message"], found


@pytest.mark.parametrize(("limit", "most"), [("MAX_BYTES", 200), ("MAX_PARTS", 10)])
def test_what_was_registered_before_there_were_limits_is_found(
    registry: Registry, name: Name, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    subject, there, new = name("wide"), sent(wide(20)), sent(wide(21))
    paths = [f"/subjects/{subject}/versions", f"/subjects/{subject}", f"/compatibility/subjects/{subject}/versions"]
    id = registry.register(subject, wide(20))
    monkeypatch.setattr(soundness, limit, most)
    register, lookup, compatible = (registry.ask("POST", path, there).body for path in paths)
    assert (register["id"], lookup["id"], compatible) == (id, id, {"is_compatible": True})
    assert [registry.refused("POST", path, new) for path in paths] == [(422, 42201)] * 3


def test_nobody_waits_while_a_schema_is_judged(registry: Registry, name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registration, a look-up and a comparison are held in the middle, as the largest schema would hold them."""
    small, subject, parse = name("small"), name("judged"), ask.parse
    id = registry.register(small, unlike(A, small))
    begun, go_on = threading.Semaphore(0), threading.Event()

    def held(node: Any) -> Any:
        begun.release()
        assert go_on.wait(PATIENCE), "nobody was answered meanwhile"
        return parse(node)

    monkeypatch.setattr(ask, "parse", held)
    body = sent(unlike(A, subject))
    paths = (f"/subjects/{subject}/versions", f"/subjects/{small}", f"/compatibility/subjects/{subject}/versions")
    with ThreadPoolExecutor(len(paths)) as pool:
        asked = [pool.submit(registry.ask, "POST", path, body) for path in paths]
        try:
            assert all(begun.acquire(timeout=PATIENCE) for _ in paths)
            assert registry.get(f"/schemas/ids/{id}")["schema"]
            assert registry.refused("GET", f"/schemas/ids/{2**31 - 1}") == (404, 40403), "looked for in the log"
            assert not any(each.done() for each in asked)
        finally:
            go_on.set()
    assert [each.result().status for each in asked] == [200, 404, 200]


def test_what_is_not_there_is_judged_once(registry: Registry, name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was written meanwhile."""
    judged = list[Any]()
    monkeypatch.setattr(ask, "parse", judged.append)
    assert registry.refused("POST", f"/subjects/{name('nowhere')}", sent(A)) == (404, 40401)
    assert len(judged) == 1


def test_a_subject_may_hold_anything_printable(registry: Registry, name: Name) -> None:
    subject = name("ünvan/a b%2F?")
    id = registry.register(subject, unlike(A, subject))
    assert registry.get(f"/subjects/{quote(subject, safe='')}/versions/latest")["subject"] == subject
    assert subject in registry.get(f"/schemas/ids/{id}/subjects")


@contextlib.contextmanager
def emptied(broker: Connection) -> Iterator[Connection]:
    """With an empty `_schemas`, which other tests remove as well."""
    remove_topic(broker)
    make_log(broker)
    yield broker
    remove_topic(broker)


@pytest.fixture
def fresh(broker: Connection) -> Iterator[Connection]:
    with emptied(broker) as found:
        yield found


@pytest.fixture
def contested(apache: Connection) -> Iterator[Connection]:
    """Where registries cut one another's transactions off. The embedded broker then hides what is committed next:
    `test_a_reader_that_begins_behind_an_aborted_transaction`."""
    with emptied(apache) as found:
        yield found


def test_registries_at_once_give_no_id_twice_and_see_one_another(contested: Connection, name: Name) -> None:
    ids: dict[str, int] = {}
    with serving(contested) as one, serving(contested) as two:
        both = (Registry(one), Registry(two))

        def run(at: Registry, subject: str) -> None:
            for index in range(4):
                each = f"{subject}-{index}"
                ids[each] = at.register(each, unlike(A, each))

        threads = [threading.Thread(target=run, args=(at, name("race"))) for at in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ids.values()) == list(range(1, 9))
        for subject, id in ids.items():
            assert [at.get(f"/subjects/{subject}/versions/1")["id"] for at in both] == [id, id]


def test_the_same_schema_at_once_at_two_registries_has_one_id(contested: Connection, name: Name) -> None:
    found: list[int] = []
    with serving(contested) as one, serving(contested) as two:
        schema, subject = unlike(A, name("same")), name("same")
        threads = [
            threading.Thread(target=lambda at: found.append(at.register(subject, schema)), args=(Registry(url),))
            for url in (one, two)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [1, 1]
        assert Registry(one).get(f"/subjects/{subject}/versions") == [1]


def test_an_id_is_never_given_again(fresh: Connection, name: Name) -> None:
    """Not even when what had it is gone for good and the registry begins anew."""
    subject = name("highest")
    with serving(fresh) as url:
        assert Registry(url).register(subject, unlike(A, subject)) == 1
        for permanent in (False, True):
            assert Registry(url).ask("DELETE", f"/subjects/{subject}", permanent=permanent).body == [1]
    with serving(fresh) as url:
        assert Registry(url).register(subject, unlike(WIDER, subject)) == 2


def write(connection: Connection, key: bytes, value: bytes | None) -> None:
    with producer(connection) as sender:
        sender.send(TOPIC, key=key, value=value, partition=0).get(timeout=30)


def until_failed(registry: Registry) -> None:
    """It has to answer nothing at all from some time on, and soon."""
    deadline = time.monotonic() + 60
    while registry.ask("GET", "/subjects").status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for method, path, body in (
        ("GET", "/subjects", None),
        ("GET", "/schemas/ids/1", None),
        ("POST", "/subjects/new/versions", sent('"long"')),
    ):
        assert registry.refused(method, path, body) == (500, 50001)


@pytest.mark.parametrize("follows_after", [0.2, 3600.0], ids=["met by the follower", "met by a request"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"\x00nonsense", b"x"),
        (b'{"keytype":"MODE","subject":"z","magic":0}', b'{"subject":"z"}'),
        (b'{"keytype":"SCHEMA","magic":1}', b"null"),
        (b'{"keytype":"NOOP","magic":0}', b'{"highestId":"7"}'),
    ],
)
def test_at_a_record_that_no_registry_writes_it_stops(
    fresh: Connection, monkeypatch: pytest.MonkeyPatch, key: bytes, value: bytes, follows_after: float
) -> None:
    """What follows that record would be unknown, its ids would be given again."""
    monkeypatch.setattr("hub.registry.store.FOLLOW_SECONDS", follows_after)
    with serving(fresh) as url:
        registry = Registry(url)
        registry.register("one", '"int"')
        write(fresh, key, value)
        if follows_after > 1:
            assert registry.refused("GET", "/subjects/none/versions") == (500, 50001)
        until_failed(registry)


def test_when_its_topic_is_made_anew_it_stops(fresh: Connection) -> None:
    with serving(fresh) as url:
        registry = Registry(url)
        for size in range(1, 7):
            registry.register(f"s{size}", {"type": "fixed", "name": "F", "size": size})
        remove_topic(fresh)
        make_log(fresh)
        until_failed(registry)


def test_nobody_uses_up_the_ids_by_importing(fresh: Connection, name: Name) -> None:
    subject, other = name("import"), name("after")
    with serving(fresh) as url:
        registry = Registry(url)
        registry.ask("PUT", f"/mode/{subject}", {"mode": "IMPORT"})
        for id in (2**31 - 1, 2**30 + 1):
            found = registry.ask("POST", f"/subjects/{subject}/versions", sent(unlike(A, subject), id=id))
            assert (found.status, found.body["error_code"]) == (422, 42205) and str(2**30) in found.body["message"]
        imported = sent(unlike(A, subject), id=2**30)
        assert registry.ask("POST", f"/subjects/{subject}/versions", imported).body == {"id": 2**30}
        client = SchemaRegistryClient({"url": url})
        assert client.register_schema(other, Schema(json.dumps(unlike(A, other)), "AVRO")) == 2**30 + 1
        of_another = sent(unlike(A, other), id=2**30 + 1)
        assert registry.ask("POST", f"/subjects/{subject}/versions", of_another).body == {"id": 2**30 + 1}


def test_the_highest_id_is_the_last(fresh: Connection, name: Name) -> None:
    """Readers take an id as a number of 32 bits."""
    subject, other = name("last"), name("other")
    write(fresh, *Entry(subject, 1, 2**31 - 1, json.dumps(unlike(A, subject))).change())
    with serving(fresh) as url:
        registry = Registry(url)
        assert registry.refused("POST", f"/subjects/{other}/versions", sent(unlike(A, other))) == (422, 42205)
        assert registry.register(other, unlike(A, subject)) == 2**31 - 1
        assert registry.get("/subjects") == sorted([subject, other])


def test_a_registry_is_rebuilt_from_its_topic(registry: Registry, registry_broker: Connection, name: Name) -> None:
    subject = name("rebuilt")
    registry.register(subject, unlike(A, subject))
    registry.ask("PUT", f"/config/{subject}", {"compatibility": "FULL"})
    paths = ("/schemas", "/subjects", f"/config/{subject}", "/mode")
    with serving(registry_broker) as url:
        other = Registry(url)
        assert [other.get(path) for path in paths] == [registry.get(path) for path in paths]


def test_without_its_broker_it_answers_what_it_knows_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as running:
        broker = contextlib.ExitStack()
        connection = broker.enter_context(open_broker("embedded", tmp_path))
        make_log(connection)
        registry = Registry(running.enter_context(serving(connection)))
        id = registry.register("known", '"int"')
        monkeypatch.setattr("hub.registry.store.WRITE_SECONDS", 1.0)
        monkeypatch.setattr("hub.registry.store.ASK_MS", 300)
        broker.close()
        assert registry.get(f"/schemas/ids/{id}") == {"schema": '"int"'}
        assert registry.refused("GET", "/subjects/unknown/versions") == (404, 40401)
        assert registry.refused("POST", "/subjects/new/versions", sent('"long"'))[0] == 500
        assert registry.register("known", '"int"') == id
        assert registry.get("/subjects") == ["known"]
