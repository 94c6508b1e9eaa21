"""What the gate's steps know of one record, filled in as they go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.event import Headers, Record
from hub.pipeline.attributes import Attributes
from hub.pipeline.reader import Reader


@dataclass(slots=True)
class Inbound:
    """One record on its way through the gate; each step relies on what those before it found."""

    record: Record
    agency: str
    value: bytes = b""
    headers: Headers = ()
    reader: Reader | None = None
    attributes: Attributes | None = None
    fields: Mapping[str, Any] | None = None
    key: str = ""
