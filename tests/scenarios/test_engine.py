"""Real workers on Apache Kafka, killed, frozen, stopped and made to fail in the middle of their work."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import time

import crc32c
import pytest
from aiokafka import AIOKafkaProducer
from load import Load, exactly_once
from workers import LANES, PARTITIONS, PATIENCE, SESSION, Stage, until


def test_a_record_on_which_the_hub_fails_is_the_only_one_refused(stage: Stage) -> None:
    one, other = stage.workers()
    before = (one.process.pid, other.process.pid)
    with Load(stage, "marked", marked=5) as load:
        load.finished()
    exactly_once(load)
    assert (one.alive, other.alive) == (True, True) and before == (one.process.pid, other.process.pid)
    failed = [line for worker in (one, other) for line in worker.said("step failed")]
    assert len(failed) == 5 and {line["error"] for line in failed} == {"KeyError"}
    assert "somebody's value" not in json.dumps(failed)
    assert not [line for worker in (one, other) for line in worker.said("starting again")]


def test_a_killed_worker_loses_nothing_and_doubles_nothing(stage: Stage) -> None:
    one, other = stage.workers()
    with Load(stage, "kill") as load:
        load.reached(500)
        at = one.signal(signal.SIGKILL)
        again = stage.start()
        load.finished()
    assert load.in_flight(at) > 10, "the fault hit work in flight"
    exactly_once(load)
    until(lambda: stage.shared(other, again), "the new worker has its share")


def test_a_worker_frozen_past_its_session_comes_back_without_harm(stage: Stage) -> None:
    one, other = stage.workers()
    with Load(stage, "freeze") as load:
        load.reached(500)
        at = one.signal(signal.SIGSTOP)
        try:
            until(lambda: len(other.numbers("ledger")) == len(other.numbers("gate")) == PARTITIONS, "taken over")
            frozen = time.time() - at
        finally:
            one.signal(signal.SIGCONT)
        load.finished()
        until(lambda: stage.shared(one, other), "it has its share again")
    assert frozen > SESSION / 2 and load.in_flight(at) > 10
    exactly_once(load)
    assert one.alive, "it came back in-process"


def test_a_worker_that_is_stopped_hands_over_at_once(stage: Stage) -> None:
    one, other = stage.workers()
    with Load(stage, "stop") as load:
        load.reached(500)
        before = other.numbers("ledger")
        at = one.signal(signal.SIGTERM)
        code = one.process.wait(PATIENCE)
        members = [stage.members(lane) for lane in LANES]
        until(lambda: len(other.numbers("ledger")) == len(other.numbers("gate")) == PARTITIONS, "taken over")
        load.finished()
    assert code == 0
    assert members == [1, 1], "it has left its groups: nobody waits for a session to time out"
    begun = other.since("ready", at, lane="ledger")
    assert all(line["kept"] for line in begun if line["number"] in before), "what it held goes on without a rebuild"
    assert load.in_flight(at) > 0
    exactly_once(load)


async def header_that_is_no_text(bootstrap: str, topic: str, partition: int) -> None:
    """A record whose header's name is not UTF-8: the broker takes it, Python's clients cannot read it."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    batch = producer.create_batch()
    batch.append(timestamp=None, key=b"k", value=b"v", headers=[("ABCD", b"x")])
    raw = bytearray(bytes(batch._build()).replace(b"ABCD", b"\xff\xfe\xfd\xfc"))
    struct.pack_into(">I", raw, 17, crc32c.crc32c(bytes(raw[21:])))
    batch._buffer = raw
    await (await producer.send_batch(batch, topic, partition=partition))
    await producer.stop()


@pytest.mark.long
def test_a_header_that_no_client_can_read_stops_nobody_else(stage: Stage) -> None:
    stage.workers()
    asyncio.run(header_that_is_no_text(stage.bootstrap, "in.asan", 1))
    with Load(stage, "unread") as load:
        load.finished()
    exactly_once(load)
