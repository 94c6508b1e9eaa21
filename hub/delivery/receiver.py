"""One agency's sink on a thread of its own: what it does not take holds nobody else."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from kafka import TopicPartition

from hub.delivery.backoff import Backoff
from hub.delivery.gone import Gone
from hub.delivery.observer import Attempt, DeliveryObserver
from hub.errors import Park, Retry
from hub.event import Record
from hub.sdk import Context, Delivery, Sink

PARK_WAIT = 30.0

Decode = Callable[[Sequence[Record]], Sequence[Delivery]]
Acknowledge = Callable[[str, Sequence[Delivery], float], None]
"""Writes durably that this agency has these deliveries, since when (seconds since 1970)."""


@dataclass(slots=True, eq=False)
class Job:
    """One batch of one partition, until its receiver has it.

    A batch that was taken and whose receipts could not be written is not delivered again: `taken_at` stands.
    """

    where: TopicPartition
    records: Sequence[Record]
    deliveries: Sequence[Delivery] | None = None
    taken_at: float | None = None
    revoked: bool = False
    due: float = 0.0
    parked: str | None = None
    parking: Backoff = field(default_factory=Backoff)

    @property
    def next_offset(self) -> int:
        """The offset to commit once the batch is done."""
        return self.records[-1].offset + 1


@dataclass(frozen=True, slots=True)
class Work:
    """What all receivers of a process share."""

    decode: Decode
    acknowledge: Acknowledge
    observer: DeliveryObserver
    done: SimpleQueue[Job]


class Receiver:
    """Works on its jobs one after the other, in order of each partition, and puts those done into `work.done`.

    `Retry` and unforeseen exceptions hold all jobs of the agency, growing with every failure in a row; after an
    unforeseen one the sink is closed and opened anew. `Park`: there is no parking store yet, so the batch's
    partition waits (nothing is lost, and what follows in that partition waits too), the agency's other
    partitions go on, and the waiting events are reported as parked.
    """

    def __init__(self, make: Callable[[], Sink], context: Context, work: Work) -> None:
        self._make = make
        self._context = context
        self._work = work
        self._sink: Sink | None = None
        self._jobs: deque[Job] = deque()
        self._running: Job | None = None
        self._held_until = 0.0
        self._backoff = Backoff()
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"delivery-{context.agency}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Take a job on; returns at once."""
        with self._changed:
            job.due = time.monotonic()
            self._jobs.append(job)
            self._changed.notify_all()

    def revoke(self, partitions: Collection[TopicPartition]) -> None:
        """Forget the jobs of these partitions; one in flight still ends, and is then not tried again."""
        with self._changed:
            for job in [job for job in self._jobs if job.where in partitions]:
                job.revoked = True
                if job is not self._running:
                    self._forget(job)

    def settle(self, partitions: Collection[TopicPartition], until: float) -> None:
        """Wait, until that monotonic time, for a job in flight of these partitions."""
        with self._changed:
            self._changed.wait_for(lambda: not self._works_on(partitions), max(0.0, until - time.monotonic()))

    def gone(self, gone: Gone) -> None:
        """Say and count what the broker no longer has."""
        self._context.log.error(
            "records are gone from the broker, reading goes on at what it has; see the runbook",
            partition=gone.where.partition,
            reason=gone.why,
            position=gone.position,
            goes_on_at=gone.on,
            events_at_most=gone.events,
        )
        self._work.observer.gone(self._context.agency, gone.why, gone.events)

    def stop(self) -> None:
        """Begin nothing more. The job in flight ends, then the sink is closed."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, until: float) -> bool:
        """Wait for the end after `stop`, until that monotonic time; whether it came."""
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _works_on(self, partitions: Collection[TopicPartition]) -> bool:
        return self._running is not None and self._running.where in partitions

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._attempt(job)
            with self._changed:
                self._running = None
                if job.revoked:
                    self._forget(job)
                self._changed.notify_all()
        self._close_sink()

    def _next(self) -> Job | None:
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                job = min(self._jobs, key=lambda job: job.due, default=None)
                if job is None:
                    self._changed.wait()
                elif (wait := max(job.due, self._held_until) - now) > 0:
                    self._changed.wait(wait)
                else:
                    self._running = job
                    return job
            return None

    def _attempt(self, job: Job) -> None:
        try:
            if job.taken_at is None:
                self._hand_over(job)
            self._work.acknowledge(self._context.agency, job.deliveries or (), job.taken_at or 0.0)
        except Park as park:
            self._park(job, park.code)
        except Retry as retry:
            self._hold(job, Attempt.RETRY, retry, retry.after)
        except BaseException as error:
            self._hold(job, Attempt.ERROR, error, None)
            if job.taken_at is None:
                self._close_sink()
        else:
            self._finish(job)

    def _hand_over(self, job: Job) -> None:
        if job.deliveries is None:
            job.deliveries = self._work.decode(job.records)
        self._opened().deliver(job.deliveries)
        job.taken_at = self._context.clock()
        latencies = [max(0.0, job.taken_at - delivery.accepted / 1000) for delivery in job.deliveries]
        self._observe(Attempt.DELIVERED, job, latencies)

    def _finish(self, job: Job) -> None:
        self._backoff.succeeded()
        with self._changed:
            self._forget(job)
        self._work.done.put(job)

    def _hold(self, job: Job, attempt: Attempt, error: BaseException, asked: float | None) -> None:
        wait = self._backoff.failed(asked)
        job.due = self._held_until = time.monotonic() + wait  # the next attempt is another partition's, if one waits
        words = "the receiver has the batch, its receipts are not written"
        if job.taken_at is None:
            self._observe(attempt, job)
            words = "the sink asks to try again" if attempt is Attempt.RETRY else "the sink failed"
        self._context.log.failed(
            words,
            error,
            partition=job.where.partition,
            wait_seconds=wait,
            failures_in_a_row=self._backoff.row,
        )

    def _park(self, job: Job, code: str) -> None:
        self._backoff.succeeded()
        wait = job.parking.failed(PARK_WAIT)
        self._observe(Attempt.PARKED, job)
        self._context.log.error(
            "the sink parks a batch, its partition waits", partition=job.where.partition, wait_seconds=wait
        )
        with self._changed:
            job.due = time.monotonic() + wait
            before, job.parked = job.parked, code
            self._report_parked({code, before or code})

    def _forget(self, job: Job) -> None:
        """The job is no longer this receiver's. The lock is held."""
        if job in self._jobs:
            self._jobs.remove(job)
            if job.parked is not None:
                self._report_parked({job.parked})

    def _report_parked(self, codes: Collection[str]) -> None:
        held: Counter[str] = Counter()
        for job in self._jobs:
            if job.parked is not None:
                held[job.parked] += len(job.records)
        for code in codes:
            self._work.observer.parked(self._context.agency, code, held[code])

    def _observe(self, attempt: Attempt, job: Job, latencies: Sequence[float] = ()) -> None:
        self._work.observer.delivered(self._context.agency, attempt, len(job.records), latencies)

    def _opened(self) -> Sink:
        if self._sink is None:
            self._context.data_dir.mkdir(parents=True, exist_ok=True)
            sink = self._make()
            try:
                sink.open(self._context)
            except BaseException:
                sink.close()
                raise
            self._sink = sink
        return self._sink

    def _close_sink(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.close()
            except Exception as error:
                self._context.log.failed("the sink failed to close", error)
