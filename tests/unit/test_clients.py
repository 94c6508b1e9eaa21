"""Clients of kafka-python: how they end."""

from __future__ import annotations

from typing import Any

import pytest

from hub.kafka import clients
from hub.kafka.connection import Connection


def test_a_consumer_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that was left behind by an exception is closed whenever Python comes to it, its network gone perhaps."""
    ended: list[dict[str, Any]] = []

    class Consumer:
        def __init__(self, **settings: Any) -> None:
            """Settings are not looked at."""

        def close(self, **how: Any) -> None:
            ended.append(how)

    monkeypatch.setattr(clients, "KafkaConsumer", Consumer)
    with pytest.raises(ZeroDivisionError), clients.consumer(Connection.plain("127.0.0.1:1")):
        raise ZeroDivisionError
    assert ended == [{"autocommit": False, "timeout_ms": clients.CLOSE_MS}]
