"""The view `receipts`: what became of every event, by agency and the id that the agency gave it."""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from kafka.consumer.fetcher import ConsumerRecord

from hub.errors import HubError
from hub.kafka.following import Place
from hub.views.store import NotReady, Reader, Writer
from hub.views.unpack import Unpack

NAME = "receipts"
FILE = "receipts.sqlite"
PREFIX = "receipts."
VERDICT, DELIVERY = "hub.Receipt", "hub.DeliveryReceipt"
PRUNE_ROWS = 50_000
AT_ONCE = 500
"""Event ids of one query."""
LIFE = (1 << 62) - 1
"""Among the positions of a cursor, under a number that no partition has, stands the topic's life: a gateway that knows
nothing of lives reads the cursor all the same."""
PLACES = (
    "SELECT partition, first, next, (SELECT id FROM lives WHERE lives.topic = places.topic) FROM places WHERE topic = ?"
)

# `own` and `event` are 64 bits of digests: an index of integers is a third of one of texts. A row found is compared.
SCHEMA = """
CREATE TABLE IF NOT EXISTS receipts (agency TEXT, partition INTEGER, offset INTEGER, at INTEGER, own INTEGER,
                                     event INTEGER, value BLOB, PRIMARY KEY (agency, partition, offset)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_own ON receipts (own) WHERE own IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_event ON receipts (event) WHERE event IS NOT NULL;
"""


class Verdict(NamedTuple):
    """A verdict receipt of one input record; `value` is the plain `hub.Receipt`, `record` its coordinates in in.*."""

    record: str
    value: Mapping[str, Any]


class Delivered(NamedTuple):
    """A delivery receipt; `value` is the plain `hub.DeliveryReceipt`."""

    at: int
    value: Mapping[str, Any]


class Expired(HubError):
    """The cursor points before what is still kept, or into another life of the topic: receipts may have been missed."""


class Cursor:
    """How far a caller has read its receipts: for every partition the offset that comes next; and in which `life` of
    the topic (62 bits of a digest), 0 where that is not known.

    Made of Kafka's own offsets, it means the same to every gateway and after every restart.
    """

    def __init__(self, positions: Mapping[int, int], life: int = 0) -> None:
        self.positions, self.life = dict(positions), life

    def __str__(self) -> str:
        life = {LIFE: self.life} if self.life else {}
        text = json.dumps(sorted({**self.positions, **life}.items()), separators=(",", ":"))
        return "1" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises `ValueError` for what no `str(cursor)` gave."""
        if not text.startswith("1") or len(text) > 8192:
            raise ValueError("not a cursor")
        try:
            found = json.loads(base64.b64decode(text[1:] + "=" * (-(len(text) - 1) % 4), b"-_", validate=True))
            pairs = dict[int, int](found) if isinstance(found, list) else {-1: 0}
        except (TypeError, ValueError, RecursionError):
            raise ValueError("not a cursor") from None
        if any(type(each) is not int or not 0 <= each < 1 << 62 for pair in pairs.items() for each in pair):
            raise ValueError("not a cursor")
        life = pairs.pop(LIFE, 0)
        return cls(pairs, life)


def own_key(agency: str, id: str) -> int:
    """64 bits that stand for an agency's own id of an event."""
    return _key(f"{agency}\n{id}".encode())


def event_key(event_id: str) -> int:
    """64 bits of the hub's id of an event."""
    return _key(event_id.encode())


