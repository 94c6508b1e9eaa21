"""Which branch of a union a Python value belongs to.

A value goes to the first branch whose natural Python type it has (`double` before `float`, as fastavro does);
an int also to a date, timestamp, decimal or floating branch if there is no integer. A pair (label, value) names
the branch. A branch that is not the first of its natural type is *shadowed*: its values may be read back from
there but written elsewhere, so only a pair reaches it surely.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal as Number
from functools import lru_cache
from typing import Any

from hub.avro.invalid import invalid, mismatch
from hub.avro.shape import Array, Date, Decimal, Enum, Fixed, Map, Record, Shape, Timestamp, Union

# a value is of the first group whose types it is an instance of: bool is an int, datetime is a date
_GROUPS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("null", (type(None),)),
    ("boolean", (bool,)),
    ("integer", (int,)),
    ("floating", (float,)),
    ("text", (str,)),
    ("bytes", (bytes, bytearray)),
    ("decimal", (Number,)),
    ("instant", (datetime,)),
    ("day", (date,)),
    ("list", (list,)),
    ("object", (Mapping,)),
)
_PRIMITIVE = {
    "null": "null",
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "float": "floating",
    "double": "floating",
    "string": "text",
    "bytes": "bytes",
}
_COMPLEX: dict[type[Shape], str] = {
    Date: "day",
    Timestamp: "instant",
    Decimal: "decimal",
    Enum: "text",
    Fixed: "bytes",
    Array: "list",
    Map: "object",
    Record: "object",
}
_ALSO_INTEGER = ("day", "instant", "decimal", "floating")


def natural_group(shape: Shape) -> str:
    """Group of the Python values that reading this type gives."""
    return _COMPLEX.get(type(shape)) or _PRIMITIVE[shape.label]


class Candidates:
    """Branches to try, by the value's group."""

    def __init__(self, union: Union) -> None:
        self.union = union
        groups = [natural_group(branch) for branch in union.branches]
        order = sorted(range(len(groups)), key=lambda i: (union.branches[i].label == "float", i))
        self.by_group = {
            group: tuple(i for i in order if groups[i] == group) for group, _ in _GROUPS if group in groups
        }
        first = {choices[0] for choices in self.by_group.values()}
        self.shadowed = frozenset(range(len(groups))) - first
        if "integer" not in groups:
            self.by_group["integer"] = tuple(i for i in order if groups[i] in _ALSO_INTEGER)
        self.by_type: dict[type, tuple[int, ...]] = {}

    def of(self, value: Any) -> tuple[int, ...]:
        """Indexes of branches to try in turn; raises Invalid when there is none."""
        choices = self.by_type.get(type(value))
        if choices is None:
            choices = self.by_type[type(value)] = self._for(value)
        if not choices:
            raise mismatch(self.union.said, value)
        return choices

    def _for(self, value: Any) -> tuple[int, ...]:
        for group, types in _GROUPS:
            if isinstance(value, types):
                return self.by_group.get(group, ())
        return ()

    def tagged(self, pair: tuple[Any, ...]) -> tuple[int, Any]:
        """Index and value of (label, value), the label being a type's name or full name."""
        if len(pair) == 2:
            for index, branch in enumerate(self.union.branches):
                if branch.label == pair[0]:
                    return index, pair[1]
        raise invalid(self.union.said, "a pair that names no branch")


@lru_cache(maxsize=4096)
def candidates_of(union: Union) -> Candidates:
    return Candidates(union)
