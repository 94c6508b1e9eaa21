"""Runs one worker process: `hub worker`."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import structlog
import uvloop
from faust import Worker

from hub.clock import now_ms
from hub.engine.app import LANES, build_app
from hub.engine.lane import Lane
from hub.engine.observe import LaneMetrics
from hub.engine.spec import Runtime
from hub.kafka import taken, tolerance
from hub.kafka.connection import Connection
from hub.metrics import Metrics
from hub.pipeline.rulebook import Rulebook
from hub.probe import Probe
from hub.settings import Settings

log = structlog.get_logger(__name__)


def run_worker(
    settings: Settings, connection: Connection, rules: Rulebook, lanes: Sequence[str] = tuple(LANES)
) -> None:
    """Carry records until SIGTERM or SIGINT; then finish the batch in flight and leave the group.

    Exits with an error when going on would be wrong: the supervisor starts the next one.
    """
    uvloop.install()
    tolerance.install()
    taken.install()
    _spare_the_collector()
    metrics = Metrics()
    metrics.build(rules.catalogue.version)
    observer = LaneMetrics(metrics)
    runtime = Runtime(settings.name, connection, rules, observer, now_ms, settings.batch_records)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    running = [Lane(LANES[name](runtime), runtime) for name in lanes]
    probe = Probe(metrics.registry, lambda: all(lane.ready for lane in running), observer.refresh)
    port = probe.start(settings.metrics_host, settings.metrics_port)
    log.info("worker", metrics=f"http://{settings.metrics_host}:{port}/metrics", lanes=list(lanes))
    app = build_app(runtime, running, metrics, settings.data_dir)
    worker = Worker(app, loop=loop, loglevel="WARNING", quiet=True, redirect_stdouts=False, override_logging=False)
    worker.spinner = None  # it would write to the terminal, between two lines of JSON
    worker.execute_from_commandline()


def _spare_the_collector() -> None:
    """A batch makes tens of thousands of short-lived tuples and no cycles: look for these seldom, not in the rules."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
