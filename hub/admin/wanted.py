"""The topics that a catalogue calls for: names, partitions, limits, retention (CONTRACT: Topics)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from hub.admin.retention import DAY, FOREVER, longest
from hub.catalogue import Catalogue
from hub.registry import schemas

MIB = 1 << 20
PARTITIONS = 4
"""Of a lane's topic, where nobody says how many."""
MUST_HAVE = "min.insync.replicas"
"""How many copies must have a record before it is acknowledged."""
RETENTION = "retention.ms"

# Everywhere the broker's clock, because retention goes by a record's time: whose clock is slow must not get its events
# deleted, and whose clock is fast, by more than an hour, must not be refused.
STAMPED = {"message.timestamp.type": "LogAppendTime"}
# What publishers may send. Uncompressed, because a batch of 875 KB can unpack to 900 MB in a reader.
INBOUND = STAMPED | {"max.message.bytes": str(2 * MIB), "compression.type": "uncompressed"}
# What the hub writes: a dead letter holds an input of up to 2 MiB, and a lane's producer has one limit for all topics.
OUTBOUND = STAMPED | {"max.message.bytes": str(4 * MIB)}
# Only closed segments are compacted; at Kafka's 1 GiB a national hub's would stay open for years.
COMPACTED = OUTBOUND | {"cleanup.policy": "compact", "segment.bytes": str(64 * MIB)}

# The time in which an agency can be away, or an error in its topics found, before records go. Events are kept in
# events.* as long as their schemas say; refused ones in dlq.* until ops discard them.
AGENCY_DAYS = 30
# Activity only feeds rollups and watches of the last hours.
ACTIVITY_DAYS = 7


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be; `configs` are Kafka's topic configurations that differ from its defaults."""

    name: str
    partitions: int
    replicas: int
    configs: Mapping[str, str]


def wanted(
    catalogue: Catalogue, partitions: int = PARTITIONS, replicas: int = 1, paused: Collection[str] = ()
) -> dict[str, TopicSpec]:
    """Name → topic, for everything in the catalogue. `replicas`: 1 on one machine, 3 on a cluster. What waits of
    `paused` agencies is kept for as long as it waits.

    All topics of the lanes have `partitions`; `_schemas` has one, as Confluent's registry wants it.
    """
    safe = {MUST_HAVE: "2"} if replicas >= 3 else {}
    topics = _lane_topics(catalogue, paused)
    specs = {name: TopicSpec(name, partitions, replicas, configs | safe) for name, configs in topics}
    specs[schemas.TOPIC] = TopicSpec(schemas.TOPIC, 1, replicas, COMPACTED | safe)
    return specs


def _lane_topics(catalogue: Catalogue, paused: Collection[str]) -> Iterator[tuple[str, dict[str, str]]]:
    for agency in catalogue.agencies:
        yield f"in.{agency}", INBOUND | (_retention(FOREVER) if agency in paused else _days(AGENCY_DAYS))
        yield f"out.{agency}", OUTBOUND | _days(AGENCY_DAYS)
        yield f"receipts.{agency}", OUTBOUND | _days(AGENCY_DAYS)
        yield f"dlq.{agency}", OUTBOUND | _retention(FOREVER)
    for stream in catalogue.streams:
        kept = longest(each.retention for each in catalogue.types.values() if each.stream == stream)
        yield f"events.{stream}", OUTBOUND | _retention(kept)
    yield "state.ledger", dict(COMPACTED)
    yield "status.person", dict(COMPACTED)
    yield "state.hub", dict(COMPACTED)
    yield "activity", OUTBOUND | _days(ACTIVITY_DAYS)
    yield "audit", OUTBOUND | _retention(FOREVER)


def _days(days: int) -> dict[str, str]:
    return _retention(days * DAY)


def _retention(milliseconds: int) -> dict[str, str]:
    return {RETENTION: str(milliseconds)}
