"""What producers ask a broker and how they take its answers, over aiokafka's client.

Source: Apache Kafka, "Protocol": error codes.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    OperationNotAttempted,
    ProducerFenced,
    for_code,
)

from hub.kafka.outage import asked_to_end

REQUEST_MS = 10_000
"""For one answer."""

ALL_REPLICAS = -1
SEQUENCES = 1 << 31
"""A sequence number begins again after that many."""

FENCED = {InvalidProducerEpoch.errno, 90, 22, 25}
"""90: PRODUCER_FENCED, which newer versions of the requests answer. 22, 25: ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID: the
group goes on without us."""


class UnstableOffsetCommitError(KafkaError):  # type: ignore[misc]
    """aiokafka has no name for it."""

    errno, retriable = 88, True


PASSING = {
    ConcurrentTransactions.errno,
    OperationNotAttempted.errno,
    CoordinatorLoadInProgressError.errno,
    UnstableOffsetCommitError.errno,
    13,
}
"""They pass at the node that answers so, also where aiokafka does not mark them as such. 13: NETWORK_EXCEPTION."""


async def ask(client: AIOKafkaClient, node: int, request: Any, group: ConnectionGroup = ConnectionGroup.DEFAULT) -> Any:
    """The node's answer. Raises `KafkaError` where there is none."""
    try:
        return await client.send(node, request, group=group)
    except asyncio.CancelledError:
        if asked_to_end():
            raise
        raise KafkaConnectionError("the connection was given up") from None


def passing(code: int, where: str) -> KafkaError:
    """The error of that code, where it may pass; raised where not."""
    if code in FENCED:
        raise ProducerFenced
    kind = UnstableOffsetCommitError if code == UnstableOffsetCommitError.errno else for_code(code)
    error: KafkaError = kind(f"{where}: code {code}")
    if not error.retriable and code not in PASSING:
        raise error
    return error


def by_topic(rows: Iterable[tuple[TopicPartition, Any]]) -> list[tuple[str, list[Any]]]:
    found = defaultdict[str, list[Any]](list)
    for (topic, _), row in rows:
        found[topic].append(row)
    return list(found.items())
