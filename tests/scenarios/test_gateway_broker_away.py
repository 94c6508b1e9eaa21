"""202 means durable: on Apache Kafka, frozen and killed under load, every event answered 202 is there later."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from brokers import require_apache
from confluent_kafka import Consumer, KafkaError, TopicPartition
from gateway_process import BATCH, process, secret_of
from gateway_room import event
from outside import fin, unique

from hub.catalogue import load
from hub.kafka.address import free_ports
from hub.kafka.brokers import open_broker
from hub.machine.hub import prepare
from hub.machine.trial import trial_token
from hub.settings import Settings

pytestmark = pytest.mark.long
FROZEN_SECONDS = 6.0
PATIENCE = 120.0


@dataclass
class Load:
    """One agency that sends batches one after the other and notes what it was answered."""

    port: int
    token: str
    accepted: set[str] = field(default_factory=set)
    answers: list[tuple[float, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": BATCH}
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=60) as client:
            while not self.stop.is_set():
                batch = [event(id=unique("away"), data={"fin": fin()}) for _ in range(20)]
                self._send(client, batch)

    def _send(self, client: httpx.Client, batch: list[Any]) -> None:
        """The same again until it is taken, as the page for agencies says."""
        while not self.stop.is_set():
            answer = client.post("/v1/events", content=json.dumps(batch).encode())
            self.answers.append((time.monotonic(), answer.status_code))
            if answer.status_code == 202:
                self.accepted |= {item["id"] for item in answer.json()["items"]}
                return
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1, answer.text
            self.stop.wait(0.2)

    def since(self, moment: float, status: int) -> int:
        return sum(at > moment and found == status for at, found in self.answers)


@dataclass
class Stage:
    folder: Path
    kafka_port: int
    broker: Any
    load: Load


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    require_apache()
    folder = tmp_path_factory.mktemp("away")
    (kafka_port,) = free_ports(1)
    broker = open_broker("apache", folder, port=kafka_port)
    connection = broker.start()
    settings = Settings(data_dir=folder, person_secret=secret_of(folder))  # type: ignore[arg-type]
    prepare(connection, load(), settings, lambda _: None)
    token = trial_token(settings, load()).read_text().strip()
    limits = {"HUB_GATEWAY_ACK_SECONDS": "2", "HUB_GATEWAY_WAITING_MIB": "8", "HUB_GATEWAY_BATCH_EVENTS": "100"}
    with process(connection.bootstrap, folder, **limits) as (_, port):
        found = Stage(folder, kafka_port, broker, Load(port, token))
        thread = threading.Thread(target=found.load.run)
        thread.start()
        try:
            yield found
        finally:
            found.load.stop.set()
            thread.join(60)
            found.broker.stop()


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def kept(port: int) -> set[str]:
    """Ids of all records on in.mod, by a client of another make."""
    consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "n", "enable.partition.eof": True})
    parts = [TopicPartition("in.mod", number, 0) for number in range(4)]
    consumer.assign(parts)
    found, ended = set[str](), set[int]()
    while len(ended) < len(parts):
        for message in consumer.consume(1_000, 1.0):
            error = message.error()
            if error and error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())  # each may come to its end several times: there is a load beside
            elif not error:
                found.add(dict(message.headers() or ())["ce_id"].decode())
    consumer.close()
    return found


def test_a_frozen_broker_is_a_503_and_never_a_202(stage: Stage) -> None:
    wait_for(lambda: len(stage.load.accepted) > 200)
    os.kill(stage.broker.pid, signal.SIGSTOP)
    try:
        time.sleep(1)  # what was under way is answered
        frozen = time.monotonic()
        time.sleep(FROZEN_SECONDS)
        assert stage.load.since(frozen, 202) == 0 and stage.load.since(frozen, 503) >= 2
        assert httpx.get(f"http://127.0.0.1:{stage.load.port}/readyz").status_code == 503
    finally:
        os.kill(stage.broker.pid, signal.SIGCONT)
    awake = time.monotonic()
    wait_for(lambda: stage.load.since(awake, 202) > 5)
    accepted = set(stage.load.accepted)
    assert accepted <= kept(stage.kafka_port)


def test_a_killed_broker_that_comes_back_has_all_that_was_answered_202(stage: Stage) -> None:
    os.kill(stage.broker.pid, signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: stage.load.since(killed, 503) >= 2)
    stage.broker.stop()
    stage.broker = open_broker("apache", stage.folder, port=stage.kafka_port)
    stage.broker.start()
    back = time.monotonic()
    wait_for(lambda: stage.load.since(back, 202) > 5)
    wait_for(lambda: httpx.get(f"http://127.0.0.1:{stage.load.port}/healthz").status_code == 200)
    accepted = set(stage.load.accepted)
    assert accepted and accepted <= kept(stage.kafka_port)
