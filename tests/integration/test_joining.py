"""A member of a delivery group, when the topics change while it joins."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kafka.admin import NewTopic
from kafka.errors import NoOffsetForPartitionError
from workers import until

from hub.delivery.wire import Wire
from hub.kafka.clients import admin
from hub.kafka.connection import Connection

Name = Callable[[str], str]


def test_a_join_that_outlasts_a_poll_is_seen_through(apache: Connection, name: Name) -> None:
    topic = name("out")
    with admin(apache) as client, Wire(apache, name("g")).consumer() as consumer:
        client.create_topics([NewTopic(topic, 1, 1)])
        consumer.subscribe(topics=[topic])

        def assigned(partitions: int) -> bool:
            with suppress(NoOffsetForPartitionError):  # where to begin is for a session to say
                consumer.poll(100)
            return len(consumer.assignment()) == partitions and not consumer._coordinator.need_rejoin()

        until(lambda: assigned(1), "it has joined")
        begun = _slow_down(consumer, seconds=1.0)
        client.create_partitions({topic: 2})
        consumer._coordinator._cluster.request_update()
        until(lambda: begun or assigned(2), "it joins anew")
        until(lambda: assigned(2), "it has the new partition, too", 20)


def _slow_down(consumer: Any, seconds: float) -> list[bool]:
    """The next join; not empty once that has begun."""
    coordinator = consumer._coordinator
    join, begun = coordinator._do_join_and_sync_async, []

    async def slow() -> Any:
        begun.append(True)
        coordinator._do_join_and_sync_async = join
        found = await join()
        await coordinator._net.sleep(seconds)
        return found

    coordinator._do_join_and_sync_async = slow
    return begun
