"""The CloudEvents attributes of a record (binary mode: `ce_*` headers), read and checked once.

Source: CloudEvents 1.0, Kafka protocol binding; RFC 3339 for `time`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from hub.errors import Code
from hub.event import CONTENT_TYPE, EVENT_ID, SEQUENCE, Headers, Rejection

REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")
OPTIONAL = ("ce_sequence", "ce_correlationid", "ce_causationid")
CARRIED = frozenset((*REQUIRED, *OPTIONAL))
"""What goes on with an event; any other inbound header stops at the gate."""

STEP = "unwrap"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
TEXT_MAX = 256


class Attributes(NamedTuple):
    """CloudEvents attributes as values: `time` in milliseconds since 1970, `sequence` as a number."""

    id: str
    source: str
    type: str
    time: int
    sequence: int | None


def read_attributes(headers: Headers) -> Attributes | Rejection:
    """The attributes, or what is wrong with them. Never quotes a header's value."""
    named: dict[str, str] = {}
    for name, value in headers:
        if name in CARRIED:
            if name in named:
                return _invalid(name, "stands once", "it stands twice")
            try:
                named[name] = value.decode()
            except (UnicodeDecodeError, AttributeError):
                return _invalid(name, "UTF-8 text", "other bytes")
        elif name == "content-type" and value != CONTENT_TYPE:
            return _invalid(name, "application/avro", "another content type")
    return _values(named)


def _values(named: Mapping[str, str]) -> Attributes | Rejection:
    for name in REQUIRED:
        if name not in named:
            return _invalid(name, "a value", "no such header")
    if named["ce_specversion"] != "1.0":
        return _invalid("ce_specversion", "1.0", "another version")
    if not EVENT_ID.fullmatch(named["ce_id"]):
        return _invalid("ce_id", "1 to 64 of A-Z a-z 0-9 . _ : -", f"{len(named['ce_id'])} characters")
    for name in ("ce_correlationid", "ce_causationid"):
        if len(named.get(name, "")) > TEXT_MAX:
            return _invalid(name, f"at most {TEXT_MAX} characters", f"{len(named[name])} characters")
    time = milliseconds(named["ce_time"])
    if time is None:
        return _invalid("ce_time", "an RFC 3339 time with its offset", "something else")
    sequence = named.get("ce_sequence")
    if sequence is not None and not (SEQUENCE.fullmatch(sequence) and sequence.isascii()):
        return _invalid("ce_sequence", "1 to 18 digits", f"{len(sequence)} characters")
    return Attributes(
        named["ce_id"],
        named["ce_source"],
        named["ce_type"],
        time,
        None if sequence is None else int(sequence),
    )


def milliseconds(text: str) -> int | None:
    """RFC 3339 text → milliseconds since 1970, or None where it is no such text."""
    if not RFC3339.fullmatch(text):
        return None
    try:
        return round(datetime.fromisoformat(text.upper()).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _invalid(name: str, expected: str, found: str) -> Rejection:
    return Rejection(Code.HEADER_INVALID, STEP, f"header {name}: expected {expected}, found {found}")
