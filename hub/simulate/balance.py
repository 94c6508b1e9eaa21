"""The balance of a run, counted from the topics themselves with no code of the pipeline.

    balance = Balance(connection, catalogue, schemas)
    balance.read()          # as often as one likes: it takes in what is new
    balance.report()

To the record and per agency, in = applied + duplicate + rejected (+ in flight); what was rejected lies in the
dead-letter queue with its bytes unchanged; what was applied was offered to those entitled, once, with their fields.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from hub.catalogue import Catalogue
from hub.errors import Code
from hub.event import Record
from hub.kafka.connection import Connection
from hub.simulate.accounts import Accounts
from hub.simulate.entitled import Entitled, SchemaIds
from hub.simulate.entries import Arrival, Offer, Place, Verdict
from hub.simulate.following import Following
from hub.simulate.report import Report
from hub.simulate.verdict import summary

KINDS = ("in", "receipts", "dlq", "out")
CODES = frozenset(code.value for code in Code)
FINAL = frozenset({"DELIVERED", "FAILED"})


class Balance:
    """Follows `in.*`, `receipts.*`, `dlq.*` and `out.*` of every agency from their first records on.

    Raises `KeyError` where a schema of the catalogue is not registered, `ConfigError` without a broker.
    """

    def __init__(self, connection: Connection, catalogue: Catalogue, schemas: SchemaIds) -> None:
        self._catalogue, self._schemas = catalogue, schemas
        self._entitled = Entitled(catalogue, schemas)
        self.accounts = Accounts(self._entitled)
        self.records_read = 0
        self._names: dict[int, str] = {}
        self._following = Following(connection, (f"{kind}.{code}" for code in catalogue.agencies for kind in KINDS))
        self._takes: dict[str, Callable[[str, Record], None]] = {
            "in": self._take_input,
            "receipts": self._take_receipt,
            "dlq": self._take_letter,
            "out": self._take_offer,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept open between two reads; for whoever thinks in `with`."""

    def read(self) -> int:
        """Take in what is new since the last call; returns the number of records. Raises `Retry` when the broker
        stops answering: the next call goes on. Keeps no connection; not for use within an event loop."""
        with _no_collections():
            count = self._following.read(self.take)
        self.records_read += count
        return count

    def take(self, record: Record) -> None:
        """Enter one record of a topic that `read` reads; by hand for one that was read elsewhere."""
        kind, _, agency = record.topic.partition(".")
        self._takes[kind](agency, record)

    @property
    def settled(self) -> bool:
        """Whether, as of the last `read`, every input has its verdict and dead letter, every applied event its
        offers, every offer its delivery receipt. A loss keeps this False for ever: wait with a limit."""
        return self.accounts.open == 0

    def report(self, run: Report | None = None) -> dict[str, Any]:
        """The balance as plain values; with the run's report, outcomes are compared with the plan as well."""
        return summary(self.accounts, tuple(self._catalogue.agencies), run)

    def _take_input(self, agency: str, record: Record) -> None:
        headers = {name: value or b"" for name, value in reversed(record.headers)}
        place = Place("in", agency, record.partition, record.offset)
        self.accounts.arrived(place, Arrival(record.timestamp, headers, record.value))

    def _take_receipt(self, agency: str, record: Record) -> None:
        said = self._entitled.decode(record.value or b"")
        if self._name_of(record.value or b"") == "hub.DeliveryReceipt":
            self._take_delivery(said)
            return
        place = _origin(said)
        here = f"receipts.{agency}/{record.partition}/{record.offset}"
        if (record.key or b"").decode() != str(place) or place.agency != agency:
            self.accounts.problem("a receipt stands under another key or agency than its record's", here)
        if said["code"] is not None and said["code"] not in CODES:
            self.accounts.problem("a receipt with a code that does not exist", here)
        verdict = Verdict(
            said["verdict"], said["code"], said["event_id"], said["version"], said["late"], said["decided"]
        )
        self.accounts.judged(place, verdict)

    def _take_delivery(self, said: dict[str, Any]) -> None:
        if said["outcome"] in FINAL:
            place = Place("out", said["receiver"], said["out_partition"], said["out_offset"])
            delivered = said["outcome"] == "DELIVERED"
            self.accounts.arrived_at(place, said["event_id"], said["delivered"], delivered)

    def _take_letter(self, agency: str, record: Record) -> None:
        said = self._entitled.decode(record.value or b"")
        place = _origin(said)
        here = f"dlq.{agency}/{record.partition}/{record.offset}"
        if (record.key or b"").decode() != str(place) or place.agency != agency:
            self.accounts.problem("a dead letter stands under another key or agency than its record's", here)
        if {name for name, _ in record.headers} != {"code", "step"}:
            self.accounts.problem("a dead letter's own headers are not code and step", here)
        self.accounts.buried(place, said["code"], said["value"])

    def _take_offer(self, agency: str, record: Record) -> None:
        headers = dict(record.headers)
        place = Place("out", agency, record.partition, record.offset)
        accepted = int(headers.get("hub_accepted") or 0)
        offer = Offer(place, headers, record.value or b"", accepted)
        self.accounts.offer((headers.get("ce_id") or b"").decode(), offer)

    def _name_of(self, value: bytes) -> str:
        schema_id = int.from_bytes(value[1:5], "big")
        name = self._names.get(schema_id)
        if name is None:
            name = self._names[schema_id] = str(self._schemas.by_id(schema_id).subject)
        return name


@contextmanager
def _no_collections() -> Iterator[None]:
    """The books only grow while they are written: looking through them for garbage costs a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _origin(said: dict[str, Any]) -> Place:
    agency = said["origin_topic"].removeprefix("in.")
    return Place("in", agency, said["origin_partition"], said["origin_offset"])
