"""A lane: one consumer, and a `Number` for each partition number that the group gives it."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from mode import Service

from hub.engine.assignor import Numbers
from hub.engine.backlog import Backlog
from hub.engine.company import Company
from hub.engine.number import Kept, Number
from hub.engine.presence import Presence
from hub.engine.spec import LaneSpec, Runtime
from hub.engine.taking import FETCH_BYTES
from hub.kafka.fetching import be_patient, be_prompt
from hub.kafka.member import Member
from hub.kafka.outage import asked_to_end

log = structlog.get_logger(__name__)

FETCH_WAIT_MS, IDLE_WAIT_MS = 10, 250
"""How long a fetch that finds nothing waits; a partition just emptied is asked about again after that. Then where
nothing has come for a while."""


SILENT_MS = 15_000
"""A broker that has answered no fetch for so long is away: the lane waits, and is not ready."""


LOOK_SECONDS, ASK_SECONDS = 1.0, 3.0

MEASURE_SECONDS = 2.0
"""How often the backlog is told; the broker is asked only where something is held back."""


HEARTBEAT_MS = 300
"""A member learns by its heartbeat that another has left: what a worker that stops hands over waits so long."""

MAX_POLL_MS = 86_400_000
"""A consumer that is not asked for records for so long leaves its group, and aiokafka lets it back in only when it is
asked: never, where all its numbers were waiting. Whether a lane gets on is for the lane to see."""

LEAVE_SECONDS = 3.0
"""How long leaving the group may take; a worker that stops does stop, and its session ends by itself."""


class Lane(Service, ConsumerRebalanceListener):  # type: ignore[misc]
    """A service of the Faust worker. It leaves its group when it stops; a fatal error crashes the worker."""

    logger = logging.getLogger("mode.lane")  # mode's own lines say little; ours say what happens

    def __init__(self, spec: LaneSpec, runtime: Runtime, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec, self.runtime = spec, runtime
        self.numbers: dict[int, Number] = {}
        self._kept: dict[int, Kept | None] = {}
        self._consumer: AIOKafkaConsumer[bytes, bytes] | None = None
        self._assigned = False

    @property
    def ready(self) -> bool:
        """Whether it knows its numbers, the broker answers its fetches, and every number carries."""
        return self._assigned and self._heard() and all(number.ready for number in self.numbers.values())

    def _heard(self) -> bool:
        """Whether a fetch of any of its partitions was answered lately; a member without a number asks nothing."""
        consumer = self._consumer
        if consumer is None:
            return False
        answered = [consumer.last_poll_timestamp(tp) or 0 for tp in consumer.assignment()]
        return not answered or self.runtime.clock() - max(answered) < SILENT_MS

    async def on_start(self) -> None:
        self._consumer = consumer = AIOKafkaConsumer(
            **self.runtime.connection.aiokafka(),
            group_id=self.spec.group,
            enable_auto_commit=False,
            auto_offset_reset="none",  # a position is never guessed: see Number._seek
            isolation_level="read_committed",
            max_poll_records=self.runtime.batch_records,
            max_partition_fetch_bytes=FETCH_BYTES,
            check_crcs=False,
            session_timeout_ms=8_000,
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=30_000,
            max_poll_interval_ms=MAX_POLL_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metadata_max_age_ms=30_000,
            partition_assignment_strategy=[Numbers],
        )
        await consumer.start()
        be_patient(consumer, FETCH_WAIT_MS, IDLE_WAIT_MS)
        be_prompt(consumer)
        consumer.subscribe(topics=list(self.spec.topics), listener=self)

    @Service.task
    async def _watch(self) -> None:
        presence = Presence(self.spec.name, self.runtime.connection.bootstrap, self._answers, self.runtime.observer)
        while not self.should_stop:
            await presence.look(self._heard())
            await self.sleep(LOOK_SECONDS)

    @Service.task
    async def _tell_backlog(self) -> None:
        consumer = self._consumer
        assert consumer is not None
        backlog = Backlog(consumer)
        while not self.should_stop:
            await self.sleep(MEASURE_SECONDS)
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    await backlog.ask()
            except (Exception, asyncio.CancelledError) as error:  # a broker that is away says nothing of what waits
                if isinstance(error, asyncio.CancelledError) and asked_to_end():
                    raise
            self.runtime.observer.behind(self.spec.group, backlog.lags())

    async def _answers(self) -> bool:
        """Whether the broker tells what it has; asked where no fetch was answered, as while a state is rebuilt."""
        if self._consumer is None:
            return False
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return bool(await self._consumer._client.force_metadata_update())
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and asked_to_end():
                raise
            return False

    async def on_stop(self) -> None:
        await self._end_numbers()
        if self._consumer is None:
            return
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._consumer.stop()
        except Exception as error:  # the broker may be away; nothing is left to be done with this consumer
            log.warning("left without a word", lane=self.spec.name, exc_info=error)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        await self._end_numbers()

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Only pauses and starts tasks: the group cannot be rejoined while this callback runs. A lane that ends takes
        nothing more: its numbers would begin again and again without a consumer, and fence who has them next."""
        consumer = self._consumer
        assert consumer is not None
        if self.should_stop:
            return
        numbers: dict[int, list[TopicPartition]] = defaultdict(list)
        for tp in assigned:
            numbers[tp.partition].append(tp)
            consumer.seek(tp, 0)  # a position of some kind, so that none is looked up before ours
        if assigned:
            consumer.pause(*assigned)
        topics = len({tp.topic for tp in assigned})
        log.info("assigned", lane=self.spec.name, numbers=sorted(numbers), topics=topics)
        group: Any = consumer._coordinator
        company = Company(Member(self.spec.group, group.generation, group.member_id))
        self.numbers = {
            number: Number(self.spec, self.runtime, consumer, number, tps, self._fatal, company, self._kept.get(number))
            for number, tps in sorted(numbers.items())
        }
        self._assigned = True
        self._kept = {}

    async def _end_numbers(self) -> None:
        self._assigned = False  # or it would be ready, as one is that the group gives no number
        numbers, self.numbers = self.numbers, {}
        kept = await asyncio.gather(*(number.end() for number in numbers.values()))
        self._kept = dict(zip(numbers, kept, strict=True))

    def _fatal(self, error: BaseException) -> None:
        """End the worker; its supervisor starts the next one, which rebuilds."""
        log.error("fatal", lane=self.spec.name, error=str(error))
        self._ending = asyncio.ensure_future(self.crash(error))
