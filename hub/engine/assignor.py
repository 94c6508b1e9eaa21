"""Hands out partition *numbers*, not topics: number i of every topic goes to one member of the group.

Only topics that all members subscribe to are shared out. While topics are being added, the members'
subscriptions differ; the stock range assignor would then let two workers hold one number.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class Numbers(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has it untyped
    """Member m of n gets the numbers i with `i * n // partitions == m`, members in order of their ids."""

    name = "numbers"
    version = 0

    @classmethod
    def assign(cls, cluster: Any, members: Any) -> dict[str, ConsumerProtocolMemberAssignment]:
        common = set.intersection(*(set(member.subscription) for member in members.values()))
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in sorted(common)}
        ids = sorted(members)
        share: dict[str, dict[str, list[int]]] = {member: defaultdict(list) for member in ids}
        for topic, count in counts.items():
            for number in range(count):
                share[ids[number * len(ids) // count]][topic].append(number)
        return {m: ConsumerProtocolMemberAssignment(0, sorted(share[m].items()), b"") for m in ids}

    @classmethod
    def metadata(cls, topics: Any) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(0, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        """Nothing to remember."""
