"""How much an agency may send: when it has to wait, how long, and that the others do not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from world import catalogue

from hub.access import Limits, Wait
from hub.access.from_settings import open_limits
from hub.errors import Admission, ConfigError
from hub.settings import Limit, load_settings

MIB = 1 << 20
NIGHT = datetime(2026, 11, 25, 19, 59, 30, tzinfo=UTC).timestamp()
"""Half a minute before midnight in Baku."""


class Times:
    """Both clocks, set forward together."""

    def __init__(self) -> None:
        self.gone = 0.0

    def clock(self) -> float:
        return 1000 + self.gone

    def wall(self) -> float:
        return NIGHT + self.gone


@pytest.fixture
def times() -> Times:
    return Times()


def limits(times: Times, own: dict[str, Limit] | None = None, **general: float) -> Limits:
    limit = Limit.model_validate({"events": 10, "events_burst": 100, "mib": 1, "mib_burst": 10, "day": 1000} | general)
    return Limits(limit, own, times.clock, times.wall)


def waits(found: Wait | None) -> tuple[float, Admission]:
    assert found is not None
    return float(found), found.code


def test_a_burst_then_the_rate(times: Times) -> None:
    door = limits(times)
    assert door.take("mod", 100, 0) is None
    assert waits(door.take("mod", 25, 0)) == (3, Admission.RATE_LIMITED)
    times.gone = 2.4
    assert waits(door.take("mod", 25, 0)) == (1, Admission.RATE_LIMITED)
    times.gone = 2.5
    assert door.take("mod", 25, 0) is None


def test_bytes_count_as_well_and_what_is_refused_counts_nothing(times: Times) -> None:
    door = limits(times)
    assert door.take("mod", 1, 10 * MIB) is None
    assert waits(door.take("mod", 99, 4 * MIB)) == (4, Admission.RATE_LIMITED)
    assert door.take("mod", 99, 0) is None


def test_one_agency_does_not_stand_in_anothers_way(times: Times) -> None:
    door = limits(times, {"mia": Limit(events=1, events_burst=1)})
    assert door.take("mod", 100, 0) is None
    assert door.take("mia", 1, 0) is None
    assert waits(door.take("mia", 1, 0)) == (1, Admission.RATE_LIMITED)
    assert door.take("dim", 100, 0) is None


def test_more_than_a_burst_is_let_in_once_and_owed(times: Times) -> None:
    """Or a batch larger than the burst would be told to come again for ever."""
    door = limits(times)
    assert door.take("mod", 150, 0) is None
    assert waits(door.take("mod", 1, 0)) == (6, Admission.RATE_LIMITED)  # 50 owed, and one


def test_the_quota_ends_at_midnight_in_baku(times: Times) -> None:
    door = limits(times, day=120)
    assert door.take("mod", 100, 0) is None
    times.gone = 10
    assert waits(door.take("mod", 21, 0)) == (20, Admission.QUOTA_EXCEEDED)
    assert door.take("mod", 20, 0) is None
    times.gone = 29.5
    assert waits(door.take("mod", 1, 0)) == (1, Admission.QUOTA_EXCEEDED)
    times.gone = 30
    assert door.take("mod", 1, 0) is None


def test_the_settings_say_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_LIMIT", '{"events": 50}')
    monkeypatch.setenv("HUB_LIMITS", '{"mod": {"events": 5000, "day": 9}}')
    found = open_limits(load_settings(), catalogue())
    assert found.of("mia") == Limit(events=50)
    assert found.of("mod") == Limit(events=5000, day=9)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('{"nobody": {}}', "nobody"),
        ('{"mod": {"events": 0}}', "greater than 0"),
        ('{"mod": {"evnts": 5}}', "evnts"),
    ],
)
def test_a_limit_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, said: str, why: str) -> None:
    monkeypatch.setenv("HUB_LIMITS", said)
    with pytest.raises(ConfigError, match=f"HUB_LIMITS.*{why}"):
        open_limits(load_settings(), catalogue())
