"""What the gate says of a record, said of the JSON it was made from: `ce_time` is `/time`, `/fin` is `/data/fin`."""

from __future__ import annotations

import re
from typing import Any

from hub.avro.invalid import kind_of
from hub.event import Rejection

HEADER = re.compile(r"header ce_([a-z]+): (.*)")
POINTER = re.compile(r"(^|[ ;])/([A-Za-z0-9_*/]*)(?=[: ]|$)")
PLACED = re.compile(r"/data(/[^:]+): (.+)")
OF_TYPE = "type_not_allowed"
NOTHING = object()


def at_the_door(rejection: Rejection, data: Any) -> Rejection:
    """The same rejection, with pointers into the CloudEvent; what was found is added by kind, never by value."""
    header = HEADER.fullmatch(rejection.detail)
    if header:
        return rejection._replace(detail=header[2].removesuffix(" on this topic"), pointer=f"/{header[1]}")
    if rejection.step not in ("decode", "validate"):
        return rejection._replace(pointer="/type" if rejection.code == OF_TYPE else rejection.pointer)
    if rejection.step == "decode":
        return rejection._replace(pointer=f"/data{rejection.pointer}")
    said = POINTER.sub(lambda found: f"{found[1]}/data{'/' if found[2] else ''}{found[2]}", rejection.detail)
    detail = "; ".join(_with_found(part, data) for part in said.split("; "))
    return rejection._replace(detail=detail, pointer=f"/data{rejection.pointer}" if "/data" in said else "")


def _with_found(part: str, data: Any) -> str:
    placed = PLACED.fullmatch(part)
    value = _at(data, placed[1]) if placed else NOTHING
    return part if value is NOTHING else f"{part}, found {kind_of(value)}"


def _at(data: Any, pointer: str) -> Any:
    """The value under a JSON pointer; `NOTHING` where there is none, or where the pointer hides a map's key."""
    for part in pointer[1:].split("/"):
        try:
            data = data[int(part)] if isinstance(data, list) else data[part]
        except (KeyError, ValueError, IndexError, TypeError):
            return NOTHING
    return data
