"""An operator whose producer is fenced by another one's writes once more."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.errors import KafkaConnectionError, KafkaError, ProducerFencedError
from world import schemas

from hub.admin import operators
from hub.errors import Retry
from hub.kafka.connection import Connection

NOWHERE = Connection(("nowhere:1",))


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[KafkaError]:
    """What the next tries raise, in order; then it is written."""
    errors = list[KafkaError]()

    def write(*_: Any) -> None:
        if errors:
            raise errors.pop(0)

    monkeypatch.setattr(operators.registry, "read", lambda _: schemas())
    monkeypatch.setattr(operators, "_write", write)
    monkeypatch.setattr(operators, "AGAIN_SECONDS", 0.0)
    return errors


def test_being_fenced_is_no_end_however_the_client_says_it(failing: list[KafkaError]) -> None:
    failing += [ProducerFencedError(), KafkaError("Cannot perform send", ProducerFencedError())]
    operators.record(NOWHERE, "zefer", None, "a test")
    assert not failing


def test_what_may_be_written_is_not_tried_again(failing: list[KafkaError]) -> None:
    failing += [KafkaConnectionError(), KafkaConnectionError()]
    with pytest.raises(Retry, match="not certain"):
        operators.record(NOWHERE, "zefer", None, "a test")
    assert len(failing) == 1
