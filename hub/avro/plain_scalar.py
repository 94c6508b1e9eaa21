"""Scalars between plain JSON and values; the table is in `plain.py`."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from datetime import date, datetime
from decimal import Decimal as Number
from typing import Any

from hub.avro.invalid import invalid, mismatch
from hub.avro.logical import date_of, decimal_of, instant_of, millis_of, unscaled_of
from hub.avro.scalar import INT, LONG, floating, utf8, whole
from hub.avro.shape import Date, Decimal, Enum, Fixed, Shape, Timestamp

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def scalar_from_json(shape: Shape, json: Any) -> Any:
    if isinstance(shape, Date):
        return _date(shape, json)
    if isinstance(shape, Timestamp):
        return _timestamp(shape, json)
    if isinstance(shape, Decimal):
        return _decimal(shape, json)
    if isinstance(shape, Enum):
        return _enum(shape, json)
    if isinstance(shape, Fixed) or shape.label == "bytes":
        return _bytes(shape, json)
    return _primitive(shape, json)


def _primitive(shape: Shape, json: Any) -> Any:
    kind = shape.label
    if kind in ("int", "long"):
        return whole(json, *(INT if kind == "int" else LONG), shape.said)
    if kind in ("float", "double"):
        return floating(float(json) if isinstance(json, Number) else json, shape)
    if kind == "string" and isinstance(json, str):
        utf8(json)
    elif not (kind == "boolean" and isinstance(json, bool)) and not (kind == "null" and json is None):
        raise mismatch(shape.said, json)
    return json


def _enum(shape: Enum, json: Any) -> str:
    if not isinstance(json, str) or json not in shape.symbols:
        raise mismatch(shape.said, json)
    return json


def _date(shape: Shape, json: Any) -> date:
    if isinstance(json, str) and _DATE.fullmatch(json):
        try:
            return date.fromisoformat(json)
        except ValueError:
            pass
        raise invalid('a date, as in "2026-11-22"', "a day that no calendar has")
    raise mismatch('a date, as in "2026-11-22"', json)


def _timestamp(shape: Shape, json: Any) -> datetime:
    said = 'a timestamp with its offset, as in "2026-11-22T09:30:00.125Z"'
    match = _TIMESTAMP.fullmatch(json) if isinstance(json, str) else None
    if match is None:
        raise mismatch(said, json)
    moment, fraction, offset = match[1], match[2] or "", match[3]
    if fraction[3:].strip("0"):
        raise invalid(shape.said, "one with microseconds")
    try:
        # the regular expression has made it digits only, so the text of the error is all that is lost
        found = datetime.fromisoformat(f"{moment}.{fraction[:3].ljust(3, '0')}{offset.replace('Z', '+00:00')}")
    except ValueError:
        found = None
    if found is None:
        raise invalid(said, "a time that no calendar or clock has")
    return instant_of(millis_of(found))


def _decimal(shape: Decimal, json: Any) -> Number:
    if isinstance(json, str):
        # bounded before it is read: reading digits takes quadratic time
        if len(json) > shape.precision + shape.scale + 3 or not _DECIMAL.fullmatch(json):
            raise mismatch(f'{shape.said}, as in "120.50"', json)
        json = Number(json)
    elif isinstance(json, int) and not isinstance(json, bool):
        if abs(json) >= shape.limit:
            raise invalid(shape.said, "more digits")
        json = Number(json)
    if not isinstance(json, Number):
        raise mismatch(f'{shape.said}, as in "120.50"', json)
    return decimal_of(unscaled_of(json, shape), shape)


def _bytes(shape: Shape, json: Any) -> bytes:
    data = _base64(json) if isinstance(json, str) else None
    if data is None:
        raise mismatch(f"{shape.said} in base64", json)
    if isinstance(shape, Fixed) and len(data) != shape.size:
        raise mismatch(f"{shape.said} in base64", data)
    return data


def _base64(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


def scalar_to_json(shape: Shape, value: Any) -> Any:
    if isinstance(shape, Date):
        return (value if isinstance(value, date) else date_of(value)).isoformat()
    if isinstance(shape, Timestamp):
        moment = instant_of(millis_of(value) if isinstance(value, datetime) else value)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(shape, Decimal):
        return format(decimal_of(unscaled_of(Number(value), shape), shape), "f")
    if isinstance(value, (bytes, bytearray)):
        return b64encode(value).decode()
    return value
