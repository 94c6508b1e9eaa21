"""A broker that is gone for long: the worker waits, says so once, and goes on by itself."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from brokers import require_apache
from senders import Sender
from workers import PARTITIONS, Stage, until

from hub.kafka.address import free_ports
from hub.kafka.brokers import open_broker

AWAY_SECONDS = 30.0
"""Longer than a transaction may stay open (15 s), than a session (8 s), and than silence goes unnoticed (15 s)."""


@pytest.mark.long
def test_an_outage_is_waited_for_and_said_once(tmp_path: Path) -> None:
    require_apache()
    (port,) = free_ports(1)
    with open_broker("apache", tmp_path, port=port) as connection:
        stage = Stage(connection, tmp_path)
        worker, sender = stage.start(), Sender(stage)
        until(worker.ready, "it is ready")
        sender.send(*(stage.event("mod", f"before-{n}", f"B{n:06d}", 1) for n in range(50)))
    gone = time.monotonic()
    try:
        until(lambda: not worker.ready(), "it is not ready", AWAY_SECONDS)
        until(lambda: worker.measured('hub_broker_up{lane="gate"}') == 0, "its metric says so")
        until(lambda: time.monotonic() > gone + AWAY_SECONDS, "the outage has lasted", AWAY_SECONDS)
        assert worker.alive
        with open_broker("apache", tmp_path, port=port):
            until(worker.ready, "it is ready again")
            sender.send(*(stage.event("mod", f"after-{n}", f"B{n:06d}", 2) for n in range(50)))
            until(lambda: len(sender.verdicts("mod")) == 100, "all have their verdict")
            assert set(sender.verdicts("mod").values()) == {"APPLIED"}
            assert not stage.read("dlq.mod"), "an outage sends nothing to the dead letters"
            until(lambda: worker.measured('hub_broker_up{lane="gate"}') == 1, "its metric says so")
    finally:
        stage.end()
    for event in ("the broker does not answer", "the broker answers again"):
        assert sorted(line["lane"] for line in worker.said(event)) == ["gate", "ledger"], "once for each lane"
    assert "runbook" in worker.said("the broker does not answer")[0]["fix"]
    again = [line for line in worker.said("starting again") if line["level"] == "warning"]
    assert len(again) <= 6 * 2 * PARTITIONS, json.dumps(again)
