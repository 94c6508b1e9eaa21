"""A record that kills the process (a crash of the interpreter, memory used up) is found by starts without progress.

Each start of a number notes the offsets at which records wait. Where a topic stands at the same one for more than
`STARTS` starts in a row, its next records are suspect. They are tried alone, in parts that are halved with each process
that dies of one, and each trial is noted before and after the step. The record on which a process died alone is
refused without being tried again.

One note for each lane and number, in `state.hub`. Batches of a number that nobody suspects cost nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

STARTS = 3
"""So many starts in a row without progress in a topic are no accident."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The next `left` records of a topic are tried `records` at a time.

    `at` is the offset committed before a part whose step has begun and not ended, `by` the process that is at it.
    """

    topic: str
    left: int
    records: int
    at: int | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Starts:
    """What is noted. `counts`: topic → the offset committed there, and how many starts found it so in a row.

    `by` is the process of the last start: it counts once, however often it begins anew.
    """

    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    trial: Trial | None = None
    by: str = ""

    def note(self) -> bytes:
        """The value of its record."""
        trial = self.trial and {name: getattr(self.trial, name) for name in Trial.__slots__}
        return json.dumps({"counts": self.counts, "trial": trial, "by": self.by}).encode()


def key_of(lane: str, number: int) -> bytes:
    return f"starts/{lane}/{number}".encode()


def read_starts(note: bytes | None) -> Starts:
    """What the starts before have noted."""
    if not note:
        return Starts()
    found: dict[str, Any] = json.loads(note)
    trial = Trial(**found["trial"]) if found["trial"] else None
    counts = {topic: (offset, count) for topic, (offset, count) in found["counts"].items()}
    return Starts(counts, trial, found["by"])


def started(before: Starts, committed: Mapping[str, int], waiting: Mapping[str, int], most: int, me: str) -> Starts:
    """What the start of a number by the process `me` makes of the note.

    `committed` has the offset of every topic, `waiting` how many records are behind it where there are some, `most`
    is the size of a batch.
    """
    more = 0 if before.by == me else 1
    counts = {topic: (committed[topic], _times(before, topic, committed[topic], more)) for topic in waiting}
    trial = before.trial
    if trial is not None and trial.topic in committed:
        return Starts(counts, _continued(trial, committed[trial.topic], me), me)
    suspect = next((topic for topic, (_, count) in counts.items() if count > STARTS), None)
    if suspect is None:
        return Starts(counts, by=me)
    left = min(most, waiting[suspect])
    return Starts(counts, Trial(suspect, left, max(1, left // 2)), me)


def begun(starts: Starts, committed: int, me: str) -> Starts:
    """The step begins on the next part."""
    assert starts.trial is not None
    return replace(starts, trial=replace(starts.trial, at=committed, by=me))


def ended(starts: Starts) -> Starts:
    """The step has ended, and the process lives."""
    assert starts.trial is not None
    return replace(starts, trial=replace(starts.trial, at=None, by=""))


def passed(starts: Starts, records: int) -> Starts:
    """So many records of the trial are committed; 0: there are no more."""
    trial = starts.trial
    assert trial is not None
    if records and trial.left > records:
        return replace(starts, trial=replace(trial, left=trial.left - records))
    return replace(starts, counts={t: each for t, each in starts.counts.items() if t != trial.topic}, trial=None)


def guilty(starts: Starts, committed: Mapping[str, int], me: str) -> bool:
    """Whether a process ended on the next record of the trial, when it tried that alone."""
    trial = starts.trial
    if trial is None or trial.records > 1 or trial.by in ("", me):
        return False
    return trial.at is not None and trial.at == committed.get(trial.topic)


def survived(starts: Starts, committed: Mapping[str, int], me: str) -> Starts:
    """What a number says that is given back by a process that lives: this start was no death."""
    counts = {
        topic: (at, count - (committed.get(topic) == at))
        for topic, (at, count) in starts.counts.items()
        if count > (committed.get(topic) == at)
    }
    trial = starts.trial
    if trial is not None and trial.by == me:
        trial = replace(trial, at=None, by="")
    return Starts(counts, trial) if (counts, trial) != (starts.counts, starts.trial) else starts


def _times(before: Starts, topic: str, offset: int, more: int) -> int:
    at, count = before.counts.get(topic, (-1, 0))
    return count + more if at == offset else 1


def _continued(trial: Trial, committed: int, me: str) -> Trial | None:
    if trial.at is None:
        return trial
    if trial.at != committed:  # that part came through
        left = trial.left - trial.records
        return replace(trial, left=left, at=None, by="") if left > 0 else None
    if trial.by == me or trial.records == 1:
        return trial
    return replace(trial, records=trial.records // 2, at=None, by="")
