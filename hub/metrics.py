"""Every metric of the hub, named and explained once; `hub metrics` prints this table.

Labels take values of closed sets alone (agencies, streams and codes of the catalogue, lanes, topics):
no ids, nobody's data. Names are CONTRACT's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Meaning(NamedTuple):
    """One metric: its name as scraped, its labels, what it says and in which unit."""

    name: str
    labels: tuple[str, ...]
    help: str

    @property
    def scraped(self) -> str:
        """The name as Prometheus sees it."""
        return f"{self.name}_total" if self in COUNTERS else f"{self.name}_info" if self is BUILD else self.name


ACCEPTED = Meaning("hub_events_accepted", ("agency", "stream"), "Records durable in in.<agency>, taken by the gate")
REJECTED = Meaning("hub_events_rejected", ("agency", "stream", "code"), "Events refused by gate or ledger")
DUPLICATE = Meaning("hub_events_duplicate", ("agency", "stream"), "Events known already, with the same content")
APPLIED = Meaning("hub_events_applied", ("agency", "stream"), "Events applied by the ledger, each once")
DELIVERED = Meaning("hub_delivery", ("agency", "outcome"), "Events handed to receivers, by outcome")
GONE = Meaning("hub_delivery_gone", ("agency", "reason"), "Events of out.<agency> gone before they were read, at most")
LATENCY = Meaning("hub_delivery_latency_seconds", ("agency",), "From accepted to acknowledged by the receiver")
PROCESSING = Meaning("hub_processing_seconds", ("step",), "Time of a batch in a step, or in its commit")
LAG_EVENTS = Meaning(
    "hub_lag_events", ("group", "topic"), "Records written and not yet taken, of this process's partitions"
)
LAG_SECONDS = Meaning("hub_lag_seconds", ("group", "topic"), "Age of the oldest record not yet taken; 0 without lag")
PARKED = Meaning("hub_parked_events", ("agency", "code"), "Events that wait for a receiver")
PARKED_OLDEST = Meaning("hub_parked_oldest_seconds", ("agency",), "Age of the oldest event that waits")
DLQ = Meaning("hub_dlq_events", ("agency", "code"), "Records written to the dead-letter queue")
CONNECTOR_UP = Meaning("hub_connector_up", ("connector",), "1 while the connector's process reaches the broker")
PROGRESS = Meaning(
    "hub_connector_last_progress_timestamp_seconds",
    ("connector",),
    "When the connector last delivered, Unix time",
)
LAST_EVENT = Meaning(
    "hub_agency_last_event_timestamp_seconds", ("agency",), "When the agency's last event came in, Unix time"
)
RESTARTS = Meaning("hub_lane_restarts", ("lane", "reason"), "Times a lane's number gave up its producer and began anew")
BROKER_UP = Meaning("hub_broker_up", ("lane",), "1 while the broker answers a lane of the worker")
REBUILD = Meaning("hub_rebuild_progress", ("lane",), "Share of its state that a lane has read back; 1: all of it")
REBUILD_LEFT = Meaning("hub_rebuild_remaining_seconds", ("lane",), "How long reading back may still take; 0: done")
AGENCY_PAUSED = Meaning("hub_agency_paused", ("agency",), "1 while nothing of an agency is taken, until ops resumes it")
HTTP_REQUESTS = Meaning("hub_http_requests", ("door", "route", "status"), "Requests answered at an HTTP door")
HTTP_SECONDS = Meaning("hub_http_request_seconds", ("door", "route"), "Time to answer a request at an HTTP door")
HTTP_REJECTED = Meaning("hub_http_rejected", ("agency", "code"), "Requests refused at an HTTP door, by who asked")
GATEWAY_EVENTS = Meaning(
    "hub_gateway_events", ("agency", "status"), "Events published over HTTP, by what became of each"
)
GATEWAY_WAITING = Meaning("hub_gateway_waiting_bytes", (), "Bytes of requests and events that the gateway holds")
AUDIT_LOST = Meaning("hub_audit_lost", ("reason",), "Lines of the audit that could not be kept or written")
AUDIT_WAITING = Meaning("hub_audit_waiting_seconds", (), "Age of the oldest line of the audit not written yet")
VIEW_LAG = Meaning("hub_view_lag_seconds", ("view",), "How old a gateway's view may be: receipts, status")
BUILD = Meaning("hub_build", (), "Version of the hub and of the catalogue")

HTTP_COUNTERS = (HTTP_REQUESTS, HTTP_REJECTED, GATEWAY_EVENTS, AUDIT_LOST)
HTTP_GAUGES = (GATEWAY_WAITING, AUDIT_WAITING, VIEW_LAG)
LANE_GAUGES = (LAG_EVENTS, LAG_SECONDS, LAST_EVENT, REBUILD, REBUILD_LEFT, BROKER_UP, AGENCY_PAUSED)
COUNTERS = (ACCEPTED, REJECTED, DUPLICATE, APPLIED, DELIVERED, GONE, DLQ, RESTARTS, *HTTP_COUNTERS)
GAUGES = (*LANE_GAUGES, PARKED, PARKED_OLDEST, CONNECTOR_UP, PROGRESS, *HTTP_GAUGES)
HISTOGRAMS = (LATENCY, PROCESSING, HTTP_SECONDS)
ALL: Sequence[Meaning] = (*COUNTERS, *GAUGES, *HISTOGRAMS, BUILD)


class Counts(defaultdict[tuple[str, ...], int]):
    """By the values of its labels, what was counted since the page was last asked for."""

    def __init__(self, metric: Meaning) -> None:
        super().__init__(int)
        self.metric = metric


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters = {m: Counter(m.name, m.help, m.labels, registry=self.registry) for m in COUNTERS}
        self._gauges = {m: Gauge(m.name, m.help, m.labels, registry=self.registry) for m in GAUGES}
        self._histograms = {
            m: Histogram(m.name, m.help, m.labels, buckets=SECONDS, registry=self.registry) for m in HISTOGRAMS
        }
        self._build = Info(BUILD.name, BUILD.help, registry=self.registry)
        self._counting: dict[tuple[str, ...], Counter] = {}
        self._counts: list[Counts] = []
        self._observing: dict[tuple[str, ...], Histogram] = {}

    def count(self, metric: Meaning, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        found = self._counting.get((metric.name, *labels))  # the library asks for a lock and takes labels apart
        if found is None:
            found = self._counting[metric.name, *labels] = self._counters[metric].labels(*labels)
        found.inc(by)

    def counts(self, metric: Meaning) -> Counts:
        """A counter for who counts all the time in one event loop, the page's: its values by label, added up when the
        page is asked for."""
        made = Counts(metric)
        self._counts.append(made)
        return made

    def set(self, metric: Meaning, *labels: str, to: float) -> None:
        """Set a gauge."""
        gauge = self._gauges[metric]
        (gauge.labels(*labels) if labels else gauge).set(to)

    def remove(self, metric: Meaning, *labels: str) -> None:
        """A gauge that says nothing any more."""
        self._gauges[metric].remove(*labels)

    def observe(self, metric: Meaning, *labels: str, seconds: float) -> None:
        """Put one measured time into a histogram."""
        found = self._observing.get((metric.name, *labels))
        if found is None:
            found = self._observing[metric.name, *labels] = self._histograms[metric].labels(*labels)
        found.observe(seconds)

    def page(self) -> bytes:
        """What Prometheus scrapes."""
        for counts in self._counts:
            for labels, count in counts.items():
                self.count(counts.metric, *labels, by=count)
            counts.clear()
        return generate_latest(self.registry)

    def build(self, catalogue_version: int) -> None:
        """State what runs."""
        self._build.info({"version": hub_version(), "catalogue": str(catalogue_version)})


def hub_version() -> str:
    """The installed version, `0` from a bare checkout."""
    try:
        return version("zefer-hub")
    except PackageNotFoundError:
        return "0"
