"""An event as CloudEvents JSON, as README says that the gateway takes it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chaos.catalogue import Type
from chaos.compose import Send

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cloud_event(send: Send, of: Type) -> dict[str, Any]:
    """Its attributes are those of the headers, its data the fields by their names."""
    attributes = {name.removeprefix("ce_"): value.decode() for name, value in send.headers() if name.startswith("ce_")}
    return attributes | {"datacontenttype": "application/json", "data": plain(of.schema, of.codec.decode(send.value))}


def plain(avro: Any, value: Any) -> Any:
    """A decoded value (days, milliseconds, bytes of decimals) as JSON has it."""
    if value is None or isinstance(avro, str):
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value
    if isinstance(avro, list):
        return plain(next(branch for branch in avro if branch != "null"), value)
    match avro.get("logicalType", avro["type"]):
        case "record":
            return {field["name"]: plain(field["type"], value[field["name"]]) for field in avro["fields"]}
        case "array":
            return [plain(avro["items"], each) for each in value]
        case "map":
            return {name: plain(avro["values"], each) for name, each in value.items()}
        case "date":
            return (EPOCH + timedelta(days=value)).date().isoformat()
        case "timestamp-millis":
            return (EPOCH + timedelta(milliseconds=value)).isoformat(timespec="milliseconds")
        case "decimal":
            return _decimal(avro, value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _decimal(avro: Mapping[str, Any], value: bytes) -> str:
    scale = avro.get("scale", 0)
    return f"{Decimal(int.from_bytes(value, 'big', signed=True)).scaleb(-scale):.{scale}f}"
