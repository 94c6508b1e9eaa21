"""What day it is, wherever the hub runs."""

from __future__ import annotations

import os
import subprocess
import sys
from inspect import signature

import pytest

from hub import clock
from hub.gateway.questions import Questions

SAID = """
from datetime import datetime
from unittest import mock
from hub import clock
with mock.patch.object(clock, "datetime", wraps=datetime) as at:
    at.now = lambda zone: datetime.fromisoformat("2026-11-27T20:30:00+00:00").astimezone(zone)
    print(clock.today())
"""


@pytest.mark.parametrize("zone", ["UTC", "XXX20", "XXX-14"])
def test_after_midnight_in_baku_it_is_the_next_day_whatever_the_machine_says(zone: str) -> None:
    said = subprocess.check_output([sys.executable, "-c", SAID], env=os.environ | {"TZ": zone}, text=True)
    assert said.strip() == "2026-11-28"


def test_a_question_without_a_day_is_about_the_day_in_baku() -> None:
    assert signature(Questions).parameters["today"].default is clock.today
