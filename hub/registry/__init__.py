"""The schema registry: schema ids as Confluent's registry keeps them, in the topic `_schemas`."""

from hub.registry.log import look_up, missing, read, register
from hub.registry.schemas import Entry, Registered, Schemas

__all__ = ["Entry", "Registered", "Schemas", "look_up", "missing", "read", "register"]
