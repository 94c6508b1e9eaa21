"""Metrics have the names and labels of the contract, and values of closed sets alone."""

from __future__ import annotations

import itertools

import pytest
from aiokafka import TopicPartition
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from world import NOW, Memory, Rec, catalogue, event

from hub import metrics as m
from hub.delivery.gone import Why
from hub.delivery.metrics import DeliveryMetrics
from hub.delivery.observer import Attempt
from hub.engine.backlog import Lag
from hub.engine.observe import LaneMetrics
from hub.engine.spec import Progress
from hub.errors import Code

CONTRACT = {
    "hub_events_accepted_total": {"agency", "stream"},
    "hub_events_rejected_total": {"agency", "stream", "code"},
    "hub_events_duplicate_total": {"agency", "stream"},
    "hub_events_applied_total": {"agency", "stream"},
    "hub_delivery_total": {"agency", "outcome"},
    "hub_delivery_latency_seconds_bucket": {"agency", "le"},
    "hub_processing_seconds_bucket": {"step", "le"},
    "hub_lag_events": {"group", "topic"},
    "hub_lag_seconds": {"group", "topic"},
    "hub_parked_events": {"agency", "code"},
    "hub_parked_oldest_seconds": {"agency"},
    "hub_dlq_events_total": {"agency", "code"},
    "hub_connector_up": {"connector"},
    "hub_connector_last_progress_timestamp_seconds": {"connector"},
    "hub_agency_last_event_timestamp_seconds": {"agency"},
    "hub_build_info": {"version", "catalogue"},
}
"""As scraped, with their labels; `hub_clock_due_total` comes with the clocks."""


