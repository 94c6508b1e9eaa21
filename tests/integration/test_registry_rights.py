"""Who may do what: deny by default, the owner of a type registers it, what is the hub's own is linted."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from kafka.errors import KafkaTimeoutError
from registry_server import Registry, sent, serving

from hub import registry as schema_registry
from hub.catalogue import load
from hub.kafka.connection import Connection
from hub.registry import soundness, store
from hub.registry.store import Store

TYPE = "az.zefer.veteran.VeteranStatusGranted"
OTHER_TYPE = "az.zefer.service.ServiceRequested"
OWNER = load().types[TYPE].owner
OTHER = "mod"
SCHEMA = load().types[TYPE].schema
Name = Callable[[str], str]


@pytest.fixture(scope="module")
def closed(registry_broker: Connection) -> Iterator[str]:
    schema_registry.register(registry_broker, load().schemas())
    with serving(registry_broker, "closed", frozenset({"meis"})) as url:
        yield url


def changed(**change: Any) -> dict[str, Any]:
    """The type with one field more."""
    schema = copy.deepcopy(SCHEMA)
    field = {"name": "note", "type": ["null", "string"], "default": None, "doc": "A note.", "classification": "open"}
    schema["fields"].append({k: v for k, v in (field | change).items() if v != "left out"})
    return schema


def test_nobody_reads_a_closed_registry(closed: str) -> None:
    for method, path in (("GET", "/subjects"), ("GET", "/schemas/ids/1"), ("PUT", "/config"), ("DELETE", "/mode")):
        assert Registry(closed).refused(method, path, {} if method == "PUT" else None) == (401, 40101)
    assert Registry(closed).get("/") == {}
    assert TYPE in Registry(closed, OTHER).get("/subjects")


def test_what_is_there_already_is_answered_to_every_agency(closed: str) -> None:
    id = Registry(closed, OTHER).get(f"/subjects/{TYPE}/versions/latest")["id"]
    assert Registry(closed, OTHER).register(TYPE, SCHEMA) == id


def test_only_the_owner_registers_a_new_version(closed: str, registry_broker: Connection) -> None:
    path = f"/subjects/{TYPE}/versions"
    found = Registry(closed, OTHER).ask("POST", path, sent(changed()))
    assert (found.status, found.body["error_code"]) == (403, 40301)
    assert "auto.register.schemas=false" in found.body["message"]
    assert Registry(closed).refused("POST", path, sent(changed())) == (401, 40101)
    assert Registry(closed, OTHER).get(path) == [1]


def test_the_right_is_asked_of_the_state_that_is_written(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody without the right registers again is deleted just before his request is decided."""
    path, note, change = f"/subjects/{TYPE}/versions", sent(changed(name="race_note")), Store.change
    operator = Registry(closed, "meis")
    assert operator.ask("POST", path, note).status == 200
    version = operator.get(f"{path}/latest")["version"]

    def deleted_just_before(store: Store, *given: Any) -> Any:
        monkeypatch.setattr(Store, "change", change)
        assert operator.ask("DELETE", f"{path}/latest").body == version > 1
        return store.change(*given)

    monkeypatch.setattr(Store, "change", deleted_just_before)
    assert Registry(closed, OTHER).refused("POST", path, note) == (403, 40301)
    assert operator.get(path) == [1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"doc": "left out"}, "has no doc"),
        ({"classification": "left out"}, "no classification"),
        ({"classification": "secret"}, "unknown classification"),
        ({"type": {"type": "array", "items": "null"}, "default": []}, "takes no bytes"),
        ({"type": ["null", "VeteranStatusGranted"]}, "contains itself"),
        ({"name": "Note"}, "lower_snake_case"),
    ],
)
def test_what_is_the_hubs_own_is_linted(closed: str, change: dict[str, Any], said: str) -> None:
    found = Registry(closed, OWNER).ask("POST", f"/subjects/{TYPE}/versions", sent(changed(**change)))
    assert (found.status, found.body["error_code"]) == (422, 42201)
    assert said in found.body["message"]


def test_own_subjects_stay_readable_and_need_their_records_name(closed: str) -> None:
    less = {**SCHEMA, "fields": SCHEMA["fields"][1:]}
    more = changed(type="string", default="left out")
    owner = Registry(closed, OWNER)
    assert owner.get(f"/config/{TYPE}", defaultToGlobal=True) == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
    assert owner.refused("POST", f"/subjects/{TYPE}/versions", sent(more)) == (409, 409)
    assert owner.ask("POST", f"/compatibility/subjects/{TYPE}/versions", sent(less)).body == {"is_compatible": False}
    renamed = {**SCHEMA, "name": "Other"}
    assert owner.refused("POST", f"/subjects/{TYPE}/versions", sent(renamed)) == (422, 42201)


