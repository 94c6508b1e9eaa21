"""Requests made from the OpenAPI document, well and badly formed: no failure of the hub's, and nothing undocumented."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import schemathesis
from gateway_room import Room
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.control import SkipTest
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from world import VETERAN

from hub.gateway.operations import EVENT

ROOM = Room()
EXAMPLES = 12
SHOWN = (VETERAN, "az.zefer.service.ServiceRequested")
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
)


def loaded(mode: GenerationMode) -> Any:
    """The document with two of its event types: making one of 26 takes more time than all the rest."""
    said = copy.deepcopy(ROOM.document.said)
    event = said["components"]["schemas"][EVENT]
    event["oneOf"] = [{"$ref": event["discriminator"]["mapping"][name]} for name in SHOWN]
    event["discriminator"]["mapping"] = {name: event["discriminator"]["mapping"][name] for name in SHOWN}
    config = schemathesis.Config.from_dict({"generation": {"mode": mode.value}})
    schema = schemathesis.openapi.from_dict(said, config=config)
    schema.app = ROOM.app
    return schema


def operations(schema: Any) -> list[Any]:
    return [found.ok() for found in schema.get_all_operations()]


GOOD, BAD = loaded(GenerationMode.POSITIVE), loaded(GenerationMode.NEGATIVE)
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)


def called(case: Any) -> Any:
    """As an agency, now and then as nobody; not waiting for what never comes."""
    if isinstance(case.query, dict) and "wait" in case.query:
        case.query["wait"] = "0"
    case.headers = {**(case.headers or {}), "Authorization": "Bearer mod"}
    return case.call()


def tried(operation: Any, mode: GenerationMode) -> None:
    """Each operation is a test of its own: what schemathesis calls its subtests is lost between processes."""

    @BOUNDED
    @given(operation.as_strategy(generation_mode=mode))
    def tries(case: Any) -> None:
        answer = called(case)
        case.validate_response(answer, checks=CHECKS)

    tries()


@pytest.mark.parametrize("operation", operations(GOOD), ids=lambda operation: operation.label)
def test_well_formed(operation: Any) -> None:
    tried(operation, GenerationMode.POSITIVE)


@pytest.mark.parametrize("operation", operations(BAD), ids=lambda operation: operation.label)
def test_badly_formed(operation: Any) -> None:
    try:
        tried(operation, GenerationMode.NEGATIVE)
    except SkipTest:
        pytest.skip("nothing of it can be badly formed")


def test_every_operation_was_there() -> None:
    assert {operation.path for operation in operations(GOOD)} == {route.path for route in ROOM.routes}
