"""However requests come: never more than the burst and what the rate gave since, and never a wait for nothing."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from hub.access import Limits
from hub.settings import Limit

Step = tuple[float, int]
steps = st.lists(st.tuples(st.floats(0, 50), st.integers(1, 40)), min_size=1, max_size=60)
"""Seconds since the request before, and events in this one."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def door(rate: float, burst: int, clock: Clock) -> Limits:
    return Limits(Limit(events=rate, events_burst=burst, day=10**12), {}, clock, clock)


@given(st.floats(0.1, 50), st.integers(40, 200), steps)
def test_never_more_than_burst_and_rate_in_any_stretch_of_time(rate: float, burst: int, given: list[Step]) -> None:
    clock = Clock()
    limits, taken = door(rate, burst, clock), list[Step]()
    for later, events in given:
        clock.now += later
        if limits.take("mod", events, 0) is None:
            taken.append((clock.now, events))
    for first, (since, _) in enumerate(taken):
        total = 0
        for at, events in taken[first:]:
            total += events
            assert total <= burst + rate * (at - since) + 1e-6


@given(st.floats(0.1, 50), st.integers(1, 30), steps)
def test_larger_requests_owe_what_they_took_before_their_time(rate: float, burst: int, given: list[Step]) -> None:
    clock = Clock()
    limits, total = door(rate, burst, clock), 0
    largest = max(burst, *(events for _, events in given))
    for later, events in given:
        clock.now += later
        total += events if limits.take("mod", events, 0) is None else 0
        assert total <= largest + burst + rate * clock.now + 1e-6


OFF_BY_A_DIGIT = [(0.0, 8), (37.32530292470875, 21), (2.614377876913249, 5), (0.1, 14), (0.0, 31)]
OFF_BY_A_DIGIT += [(11.419609776976097, 25), (0.0, 13), (11.521282883336752, 16), (0.5, 38), (0.0, 12)]


@example(1.5, 32, OFF_BY_A_DIGIT)
@given(st.floats(0.1, 50), st.integers(1, 200), steps)
def test_who_comes_when_told_to_is_let_in(rate: float, burst: int, given: list[Step]) -> None:
    clock = Clock()
    limits = door(rate, burst, clock)
    for later, events in given:
        clock.now += later
        wait = limits.take("mod", events, 0)
        if wait is not None:
            assert wait == int(wait) >= 1
            clock.now += wait
            assert limits.take("mod", events, 0) is None


@given(st.lists(st.integers(1, 100), max_size=50), st.integers(0, 1000))
def test_never_more_than_the_quota_a_day(given: list[int], quota: int) -> None:
    clock = Clock()
    limits = Limits(Limit(events=1e9, events_burst=1e9, day=quota), {}, clock, clock)
    assert sum(events for events in given if limits.take("mod", events, 0) is None) <= quota
