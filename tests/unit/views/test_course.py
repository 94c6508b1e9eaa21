"""When a view is up to date: once it has read what was there at its start, however much comes meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from hub.kafka.following import Batch, Place
from hub.views.follow import _Course
from hub.views.store import Beat

PLACE = ("receipts.mod", 0)


class Following:
    """A topic into which ten records come for each time that it is read."""

    def __init__(self, there: int) -> None:
        self.end, self.at = there, 0

    def bounds(self) -> tuple[Mapping[Place, int], Mapping[Place, int]]:
        return {PLACE: 0}, {PLACE: self.end}

    def seek(self, positions: Mapping[Place, int]) -> None:
        self.at = positions[PLACE]

    def poll(self) -> Batch:
        count, self.end = min(20, self.end - self.at), self.end + 10
        self.at += count
        return Batch([SimpleNamespace(timestamp=0)] * count, {PLACE: self.at})

    def left(self, ends: Mapping[Place, int]) -> int:
        return max(0, ends[PLACE] - self.at)

    def behind(self) -> int:
        return self.left({PLACE: self.end})


class Writer:
    def __init__(self) -> None:
        self.beats: list[Beat] = []
        self.at: dict[Place, int] = {}

    def transaction(self) -> Any:
        return nullcontext()

    def beat(self, beat: Beat) -> None:
        self.beats.append(beat)

    def begins(self, first: Mapping[Place, int]) -> None:
        """Noted."""

    def moved(self, positions: Mapping[Place, int]) -> None:
        self.at |= positions


class Table:
    name = "receipts"

    def apply(self, writer: Any, records: Sequence[Any]) -> None:
        """Taken in."""

    prune = apply


def test_a_view_is_up_to_date_although_more_comes_all_the_time() -> None:
    writer, following = Writer(), Following(there=100)
    given: Any = (Table(), writer, following)
    course = _Course(*given)
    course.begin({})
    assert not writer.beats[0].caught_up
    for _ in range(5):
        course.turn()
    course._say(force=True)
    assert following.behind() > 0, "records came while it read"
    assert writer.beats[-1].caught_up and writer.beats[-1].progress == 1.0


def test_a_position_that_moved_without_a_record_is_kept() -> None:
    writer, following = Writer(), Following(there=0)
    given: Any = (Table(), writer, following)
    course = _Course(*given)
    course.begin({})
    following.poll = lambda: Batch([], {PLACE: 3})  # type: ignore[method-assign]
    course.turn()
    assert writer.at == {PLACE: 3}
