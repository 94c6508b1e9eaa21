"""A consumer of kafka-python joins its group to the end.

kafka-python 3.0.12 lets a poll that has no more time leave a join to the next one. But where the leader joins because
the topics have changed, it takes note of them in the middle of the join and then sees no reason to join any more: the
next poll does not ask what became of it. Nothing is assigned, no heartbeat is sent, and no error is raised, for good.
It needs no more than a topic made or found while the machine is busy.
"""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer


def sees_joins_through(consumer: KafkaConsumer) -> None:
    """From now on a join that was begun is a reason to join."""
    coordinator: Any = consumer._coordinator
    reasons = coordinator.need_rejoin
    coordinator.need_rejoin = lambda: coordinator.rejoining or reasons()
