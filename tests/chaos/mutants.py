"""Product mutants: a worker with one fault built in. Each must turn a run red.

`python mutants.py NAME worker` runs `hub worker` so. The product has no switch for it: what is replaced is named
here, and a name that is gone fails at once, so that no mutant is survived because it was never there.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from hub import cli
from hub.engine import transaction
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


MUTANTS = {
    "dedupe_off": (dedupe_off, "dup_effect"),
    "offsets_first": (offsets_first, "lost"),
    "unkeyed": (unkeyed, "disorder"),
    "mask_off": (mask_off, "over_delivery"),
}
"""Name → what does it, and the verdict that must show it."""


def _replace(where: Any, name: str, by: Any) -> None:
    getattr(where, name)  # raises where it is gone
    setattr(where, name, by)


if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)][0]()
    cli.main()
