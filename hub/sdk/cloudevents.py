"""A delivery as a CloudEvent in JSON's structured mode, for receivers that read no Avro.

Source: CloudEvents 1.0, JSON event format; extensions `partitionkey` (theirs), `originid`, `statusversion`,
`late` (ours).
"""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from hub.sdk.delivery import Delivery


def structured(delivery: Delivery) -> dict[str, Any]:
    """The delivery as a dictionary that `json.dumps` takes; attributes without a value are absent."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": delivery.event_id,
        "source": delivery.source,
        "type": delivery.type,
        "time": plain(delivery.time),
        "originid": delivery.originid,
        "partitionkey": delivery.key,
    }
    event |= {name: value for name, value in _optional(delivery).items() if value is not None}
    event["datacontenttype"] = "application/json"
    event["data"] = {name: plain(value) for name, value in delivery.data.items()}
    return event


def _optional(delivery: Delivery) -> dict[str, Any]:
    return {
        "sequence": delivery.sequence,
        "correlationid": delivery.correlationid,
        "causationid": delivery.causationid,
        "statusversion": delivery.version,
        "late": True if delivery.late else None,
    }


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:  # within a day of year 1 or 9999: as it came
        return value


def plain(value: Any) -> Any:
    """A decoded Avro value as JSON has it.

    Dates and times become ISO 8601 (times in UTC, `Z`), decimals text so that no digit is lost, bytes base64.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return _utc(value).isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case dict():
            return {name: plain(inner) for name, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
        case Decimal() | UUID():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
    raise TypeError(f"no JSON for a {type(value).__name__}")
