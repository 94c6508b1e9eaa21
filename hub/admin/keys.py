"""The key of the pseudonyms can never change: every person would become another one. Kafka keeps its fingerprint.

The fingerprint is a digest under the key itself, in the compacted topic `state.hub`: it says whether two keys are the
same and nothing else about them.
"""

from __future__ import annotations

import hmac
from enum import StrEnum

from kafka.errors import KafkaError

from hub.errors import ConfigError, Retry
from hub.kafka.clients import producer
from hub.kafka.connection import Connection
from hub.kafka.reading import read_all

TOPIC = "state.hub"
KEY = b"person-secret"
DIGEST_HEX = 32


class Match(StrEnum):
    """How a key compares with the hub's."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


def fingerprint(secret: bytes) -> bytes:
    """32 hex digits."""
    return hmac.digest(secret, b"fingerprint of the key of the pseudonyms", "sha256").hex()[:DIGEST_HEX].encode()


def fingerprint_there(connection: Connection) -> bool:
    """Whether there is one. Raises `ConfigError` where no broker answers."""
    return _first(connection) is not None


def compare(connection: Connection, secret: bytes) -> Match:
    """Whether it is the key that this hub began with; unknown where no worker has ever run."""
    found = _first(connection)
    if found is None:
        return Match.UNKNOWN
    return Match.SAME if hmac.compare_digest(found, fingerprint(secret)) else Match.OTHER


def claim(connection: Connection, secret: bytes) -> None:
    """A worker's: it is the hub's key, or becomes it where there was none. Raises `ConfigError` where it is another."""
    found = compare(connection, secret)
    if found is Match.UNKNOWN:
        _write(connection, fingerprint(secret))
        found = compare(connection, secret)  # another worker may have been first
    if found is Match.OTHER:
        raise ConfigError(
            "HUB_PERSON_SECRET is not the one that this hub began with: every person would become another one. "
            "Set the former one; a lost one cannot be made again"
        )


def _first(connection: Connection) -> bytes | None:
    """The first that was written stands, should two workers have begun at once."""
    return next((record.value for record in read_all(connection, TOPIC) if record.key == KEY), None)


def _write(connection: Connection, value: bytes) -> None:
    try:
        with producer(connection) as client:
            client.send(TOPIC, key=KEY, value=value, partition=0).get(timeout=15)
    except KafkaError as error:
        raise Retry(f"the fingerprint of HUB_PERSON_SECRET was not written: {type(error).__name__}") from error
