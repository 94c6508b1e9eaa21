"""Fixtures for all tests. Brokers are started once a run, when the first test asks for one."""

from __future__ import annotations

from brokers import apache, broker, embedded, name

__all__ = ["apache", "broker", "embedded", "name"]
