"""A schema registry that is away while somebody publishes with a version that the hub has not seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from registry_server import serving
from senders import Sender
from workers import Input, Stage, Worker, until

from hub.kafka.address import free_ports
from hub.kafka.brokers import open_broker

PATIENCE_SECONDS = 6.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("registry-away")
    with open_broker("embedded", folder) as connection:
        stage = Stage(connection, folder)
        yield stage
        stage.end()


def started(stage: Stage, port: int) -> Worker:
    """One worker; it has read what is registered, and from then on nothing answers there."""
    url = f"http://127.0.0.1:{port}"
    with serving(stage.connection, port=port):
        worker = stage.start(HUB_SCHEMA_REGISTRY_URL=url, TEST_PATIENCE_SECONDS=str(PATIENCE_SECONDS))
        until(worker.ready, "it is ready")
    return worker


@pytest.mark.long
def test_a_registry_that_comes_back_soon_costs_no_event_and_one_that_does_not_holds_up_nobody(stage: Stage) -> None:
    (port,), sender = free_ports(1), Sender(stage)
    worker = started(stage, port)
    sender.send(stage.event("mod", "known", "R000001", 1))
    until(lambda: len(sender.verdicts("mod")) == 1, "known ids need no registry")

    sender.send(stage.newer(stage.event("mod", "soon", "R000002", 1), "soon"))
    until(lambda: worker.said("starting again"), "it waits")
    with serving(stage.connection, port=port):
        until(lambda: len(sender.verdicts("mod")) == 2, "a verdict once it is back")
    assert set(sender.verdicts("mod").values()) == {"APPLIED"}

    late = stage.newer(stage.event("mod", "late", "R000003", 1), "late")
    sender.send(late, stage.event("mes", "neighbour", "R000004", 1))
    until(lambda: len(sender.verdicts("mod")) == 3 and sender.verdicts("mes"), "the line goes on")
    assert sorted(sender.verdicts("mod").values()) == ["APPLIED", "APPLIED", "schema_id_unknown"]
    assert set(sender.verdicts("mes").values()) == {"APPLIED"}

    with serving(stage.connection, port=port):
        until(lambda: _again(sender, late), "what was refused is taken when it is sent again")
    assert worker.alive


def _again(sender: Sender, late: Input) -> bool:
    """Sent once more, with its verdict waited for: whether it was applied by now."""
    before = len(sender.verdicts("mod"))
    sender.send(late)
    until(lambda: len(sender.verdicts("mod")) > before, "a verdict")
    return list(sender.verdicts("mod").values()).count("APPLIED") == 3
