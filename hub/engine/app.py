"""The worker: a Faust app whose lanes may lose nothing, and whose agents read summaries."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from yarl import URL

from hub import metrics as m
from hub.engine.lane import Lane
from hub.engine.spec import LaneSpec, Runtime
from hub.kafka.fetching import be_patient
from hub.pipeline.gate import Gate
from hub.pipeline.ledger import Ledger

MODE = logging.getLogger("mode.agents")
AGENTS_WAIT_MS = 500
"""Faust's own wait is 1.5 s; where the broker does not wait, ours decides how busy an idle agent is."""

AGENTS_FETCH_BYTES = 64 << 10
"""What the agents read may be a second old: summaries are fetched by the hundred. Asking for each as it came took a
third of the time of small transactions, at the broker and here."""


class _CommittedThread(AIOKafkaConsumerThread):
    """Faust reads uncommitted records unless it writes transactions itself; ours are the lanes'."""

    logger = MODE

    async def on_start(self) -> None:
        await super().on_start()
        be_patient(self._consumer, AGENTS_WAIT_MS)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_min_bytes = AGENTS_FETCH_BYTES
        return consumer


class _CommittedConsumer(Consumer):
    logger = MODE

    def _new_consumer_thread(self) -> _CommittedThread:
        return _CommittedThread(self, loop=self.loop, beacon=self.beacon)

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """A transaction's marker, which is no record. Faust merges all gaps for each; here they are once a commit."""
        committed = self._committed_offset[tp]
        first = offset_from if committed is None else max(offset_from, committed + 1)
        if first <= offset_to:
            self._gap[tp].addi(first, offset_to + 1)

    def _new_offset(self, tp: Any) -> int | None:
        self._gap[tp].merge_overlaps()
        found: int | None = super()._new_offset(tp)
        return found


class _CommittedTransport(Transport):
    Consumer = _CommittedConsumer


class _App(faust.App):
    logger = MODE

    def _new_transport(self) -> Any:
        return _CommittedTransport(self.conf.broker_consumer, self)


def gate_lane(runtime: Runtime) -> LaneSpec:
    """`in.<agency>` of every agency → `events.<stream>`."""
    topics = tuple(sorted(runtime.rules.agency_of_topic))
    outputs = (*runtime.rules.stream_topics.values(), *_verdicts(runtime))
    step = Gate(runtime.rules, runtime.clock)
    return LaneSpec("gate", f"{runtime.hub}.gate", topics, outputs, step, fair=True, seldom_audits=True)


def ledger_lane(runtime: Runtime) -> LaneSpec:
    """`events.<stream>` (not `events.benefit`, which it writes) → status, `out.<agency>`, receipts."""
    topics = tuple(sorted(set(runtime.rules.stream_topics.values()) - {"events.benefit"}))
    ledger = Ledger(runtime.rules, runtime.clock, runtime.ends)
    offers = (f"out.{agency}" for agency in runtime.rules.catalogue.agencies)
    outputs = (*offers, "state.ledger", "status.person", *_verdicts(runtime))
    return LaneSpec("ledger", f"{runtime.hub}.ledger", topics, outputs, ledger, "state.ledger", ledger.restore)


def _verdicts(runtime: Runtime) -> tuple[str, ...]:
    """Topics that both lanes write: verdicts, dead letters, summaries, notes."""
    agencies = runtime.rules.catalogue.agencies
    verdicts = (f"{kind}.{agency}" for kind in ("receipts", "dlq") for agency in agencies)
    return (*verdicts, "activity", "audit", "state.hub")


LANES = {"gate": gate_lane, "ledger": ledger_lane}


def build_app(runtime: Runtime, lanes: list[Lane], metrics: m.Metrics, data_dir: Path) -> faust.App:
    """The Faust app: `lanes` as its services, one agent on `activity`."""
    connection = runtime.connection
    app = _App(
        f"{runtime.hub}.agents",
        broker=[URL(f"kafka://{server}") for server in connection.servers],
        broker_credentials=_credentials(runtime),
        datadir=data_dir / "faust",
        web_enabled=False,  # its /table and /router pages have no owner; see hub.probe
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_request_timeout=30.0,
        broker_session_timeout=8.0,
        broker_heartbeat_interval=1.0,
        broker_commit_interval=1.0,
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )
    topic = app.topic("activity", value_type=bytes, value_serializer="raw", key_serializer="raw")
    activity = runtime.rules.codecs.activity

    @app.agent(topic, name="hub.rollup")
    async def rollup(batches: Any) -> None:
        """Per agency, when its last event came in: what the watch over silence reads."""
        async for value in batches:
            for tally in activity.unpack(value)["tallies"]:
                if tally["outcome"] == "ACCEPTED" and tally["last_accepted"]:
                    metrics.set(m.LAST_EVENT, tally["agency"], to=tally["last_accepted"] / 1000)

    for service in (runtime.notes, *lanes):
        app.service(cast(Any, service))
    return app


def _credentials(runtime: Runtime) -> Any:
    connection = runtime.connection
    context = connection.ssl_context()
    if connection.protocol.startswith("SASL"):
        return faust.SASLCredentials(
            mechanism=connection.sasl_mechanism,
            username=connection.sasl_user,
            password=connection.sasl_password,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context else None