@pytest.mark.parametrize(
    ("edit", "code", "said"),
    [
        (lambda schema: schema["fields"].pop(0), 409, "'fin'"),
        (lambda schema: schema["fields"][5]["type"]["symbols"].append("PEACE"), 409, "PEACE"),
        (lambda schema: schema.update(key={"person": "name"}), 42201, "keyed by fin"),
    ],
    ids=["no person", "another symbol", "another key"],
)
def test_what_a_running_hub_could_not_read_comes_with_the_catalogue(
    closed: str, edit: Callable[[dict[str, Any]], None], code: int, said: str
) -> None:
    schema = copy.deepcopy(SCHEMA)
    edit(schema)
    for somebody in (OWNER, "meis"):
        found = Registry(closed, somebody).ask("POST", f"/subjects/{TYPE}/versions", sent(schema))
        assert found.body["error_code"] == code and said in found.body["message"], found
    assert Registry(closed, OWNER).get(f"/subjects/{TYPE}/versions") == [1]


@pytest.mark.parametrize("version", ["", "/1", "/latest"])
def test_what_is_called_compatible_may_be_registered(closed: str, version: str) -> None:
    """Also where the level alone would allow it, and by none of the versions that are compared."""
    path, operator = f"/compatibility/subjects/{TYPE}/versions{version}", Registry(closed, "meis")
    less = {**SCHEMA, "fields": SCHEMA["fields"][1:]}
    unkeyed, undocumented = {**changed(), "key": {"person": "name"}}, changed(doc="left out")
    for level in ("BACKWARD_TRANSITIVE", "NONE"):
        operator.ask("PUT", f"/config/{TYPE}", {"compatibility": level})
        found = operator.ask("POST", path, sent(less), verbose=True).body
        assert found["is_compatible"] is False and "'fin'" in found["messages"][0], found
        assert "hub schema register" in found["messages"][-1]
        assert operator.ask("POST", path, sent(changed())).body == {"is_compatible": True}
        for schema in (unkeyed, undocumented):
            assert operator.refused("POST", path, sent(schema)) == (422, 42201)
    operator.ask("DELETE", f"/config/{TYPE}")


def test_what_the_hub_registered_is_compatible_with_itself(closed: str) -> None:
    """Its lint would not take each of it as somebody's new type."""
    registry, catalogue = Registry(closed, "meis"), load()
    refused = [subject for subject, text in catalogue.schemas() if soundness.own_problems(subject, json.loads(text))]
    assert refused, "else there is nothing to see here"
    for subject, text in catalogue.schemas():
        found = registry.ask("POST", f"/compatibility/subjects/{subject}/versions", {"schema": text}, verbose=True)
        assert found.body == {"is_compatible": True, "messages": []}, subject


def test_confluents_client_is_told_so_before_it_registers(closed: str) -> None:
    client = SchemaRegistryClient({"url": closed, "basic.auth.user.info": f"{OWNER}:{OWNER}"})
    less = Schema(json.dumps({**SCHEMA, "fields": SCHEMA["fields"][1:]}), "AVRO")
    assert client.test_compatibility(TYPE, less) is False
    assert client.test_compatibility(TYPE, Schema(json.dumps(changed()), "AVRO")) is True
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(TYPE, less)
    assert refused.value.error_code == 409


@pytest.mark.parametrize("digits", [{"scale": 4}, {"precision": 10}, {"precision": 14}])
def test_the_digits_of_a_types_decimal_stay(closed: str, digits: dict[str, int]) -> None:
    """More digits too: a hub whose catalogue has fewer would not read them."""
    type = load().types["az.zefer.support.VoucherIssued"]
    schema = copy.deepcopy(type.schema)
    index = next(i for i, field in enumerate(schema["fields"]) if field["name"] == "value")
    schema["fields"][index]["type"][1].update(digits)
    found = Registry(closed, type.owner).ask("POST", f"/subjects/{type.name}/versions", sent(schema))
    assert (found.status, found.body["error_code"]) == (409, 409), found
    assert f"'/fields/{index}/type/1'" in found.body["message"] and "decimal(12, 2)" in found.body["message"]


def test_a_type_of_the_hub_refers_to_no_other_subject(closed: str) -> None:
    inner = {"name": OTHER_TYPE, "subject": OTHER_TYPE, "version": 1}
    found = Registry(closed, OWNER).ask("POST", f"/subjects/{TYPE}/versions", sent(changed(), references=[inner]))
    assert found.body["error_code"] == 42201 and "complete in itself" in found.body["message"], found


