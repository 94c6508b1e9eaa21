"""A thread that feeds a view goes on after whatever Kafka and the disk do to it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from workers import until

from hub.errors import Fatal, Retry
from hub.kafka.following import Batch, Following
from hub.views import follow, loader
from hub.views.follow import Follower
from hub.views.statuses import StatusTable


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_position_that_has_left_kafka_begins_a_new_session() -> None:
    tp = TopicPartition("status.person", 0)
    following: Any = Following.__new__(Following)
    following._client = SimpleNamespace(_subscription=SimpleNamespace(assignment={tp: SimpleNamespace(position=None)}))
    with pytest.raises(Retry):
        following._position(tp)
    assert issubclass(Retry, follow.FAILURES)


def test_a_position_is_told_when_it_moved_and_not_again() -> None:
    tp = TopicPartition("receipts.mod", 0)
    following: Any = Following.__new__(Following)
    place = SimpleNamespace(position=SimpleNamespace(offset=1))
    following._client = SimpleNamespace(
        _subscription=SimpleNamespace(assignment={tp: place}), poll=lambda **_: {}, seek=lambda *_: None
    )
    following._parts, following._nap = [tp], 0.0
    following.seek({("receipts.mod", 0): 1})
    assert following.poll() == Batch([], {})
    place.position.offset = 2  # past a marker
    assert following.poll() == Batch([], {("receipts.mod", 0): 2})
    assert following.poll() == Batch([], {})


def test_a_broken_file_on_a_full_disk_is_begun_anew_once_there_is_room(
    tmp_path: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = []

    def describe(*_: object) -> list[Any]:
        sessions.append(True)
        if len(sessions) == 1:
            raise sqlite3.DatabaseError("database disk image is malformed")
        return []

    monkeypatch.setattr(follow, "describe", describe)
    monkeypatch.setattr(follow, "FIRST_WAIT", 0.01)
    follower = Follower(SimpleNamespace(), StatusTable(), ["status.person"], tmp_path, stop)  # type: ignore[arg-type]
    discard, tries = follower._writer.discard, []

    def full() -> None:
        tries.append(True)
        if len(tries) < 3:
            raise sqlite3.OperationalError("database or disk is full")
        discard()

    monkeypatch.setattr(follower._writer, "discard", full)
    follower.start()
    until(lambda: len(sessions) > 1, "it has begun anew", 10)
    assert len(tries) == 3 and follower.alive


def test_a_loader_one_of_whose_views_has_ended_ends_too(
    tmp_path: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = SimpleNamespace(start=lambda: None, alive=False, join=lambda seconds: None)
    monkeypatch.setattr(loader, "followers", lambda *_: [dead])
    monkeypatch.setattr(loader, "LOOK_SECONDS", 0.01)
    monkeypatch.setenv("HUB_BROKER", "external")
    monkeypatch.setenv("HUB_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with pytest.raises(Fatal):
        loader.load(tmp_path, stop)
