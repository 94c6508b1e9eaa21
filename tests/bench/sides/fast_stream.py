"""FastStream on Confluent's client: a subscriber for each hop; no transactions, what is remembered is in memory."""

from __future__ import annotations

import asyncio
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker, KafkaMessage
from job import BOOTSTRAP, EVENTS, GROUP, IN, NOBODY, ONE, STATUS, TWO, Person, job, person_id, remember

JOB = job()
STATE: dict[str, Person] = {}
broker = KafkaBroker(BOOTSTRAP, decoder=lambda message: message.body, logger=None)
HOW: dict[str, Any] = {"auto_offset_reset": "earliest", "ack_policy": AckPolicy.ACK}


@broker.subscriber(IN, group_id=f"{GROUP}-gate", **HOW)
async def gate(value: bytes) -> None:
    event = JOB.check(value)
    if event is not None:
        await broker.publish(value, EVENTS, key=person_id(event["fin"]).encode(), no_confirm=True)


@broker.subscriber(EVENTS, group_id=f"{GROUP}-ledger", **HOW)
async def ledger(value: bytes, message: KafkaMessage) -> None:
    event = JOB.decode(value)
    assert event is not None
    person = person_id(event["fin"])
    before, key = STATE.get(person, NOBODY), person.encode()
    if event["event_id"] in before.seen:
        return
    STATE[person] = after = remember(before, event)
    one, two = JOB.project(event)
    await broker.publish(one, ONE, key=key, no_confirm=True)
    await broker.publish(two, TWO, key=key, no_confirm=True)
    await broker.publish(JOB.status(person, after), STATUS, key=key, no_confirm=True)


if __name__ == "__main__":
    asyncio.run(FastStream(broker).run())