def scraped(metrics: m.Metrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def value(metrics: m.Metrics, name: str, **labels: str) -> float:
    return sum(number for found, number in scraped(metrics).get(name, ()) if found == labels)


def test_every_metric_of_the_contract_is_there_with_exactly_its_labels() -> None:
    metrics = m.Metrics()
    for each in m.ALL:
        labels = ["x"] * len(each.labels)
        if each in m.COUNTERS:
            metrics.count(each, *labels)
        elif each in m.GAUGES:
            metrics.set(each, *labels, to=1)
        elif each in m.HISTOGRAMS:
            metrics.observe(each, *labels, seconds=1)
    metrics.build(1)
    found = {name: set(rows[0][0]) for name, rows in scraped(metrics).items()}
    assert {name: found.get(name) for name in CONTRACT} == CONTRACT


def test_no_metric_has_a_label_that_could_hold_an_id() -> None:
    closed = {"agency", "stream", "code", "outcome", "step", "group", "topic", "connector", "lane", "reason"}
    assert {label for each in m.ALL for label in each.labels} <= closed | {"door", "route", "status", "view"}
    assert all(each.help for each in m.ALL)


def test_two_processes_in_one_do_not_share_their_counts() -> None:
    one, other = m.Metrics(), m.Metrics()
    one.count(m.ACCEPTED, "mod", "veteran")
    assert value(one, "hub_events_accepted_total", agency="mod", stream="veteran") == 1
    assert "hub_events_accepted_total" not in scraped(other)


def test_a_batch_is_counted_by_agency_stream_and_code_once_it_is_committed() -> None:
    metrics, memory = m.Metrics(), Memory()
    observer = LaneMetrics(metrics)
    inputs = [memory.send(event()), memory.send(event()), memory.send(event(fin="x"))]
    observer.committed("gate", memory.gate({}, inputs))
    observer.committed("ledger", memory.apply(memory.pass_gate(inputs)))
    assert value(metrics, "hub_events_accepted_total", agency="mes", stream="veteran") == 3
    assert value(metrics, "hub_events_applied_total", agency="mes", stream="veteran") == 1
    assert value(metrics, "hub_events_duplicate_total", agency="mes", stream="veteran") == 1
    rejected = {"agency": "mes", "stream": "veteran", "code": "fin_invalid"}
    assert value(metrics, "hub_events_rejected_total", **rejected) == 1
    assert value(metrics, "hub_dlq_events_total", agency="mes", code="fin_invalid") == 1


def test_labels_of_a_batch_are_of_the_catalogue() -> None:
    metrics, memory = m.Metrics(), Memory()
    strange = event()
    headers = [(k, b"az.canary.Unheard" if k == "ce_type" else v) for k, v in strange.headers]
    record = memory.send(Rec(strange.topic, 0, 0, b"k", strange.value, headers))
    LaneMetrics(metrics).committed("gate", memory.gate({}, [record]))
    sets = {
        "agency": set(catalogue().agencies),
        "stream": {of.stream for of in catalogue().types.values()} | {"unknown"},
        "code": {code.value for code in Code},
    }
    rows = itertools.chain.from_iterable(scraped(metrics).values())
    assert all(text in sets[label] for labels, _ in rows for label, text in labels.items() if label in sets)


def test_a_step_that_failed_is_not_counted_as_processed() -> None:
    metrics = m.Metrics()
    observer = LaneMetrics(metrics)
    with observer.timed("gate"):
        pass
    with pytest.raises(ValueError, match="x"), observer.timed("ledger"):
        raise ValueError("x")
    assert value(metrics, "hub_processing_seconds_count", step="gate") == 1


def test_a_lane_has_read_back_its_state_when_all_its_numbers_have() -> None:
    metrics = m.Metrics()
    observer = LaneMetrics(metrics)

    def shown() -> tuple[float, float]:
        names = ("hub_rebuild_progress", "hub_rebuild_remaining_seconds")
        return tuple(value(metrics, name, lane="ledger") for name in names)  # type: ignore[return-value]

    for number in (0, 1):
        observer.rebuilding("ledger", number, Progress(0, 1000, 0.0))
    assert shown() == (0.0, 0.0), "no pace is known yet"
    observer.rebuilding("ledger", 0, Progress(500, 1000, 100.0))
    assert shown() == (0.25, 15.0)
    observer.rebuilding("ledger", 0, Progress(1000, 1000, 100.0))
    assert shown() == (0.5, 10.0)
    observer.rebuilding("ledger", 1, Progress(1000, 1000, 100.0))
    assert shown() == (1.0, 0.0)
    observer.rebuilding("ledger", 1, Progress(0, 400, 0.0))
    assert shown() == (0.0, 0.0), "a number that starts again does so alone"
    observer.rebuilding("ledger", 1, None)
    assert shown() == (1.0, 0.0), "and counts no more when it was given up"


GROUP = "zefer.gate"


def lag(metrics: m.Metrics) -> list[float]:
    found = (scraped(metrics).get(name, []) for name in ("hub_lag_events", "hub_lag_seconds"))
    return [number for rows in found for labels, number in rows if labels == {"group": GROUP, "topic": "in.mod"}]


def test_lag_is_what_was_not_taken_yet_and_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = m.Metrics()
    observer = LaneMetrics(metrics)
    monkeypatch.setattr("hub.engine.observe.time.time", lambda: 130.0)
    one, other = TopicPartition("in.mod", 1), TopicPartition("in.mod", 2)
    observer.behind(GROUP, {one: Lag(40, 100.0), other: Lag(2, 110.0), TopicPartition("in.mes", 1): Lag(7, 1.0)})
    observer.behind("zefer.ledger", {TopicPartition("events.veteran", 1): Lag(1, 1.0)})
    observer.refresh()
    assert lag(metrics) == [42, 30]
    observer.behind(GROUP, {one: Lag(0, 0.0), other: Lag(0, 0.0)})
    observer.refresh()
    assert lag(metrics) == [0, 0]


def test_a_partition_that_was_given_back_is_no_lag_of_this_process() -> None:
    metrics = m.Metrics()
    observer = LaneMetrics(metrics)
    one, other = TopicPartition("in.mod", 1), TopicPartition("in.mod", 2)
    observer.behind(GROUP, {one: Lag(40, 100.0), other: Lag(2, 110.0)})
    observer.refresh()
    observer.behind(GROUP, {other: Lag(2, 110.0)})
    observer.refresh()
    assert lag(metrics)[0] == 2
    observer.behind(GROUP, {})
    observer.refresh()
    assert lag(metrics) == []


def test_a_lane_that_starts_again_says_why() -> None:
    metrics = m.Metrics()
    LaneMetrics(metrics).restarted("gate", "ProducerFenced")
    assert value(metrics, "hub_lane_restarts_total", lane="gate", reason="ProducerFenced") == 1


def test_delivery_counts_what_was_tried_and_how_long_it_took() -> None:
    metrics = m.Metrics()
    observer = DeliveryMetrics(metrics)
    observer.delivered("mod", Attempt.DELIVERED, 3, [0.1, 0.2, 0.3])
    observer.delivered("mod", Attempt.RETRY, 2, [])
    observer.gone("mod", Why.RETENTION, 40)
    observer.progress("file_drop", NOW / 1000)
    assert value(metrics, "hub_delivery_total", agency="mod", outcome="delivered") == 3
    assert value(metrics, "hub_delivery_total", agency="mod", outcome="retry") == 2
    assert value(metrics, "hub_delivery_latency_seconds_count", agency="mod") == 3
    assert value(metrics, "hub_delivery_gone_total", agency="mod", reason="retention") == 40
    assert value(metrics, "hub_connector_last_progress_timestamp_seconds", connector="file_drop") == NOW / 1000


def test_a_connector_is_ready_while_it_reaches_the_broker() -> None:
    metrics = m.Metrics()
    observer = DeliveryMetrics(metrics)
    assert not observer.ready
    for up in (True, False):
        observer.up("file_drop", up)
        assert (observer.ready, value(metrics, "hub_connector_up", connector="file_drop")) == (up, up)


def test_the_age_of_what_waits_grows_until_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, now = m.Metrics(), [100.0]
    monkeypatch.setattr("hub.delivery.metrics.time.time", lambda: now[0])
    observer = DeliveryMetrics(metrics)
    observer.parked("mod", "down", 2)
    now[0] += 30
    observer.parked("mod", "down", 5)
    observer.refresh()
    assert value(metrics, "hub_parked_events", agency="mod", code="down") == 5
    assert value(metrics, "hub_parked_oldest_seconds", agency="mod") == 30
    observer.parked("mod", "down", 0)
    observer.refresh()
    assert value(metrics, "hub_parked_events", agency="mod", code="down") == 0
    assert value(metrics, "hub_parked_oldest_seconds", agency="mod") == 0
