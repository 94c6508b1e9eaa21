"""The data of an event type as JSON Schema (2020-12): what `hub.avro.plain` takes, with the rules of its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Node = dict[str, Any]
Codes = Mapping[str, Sequence[str]]
"""Lists of the catalogue: agencies, services, districts."""

INT, LONG = (1 << 31), (1 << 63)
RULES = {"minimum": "minimum", "maximum": "maximum", "maxLength": "maxLength"}
DAY = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
MOMENT = {
    "type": "string",
    "format": "date-time",
    "description": "With its offset, and with milliseconds at the most",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?(Z|[+-][0-9]{2}:[0-9]{2})$",
}
BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
PRIMITIVES: Mapping[str, Node] = {
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "int": {"type": "integer", "minimum": -INT, "maximum": INT - 1},
    "long": {"type": "integer", "minimum": -LONG, "maximum": LONG - 1},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "string": {"type": "string"},
    "bytes": {"type": "string", "contentEncoding": "base64", "pattern": BASE64},
}


def component(type_name: str) -> str:
    """Name of the schema of a type's data among the components of the OpenAPI document."""
    return f"data.{type_name}"


def reference(type_name: str) -> str:
    """Where that is."""
    return f"/openapi.json#/components/schemas/{component(type_name)}"


def data_schema(schema: Mapping[str, Any], codes: Codes) -> Node:
    """Of an event type's Avro schema. Rules between fields are left to words: JSON Schema cannot say them."""
    found = _record(schema, codes, {})
    rules = [" ".join(map(str, rule)) for rule in schema.get("rules", ())]
    return found | {"description": " Rule: ".join([schema["doc"], *rules])}


def _record(schema: Mapping[str, Any], codes: Codes, named: dict[str, Any]) -> Node:
    named[schema["name"]] = schema
    fields = {field["name"]: _field(field, codes, named) for field in schema["fields"]}
    required = [field["name"] for field in schema["fields"] if "default" not in field]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def _field(field: Mapping[str, Any], codes: Codes, named: dict[str, Any]) -> Node:
    return _of(field["type"], field, codes, named) | {"description": field["doc"]}


def _of(avro: Any, field: Mapping[str, Any], codes: Codes, named: dict[str, Any]) -> Node:
    """A type under the rules of its field."""
    if isinstance(avro, list):
        return {"anyOf": [_of(branch, field, codes, named) for branch in avro]}
    if isinstance(avro, str):
        return _of(named[avro], field, codes, named) if avro in named else _primitive(avro, field, codes)
    if "name" in avro:
        named[avro["name"]] = avro
    logical = avro.get("logicalType")
    if logical == "date":
        return dict(DAY)
    if logical == "timestamp-millis":
        return dict(MOMENT)
    if logical == "decimal":
        return _decimal(avro)
    return _complex(avro, field, codes, named)


def _complex(avro: Mapping[str, Any], field: Mapping[str, Any], codes: Codes, named: dict[str, Any]) -> Node:
    match avro["type"]:
        case "record":
            return _record(avro, codes, named)
        case "enum":
            return {"type": "string", "enum": list(avro["symbols"])}
        case "array":
            return {"type": "array", "items": _of(avro["items"], field, codes, named)}
        case "map":
            return {"type": "object", "additionalProperties": _of(avro["values"], field, codes, named)}
        case "fixed":
            length = 4 * ((avro["size"] + 2) // 3)
            return PRIMITIVES["bytes"] | {"minLength": length, "maxLength": length}
    return _of(avro["type"], field, codes, named)


def _primitive(name: str, field: Mapping[str, Any], codes: Codes) -> Node:
    found = dict(PRIMITIVES[name])
    if name == "string" and "catalogue" in field:
        return found | {"enum": sorted(codes[field["catalogue"]])}
    if name == "string" and "pattern" in field:
        found["pattern"] = f"^(?:{field['pattern']})$"
    return found | {json: field[avro] for avro, json in RULES.items() if avro in field}


def _decimal(avro: Mapping[str, Any]) -> Node:
    """A string, since a JSON number may lose digits on its way; or an integer."""
    scale = avro.get("scale", 0)
    whole = avro["precision"] - scale
    fraction = f"(?:\\.[0-9]{{1,{scale}}})?" if scale else ""
    text = {"type": "string", "pattern": f"^-?[0-9]{{1,{max(whole, 1)}}}{fraction}$"}
    most = 10**whole - 1
    return {"anyOf": [text, {"type": "integer", "minimum": -most, "maximum": most}]}
