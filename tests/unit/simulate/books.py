"""One small run, planned once, carried by the real pipeline in memory and delivered on paper: what an audit reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from world import NOW, PARTITIONS, Memory, Rec, catalogue, schemas

from hub.avro.records import RecordCodec
from hub.engine.partitioner import partition_of
from hub.event import SOURCE_PREFIX, header
from hub.kafka.connection import Connection
from hub.registry.schemas import Schemas
from hub.simulate.balance import Balance
from hub.simulate.plan import plan
from hub.simulate.planned import Planned
from hub.simulate.report import Report

SEED, RATE, SECONDS = 11, 50, 10
Log = list[Rec]


def ids() -> dict[str, int]:
    """Registered schema id by event type."""
    return {name: schemas().id_of(name) for name in catalogue().types}


def planned(seed: int = SEED, rate: float = RATE, seconds: float = SECONDS) -> list[Planned]:
    return list(plan(catalogue(), ids(), seed=seed, rate=rate, duration=seconds, start=NOW - 60_000))


def codec(name: str) -> RecordCodec:
    """Packs and unpacks one of the hub's own records."""
    schema_id = schemas().id_of(name)
    return RecordCodec(schema_id, json.loads(schemas().by_id(schema_id).schema))


@dataclass(frozen=True)
class Run:
    """Everything that is in the topics after a run, and the run's own report."""

    records: Log
    report: Report

    def of(self, kind: str, holds: Callable[[Rec], bool] = lambda _: True) -> Rec:
        """The first record of the topics of that kind for which `holds` is true."""
        return next(r for r in self.records if r.topic.startswith(f"{kind}.") and holds(r))

    def without(self, record: Rec) -> Log:
        return [other for other in self.records if other is not record]

    def with_changed(self, record: Rec, **changed: object) -> Log:
        return [replace(other, **changed) if other is record else other for other in self.records]

    def with_more(self, record: Rec, topic: str | None = None) -> Log:
        """Once more, at the end of its topic or of another one."""
        end = {"topic": topic or record.topic, "offset": 1_000_000}
        return [*self.records, replace(record, **end)]


def audit(records: Log, registered: Schemas | None = None) -> Balance:
    """The books with these records in them; no broker is there."""
    balance = Balance(Connection.plain("127.0.0.1:1"), catalogue(), registered or schemas())
    for record in records:
        balance.take(record)
    return balance


def delivered(records: Log) -> Iterator[Rec]:
    """A delivery receipt for every record of `out.*`."""
    receipt = codec("hub.DeliveryReceipt")
    for nth, record in enumerate(record for record in records if record.topic.startswith("out.")):
        event_id, source = (header(record.headers, name) or b"" for name in ("ce_id", "ce_source"))
        value = {
            "event_id": event_id.decode(),
            "receiver": record.topic.removeprefix("out."),
            "connector": "file_drop",
            "outcome": "DELIVERED",
            "delivered": NOW + 40,
            "out_partition": record.partition,
            "out_offset": record.offset,
        }
        topic = f"receipts.{source.decode().removeprefix(SOURCE_PREFIX)}"
        yield Rec(topic, 0, 500_000 + nth, event_id, receipt.pack(value), ())


def carried(plan_of_run: list[Planned]) -> Run:
    """The plan through gate and ledger, one record at a time, and delivered."""
    memory, report = Memory(), Report(SEED, RATE, SECONDS)
    for record in plan_of_run:
        arrived = memory.send(
            Rec(f"in.{record.agency}", 0, 0, record.key, record.value, record.headers),
            partition_of(record.key, PARTITIONS),
        )
        report.expected[arrived.topic, arrived.partition][arrived.offset] = record.sort
        for passed in memory.pass_gate([arrived]):
            memory.apply([passed])
    kinds = ("in.", "receipts.", "dlq.", "out.")
    records = [r for (topic, _), log in memory.topics.items() if topic.startswith(kinds) for r in log]
    return Run([*records, *delivered(records)], report)
