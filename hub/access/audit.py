"""What the doors tell the auditors: folded by the second, written by a thread, never in anybody's way.

A denial that repeats is one entry with how often, so that a stranger who knocks ten thousand times a second writes one
line a second. While the broker is away the folding goes on; what is kept is bounded by the number of different lines.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, Self

import structlog

from hub.clock import now_ms
from hub.errors import HubError
from hub.metrics import AUDIT_LOST, AUDIT_WAITING, Metrics

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between two looks at what has come."""
MOST = 2_000
"""Different lines that are kept. The doors' actions, codes, agencies and types are closed sets: it is not reached."""
PATIENCE = 10.0
"""Longest wait after a failure, and longest that `close` waits for the last lines, in seconds."""
TIMES = "times"

Entry = dict[str, Any]
"""An audit entry but for its place in the chain."""


class Log(Protocol):
    """Where entries go (`audit_log.AuditLog`)."""

    def write(self, entries: list[Entry]) -> None:
        """Durable when it returns. Where it raises, the same entries are given again."""

    def close(self) -> None: ...


class _Line(NamedTuple):
    kind: str
    agency: str | None
    action: str
    code: str | None


class Audit:
    """Of one process. Use as a context manager, or `close` it: the last lines are written then. Safe for threads.

    `clock`: milliseconds since 1970.
    """

    def __init__(self, log: Log, metrics: Metrics, clock: Callable[[], int] = now_ms, every: float = EVERY) -> None:
        self._log, self._metrics, self._clock, self._every = log, metrics, clock, every
        self._folded: dict[_Line, tuple[int, Counter[str]]] = {}
        self._taken: list[Entry] = []
        self._lost, self._failing = 0, False
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def denied(self, agency: str | None, action: str, code: str, count: int = 1) -> None:
        """Somebody was not let in, or not let do something. `action` and `code` are of closed sets: no ids."""
        self._add(_Line("DENIAL", agency, action, str(code)), {TIMES: count})

    def left(self, agency: str, counts: Mapping[tuple[str, str], int]) -> None:
        """What went out to an agency at this door: how many times, by (event type, legal basis)."""
        by_name = {f"{agency} {type_name} {basis}": count for (type_name, basis), count in counts.items()}
        if by_name:
            self._add(_Line("DELIVERY", agency, "answer a status query", None), by_name)

    def operated(self, agency: str | None, action: str) -> None:
        """What was changed, by whom (an agency, or nobody named). `action` is of a closed set."""
        self._add(_Line("OPERATOR", agency, action, None), {TIMES: 1})

    def close(self) -> None:
        """Write what is there; what cannot be written within some seconds is lost, counted and logged."""
        self._stop.set()
        self._thread.join(PATIENCE)
        with self._lock:
            left = len(self._folded) + len(self._taken)
        if left:
            self._lose("stopped", left)
            log.error("audit entries could not be written before the end", lines=left)
        if not self._thread.is_alive():
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, line: _Line, counts: Mapping[str, int]) -> None:
        with self._lock:
            if line not in self._folded:
                if len(self._folded) >= MOST:
                    self._lose("full", 1)
                    return
                self._folded[line] = self._clock(), Counter()
            self._folded[line][1].update(counts)

    def _lose(self, reason: str, lines: int) -> None:
        self._lost += lines
        self._metrics.count(AUDIT_LOST, reason, by=lines)

    def _run(self) -> None:
        failures = 0
        while not self._stop.wait(min(self._every * 2**failures, PATIENCE) if failures else self._every):
            failures = 0 if self._flush() else min(failures + 1, 10)
        deadline = time.monotonic() + PATIENCE / 2
        while not (self._flush() and self._is_empty()) and time.monotonic() < deadline:
            if self._failing:
                time.sleep(self._every)

    def _is_empty(self) -> bool:
        with self._lock:
            return not self._folded

    def _flush(self) -> bool:
        """Whether what was taken is written; what has come while it could not be is taken by the next."""
        if not self._taken:
            self._take()
        if not self._taken:
            self._metrics.set(AUDIT_WAITING, to=0)
            return True
        try:
            self._log.write(self._taken)
        except Exception as error:
            self._metrics.set(AUDIT_WAITING, to=max(0, self._clock() - self._taken[0]["at"]) / 1000)
            if not self._failing:
                log.warning("the audit cannot be written; it is kept and tried again", why=_why(error))
            self._failing = True
            return False
        if self._failing:
            log.info("the audit is written again")
        self._failing = False
        with self._lock:
            self._taken = []
        self._metrics.set(AUDIT_WAITING, to=0)
        return True

    def _take(self) -> None:
        with self._lock:
            folded, self._folded = self._folded, {}
            lost, self._lost = self._lost, 0
            self._taken = list(_entries(folded.items()))
        if lost:
            log.error("audit entries were lost: too many different ones at once", lines=lost)


def _why(error: Exception) -> str:
    """The hub's own errors are written to be read; a library's may quote anything."""
    return str(error) if isinstance(error, HubError) else type(error).__name__


def _entries(folded: Iterable[tuple[_Line, tuple[int, Counter[str]]]]) -> Iterable[Entry]:
    for line, (at, counts) in folded:
        yield {**line._asdict(), "at": at, "origin": None, "counts": dict(sorted(counts.items()))}
