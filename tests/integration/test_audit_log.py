"""A writer's chain on a real broker: it goes on after a restart, a failure in the middle, and a rival of its name."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from brokers import make_topic
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from world import rules, schemas

from hub.access import Audit, audit_log
from hub.access.audit_log import AuditLog
from hub.access.entries import unpacker
from hub.access.verify import verify
from hub.engine import rebuild
from hub.errors import Retry
from hub.kafka.clients import producer
from hub.kafka.connection import Connection
from hub.kafka.reading import Record, read_all
from hub.metrics import Metrics

Name = Callable[[str], str]


def entry(action: str) -> dict[str, Any]:
    what = {"kind": "DENIAL", "agency": "mod", "action": action, "code": "x"}
    return {**what, "at": 1_800_000_000_000, "origin": None, "counts": {"times": 1}}


class Topic:
    """The audit of one test: a topic of its own, and its writers."""

    def __init__(self, broker: Connection, topic: str) -> None:
        self.broker, self.topic = broker, topic

    @contextlib.contextmanager
    def writer(self, name: str) -> Iterator[AuditLog]:
        log = AuditLog(self.broker, lambda: rules().codecs.audit, f"{name}.{self.topic}", self.topic)
        try:
            yield log
        finally:
            log.close()

    def records(self) -> list[Record]:
        return list(read_all(self.broker, self.topic, settle=5))

    def actions(self) -> list[str]:
        """In the order of the chains; which are whole."""
        records, unpack = self.records(), unpacker(schemas())
        assert verify(records, unpack)[1] == []
        return [str(unpack(each.value or b"")["action"]) for each in records]


@pytest.fixture
def topic(broker: Connection, name: Name, monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = make_topic(broker, name("audit"), 3)
    monkeypatch.setattr(audit_log, "TOPIC", made)
    return Topic(broker, made)


def test_a_restart_goes_on_with_the_chain(topic: Topic) -> None:
    with topic.writer("gateway") as log:
        log.write([entry("1"), entry("2")])
        log.write([entry("3")])
    with topic.writer("gateway") as log:
        log.write([entry("4")])
    assert topic.actions() == ["1", "2", "3", "4"]
    chains, _ = verify(topic.records(), unpacker(schemas()))
    assert [(c.writer, c.entries, c.number) for c in chains.values()] == [(f"gateway.{topic.topic}", 4, 4)]


@contextlib.contextmanager
def left_open(client: KafkaProducer, topic: Topic, meanwhile: Callable[[], None]) -> Iterator[None]:
    """A transaction that stays open while something is written, and is ended a second later."""
    client.begin_transaction()
    client.send(topic.topic, b"never decided", b"killed", partition=0).get(timeout=10)
    meanwhile()
    ended = threading.Timer(1.0, client.abort_transaction)
    ended.start()
    yield
    ended.join()


def test_what_another_writer_has_left_open_hides_no_entries(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker that was killed does, until its transaction is ended."""
    monkeypatch.setattr(audit_log, "crc32", lambda _: 0)
    monkeypatch.setattr(rebuild, "AUDIT", topic.topic)
    with topic.writer("gateway") as log:
        log.write([entry("1")])
        with producer(topic.broker, transactional_id=topic.topic) as killed:
            killed.init_transactions()
            with left_open(killed, topic, lambda: log.write([entry("2")])):
                codecs, writer = rules().codecs, f"gateway.{topic.topic}"
                chain = asyncio.run(rebuild.last_link(topic.broker, codecs, 0, writer))
            with (
                left_open(killed, topic, lambda: log.write([entry("3")])),
                topic.writer("gateway") as restarted,
            ):
                restarted.write([entry("4")])
    assert chain.number == 2
    assert topic.actions() == ["1", "2", "3", "4"]


def test_the_end_of_a_chain_is_found_behind_many_entries_of_others(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "STEP", 2)
    monkeypatch.setattr(audit_log, "crc32", lambda _: 0)  # one partition for both
    with topic.writer("gateway") as log:
        log.write([entry("first")])
    with topic.writer("registry") as other:
        for number in range(4):
            other.write([entry(f"other {number}-{i}") for i in range(10)])
    with topic.writer("gateway") as log:
        log.write([entry("second")])
    assert topic.actions()[0] == "first" and topic.actions()[-1] == "second"


def test_two_processes_of_one_name_fence_each_other_and_the_chain_stays_whole(topic: Topic) -> None:
    with topic.writer("gateway") as one, topic.writer("gateway") as other:
        one.write([entry("1")])
        other.write([entry("2")])
        with pytest.raises(KafkaError):
            one.write([entry("3")])
        one.write([entry("3")])
        with pytest.raises(KafkaError):
            other.write([entry("4")])
        other.write([entry("4")])
    assert topic.actions() == ["1", "2", "3", "4"]


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not-committed"])
def test_an_attempt_whose_outcome_is_unknown_is_neither_lost_nor_doubled(
    topic: Topic, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    commit = KafkaProducer.commit_transaction

    def cut(client: KafkaProducer) -> None:
        if committed:
            commit(client)
        monkeypatch.setattr(KafkaProducer, "commit_transaction", commit)
        raise KafkaTimeoutError("the answer was lost")

    with topic.writer("gateway") as log:
        log.write([entry("1")])
        monkeypatch.setattr(KafkaProducer, "commit_transaction", cut)
        with pytest.raises(KafkaTimeoutError):
            log.write([entry("2"), entry("3")])
        log.write([entry("2"), entry("3")])
        log.write([entry("4")])
    assert topic.actions() == ["1", "2", "3", "4"]


def test_the_audit_of_a_door_gets_there(topic: Topic) -> None:
    with (
        topic.writer("gateway") as log,
        Audit(log, Metrics(), every=0.05) as audit,
    ):
        audit.denied(None, "come in at gateway", "token_unknown", count=3)
        audit.left("mia", {("az.zefer.T", "law-1"): 2})
    assert sorted(topic.actions()) == ["answer a status query", "come in at gateway"]


def test_a_topic_that_is_not_there_is_waited_for(
    broker: Connection, name: Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = name("audit-late")
    monkeypatch.setattr(audit_log, "TOPIC", late)
    topic = Topic(broker, late)
    with topic.writer("gateway") as log:
        with pytest.raises(Retry, match=late):
            log.write([entry("1")])
        make_topic(broker, late)
        log.write([entry("1")])
    assert topic.actions() == ["1"]
