"""Runs one worker process: `hub worker`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from traceback import StackSummary, print_list, walk_tb
from typing import Any, cast

import structlog
import uvloop
from faust import App, Worker
from mode.utils.tracebacks import Traceback

from hub.clock import now_ms
from hub.engine.app import LANES, build_app
from hub.engine.lane import Lane
from hub.engine.notes import Notes
from hub.engine.observe import LaneMetrics
from hub.engine.spec import Runtime
from hub.engine.versions import Versions
from hub.errors import ConfigError
from hub.kafka import outage, taken, tolerance
from hub.kafka.connection import Connection
from hub.metrics import Metrics
from hub.pipeline.readers import LookUp
from hub.pipeline.rulebook import Rulebook
from hub.probe import Probe
from hub.settings import Settings

log = structlog.get_logger(__name__)


AGENTS_SECONDS = 5.0
"""Faust may wait for ever for its own group when that rebalances while it stops. The lanes have ended by then; what
agents read can be read again."""


class _Worker(Worker):
    """Faust's, which ends its lanes together, and answers no signal by printing values or opening a debugger."""

    def __init__(self, app: App, lanes: Sequence[Lane], **options: Any) -> None:
        super().__init__(app, **options)
        self._lanes = lanes

    async def _stop_on_signal(self, number: signal.Signals) -> None:
        await asyncio.gather(*(lane.stop() for lane in self._lanes), return_exceptions=True)
        patience = threading.Timer(AGENTS_SECONDS, _leave_agents)
        patience.daemon = True
        patience.start()
        await super()._stop_on_signal(number)

    def _on_sigusr1(self) -> None:
        """Where every task stands, to stderr: lines of code, no values."""
        for task in asyncio.all_tasks(self.loop):
            sys.stderr.write(f"Stack of {task.get_name()} (most recent call last):\n")
            print_list(StackSummary.extract(walk_tb(cast(Any, Traceback.from_task(task)))), file=sys.stderr)
        sys.stderr.flush()

    def _on_sigusr2(self) -> None:
        log.info("SIGUSR2 has no meaning here; SIGUSR1 says where every task stands")


def _leave_agents() -> None:
    log.warning("the agents do not end, they are left as they are", seconds=AGENTS_SECONDS)
    os._exit(0)


def run_worker(
    settings: Settings,
    connection: Connection,
    rules: Rulebook,
    look_up: LookUp,
    ends: Mapping[tuple[str, int], int],
    lanes: Sequence[str] = tuple(LANES),
) -> None:
    """Carry records until SIGTERM or SIGINT; then finish the batch in flight and leave the group.

    `look_up` tells what is registered since; it runs on a thread. `ends` tells where `events.*` end now.

    Exits with an error when going on would be wrong: the supervisor starts the next one.
    """
    uvloop.install()
    tolerance.install()
    taken.install()
    spare_the_collector()
    outage.install()
    _make(settings.data_dir)
    metrics = Metrics()
    metrics.build(rules.catalogue.version)
    observer = LaneMetrics(metrics)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    notes = Notes(connection, rules.partitions, observer)
    limits = settings.batch_records, settings.refusals_in_a_row
    versions = Versions(rules, look_up)
    runtime = Runtime(settings.name, connection, rules, observer, now_ms, notes, versions, ends, *limits)
    running = [Lane(LANES[name](runtime), runtime) for name in lanes]
    probe = Probe(metrics.registry, lambda: all(lane.ready for lane in running), observer.refresh)
    port = probe.start(settings.metrics_host, settings.metrics_port)
    log.info("worker", metrics=f"http://{settings.metrics_host}:{port}/metrics", lanes=list(lanes))
    app = build_app(runtime, running, metrics, settings.data_dir)
    worker = _Worker(
        app, running, loop=loop, loglevel="WARNING", quiet=True, redirect_stdouts=False, override_logging=False
    )
    worker.spinner = None  # it would write to the terminal, between two lines of JSON
    worker.execute_from_commandline()


def spare_the_collector() -> None:
    """A batch makes tens of thousands of short-lived tuples and no cycles: look for these seldom, not in the rules."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data_dir {folder} cannot be made: {error.strerror}; set HUB_DATA_DIR") from error
