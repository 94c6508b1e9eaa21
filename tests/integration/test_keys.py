"""The key of the pseudonyms is the one that the hub began with, or no worker starts."""

from __future__ import annotations

import pytest
from brokers import make_topic

from hub.admin import keys
from hub.errors import ConfigError
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all

FIRST, OTHER = b"a" * 32, b"b" * 32


def test_the_first_key_stands_and_another_one_is_refused(
    broker: Connection, name: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = make_topic(broker, name("state"), cleanup_policy="compact")  # type: ignore[operator]
    monkeypatch.setattr(keys, "TOPIC", topic)
    assert keys.compare(broker, FIRST) is keys.Match.UNKNOWN
    keys.claim(broker, FIRST)
    keys.claim(broker, FIRST)
    assert keys.compare(broker, FIRST) is keys.Match.SAME
    with pytest.raises(ConfigError, match="HUB_PERSON_SECRET is not the one"):
        keys.claim(broker, OTHER)
    assert len(list(read_all(broker, topic))) == 1
    assert all(FIRST not in (record.value or b"") for record in read_all(broker, topic))
