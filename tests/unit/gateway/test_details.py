"""Details in Azerbaijani: no English is left in what a publisher can be told."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from gateway_room import Room, event, examiner, publisher_of
from world import catalogue

from hub.access import certificates, doorkeeper, tokens
from hub.gateway import about, ask, body, desk, protocol, publish
from hub.gateway.details import in_language
from hub.gateway.examine import Refusal
from hub.kafka import appending
from hub.views import receipts

ENGLISH = re.compile(
    r"\b(expected|found|should|must|the|an|of|at most|not|and|or|bytes|characters|nothing|another|string|integer)\b"
)
REFUSALS = {"Refused", "Unauthenticated", "Forbidden", "Retry", "Expired", "Wrong", "_away", "_refuse"}
VALUES: tuple[Any, ...] = (
    None, "", "x", 7, -1, 1.5, True, [], {}, ["x"], "2026-02-30", "2026-11-22T09:30:00.125999Z", "A" * 3000, 10**30,
    "9" * 26, {"string": "x"}, {"k": 1}, [None], [{}], "9999-99-99T00:00:00Z", -(10**9), "9998-01-01", "1900-01-01",
)  # fmt: skip
ATTRIBUTES = ("id", "source", "type", "time", "specversion", "sequence", "correlationid", "data", "data_base64", "Bad")


def odd(name: str) -> Iterator[Any]:
    made = event(name)
    data = made["data"]
    for field in data:
        yield made | {"data": {k: v for k, v in data.items() if k != field}}
        yield from (made | {"data": data | {field: value}} for value in VALUES)
    yield made | {"data": data | {"zzz": 1}}
    yield made | {"data": {k if k != "fin" else "fim": v for k, v in data.items()}}
    for attribute in ATTRIBUTES:
        yield from (made | {attribute: value} for value in VALUES)
    yield 5
    yield made | {"subject": next(iter(data.values()))}


@pytest.mark.parametrize("name", sorted(catalogue().types))
def test_of_every_type_and_field(name: str) -> None:
    for made in odd(name):
        for agency in (publisher_of(event(name)), "moc"):
            found = examiner().examine(agency, made)
            if isinstance(found, Refusal):
                told = in_language(found.rejection.detail, "az")
                words = re.sub(r"'[^']*'|/\S+|bunlardan biri: [A-Z0-9_, ]+|şablona uyğun olmalıdır: \S+", "", told)
                assert not ENGLISH.search(words), (found.rejection.detail, told)


def test_of_requests() -> None:
    room = Room()
    az = {"Accept-Language": "az"}
    answers = [
        room.publish(b"{", headers=az),
        room.publish(b"[]", headers=az),
        room.publish(event(), headers=az, params={"x": "1"}),
        room.publish(event(), headers=az | {"Content-Type": "text/plain"}),
        room.publish(event(), headers=az | {"Accept": "text/plain"}),
        room.publish(event(), headers=az | {"Content-Encoding": "gzip"}),
        room.publish(event(), "nobody", headers=az),
        room.ask("GET", "/v1/receipts", params={"limit": "0"}, headers=az),
        room.ask("GET", "/v1/receipts", params={"wait": "x"}, headers=az),
        room.ask("GET", "/v1/receipts", params={"since": "x"}, headers=az),
        room.ask("GET", "/v1/events/x", params={"y": "1"}, headers=az),
        room.ask("POST", "/v1/status/query", json={"fin": 1}, headers=az),
        room.ask("POST", "/v1/status/query", json={"fin": "AAAAAA1", "as_of": 1}, headers=az),
        room.ask("POST", "/v1/status/query", json={"fin": "AAAAAA1", "after": " "}, headers=az),
        room.ask("POST", "/v1/status/query", json=[], headers=az),
    ]
    for answer in answers:
        said = answer.json()["detail"]
        assert said and not ENGLISH.search(said), said


def said(module: ModuleType) -> Iterator[str]:
    """What a module refuses with, wherever it does; 7 stands for what is put in."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in REFUSALS:
            for given in node.args:
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    yield given.value
                elif isinstance(given, ast.JoinedStr):
                    yield "".join(part.value if isinstance(part, ast.Constant) else "7" for part in given.values)
                elif isinstance(given, ast.Name) and isinstance(text := getattr(module, given.id, None), str):
                    yield text


@pytest.mark.parametrize(
    "module",
    [appending, ask, about, body, certificates, desk, doorkeeper, protocol, publish, receipts, tokens],
    ids=lambda module: module.__name__,
)
def test_of_every_refusal(module: ModuleType) -> None:
    found = [text for text in said(module) if ENGLISH.search(text) or " " in text]
    assert found
    for text in found:
        told = in_language(text, "az")
        assert told != text and not ENGLISH.search(told), (text, told)


def test_a_question_without_parameters_says_so() -> None:
    answer = Room().ask("POST", "/v1/status/query", params={"x": "1"}, headers={"Accept-Language": "az"}, json={})
    assert answer.json()["detail"] == "gözlənilir: heç bir parametr"


def test_what_is_not_known_stays_as_it_is() -> None:
    assert in_language("something quite new", "az") == "something quite new"
    assert in_language("expected a string, found null", "en") == "expected a string, found null"
    assert in_language("expected a string, found null", "az") == "gözlənilir: mətn; tapılıb: null"
