"""Doorkeeper, limits and audit of one process, as the settings want them: the same for every door."""

from __future__ import annotations

import socket
from collections.abc import Callable

from hub.access.audit import Audit
from hub.access.audit_log import AuditLog
from hub.access.certificates import Certificates
from hub.access.doorkeeper import Doorkeeper, Tells
from hub.access.entries import Registered, codec_of
from hub.access.limits import Limits
from hub.access.tokens import Tokens
from hub.catalogue import Catalogue
from hub.errors import ConfigError
from hub.kafka.connection import Connection
from hub.metrics import Metrics
from hub.settings import Settings


def open_doorkeeper(
    door: str, settings: Settings, catalogue: Catalogue, audit: Tells, *, basic: bool = False
) -> Doorkeeper:
    """Raises `ConfigError` for a file of tokens or a rule for certificates that cannot be used."""
    agencies = frozenset(catalogue.agencies)
    certificates = Certificates(agencies, settings.client_certificates)
    return Doorkeeper(door, Tokens(settings.tokens_file()), agencies, certificates, audit, basic=basic)


def open_limits(settings: Settings, catalogue: Catalogue) -> Limits:
    """Raises `ConfigError` for a limit that is none, or of an agency that the catalogue does not have."""
    own = settings.own_limits()
    if strangers := sorted(set(own) - set(catalogue.agencies)):
        raise ConfigError(f"HUB_LIMITS: no agency of the catalogue: {', '.join(strangers)}")
    return Limits(settings.limit, own)


def open_audit(
    door: str, settings: Settings, connection: Connection, schemas: Callable[[], Registered], metrics: Metrics
) -> Audit:
    """The writer is `<door>.<instance>`: it goes on with its chain after a restart.

    Broker and `schemas` (where schemas are registered) are asked when there is something to write, so that a door opens
    without them.
    """
    writer = f"{door}.{settings.instance or socket.gethostname()}"
    return Audit(AuditLog(connection, lambda: codec_of(schemas()), writer, settings.name), metrics)
