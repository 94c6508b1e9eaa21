"""A lane's step over a batch, as a number runs it: timed, its failures named, a record refused where it has to be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from hub.engine.spec import LaneSpec, Runtime
from hub.errors import Code, Fatal, SchemaWanted
from hub.event import Record, Rejection, Result, coordinates

FAULTS_IN_A_ROW = 100
"""So many records one after the other on which a step fails are no bad records: the step is broken. Better stop
than send all events to the dead letters."""

RECORD_MAX_BYTES = 3 << 20
"""An output larger than this is not tried: the record that caused it goes to the dead-letter queue."""

Batch = Sequence[Record]


class StepFailed(Exception):
    """The step raised, or made what cannot be written: look for the record that did it."""


class Stepping:
    """Raises `Fatal` where going on is wrong; `log` is bound to lane and number."""

    def __init__(self, spec: LaneSpec, runtime: Runtime, log: Any) -> None:
        self._spec, self._runtime, self._log, self._faults = spec, runtime, log, 0

    def result(self, state: Mapping[bytes, bytes], records: Batch) -> Result:
        """What the step makes of the batch. Raises `StepFailed`; `SchemaWanted` where it cannot be told yet."""
        began = time.perf_counter()
        try:
            with self._runtime.observer.timed(self._spec.name):
                result = self._spec.step(state, records)
            if not self._spec.fair:
                self._runtime.ahead.cost(time.perf_counter() - began, len(records))
        except (Fatal, SchemaWanted):
            raise
        except Exception as error:
            raise StepFailed(type(error).__name__) from error
        if any(len(value) > RECORD_MAX_BYTES for _, _, _, value, _ in result.outputs if value is not None):
            raise StepFailed("output too large")
        self._faults = 0
        return result

    def failed(self, record: Record, failed: StepFailed) -> Result:
        """The hub's own fault: logged with its trace (the values in it stay out), kept in the DLQ."""
        where = coordinates(record)
        if self._faults >= FAULTS_IN_A_ROW:
            raise Fatal(f"{self._spec.name} failed on {self._faults} records in a row, up to {where}: it is broken")
        self._faults += 1
        self._log.error("step failed", record=where, reason=str(failed), exc_info=failed.__cause__)
        return self._refused(record, Code.INTERNAL, f"the hub failed on this event: {failed}")

    def deadly(self, record: Record) -> Result:
        """A process ended while the step worked on this record alone: the step does not get it again."""
        self._log.error("a record ends the process, it is refused", record=coordinates(record))
        return self._refused(record, Code.CRASHED_WORKER, "the hub's process ended while it worked on this event alone")

    def _refused(self, record: Record, code: Code, detail: str) -> Result:
        try:
            return self._spec.step.refuse(record, Rejection(code, self._spec.name, detail))
        except Exception as error:
            where = coordinates(record)
            raise Fatal(f"{where} can neither be carried nor refused: {type(error).__name__}") from error
