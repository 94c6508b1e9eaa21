"""Validate: the rules of the type hold, and no FİN stands where it must not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hub.catalogue import EventType
from hub.errors import Code
from hub.event import Rejection
from hub.pipeline.attributes import CARRIED, CONSTANT
from hub.pipeline.inbound import Inbound
from hub.pipeline.rulebook import Rulebook

STEP = "validate"


def validate(inbound: Inbound, rules: Rulebook) -> Rejection | None:
    """Refuses a broken rule, and a FİN of the body in a header, a header's name or the case number."""
    assert inbound.reader is not None and inbound.fields is not None
    of, fields = inbound.reader.type, inbound.fields
    broken = rules.checks[of.name](fields, inbound.agency)
    if broken:
        return broken
    said = [part for name, value in inbound.headers for part in _own_words(name, value)]
    if exposes(of, fields, b"\n".join(said).upper()):
        return Rejection(Code.FIN_IN_HEADER, STEP, "a FİN of the body stands in a header or the case number")
    return None


def exposes(of: EventType, fields: Mapping[str, Any], text: bytes) -> bool:
    """Whether a FİN of the body stands in the (upper-case) words of the headers, or in the case number."""
    if of.key_kind == "case":
        text += b"\n" + fields[of.key_field].upper().encode()
    for path in of.identifiers:
        for fin in (fields[path[0]],) if len(path) == 1 else _values(fields, path):
            if fin is not None and fin.encode() in text:
                return True
    return False


def _own_words(name: str, value: bytes | None) -> Sequence[bytes]:
    """What of a header is the publisher's own: any header's value, but what the catalogue fixes, and a new name."""
    if name in CONSTANT:
        return ()
    return (value or b"",) if name in CARRIED else (name.encode(), value or b"")


def _values(value: Any, path: Sequence[str]) -> Iterator[str]:
    """All values under a path of the catalogue, `*` standing for every item or map value."""
    if value is None:
        return
    if not path:
        yield value
    elif path[0] == "*":
        for item in value.values() if isinstance(value, dict) else value:
            yield from _values(item, path[1:])
    else:
        yield from _values(value[path[0]], path[1:])
