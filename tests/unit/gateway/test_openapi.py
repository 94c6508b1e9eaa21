"""The OpenAPI document is valid, complete and true."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from gateway_room import Room, event, publisher_of
from openapi_spec_validator import validate
from world import VETERAN, catalogue, moved_on

from hub.avro.codec import encode, from_json
from hub.avro.invalid import Invalid
from hub.errors import Admission, Door, Question
from hub.gateway.data_schema import component
from hub.gateway.operations import OPERATIONS, problems_of

ROOM = Room()
SAID: dict[str, Any] = ROOM.document.said
TYPES = sorted(catalogue().types)
NOT_OF_AN_OPERATION = {
    Door.ROUTE_UNKNOWN,
    Door.METHOD_NOT_ALLOWED,
    Admission.REGISTRY_RIGHT_MISSING,
    Admission.CERTIFICATE_INVALID,
}


def checker(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": SAID["components"]})


def test_it_is_valid_openapi() -> None:
    validate(SAID)


def test_it_is_served_without_a_token() -> None:
    answer = ROOM.ask("GET", "/openapi.json", None)
    assert answer.status_code == 200 and answer.json() == json.loads(json.dumps(SAID))


def test_every_route_is_in_it_and_nothing_else() -> None:
    every = {(route.path, method.lower()) for route in ROOM.routes for method in route.methods or ()}
    routes = {(path, method) for path, method in every if method != "head"}
    assert routes == {(path, method) for path, item in SAID["paths"].items() for method in item}


def test_every_code_of_the_door_is_documented() -> None:
    said = {code for operation in OPERATIONS for codes in problems_of(operation).values() for code in codes}
    assert said | {Door.EVENTS_REJECTED} == {*Door, *Question, *Admission} - NOT_OF_AN_OPERATION


def test_every_reference_leads_somewhere() -> None:
    schemas = SAID["components"]["schemas"]
    text = json.dumps(SAID)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(schemas) and {component(name) for name in TYPES} <= set(schemas)


@pytest.mark.parametrize("name", TYPES)
def test_an_example_of_each_type_fits(name: str) -> None:
    made = event(name)
    checker("Event").validate(made)
    checker(component(name)).validate(made["data"])


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_of_the_data_says_what_the_hub_takes(name: str) -> None:
    """For every field: left out, of another kind, or empty; where Avro refuses, the schema does, and the other way."""
    data, schema = event(name)["data"], catalogue().types[name].schema
    for field in data:
        wrong = [{k: v for k, v in data.items() if k != field}]
        wrong += [{**data, field: value} for value in (None, "", "x", 7, -1, 1.5, True, [], {}, ["x"], "2026-02-30")]
        for value in wrong:
            taken = _taken(schema, value)
            fits = checker(component(name)).is_valid(value)
            # a pattern cannot say that no calendar has a day; patterns and lists are the gate's to judge, not Avro's
            assert fits <= taken or "2026-02-30" in value.values(), (field, value)
            if not fits and taken:
                made = event(name) | {"data": value}
                refused = ROOM.publish(made, publisher_of(made))
                assert refused.status_code == 422, (field, value)


def _taken(schema: Any, data: Any) -> bool:
    try:
        encode(schema, from_json(schema, data), b"")
    except Invalid:
        return False
    return True


def answers() -> list[tuple[str, str, Any]]:
    """(operation, path, answer) of what can be asked in memory."""
    room = Room()
    odd = [event(id="a"), event(id="b", data={"category": "X"})]
    question = {"fin": "AAAAAA1"}
    return [
        ("publish", "/v1/events", room.publish(event())),
        ("publish", "/v1/events", room.publish(odd)),
        ("publish", "/v1/events", room.publish([{}])),
        ("publish", "/v1/events", room.publish(event(id="d"), params={"dry_run": "true"})),
        ("publish", "/v1/events", room.publish(b"{")),
        ("publish", "/v1/events", room.publish(event(), "nobody")),
        ("publish", "/v1/events", room.publish(event(), headers={"Content-Type": "text/plain"})),
        ("publish", "/v1/events", room.publish(event(), headers={"Accept": "image/png"})),
        ("whoami", "/v1/whoami", room.ask("GET", "/v1/whoami")),
        ("whoami", "/v1/whoami", room.ask("GET", "/v1/whoami", params={"x": 1})),
        ("catalogue", "/v1/catalogue", room.ask("GET", "/v1/catalogue", "zefer")),
        ("event", "/v1/events/{id}", room.ask("GET", "/v1/events/e-1")),
        ("receipts", "/v1/receipts", room.ask("GET", "/v1/receipts", params={"limit": 0})),
        ("status", "/v1/status/query", room.ask("POST", "/v1/status/query", json=question)),
        ("status", "/v1/status/query", room.ask("POST", "/v1/status/query", "moc", json=question)),
        ("alive", "/healthz", room.ask("GET", "/healthz", None)),
        ("ready", "/readyz", room.ask("GET", "/readyz", None)),
        ("metrics", "/metrics", room.ask("GET", "/metrics", None)),
    ]


@pytest.mark.parametrize(("id", "path", "answer"), answers())
def test_what_is_answered_is_what_is_documented(id: str, path: str, answer: Any) -> None:
    operation = next(o for o in SAID["paths"][path].values() if o["operationId"] == id)
    documented = operation["responses"][str(answer.status_code)]
    media = answer.headers["content-type"].split(";")[0]
    schema = documented["content"][media]["schema"]
    if media != "text/plain":
        whole = {**schema, "components": SAID["components"]}
        jsonschema.Draft202012Validator(whole).validate(answer.json())
    for name in documented.get("headers", {}):
        assert name.lower() in answer.headers


def test_whoami_and_catalogue_say_what_the_catalogue_says() -> None:
    said = ROOM.ask("GET", "/v1/whoami").json()
    assert said["agency"] == "mod" and said["source"] == "urn:az:agency:mod" and VETERAN in said["publishes"]
    found = ROOM.ask("GET", "/v1/catalogue", headers={"Accept-Language": "az"}).json()
    assert [p["type"] for p in found["publishes"]] == said["publishes"]
    received = {r["type"]: r for r in found["receives"]}
    assert set(received) == set(said["receives"])
    mine = next(e for e in catalogue().entitlements[VETERAN] if e.agency == "mod")
    assert set(received[VETERAN]["fields"]["masked"]) == mine.masked
    assert received[VETERAN]["law"] == catalogue().bases[mine.basis].name.az
    assert received[VETERAN]["when"] == {"service_branch": ["ARMY"]}


def test_the_catalogue_names_the_ids_of_what_it_has_itself() -> None:
    """And not those of a newer version that a type's owner has registered."""
    first, second = Room(), Room(registered=moved_on())
    for agency in ("mod", "zefer"):
        found = [room.ask("GET", "/v1/catalogue", agency).json() for room in (first, second)]
        assert found[0] == found[1]


def test_a_wrong_method_or_path_is_a_problem_too() -> None:
    wrong = ROOM.ask("DELETE", "/v1/events")
    assert (
        wrong.status_code == 405 and wrong.headers["allow"] == "POST" and wrong.json()["code"] == "method_not_allowed"
    )
    assert ROOM.ask("GET", "/v1/nothing").json()["code"] == "route_unknown"
    assert ROOM.ask("GET", "/v1/whoami/").status_code == 404
