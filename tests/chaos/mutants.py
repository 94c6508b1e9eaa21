"""Product mutants: a worker with one fault built in, which must turn a run red; or one that ends at a step of a batch.

`python mutants.py NAME worker` runs `hub worker` so, `python mutants.py crash_LANE_STEP worker` until it comes to that
step. The product has no switch for it: what is replaced is named here, and a name that is gone fails at once, so
that no mutant is survived because it was never there.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from aiokafka import AIOKafkaConsumer

from hub import cli
from hub.engine import app, transaction
from hub.kafka import appending
from hub.kafka.transactional import TransactionalProducer
from hub.pipeline import ledger, reader
from hub.pipeline.recognise import Recognised


def dedupe_off() -> None:
    """Every event is new."""
    _replace(ledger, "recognise", lambda entry, identity, content: Recognised.NEW)


def offsets_first() -> None:
    """The offsets are committed before the outputs, in a transaction of their own; now and then the worker
    stumbles between the two."""
    commit = transaction.Transactions.commit
    chance = random.Random(1)

    async def twice(self: Any, outputs: Any, offsets: Any) -> None:
        await commit(self, (), offsets)
        if chance.random() < 0.1:
            raise ConnectionError("stumbled between the offsets and the outputs")
        await commit(self, outputs, offsets)

    _replace(transaction.Transactions, "commit", twice)


def unkeyed() -> None:
    """Events go to any partition."""
    _replace(transaction, "partition_of", lambda key, partitions: random.randrange(partitions))


def mask_off() -> None:
    """What is to be masked is clear."""
    plan = reader.ProjectionPlan

    def bare(header: bytes, clear: frozenset[str], masked: frozenset[str]) -> Any:
        return plan(header, clear | masked, frozenset())

    _replace(reader, "ProjectionPlan", bare)


def early_202() -> None:
    """The gateway answers before the broker has acknowledged."""
    append, tasks = appending.Appender.append, set[Any]()

    async def early(self: Any, topic: str, lines: Any) -> Any:
        tasks.add(asyncio.ensure_future(append(self, topic, lines)))
        await asyncio.sleep(0)
        return [(0, -1)] * len(lines)

    _replace(appending.Appender, "append", early)


def agents_hang() -> None:
    """Faust's part of the worker does not end; no mutant, but what happens when its group rebalances just then."""

    async def never(self: Any) -> None:
        await asyncio.Event().wait()

    _replace(app._CommittedConsumer, "on_stop", never)


MUTANTS = {each.__name__: each for each in (dedupe_off, offsets_first, unkeyed, mask_off, early_202)}


STEPS = {
    "taken": (AIOKafkaConsumer, "getmany", "after"),
    "begun": (TransactionalProducer, "name_partitions", "after"),
    "sent": (TransactionalProducer, "send", "after"),
    "offsets": (TransactionalProducer, "give_offsets", "before"),
    "given": (TransactionalProducer, "give_offsets", "after"),
    "commit": (TransactionalProducer, "end", "before"),
    "committed": (TransactionalProducer, "end", "after"),
}
"""Named steps of a batch: the call of a client of Kafka at which the worker ends itself."""


def crash(lane: str, step: str) -> None:
    """kill -9 at that step of that lane, somewhere after the first batches."""
    client, name, when = STEPS[step]
    call, left = getattr(client, name), random.randrange(10, 60)

    async def last(self: Any, *given: Any, **named: Any) -> Any:
        nonlocal left
        here = f".{lane}" in _named(self)
        left -= here and when == "before"
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = await call(self, *given, **named)
        left -= here and when == "after" and (name != "getmany" or bool(result))
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    _replace(client, name, last)


def _named(client: AIOKafkaConsumer | TransactionalProducer) -> str:
    """The group, or the transactional id: both say which lane it is."""
    if isinstance(client, AIOKafkaConsumer):
        return str(client._group_id)
    return client.transactional_id


def _replace(where: Any, name: str, by: Any) -> None:
    getattr(where, name)  # raises where it is gone
    setattr(where, name, by)


if __name__ == "__main__":
    wanted = sys.argv.pop(1)
    if wanted.startswith("crash_"):
        crash(*wanted.removeprefix("crash_").split("_"))
    elif wanted == "agents_hang":
        agents_hang()
    else:
        MUTANTS[wanted]()
    cli.main()