def test_a_closed_registry_takes_nothing_that_is_not_the_hubs(closed: str, name: Name) -> None:
    path = f"/subjects/{name('in.mod-value')}/versions"
    found = Registry(closed, OWNER).ask("POST", path, sent(changed()))
    assert (found.status, found.body["error_code"]) == (403, 40301)
    assert "RecordNameStrategy" in found.body["message"]


def test_only_operators_administer(closed: str, name: Name) -> None:
    for method, path, body in (
        ("DELETE", f"/subjects/{TYPE}", None),
        ("DELETE", f"/subjects/{TYPE}/versions/1", None),
        ("PUT", f"/config/{TYPE}", {"compatibility": "NONE"}),
        ("PUT", "/config", {"compatibility": "NONE"}),
        ("DELETE", f"/config/{TYPE}", None),
        ("PUT", "/mode", {"mode": "READONLY"}),
        ("PUT", f"/mode/{TYPE}", {"mode": "READONLY"}),
        ("DELETE", f"/mode/{TYPE}", None),
    ):
        assert Registry(closed, OWNER).refused(method, path, body) == (403, 40301), path
    operator = Registry(closed, "meis")
    assert operator.ask("PUT", f"/config/{TYPE}", {"compatibility": "FULL"}).status == 200
    assert operator.ask("DELETE", f"/config/{TYPE}").status == 200


def test_in_an_open_registry_too_the_hubs_own_is_its_owners(registry: Registry, closed: str) -> None:
    path = f"/subjects/{TYPE}/versions"
    assert registry.refused("POST", path, sent(changed())) == (401, 40101)
    assert Registry(registry.url, OTHER).refused("POST", path, sent(changed())) == (403, 40301)
    assert registry.refused("DELETE", f"/subjects/{TYPE}") == (401, 40101)


def test_a_wrong_proof_is_no_proof(registry: Registry) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(f"{registry.url}/subjects", headers={"authorization": "Basic bW9kOndyb25n"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 401 and json.load(refused.value)["error_code"] == 40101


def test_the_owner_registers_the_next_version_and_nobody_removes_one_for_good(closed: str) -> None:
    """Kept events name it by its id."""
    owner = Registry(closed, OWNER)
    id = owner.register(TYPE, changed())
    latest = owner.get(f"/subjects/{TYPE}/versions/latest")
    assert latest["id"] == id
    operator, path = Registry(closed, "meis"), f"/subjects/{TYPE}/versions/{latest['version']}"
    assert operator.ask("DELETE", path).body == latest["version"]
    assert operator.refused("DELETE", path, permanent=True) == (422, 42205)
    assert owner.get(f"/schemas/ids/{id}")["schema"]


@pytest.mark.parametrize("subject", [TYPE, "hub.AuditEntry"])
def test_what_the_hub_runs_on_is_not_deleted(closed: str, subject: str) -> None:
    operator, path = Registry(closed, "meis"), f"/subjects/{subject}"
    there = operator.get(f"{path}/versions")
    used = operator.ask("POST", path, sent(dict(load().schemas())[subject])).body["version"]
    for gone in (path, f"{path}/versions/{used}"):
        found = operator.ask("DELETE", gone)
        assert (found.status, found.body["error_code"]) == (422, 42205), found
        assert "take the type out of the catalogue" in found.body["message"]
    assert operator.get(f"{path}/versions") == there


@pytest.mark.parametrize("written", [True, False])
def test_a_change_is_told_once_though_the_brokers_answers_are_lost(
    registry_broker: Connection, name: Name, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    """Whether it is there or not; and nothing is told where nothing is to be written."""
    told, commit, tries = list[tuple[str | None, str, str]](), store._commit, list[int]()

    def lost(*given: Any) -> int:
        tries.append(commit(*given) if written else 0)
        if written and len(tries) == 2:  # the level: to set it again writes it again
            return tries[1]
        raise KafkaTimeoutError

    with serving(registry_broker, operators=frozenset({"mod"}), changes=lambda *line: told.append(line)) as url:
        somebody, subject = Registry(url, "mod"), name("told")
        with monkeypatch.context() as away:
            away.setattr(store, "_commit", lost)
            away.setattr(store, "WRITE_SECONDS", 2.0)
            for method, path, body in (
                ("POST", f"/subjects/{subject}/versions", sent('"int"')),
                ("PUT", f"/config/{subject}", {"compatibility": "FULL"}),
                ("DELETE", f"/config/{subject}", None),
            ):
                tries.clear()
                found = somebody.ask(method, path, body)
                assert found.status == (200 if written else 404 if method == "DELETE" else 500), found
        done = [
            ("mod", "register", subject),
            ("mod", "set the level FULL", subject),
            ("mod", "take back the level", subject),
        ]
        assert told == (done if written else done[:2])
        if written:
            somebody.register(subject, '"int"')
            assert told == done
