"""The CloudEvents attributes of a record (binary mode: `ce_*` headers), read and checked once.

Source: CloudEvents 1.0, Kafka protocol binding; RFC 3339 for `time`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from hub.avro.logical import FIRST_MILLI, LAST_MILLI
from hub.errors import Code
from hub.event import CONTENT_TYPE, EVENT_ID, SEQUENCE, Headers, Rejection

REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")
LINEAGE = ("ce_correlationid", "ce_causationid")
OPTIONAL = ("ce_sequence", *LINEAGE)
CARRIED = frozenset((*REQUIRED, *OPTIONAL))
"""What goes on with an event; any other inbound header stops at the gate."""

CONSTANT = frozenset({"ce_specversion", "ce_source", "ce_type", "content-type"})
"""What the gate compares with the catalogue: it holds no words of the publisher's own."""

STEP = "unwrap"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
TEXT_MAX = 256
EVENT_ID_BYTES = re.compile(EVENT_ID.pattern.encode())
SEQUENCE_LENGTH = 18


class Attributes(NamedTuple):
    """CloudEvents attributes as values: `time` in milliseconds since 1970, `sequence` as a number."""

    id: str
    source: str
    type: str
    time: int
    sequence: int | None


def read_attributes(headers: Headers) -> Attributes | Rejection:
    """The attributes, or what is wrong with them. Never quotes a header's value."""
    named = dict(headers)
    if len(named) != len(headers):
        twice = next((name for name in CARRIED if sum(name == other for other, _ in headers) > 1), None)
        if twice:
            return _invalid(twice, "stands once", "it stands twice")
    try:
        return _values(named)
    except KeyError as missing:
        return _invalid(str(missing.args[0]), "a value", "no such header")
    except (UnicodeDecodeError, AttributeError, TypeError):  # TypeError: a header without a value
        return _invalid("ce_*", "UTF-8 text", "other bytes")


def _values(named: Mapping[str, bytes]) -> Attributes | Rejection:
    if named["ce_specversion"] != b"1.0":
        return _invalid("ce_specversion", "1.0", "another version")
    if named.get("content-type", CONTENT_TYPE) != CONTENT_TYPE:
        return _invalid("content-type", "application/avro", "another content type")
    event_id, source, kind = named["ce_id"].decode(), named["ce_source"].decode(), named["ce_type"].decode()
    if not EVENT_ID.fullmatch(event_id):
        return _invalid("ce_id", "1 to 64 of A-Z a-z 0-9 . _ : -", f"{len(event_id)} characters")
    time = milliseconds(named["ce_time"].decode())
    if time is None:
        return _invalid("ce_time", "an RFC 3339 time with its offset", "something else")
    sequence = named.get("ce_sequence")
    if sequence is not None and not SEQUENCE.fullmatch(sequence):
        return _invalid("ce_sequence", "1 to 18 digits", f"{len(sequence)} bytes")
    for name in LINEAGE:
        if name in named and (len(named[name]) > TEXT_MAX or not named[name].decode()):
            return _invalid(name, f"1 to {TEXT_MAX} bytes", f"{len(named[name])} bytes")
    return Attributes(event_id, source, kind, time, None if sequence is None else int(sequence))


class Said(NamedTuple):
    """The attributes of an event that the gate let through: `id` as it came, `time` in milliseconds since 1970."""

    id: bytes
    time: int
    sequence: int | None


def said(named: Mapping[str, bytes]) -> Said:
    """What a record of `events.*` says; raises KeyError or ValueError where the gate did not write it."""
    sequence = named.get("ce_sequence")
    return Said(named["ce_id"], trusted_time(named["ce_time"]), None if sequence is None else int(sequence))


@lru_cache(maxsize=16_384)
def trusted_time(text: bytes) -> int:
    """Milliseconds since 1970 of an RFC 3339 text; raises ValueError."""
    found = milliseconds(text.decode())
    if found is None:
        raise ValueError("no RFC 3339 time")
    return found


def milliseconds(text: str) -> int | None:
    """RFC 3339 text → milliseconds since 1970, or None where it is no such text."""
    if not RFC3339.fullmatch(text):
        return None
    try:
        instant = round(datetime.fromisoformat(text.upper()).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return instant if FIRST_MILLI <= instant <= LAST_MILLI else None  # as Avro: a time that has a date everywhere


def _invalid(name: str, expected: str, found: str) -> Rejection:
    return Rejection(Code.HEADER_INVALID, STEP, f"header {name}: expected {expected}, found {found}")
