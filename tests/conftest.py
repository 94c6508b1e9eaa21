"""Fixtures for all tests. Brokers and hubs are started once a run, when the first test asks for one."""

from __future__ import annotations

from brokers import apache, broker, embedded, name
from outside import hub, hub_on_apache, hub_on_embedded
from registry_server import registry, registry_broker
from workers import stage

__all__ = [
    "apache",
    "broker",
    "embedded",
    "hub",
    "hub_on_apache",
    "hub_on_embedded",
    "name",
    "registry",
    "registry_broker",
    "stage",
]
