"""One small run for all tests of the room: planned once, carried once."""

from __future__ import annotations

import pytest

from hub.simulate.planned import Planned
from tests.unit.simulate.books import Run, carried, planned


@pytest.fixture(scope="session")
def plan_of_run() -> list[Planned]:
    return planned()


@pytest.fixture(scope="session")
def run(plan_of_run: list[Planned]) -> Run:
    return carried(plan_of_run)
