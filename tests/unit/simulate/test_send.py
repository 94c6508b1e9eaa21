"""Answers of providers, and what the report counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata, TopicPartition
from world import NOW, Memory, Rec, catalogue, rules, schemas, unpack

from hub.errors import Code
from hub.event import header
from hub.kafka.connection import Connection
from hub.simulate.answers import COMPLETED, REQUESTED, Offices, Providers, Receiving
from hub.simulate.desk import forms_of
from hub.simulate.people import Population
from hub.simulate.planned import Planned, Sort
from hub.simulate.report import Report
from hub.simulate.send import Sender
from tests.unit.simulate.books import ids, planned


@pytest.fixture
def offices() -> Offices:
    form = forms_of(catalogue(), ids())[COMPLETED]
    return Offices(form, Population(1, 100, tuple(catalogue().districts)), 1, "tag")


@pytest.fixture
def sent() -> list[Planned]:
    return []


@pytest.fixture
def providers(offices: Offices, sent: list[Planned]) -> Providers:
    """They read nothing by themselves; with a clock set far ahead every answer is due."""
    nowhere = Connection.plain("127.0.0.1:1")
    return Providers(nowhere, catalogue(), Receiving(schemas()), offices, sent.append, lambda: NOW)


def request() -> Planned:
    return next(record for record in planned(seed=4, rate=100, seconds=5) if record.sort is Sort.REQUEST)


def carry(memory: Memory, record: Planned) -> None:
    memory.carry(Rec(f"in.{record.agency}", 0, 0, record.key, record.value, record.headers))


def receive(providers: Providers, memory: Memory, type_name: str) -> None:
    """Hand providers what came for them in `out.*`."""
    for code in catalogue().agencies:
        for record in memory.all(f"out.{code}"):
            if header(record.headers, "ce_type") == type_name.encode():
                providers.take(providers.receiving.read(code, record.headers, record.value or b""))


def test_a_request_reaches_one_provider_and_comes_back_completed(providers: Providers, sent: list[Planned]) -> None:
    memory, asked = Memory(), request()
    carry(memory, asked)
    receive(providers, memory, REQUESTED)
    assert providers.seen == 1
    providers.now = lambda: NOW + 10**9
    providers.answer()
    (answer,) = sent
    assert answer.type == COMPLETED
    assert answer.agency == unpack(asked.value)["provider"]
    assert unpack(answer.value)["case_number"] == unpack(asked.value)["case_number"]
    carry(memory, answer)
    receive(providers, memory, COMPLETED)
    assert providers.returned == 1


def test_an_answer_names_its_cause_and_keeps_the_rules(offices: Offices) -> None:
    memory, asked = Memory(), request()
    carry(memory, asked)
    provider = unpack(asked.value)["provider"]
    (record,) = memory.all(f"out.{provider}")
    received = Receiving(schemas()).read(provider, record.headers, record.value or b"")
    answer = offices.answer(received, NOW)
    attributes = dict(answer.headers)
    assert attributes["ce_causationid"] == attributes["ce_correlationid"] == header(record.headers, "ce_id")
    assert rules().checks[COMPLETED](unpack(answer.value), provider) is None


def test_the_same_request_twice_is_answered_once(providers: Providers, sent: list[Planned]) -> None:
    memory = Memory()
    carry(memory, request())
    receive(providers, memory, REQUESTED)
    receive(providers, memory, REQUESTED)
    providers.now = lambda: NOW + 10**9
    providers.answer()
    providers.answer()
    assert len(sent) == providers.answered == 1


class FakeProducer:
    """Acknowledges at offset 7, or fails as it was told: at once, or later."""

    def __init__(self, at_once: Exception | None = None, later: Exception | None = None) -> None:
        self.at_once, self.later = at_once, later

    async def send(self, topic: str, value: bytes, key: bytes, headers: Any) -> asyncio.Future[RecordMetadata]:
        if self.at_once:
            raise self.at_once
        future = asyncio.get_running_loop().create_future()
        if self.later:
            future.set_exception(self.later)
        else:
            future.set_result(RecordMetadata(topic, 2, TopicPartition(topic, 2), 7, NOW, 0, 0))
        return future


def send(producer: FakeProducer, record: Planned) -> Report:
    report = Report(1, 1, 1)

    async def once() -> None:
        await Sender(producer, report).send(record)  # type: ignore[arg-type]
        await asyncio.sleep(0)

    asyncio.run(once())
    return report


def test_what_is_acknowledged_is_expected_at_its_place() -> None:
    asked = request()
    report = send(FakeProducer(), asked)
    assert report.acknowledged == report.requests == 1
    assert report.expected[f"in.{asked.agency}", 2] == {7: Sort.REQUEST}


@pytest.mark.parametrize("name", ["at_once", "later"])
def test_what_fails_is_counted_and_the_run_goes_on(name: str) -> None:
    failed = KafkaTimeoutError() if name == "later" else MessageSizeTooLargeError()
    report = send(FakeProducer(**{name: failed}), request())
    assert report.failed == {type(failed).__name__: 1}
    assert (report.sent.total(), report.acknowledged, dict(report.expected)) == (1, 0, {})


def test_a_report_says_what_outcomes_were_planned() -> None:
    report = Report(1, 1, None)
    report.sorts.update([Sort.LIVE, Sort.LATE, Sort.DUPLICATE, Sort.CONFLICT, Sort.FIN_INVALID])
    expected = {"APPLIED": 2, "DUPLICATE": 1, Code.IDENTITY_CONFLICT.value: 1, Code.FIN_INVALID.value: 1}
    assert report.as_dict()["outcomes_planned"] == expected
