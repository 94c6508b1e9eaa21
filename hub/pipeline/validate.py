"""Validate: the rules of the type hold, and no FİN stands where it must not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hub.errors import Code
from hub.event import Rejection
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
    fins = [fin for path in of.identifiers for fin in _values(fields, path)]
    if not fins:
        return None
    exposed = [part for name, value in inbound.headers for part in (name.encode(), value or b"")]
    if of.key_kind == "case":
        exposed.append(fields[of.key_field].encode())
    text = b"\n".join(exposed).upper()
    if any(fin.encode() in text for fin in fins):
        return Rejection(Code.FIN_IN_HEADER, STEP, "a FİN of the body stands in a header or the case number")
    return None


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
