"""The shadow ledger: folds `events.*` once more, topic after topic, and compares with `status.person`, byte by byte.

`python shadow.py BOOTSTRAP` prints one JSON line. It is the product's own ledger, over records that come in another
order and other batches than they came to the one that wrote: what must not matter. The judge has its own fold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from chaos import readout
from chaos.readout import Rec, Topics
from chaos.subject import SECRET

from hub import registry
from hub.catalogue import load
from hub.kafka.connection import Connection
from hub.pipeline.ledger import Ledger
from hub.pipeline.rulebook import compile_rulebook

BATCH = 700


def batches(topics: Topics) -> Iterator[list[Rec]]:
    """Of one partition each; the last streams first."""
    for name in sorted((t for t in topics if t.startswith("events.") and t != "events.benefit"), reverse=True):
        log = topics[name]
        for partition in sorted({rec.partition for rec in log}):
            mine = [rec for rec in log if rec.partition == partition]
            yield from (mine[i : i + BATCH] for i in range(0, len(mine), BATCH))


def folded(ledger: Ledger, topics: Topics) -> dict[bytes, bytes]:
    """Key → the last status that the ledger would write."""
    states: dict[int, dict[str, Any]] = {}
    found: dict[bytes, bytes] = {}
    for records in batches(topics):
        state = states.setdefault(records[0].partition, {})
        result = ledger(state, records)
        state.update(result.changes)
        found |= {key: value for topic, _, key, value, _ in result.outputs if topic == "status.person"}
    return found


def main(bootstrap: str) -> None:
    connection = Connection.plain(bootstrap)
    ends = {at: end for at, end in readout.ends(bootstrap).items() if at[0].startswith(("events.", "status.person"))}
    topics = readout.read(bootstrap, {}, ends)
    partitions = 1 + max(partition for _, partition in ends)
    rules = compile_rulebook(load(), registry.read(connection), SECRET.encode(), partitions)
    written = {rec.key: rec.value for rec in topics.get("status.person", ())}
    mine = folded(Ledger(rules, lambda: 0), topics)
    keys = written.keys() | mine.keys()
    different = sorted(key.decode() for key in keys if written.get(key) != mine.get(key))
    events = sum(len(log) for name, log in topics.items() if name.startswith("events."))
    print(json.dumps({"persons": len(written), "events": events, "different": different}))


if __name__ == "__main__":
    main(sys.argv[1])
