"""What a call can end with besides an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class HubProblem(Exception):
    """The hub refuses the request as a whole (RFC 9457 problem). `code` is stable, `detail` is for people."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, dict(problem)
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail") or problem.get("title") or "")
        self.fix = str(problem.get("fix") or "")
        super().__init__(" ".join(part for part in (f"{status} {self.code}:", self.detail, self.fix) if part))


class HubAway(Exception):
    """The hub did not answer, or was busy, for as long as this client tries. Try again later: nothing is lost by it."""
