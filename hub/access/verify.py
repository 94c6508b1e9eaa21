"""Whether the audit is whole: every writer's chain, entry by entry, from its first to its last.

What this finds: an entry that was changed, taken out, put in, or moved. What no chain can show by itself: that its
newest entries were cut off, or that all of it was written anew by somebody who can write to the broker's disks. For
that, keep what `hub audit verify --json` says elsewhere, and give it to the next one (`--against`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from hub.pipeline.summarise import NOTHING

HASH = len(NOTHING)
Unpack = Callable[[bytes], Mapping[str, Any]]
"""An entry's bytes → its fields. Raises anything at all for bytes that are none."""


class Record(Protocol):
    """A record of `audit` (`hub.kafka.reading.Record`)."""

    @property
    def coordinates(self) -> str: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Break:
    """A place where a chain does not hold: the record, and what is wrong, with found and expected."""

    record: str
    what: str


@dataclass(slots=True)
class Chained:
    """One writer's chain: how many entries, its end (number, and hash in hex), and where it breaks."""

    writer: str
    entries: int = 0
    number: int = 0
    hash: str = NOTHING.hex()
    last: int = 0
    breaks: list[Break] = field(default_factory=list)


class Verifier:
    """Takes the records of `audit`, in order within each partition.

    `earlier`: writer → (number, hash in hex) of an entry that was there once, as it was kept elsewhere.
    """

    def __init__(self, unpack: Unpack, earlier: Mapping[str, tuple[int, str]] | None = None) -> None:
        self._unpack, self._earlier = unpack, dict(earlier or {})
        self._unmet = dict(self._earlier)
        self.chains: dict[str, Chained] = {}
        self.unreadable: list[Break] = []

    def take(self, record: Record) -> None:
        try:
            entry = self._unpack(record.value or b"")
            chain = self.chains.setdefault(entry["writer"], Chained(entry["writer"]))
            number, previous, digest = entry["number"], entry["previous"], entry["hash"]
        except Exception as error:
            self.unreadable.append(Break(record.coordinates, f"is no audit entry ({type(error).__name__})"))
            return
        value = record.value or b""
        wrong = self._wrong(chain, record, number, previous) or _altered(value, digest)
        if wrong:
            chain.breaks.append(Break(record.coordinates, wrong))
        chain.entries += 1
        chain.number, chain.hash, chain.last = number, digest.hex(), entry["at"]
        if self._unmet.get(chain.writer) == (number, chain.hash):
            del self._unmet[chain.writer]

    def end(self) -> list[Break]:
        """All that is wrong. Call it after the last record."""
        for writer, (number, digest) in sorted(self._unmet.items()):
            chain = self.chains.setdefault(writer, Chained(writer))
            what = f"entry {number} of {writer} with hash {digest[:16]}… was there and is not: cut off or written anew"
            chain.breaks.append(Break("audit", what))
        self._unmet = {}
        return self.unreadable + [each for chain in self.chains.values() for each in chain.breaks]

    @staticmethod
    def _wrong(chain: Chained, record: Record, number: int, previous: bytes) -> str | None:
        if record.key != chain.writer.encode():
            return f"key and writer differ: an entry of {chain.writer} under another's key"
        if number != chain.number + 1:
            return f"entry {number} of {chain.writer} follows entry {chain.number}, expected {chain.number + 1}"
        if previous.hex() != chain.hash:
            return f"entry {number} of {chain.writer} does not continue entry {chain.number}: that one was changed"
        return None


def _altered(value: bytes, digest: bytes) -> str | None:
    """The hash is over the entry's bytes as they are, with zeros in its own place at their end."""
    if value[-HASH:] == digest and sha256(value[:-HASH] + NOTHING).digest() == digest:
        return None
    return "its content is not what its hash says: it was changed"


def verify(
    records: Iterable[Record], unpack: Unpack, earlier: Mapping[str, tuple[int, str]] | None = None
) -> tuple[Mapping[str, Chained], list[Break]]:
    """(Chains by writer, all that is wrong)."""
    verifier = Verifier(unpack, earlier)
    for record in records:
        verifier.take(record)
    breaks = verifier.end()
    return verifier.chains, breaks
