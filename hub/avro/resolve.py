"""From schema JSON (raw, or parsed by fastavro) to shapes.

What lint refuses with a line number is refused here too where walking it would be unsafe or unequal to other
readers: recursion, array items of no bytes, logical types that the hub does not use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hub.avro.shape import (
    MISSING,
    Array,
    Date,
    Decimal,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    Record,
    Shape,
    Timestamp,
    Union,
)
from hub.errors import Problem, SchemaError

PRIMITIVES = {
    "null": ("null", 0),
    "boolean": ("a boolean", 1),
    "int": ("a 32-bit integer", 1),
    "long": ("a 64-bit integer", 1),
    "float": ("a finite number", 4),
    "double": ("a finite number", 8),
    "string": ("a string", 1),
    "bytes": ("bytes", 1),
}


def resolve(schema: Any) -> Shape:
    """The shape of a schema; raises SchemaError when it cannot be walked safely."""
    return _Resolver().shape(schema, "")


class _Resolver:
    """Names met so far; a name still being built is there as None, which is how recursion shows."""

    def __init__(self) -> None:
        self.named: dict[str, Shape | None] = {}

    def shape(self, schema: Any, namespace: str) -> Shape:
        if isinstance(schema, str):
            return self.primitive(schema) if schema in PRIMITIVES else self.reference(schema, namespace)
        if isinstance(schema, list):
            return self.union(schema, namespace)
        if not isinstance(schema, Mapping) or "type" not in schema:
            raise refused("", "a type is neither a name, a list nor an object with a type")
        return self.typed(schema, namespace)

    def typed(self, schema: Mapping[str, Any], namespace: str) -> Shape:
        kind = schema["type"]
        if kind in ("record", "enum", "fixed"):
            return self.definition(schema, namespace)
        if kind == "array":
            return self.array(schema, namespace)
        if kind == "map":
            return Map("map", "an object of named values", 1, self.shape(schema["values"], namespace))
        if isinstance(kind, str) and kind in PRIMITIVES:
            return _logical(schema, self.primitive(kind))
        return self.shape(kind, namespace)

    def primitive(self, name: str) -> Shape:
        return Primitive(name, *PRIMITIVES[name])

    def reference(self, name: str, namespace: str) -> Shape:
        full = _full_name(name, namespace)
        if full not in self.named:
            raise refused(full, "is used before it is defined")
        found = self.named[full]
        if found is None:
            raise refused(full, "contains itself")
        return found

    def definition(self, schema: Mapping[str, Any], namespace: str) -> Shape:
        full = _full_name(schema["name"], schema.get("namespace", namespace))
        if full in self.named:
            raise refused(full, "is defined twice")
        self.named[full] = None
        shape = self.defined(full, schema)
        self.named[full] = shape
        return shape

    def defined(self, full: str, schema: Mapping[str, Any]) -> Shape:
        if schema["type"] == "enum":
            symbols = tuple(map(_checked, schema["symbols"]))
            return Enum(full, "one of " + ", ".join(symbols), 1, symbols)
        if schema["type"] == "fixed":
            size = schema["size"]
            return _logical(schema, Fixed(full, f"exactly {size} bytes", size, size))
        fields = tuple(self.field(field, full.rpartition(".")[0]) for field in schema["fields"])
        return Record(full, "an object", sum(field.shape.smallest for field in fields), fields)

    def field(self, schema: Mapping[str, Any], namespace: str) -> Field:
        return Field(_checked(schema["name"]), self.shape(schema["type"], namespace), schema.get("default", MISSING))

    def array(self, schema: Mapping[str, Any], namespace: str) -> Shape:
        items = self.shape(schema["items"], namespace)
        if not items.smallest:
            raise refused(items.label, "takes no bytes and cannot be the item of an array")
        return Array("array", "an array", 1, items)

    def union(self, schema: list[Any], namespace: str) -> Shape:
        branches = tuple(self.shape(branch, namespace) for branch in schema)
        labels = [branch.label for branch in branches]
        if not branches or len(set(labels)) < len(labels) or "union" in labels:
            raise refused("union", "is empty, holds a union, or holds the same type twice")
        said = " or ".join(branch.said for branch in branches)
        return Union("union", said, 1 + min(branch.smallest for branch in branches), branches)


def _full_name(name: str, namespace: str) -> str:
    return _checked(name if "." in name or not namespace else f"{namespace}.{name}")


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


def _checked(name: Any) -> str:
    """Names go into generated source: what the specification does not allow in one stays out."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise refused("", "has a name that is none to Avro")
    return name


def _logical(schema: Mapping[str, Any], plain: Shape) -> Shape:
    logical = schema.get("logicalType")
    if logical is None:
        return plain
    if (logical, plain.label) == ("date", "int"):
        return Date("int", "a date", 1)
    if (logical, plain.label) == ("timestamp-millis", "long"):
        return Timestamp("long", "a timestamp in whole milliseconds", 1)
    if logical == "decimal" and (plain.label == "bytes" or isinstance(plain, Fixed)):
        return _decimal(schema, plain)
    raise refused(plain.label, f"has the logical type {logical}, which the hub does not use")


def _decimal(schema: Mapping[str, Any], plain: Shape) -> Shape:
    precision, scale = schema.get("precision", 0), schema.get("scale", 0)
    if not 1 <= precision <= 1000 or not 0 <= scale <= precision:
        raise refused(plain.label, "is a decimal without 1 <= precision <= 1000 and 0 <= scale <= precision")
    said = f"a decimal of at most {precision} digits, {scale} of them after the point"
    size = plain.size if isinstance(plain, Fixed) else 0
    limit = 10**precision
    needed = (limit - 1).bit_length() // 8 + 1
    if size and needed > size:
        raise refused(plain.label, f"needs {needed} bytes for {precision} digits")
    longest = size or needed
    return Decimal(plain.label, said, size or 2, precision, scale, size, limit, longest)


def refused(name: str, message: str) -> SchemaError:
    """A schema that cannot be walked; line 1, since only lint knows lines."""
    problem = Problem(name, 1, f"{name or 'the schema'} {message}", "hub schema check shows the line")
    return SchemaError([problem])
