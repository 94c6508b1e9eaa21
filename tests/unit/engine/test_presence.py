"""A broker that is away is said once, and so is its return."""

from __future__ import annotations

import asyncio
import logging

from structlog.testing import capture_logs

from hub.engine.presence import Presence


class Told:
    def __init__(self) -> None:
        self.up: list[bool] = []

    def broker(self, lane: str, up: bool) -> None:
        assert lane == "gate"
        self.up.append(up)


def looked(*seen: tuple[bool, bool]) -> tuple[list[str], list[bool]]:
    """`(heard, answers)` of each look → what was logged, and what the observer was told."""
    told, answers = Told(), iter(seen)

    async def scenario() -> None:
        now = (True, True)

        async def ask() -> bool:
            return now[1]

        presence = Presence("gate", "kafka:9092", ask, told)
        for now in answers:
            await presence.look(now[0])

    with capture_logs() as lines:
        asyncio.run(scenario())
    return [line["event"] for line in lines], told.up


def test_an_outage_is_said_once_and_its_end_once() -> None:
    there, away = (True, True), (False, False)
    events, up = looked(there, away, away, away, there, there)
    assert events == ["the broker does not answer", "the broker answers again"]
    assert up == [True, False, False, False, True, True]


def test_a_lane_that_fetches_nothing_is_not_cut_off_if_the_broker_answers() -> None:
    assert looked((False, True), (False, True)) == ([], [True, True])


def test_clients_are_quiet_only_while_the_broker_is_away() -> None:
    looked((False, False))
    assert logging.getLogger("aiokafka").level == logging.CRITICAL
    looked((False, False), (True, True))
    assert logging.getLogger("aiokafka").level == logging.WARNING
