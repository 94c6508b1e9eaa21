"""An Avro schema resolved for walking: names looked up, logical types recognised, smallest sizes known.

Everything else in this package (careful reader, writer, JSON, scanner) walks shapes; `resolve.py` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MISSING: Any = object()


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One type: `label` tags it in Avro's JSON, `said` names it in messages, `smallest` is its least bytes."""

    label: str
    said: str
    smallest: int


class Primitive(Shape):
    """null boolean int long float double string bytes, without a logical type; `label` says which."""

    __slots__ = ()


class Date(Shape):
    """int: days since 1970-01-01, within the years 1 to 9999."""

    __slots__ = ()


class Timestamp(Shape):
    """long: milliseconds since 1970 in UTC, within the years 1 to 9999."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class Decimal(Shape):
    """decimal over bytes (`size` 0) or over a fixed of `size` bytes.

    `limit` is the first unscaled magnitude with too many digits, `longest` the bytes that the largest value
    needs in two's complement: what is longer is refused before any arithmetic.
    """

    precision: int
    scale: int
    size: int
    limit: int
    longest: int


@dataclass(frozen=True, slots=True, eq=False)
class Enum(Shape):
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fixed(Shape):
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """`default` is the schema's JSON, MISSING when there is none."""

    name: str
    shape: Shape
    default: Any


@dataclass(frozen=True, slots=True, eq=False)
class Record(Shape):
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Array(Shape):
    items: Shape


@dataclass(frozen=True, slots=True, eq=False)
class Map(Shape):
    values: Shape


@dataclass(frozen=True, slots=True, eq=False)
class Union(Shape):
    branches: tuple[Shape, ...]

    @property
    def null(self) -> int | None:
        """Index of the null branch, if there is one."""
        return next((i for i, branch in enumerate(self.branches) if branch.label == "null"), None)
