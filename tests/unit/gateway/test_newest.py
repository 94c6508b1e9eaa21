"""Where an id stands among an agency's newest records: read once, and then only what has come since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from hub.errors import Retry
from hub.gateway.newest import KEPT_SECONDS, KEPT_TOPICS, Newest


class Log:
    """A topic of one partition (`hub.kafka.following.Lookup`), and how many records were read of it."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.read, self.fails = 0, False

    def latest(
        self, topic: str, partitions: int, count: int, since: Mapping[int, int]
    ) -> tuple[Iterator[Any], Mapping[int, int]]:
        return self._records(since.get(0, 0)), {0: len(self.ids)}

    def _records(self, start: int) -> Iterator[Any]:
        for offset in range(start, len(self.ids)):
            self.read += 1
            yield SimpleNamespace(partition=0, offset=offset, headers=[("ce_id", self.ids[offset].encode())])
            if self.fails:
                raise Retry("the broker is away")


def test_what_was_read_is_not_read_again_and_what_came_since_is_found() -> None:
    log, now = Log(), [0.0]
    newest = Newest(log, lambda: now[0])
    log.ids = ["a", "b", "a"]
    assert newest.of("in.mod", 1, "a") == ["in.mod/0/0", "in.mod/0/2"]
    assert newest.of("in.mod", 1, "nobody's") == [] and log.read == 3
    log.ids.append("c")
    assert newest.of("in.mod", 1, "c") == ["in.mod/0/3"] and log.read == 4
    now[0] += KEPT_SECONDS + 1
    assert newest.of("in.mod", 1, "c") == ["in.mod/0/3"] and log.read == 8


def test_what_was_read_in_part_is_read_again() -> None:
    log = Log()
    newest, log.ids, log.fails = Newest(log), ["a", "a"], True
    with pytest.raises(Retry):
        newest.of("in.mod", 1, "a")
    log.fails = False
    assert newest.of("in.mod", 1, "a") == ["in.mod/0/0", "in.mod/0/1"]


def test_only_a_few_topics_are_remembered() -> None:
    newest = Newest(Log())
    for number in range(2 * KEPT_TOPICS):
        newest.of(f"in.{number}", 1, "a")
    assert len(newest._seen) == KEPT_TOPICS
