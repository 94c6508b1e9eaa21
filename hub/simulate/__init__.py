"""Synthetic agencies and persons for a demo, and the audit that says whether a run was balanced.

`plan` is pure and deterministic; `run` sends what it plans; `balance` reads the topics back and shares no code
with the pipeline that it judges. Every person here is invented.
"""

from __future__ import annotations

from hub.simulate.planned import Shares
from hub.simulate.report import Report
from hub.simulate.send import run

__all__ = ["Report", "Shares", "run"]
