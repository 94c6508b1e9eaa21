"""A member of a lane's group that comes and goes, each time a rebalance; it carries nothing.

`python intruder.py --bootstrap … --group zefer.gate --prefix in.` joins on a line `join`, leaves on a line `leave`, and
answers each when it is done.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

from hub.engine.assignor import Numbers


class Joined(ConsumerRebalanceListener):
    def __init__(self) -> None:
        self.assigned = asyncio.Event()

    def on_partitions_revoked(self, revoked: object) -> None:
        pass

    def on_partitions_assigned(self, assigned: object) -> None:
        self.assigned.set()


async def join(given: argparse.Namespace, topics: list[str]) -> AIOKafkaConsumer:
    """Returns once it has its share of the numbers."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=given.bootstrap,
        group_id=given.group,
        enable_auto_commit=False,
        session_timeout_ms=8_000,
        heartbeat_interval_ms=500,
        rebalance_timeout_ms=30_000,
        partition_assignment_strategy=[Numbers],
    )
    joined = Joined()
    consumer.subscribe(topics=topics, listener=joined)
    await consumer.start()
    consumer.pause(*consumer.assignment())
    await joined.assigned.wait()
    return consumer


async def main(given: argparse.Namespace) -> None:
    probe = AIOKafkaConsumer(bootstrap_servers=given.bootstrap)
    await probe.start()
    topics = sorted(t for t in await probe.topics() if t.startswith(given.prefix) and t != "events.benefit")
    await probe.stop()
    consumer = None
    print("ready", flush=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if line == "join":
            consumer = await join(given, topics)
        elif consumer is not None:
            await consumer.stop()
        print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "group", "prefix"):
        parser.add_argument(f"--{name}", required=True)
    asyncio.run(main(parser.parse_args()))
