"""All that a connector may import: `from hub.sdk import Connector, Context, Delivery, Retry, Settings, Sink`.

A connector is a folder `connectors/<name>/` whose `connector.py` holds a `CONNECTOR`. It takes *deliveries*
(what one agency is entitled to see of one event) and puts them where that agency wants them.
"""

from __future__ import annotations

from hub.errors import Park, Retry
from hub.sdk.cloudevents import plain, structured
from hub.sdk.connector import Connector, Option, Settings, Text
from hub.sdk.delivery import Delivery
from hub.sdk.log import Log
from hub.sdk.sink import Clock, Context, Sink

__all__ = [
    "Clock",
    "Connector",
    "Context",
    "Delivery",
    "Log",
    "Option",
    "Park",
    "Retry",
    "Settings",
    "Sink",
    "Text",
    "plain",
    "structured",
]
