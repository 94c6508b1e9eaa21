"""Recognise: is this event known already, and does it say the same as before?"""

from __future__ import annotations

from enum import Enum

from hub.pipeline.person import CONTENT, content_of


class Recognised(Enum):
    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


def recognise(entry: bytes, identity: bytes, content: bytes) -> Recognised:
    """Identity is (source, id, subject) for ever; content is type, time, sequence and decoded body."""
    before = content_of(entry, identity)
    if before is None:
        return Recognised.NEW
    return Recognised.DUPLICATE if before == content[:CONTENT] else Recognised.CONFLICT
