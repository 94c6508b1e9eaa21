"""Small types of every kind, for the cases of this folder."""

from __future__ import annotations

from typing import Any

HEADER = b"\0\0\0\0\1"

DATE = {"type": "int", "logicalType": "date"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}
FIXED_MONEY = {"type": "fixed", "name": "M", "size": 4, "logicalType": "decimal", "precision": 5, "scale": 2}
COLOUR = {"type": "enum", "name": "C", "symbols": ["RED", "GREEN"]}
DIGEST = {"type": "fixed", "name": "D", "size": 3}
TAGS = {"type": "array", "items": "string"}
SCORES = {"type": "map", "values": "int"}


def of(*types: Any) -> dict[str, Any]:
    """A record whose fields are a, b, ... of these types."""
    fields = [{"name": name, "type": kind} for name, kind in zip("abcdefgh", types, strict=False)]
    return {"type": "record", "name": "T", "fields": fields}
