"""Fixtures for all tests. Brokers and hubs are started once a process, when the first test asks for one."""

from __future__ import annotations

import signal

from brokers import apache, broker, embedded, name, pytest_sessionstart
from hypothesis import HealthCheck, settings
from outside import hub, hub_on_apache, hub_on_embedded
from registry_server import registry, registry_broker
from sharing import pytest_collection_modifyitems, pytest_runtest_teardown, pytest_xdist_make_scheduler
from workers import stage

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of all that a script starts with `&`: Ctrl-C is tested, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's affair, and this one may be busy.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

__all__ = [
    "apache",
    "broker",
    "embedded",
    "hub",
    "hub_on_apache",
    "hub_on_embedded",
    "name",
    "pytest_collection_modifyitems",
    "pytest_runtest_teardown",
    "pytest_sessionstart",
    "pytest_xdist_make_scheduler",
    "registry",
    "registry_broker",
    "stage",
]
