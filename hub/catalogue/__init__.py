"""The catalogue: agencies, event types, entitlements and their projections, as `schemas/` has them."""

from __future__ import annotations

from hub.catalogue.load import SCHEMAS, load
from hub.catalogue.model import (
    Agency,
    Basis,
    Catalogue,
    District,
    Entitlement,
    EventType,
    Mask,
    Name,
    Projection,
    Rule,
    Schema,
    Service,
    StatusRule,
    Stream,
)

__all__ = [
    "SCHEMAS",
    "Agency",
    "Basis",
    "Catalogue",
    "District",
    "Entitlement",
    "EventType",
    "Mask",
    "Name",
    "Projection",
    "Rule",
    "Schema",
    "Service",
    "StatusRule",
    "Stream",
    "load",
]
