"""The hand-written side: confluent-kafka and fastavro, two hops, a thread and a transactional producer for each.

What was sent and the offsets are one transaction; the state takes a batch's changes after its commit, and is read
back from what was sent to the first receiver when the program starts. Any error ends it: its supervisor's business.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from job import BOOTSTRAP, EVENTS, GROUP, IN, NOBODY, ONE, STATUS, TWO, Person, job, person_id, remember

BATCH = 4000
WAIT_SECONDS = 0.02
STOP = threading.Event()
JOB = job()
State = dict[str, Person]


def gate(messages: list[Any], producer: Producer) -> State:
    """Checked and keyed by person; what does not decode is dropped here (the input has none)."""
    for message in messages:
        value = message.value()
        event = JOB.check(value)
        if event is not None:
            producer.produce(EVENTS, value, person_id(event["fin"]))
    return {}


class Ledger:
    """Remembers each person's ids; one record to each receiver, one status a person and batch."""

    def __init__(self) -> None:
        self.state: State = {}

    def __call__(self, messages: list[Any], producer: Producer) -> State:
        changes: State = {}
        for message in messages:
            key = message.key().decode()
            event = JOB.decode(message.value())
            assert event is not None
            before = changes.get(key) or self.state.get(key, NOBODY)
            if event["event_id"] in before.seen:
                continue
            changes[key] = after = remember(before, event)
            one, two = JOB.project(event)
            partition = message.partition()
            producer.produce(ONE, one, key, partition)
            producer.produce(TWO, two, key, partition)
            producer.produce(STATUS, JOB.status(key, after), key, partition)
        return changes

    def read_back(self) -> None:
        """The ids of all persons, from the events hop as far as it was committed."""
        reader = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{GROUP}-back", "enable.auto.commit": False})
        committed = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{GROUP}-ledger"})
        topic = reader.list_topics(EVENTS).topics[EVENTS]
        places = committed.committed([TopicPartition(EVENTS, number) for number in topic.partitions])
        for place in places:
            if place.offset > 0:
                self._read_to(reader, place)
        reader.close()
        committed.close()

    def _read_to(self, reader: Consumer, end: TopicPartition) -> None:
        reader.assign([TopicPartition(EVENTS, end.partition, 0)])
        while (reader.position([end])[0].offset or 0) < end.offset:
            for message in reader.consume(BATCH, WAIT_SECONDS):
                event = JOB.decode(message.value() or b"")
                if event is not None and message.offset() < end.offset:
                    key = message.key().decode()
                    self.state[key] = remember(self.state.get(key, NOBODY), event)


def carry(name: str, topic: str, step: Callable[[list[Any], Producer], State], state: State) -> None:
    """One hop: batches until told to stop."""
    producer = Producer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "transactional.id": f"{GROUP}-{name}",
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
            "batch.num.messages": 10_000,
            "linger.ms": 5,
        }
    )
    producer.init_transactions()
    consumer = Consumer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "group.id": f"{GROUP}-{name}",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.subscribe([topic])
    while not STOP.is_set():
        messages = [message for message in consumer.consume(BATCH, WAIT_SECONDS) if not message.error()]
        if messages:
            producer.begin_transaction()
            changes = step(messages, producer)
            offsets = consumer.position(consumer.assignment())
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
            producer.commit_transaction()
            state.update(changes)
    consumer.close()


def run(*hop: Any) -> None:
    try:
        carry(*hop)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: STOP.set())
    ledger = Ledger()
    ledger.read_back()
    hops = [("gate", IN, gate, {}), ("ledger", EVENTS, ledger, ledger.state)]
    threads = [threading.Thread(target=run, args=hop) for hop in hops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
