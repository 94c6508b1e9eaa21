"""`/metrics`, `/healthz`, `/readyz`: answered by a thread of their own, whatever the process does."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from hub.errors import ConfigError
from hub.probe import Probe


class State:
    ready, refreshed = False, 0


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def probe(state: State) -> Iterator[tuple[Probe, int]]:
    registry = CollectorRegistry()
    gauge = Gauge("hub_test", "How often it was brought up to now", registry=registry)

    def refresh() -> None:
        state.refreshed += 1
        gauge.set(state.refreshed)

    found = Probe(registry, lambda: state.ready, refresh)
    yield found, found.start("127.0.0.1", 0)
    found.stop()


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def test_it_is_alive_before_it_is_ready(probe: tuple[Probe, int], state: State) -> None:
    _, port = probe
    assert get(port, "/healthz") == (200, "alive\n")
    assert get(port, "/readyz") == (503, "not ready\n")
    state.ready = True
    assert get(port, "/readyz") == (200, "ready\n")


def test_metrics_are_brought_up_to_now_before_each_scrape(probe: tuple[Probe, int], state: State) -> None:
    _, port = probe
    for count in (1, 2):
        status, text = get(port, "/metrics")
        (family,) = text_string_to_metric_families(text)
        assert status == 200 and family.name == "hub_test" and family.samples[0].value == count
    assert state.refreshed == 2, "and not for any other question"


def test_another_path_is_told_which_there_are(probe: tuple[Probe, int]) -> None:
    assert get(probe[1], "/table") == (404, "/metrics /healthz /readyz\n")


def test_a_port_that_is_taken_is_named(probe: tuple[Probe, int]) -> None:
    second = Probe(CollectorRegistry(), lambda: True)
    with pytest.raises(ConfigError, match=rf"port {probe[1]} on 127\.0\.0\.1 is taken: set HUB_METRICS_PORT"):
        second.start("127.0.0.1", probe[1])
    second.stop()


def test_after_a_stop_nobody_answers(state: State) -> None:
    probe = Probe(CollectorRegistry(), lambda: True)
    port = probe.start("127.0.0.1", 0)
    probe.stop()
    with pytest.raises(urllib.error.URLError):
        get(port, "/healthz")
