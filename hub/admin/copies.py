"""More copies of what a topic has already, where it has fewer than wanted: a hub that grew from one node to three.

More copies lose and reorder nothing, but all that is kept is copied once over the network: a person says when. Readers
and writers go on meanwhile. Fewer copies are nobody's business here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError, UnsupportedVersionError

from hub.errors import ConfigError
from hub.kafka.clients import admin
from hub.kafka.connection import Connection

LOOK_AGAIN_SECONDS, ANSWER_SECONDS = 0.5, 60.0
AT_ONCE = 100
"""Partitions that are copied at the same time: what the hub carries meanwhile has the network too."""

Copies = Mapping[TopicPartition, Sequence[int]]
"""The nodes that have a copy of each partition, the one that leads it first."""
Tell = Callable[[int, int], None]
"""How many partitions have their copies by now, of how many."""


def more_copies(connection: Connection, wanted: Mapping[str, int], tell: Tell = lambda done, of: None) -> None:
    """Give every partition of these topics as many copies as wanted, and return once all are complete. Raises
    `ConfigError` where there are not as many nodes, or the broker refuses.

    Doing it again, after it was ended too, is harmless.
    """
    with admin(connection) as client:
        nodes = [broker["broker_id"] for broker in client.describe_cluster()["brokers"]]
        asked = spread(_found(client, wanted), wanted, nodes)
        left = list(asked)
        for first in range(0, len(left), AT_ONCE):
            some = left[first : first + AT_ONCE]
            _ask(client, {tp: asked[tp] for tp in some})
            while under_way := being_copied(client).keys() & set(some):
                tell(first + len(some) - len(under_way), len(left))
                time.sleep(LOOK_AGAIN_SECONDS)
            tell(first + len(some), len(left))


def being_copied(client: KafkaAdminClient) -> Mapping[TopicPartition, int]:
    """Partitions that get more copies now, and how many; a broker that is too old to say so makes none. An error is no
    such answer: raises `ConfigError` where there is none in time."""
    until = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            moving = client.list_partition_reassignments()
        except UnsupportedVersionError:
            return {}
        except KafkaError as error:  # a controller that moves is back in seconds
            if not error.retriable or time.monotonic() > until:
                said = f"the broker does not tell what is being copied: {type(error).__name__}"
                raise ConfigError(f"{said} (the right to Describe the cluster is needed)") from error
            time.sleep(LOOK_AGAIN_SECONDS)
        else:
            return {tp: len(each["adding_replicas"]) for tp, each in moving.items()}


def spread(found: Copies, wanted: Mapping[str, int], nodes: Sequence[int]) -> Copies:
    """Partitions with fewer copies than wanted of their topic, and the nodes that they are to be on: those that have
    them, then those with the fewest copies of all. Raises `ConfigError` where there are too few nodes."""
    load = Counter(dict.fromkeys(nodes, 0))
    load.update(node for copies in found.values() for node in copies if node in load)
    asked: dict[TopicPartition, Sequence[int]] = {}
    for tp, copies in sorted(found.items()):
        more = wanted[tp.topic] - len(copies)
        if more <= 0:
            continue
        others = sorted(load.keys() - set(copies), key=lambda node: (load[node], node))
        if len(others) < more:
            raise ConfigError(f"{tp.topic} is to have {wanted[tp.topic]} copies, and {len(nodes)} nodes answer")
        load.update(others[:more])
        asked[tp] = [*copies, *others[:more]]
    return asked


def complete(topic: Mapping[str, Any], under_way: Mapping[TopicPartition, int]) -> Copies:
    """The copies of a topic, as the broker describes it, without those that are under way."""
    parts = {TopicPartition(topic["name"], part["partition_index"]): part for part in topic["partitions"]}
    return {tp: p["replica_nodes"][: len(p["replica_nodes"]) - under_way.get(tp, 0)] for tp, p in parts.items()}


def _found(client: KafkaAdminClient, topics: Collection[str]) -> Copies:
    """What is under way is asked for again, and so waited for."""
    under_way, found = being_copied(client), dict[TopicPartition, Sequence[int]]()
    for topic in client.describe_topics():
        if topic["name"] in topics:
            found |= complete(topic, under_way)
    return found


def _ask(client: KafkaAdminClient, asked: Copies) -> None:
    answers = client.alter_partition_reassignments(asked)
    refused = [f"{tp.topic}/{tp.partition}: {error.__name__}" for tp, error in answers.items() if error is not None]
    if refused:
        raise ConfigError(f"the broker copies {len(refused)} partitions nowhere ({refused[0]}…)")
