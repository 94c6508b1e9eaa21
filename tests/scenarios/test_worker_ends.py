"""A worker process on its own: it ends when it is told to, and tells nothing of persons."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.subject import Broker, Worker
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from hub.kafka.clients import consumer
from hub.kafka.connection import Connection
from hub.machine.children import STOP_SECONDS

LINES = 60.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker("embedded", folder := tmp_path_factory.mktemp("broker"))
    broker.start()
    Worker("topics", broker.bootstrap, folder).apply_topics()
    yield broker
    broker.stop()


def test_a_data_folder_that_cannot_be_made_is_named(broker: Broker, tmp_path: Path) -> None:
    folder = tmp_path / "file" / "below"
    folder.parent.write_text("")
    worker = Worker("worker", broker.bootstrap, tmp_path, HUB_DATA_DIR=str(folder))
    worker.start()
    with pytest.raises(RuntimeError, match="is not ready"):
        worker.wait_ready()
    assert f"data_dir {folder} cannot be made" in worker.log.read_text()


def test_a_worker_whose_agents_do_not_end_ends_all_the_same(broker: Broker, tmp_path: Path) -> None:
    # a name of its own: on this broker a member that has not left is never missed
    worker = Worker("worker", broker.bootstrap, tmp_path, mutant="agents_hang", HUB_NAME="hanging")
    worker.start()
    worker.wait_ready()
    assert worker.stop() < STOP_SECONDS
    assert "the agents do not end" in worker.log.read_text(), "it would have hung"


@pytest.mark.long
def test_a_log_that_lost_its_tail_ends_the_worker_until_somebody_says_where_to_go_on(
    broker: Broker, tmp_path: Path
) -> None:
    worker = Worker("worker", broker.bootstrap, tmp_path, HUB_NAME="tail")
    _commit(broker, "tail.gate", 7)
    worker.start()
    with pytest.raises(RuntimeError, match="is not ready"):
        worker.wait_ready()
    assert "in.mod/1: offset 7 is committed, but the log ended at 0" in worker.log.read_text()

    _commit(broker, "tail.gate", 0)
    worker.start()
    worker.wait_ready()
    worker.stop()


def test_a_worker_whose_broker_is_gone_ends_within_seconds_and_says_where_it_stood(
    broker: Broker, tmp_path: Path
) -> None:
    worker = Worker("worker", broker.bootstrap, tmp_path)
    worker.start()
    worker.wait_ready()

    _until_it_says(worker, '"lane": "ledger", "number": 3, "keys"')
    worker.signal(signal.SIGUSR1)
    _until_it_says(worker, "_consumer.getmany")
    _until_it_says(worker, "Stack of ledger.3")  # tasks are named
    assert "LOCAL VARIABLES" not in worker.log.read_text()

    broker.kill()
    assert worker.stop() < STOP_SECONDS, "before whoever stops it would kill it"


def _commit(broker: Broker, group: str, offset: int) -> None:
    """As Kafka's own tool does (runbook: A log has lost its tail)."""
    with consumer(Connection((broker.bootstrap,)), group=group) as client:
        client.commit({TopicPartition("in.mod", 1): OffsetAndMetadata(offset, "", -1)})


def _until_it_says(worker: Worker, what: str) -> None:
    deadline = time.monotonic() + LINES
    while what not in worker.log.read_text():
        assert time.monotonic() < deadline, worker.log.read_text()[-2000:]
        time.sleep(0.05)
