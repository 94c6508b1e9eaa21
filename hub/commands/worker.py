"""`hub worker`: the lanes of one process."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from hub import registry
from hub.admin import keys, topics
from hub.commands.terminal import catalogue_of, settings_of
from hub.errors import ConfigError
from hub.kafka.reading import end_offsets
from hub.machine.running import connect, secret


def worker(
    lanes: Annotated[str, typer.Option(help="gate, ledger, or both with a comma.")] = "gate,ledger",
) -> None:
    """One worker process: carries records through gate and ledger."""
    from hub.engine.app import LANES
    from hub.engine.worker import run_worker
    from hub.pipeline.rulebook import compile_rulebook

    settings, chosen = settings_of(), lanes.split(",")
    if not set(chosen) <= set(LANES):
        raise ConfigError(f"--lanes {lanes}: expected {', '.join(LANES)}, or both with a comma")
    connection, key, catalogue = connect(settings), secret(settings), catalogue_of(settings)
    partitions = topics.lane_partitions(connection, topics.wanted(catalogue))
    keys.claim(connection, key)
    rules = compile_rulebook(catalogue, registry.read(connection), key, partitions)
    ends = end_offsets(connection, rules.stream_topics.values())
    run_worker(settings, connection, rules, partial(registry.look_up, connection), ends, chosen)
