"""A pause: nothing of an agency is taken until an operator resumes it. A note in `state.hub` that all workers follow.

Key `paused/<agency>`, value a JSON object; a resumed agency's note is without a value, and compaction takes it.
"""

from __future__ import annotations

import json
from typing import NamedTuple

TOPIC = "state.hub"
PREFIX = b"paused/"


class Pause(NamedTuple):
    """Since when (milliseconds since 1970), by whom (a lane's number, or `operator`), and why."""

    agency: str
    since: int
    by: str
    reason: str

    @property
    def key(self) -> bytes:
        return key_of(self.agency)

    def note(self) -> bytes:
        """The value of its record."""
        return json.dumps({"since": self.since, "by": self.by, "reason": self.reason}).encode()


def key_of(agency: str) -> bytes:
    return PREFIX + agency.encode()


def agency_of(key: bytes | None) -> str | None:
    """The agency that a note with this key is about, None where it is about something else."""
    return key[len(PREFIX) :].decode() if key and key.startswith(PREFIX) else None


def read_pause(agency: str, note: bytes) -> Pause:
    """The pause that a note states. Raises `ValueError` or `KeyError` where nobody of ours wrote it."""
    found = json.loads(note)
    return Pause(agency, found["since"], found["by"], found["reason"])