class ReceiptTable:
    """The loader's side."""

    name, file, schema = NAME, FILE, SCHEMA

    def __init__(self, unpack: Unpack) -> None:
        self._unpack = unpack

    def apply(self, writer: Writer, records: Sequence[ConsumerRecord]) -> None:
        """Within a transaction: take in a batch. A record taken in twice is there once."""
        writer.db.executemany("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows(records))

    def prune(self, writer: Writer, first: Mapping[Place, int]) -> None:
        """Drop what has left Kafka too."""
        for (topic, partition), offset in first.items():
            with writer.transaction():
                writer.db.execute(
                    "DELETE FROM receipts WHERE agency = ? AND partition = ? AND offset < ?",
                    [topic.removeprefix(PREFIX), partition, offset],
                )

    def _rows(self, records: Iterable[ConsumerRecord]) -> Iterator[tuple[Any, ...]]:
        for record in records:
            found = self._unpack(record.value)
            if found is None:
                continue
            name, value = found
            agency, event_id = record.topic.removeprefix(PREFIX), value.get("event_id")
            own = own_key(agency, value["id"]) if name == VERDICT and value["id"] is not None else None
            event = None if event_id is None else event_key(event_id)
            yield agency, record.partition, record.offset, record.timestamp, own, event, record.value


class Page(NamedTuple):
    """Receipts of one agency in order, and where the next page begins. `more`: it is not empty, as far as is known."""

    receipts: Sequence[tuple[str, Mapping[str, Any]]]
    cursor: Cursor
    more: bool


class Receipts:
    """A gateway's side. Every method raises `NotReady` while there is no view."""

    def __init__(self, folder: Path, unpack: Unpack) -> None:
        self.reader = Reader(folder / FILE)
        self._unpack = unpack

    def verdicts(self, agency: str, id: str) -> list[Verdict]:
        """Of all records that the agency sent under that id, in the order in which they were accepted."""
        rows = self.reader.complete("SELECT value FROM receipts WHERE own = ?", [own_key(agency, id)])
        found = [value for name, value in self._values(rows) if name == VERDICT]
        mine = [v for v in found if v["id"] == id and v["origin_topic"] == f"in.{agency}"]
        return sorted(map(_verdict, mine), key=lambda each: (each.value["accepted"], each.record))

    def event(self, agency: str, event_id: str) -> tuple[list[Verdict], list[Delivered]]:
        """What is known of one event of the agency by the hub's id: verdicts, and what its receivers did."""
        query = "SELECT value, at FROM receipts WHERE event = ? AND agency = ?"
        verdicts, delivered = [], []
        for value, at in self.reader.complete(query, [event_key(event_id), agency]):
            found = self._unpack(value)
            if found and found[1]["event_id"] == event_id:
                if found[0] == VERDICT:
                    verdicts.append(_verdict(found[1]))
                else:
                    delivered.append(Delivered(at, found[1]))
        return sorted(verdicts, key=lambda v: v.value["accepted"]), sorted(delivered, key=lambda d: d.at)

    def verdicts_on(self, event_ids: Sequence[str]) -> dict[tuple[str, str], list[Verdict]]:
        """The verdicts on events by the hub's ids, for those of which there are any: by agency and id."""
        found: dict[tuple[str, str], list[Verdict]] = {}
        for at in range(0, len(event_ids), AT_ONCE):
            wanted = event_ids[at : at + AT_ONCE]
            for agency, value in self.reader.rows(_on_events(len(wanted)), [event_key(id) for id in wanted]):
                unpacked = self._unpack(value)
                if unpacked and unpacked[0] == VERDICT and unpacked[1]["event_id"] in wanted:
                    found.setdefault((agency, unpacked[1]["event_id"]), []).append(_verdict(unpacked[1]))
        return found

    def page(self, agency: str, since: Cursor | None, limit: int) -> Page:
        """The next receipts after the cursor, oldest first; all partitions in order of time. Raises `Expired`.

        Where a partition has no more, the next page begins where the view has read to: past the markers of
        transactions, which retention takes like receipts.
        """
        known = self.reader.complete(PLACES, [PREFIX + agency])
        life = _life(known)
        positions = {part: self._start(since, life, part, first, end) for part, first, end, _ in known}
        lines = [self._line(agency, partition, at, limit + 1) for partition, at in positions.items()]
        merged = list(heapq.merge(*lines, key=lambda row: row[0]))
        unfinished = {partition for _, partition, *_ in merged[limit:]}
        positions |= {part: max(end, positions[part]) for part, _, end, _ in known if part not in unfinished}
        for _, partition, offset, _ in merged[:limit]:
            positions[partition] = max(offset + 1, positions[partition])
        taken = [found for row in merged[:limit] if (found := self._unpack(row[3]))]
        return Page(taken, Cursor(positions, life), more=len(merged) > limit)

    def end(self, agency: str) -> Cursor:
        """Where the view has read to: from here on there is only what comes."""
        known = self.reader.rows(PLACES, [PREFIX + agency])
        return Cursor({partition: end for partition, _, end, _ in known}, _life(known))

    def partitions(self, agency: str) -> int:
        """Of its topics; 0 while none is known."""
        ((count,),) = self.reader.rows("SELECT count(*) FROM places WHERE topic = ?", [PREFIX + agency])
        return int(count)

    def _start(self, since: Cursor | None, life: int, partition: int, first: int, end: int) -> int:
        if since is None or partition not in since.positions:
            return first
        asked, told = since.positions[partition], bool(since.life and life)
        if asked < first or (since.life != life if told else asked > end):  # past the end: of another life, most likely
            raise Expired(f"receipts are kept from {first} to {end}, asked for from {asked} on")
        if asked > end:
            raise NotReady("this view is behind the one that gave the cursor")
        return asked

    def _line(self, agency: str, partition: int, at: int, limit: int) -> list[Any]:
        query = (
            "SELECT at, partition, offset, value FROM receipts WHERE agency = ? AND partition = ? AND offset >= ? "
            "ORDER BY offset LIMIT ?"
        )
        return self.reader.rows(query, [agency, partition, at, limit])

    def _values(self, rows: Iterable[tuple[bytes]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return (found for (value,) in rows if (found := self._unpack(value)))


@cache
def _on_events(count: int) -> str:
    return f"SELECT agency, value FROM receipts WHERE event IN ({','.join('?' * count)})"  # noqa: S608 - question marks


def _verdict(value: Mapping[str, Any]) -> Verdict:
    return Verdict(f"{value['origin_topic']}/{value['origin_partition']}/{value['origin_offset']}", value)


def _life(places: Sequence[tuple[int, int, int, str | None]]) -> int:
    """Of the topic that these rows of `PLACES` are about; 0 where its broker names none, or zeros."""
    id = next((id for *_, id in places if id and id.strip("0-")), None)
    return _key(id.encode()) & LIFE if id else 0


def _key(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big", signed=True)
