"""Restore: the ledger's state from `state.ledger`: facts are sorted into heaps by key, then made entries heap by heap.

Entries that grow as the facts come, all over a million others, leave the places of their shorter selves behind: half
as much memory again as the state takes. So few grow at a time, and the next ones take the places that they leave.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from mmap import mmap

from hub.pipeline import person
from hub.pipeline.forms import Kept

KEY = slice(6, 7)
"""A byte of the key of a `hub.Fact`, behind its wire header and the key's length: sixteen heaps of persons."""

BLOCK = 256
"""Facts between two pauses of `settle`: about a millisecond of work."""

FULL_BYTES = 256 << 20
"""When heaps hold so much, entries are made of them before more is taken."""


class Restoring:
    """`take` facts, now and then run through `settle`; `state` is restored when all that was taken is settled."""

    def __init__(self, cut: Callable[[bytes], Kept]) -> None:
        self.state: dict[bytes, bytes] = {}
        self.taken = self.settled = self._held = 0
        self._cut = cut
        self._loose: dict[bytes, list[bytes]] = defaultdict(list)
        self._heaps: dict[bytes, list[_Block]] = defaultdict(list)

    @property
    def full(self) -> bool:
        """Whether it is time to `settle`."""
        return self._held >= FULL_BYTES

    def take(self, facts: Iterable[bytes]) -> None:
        """Wire bytes of `hub.Fact`, in the order in which they were written."""
        for fact in facts:
            heap = fact[KEY]
            loose = self._loose[heap]
            loose.append(fact)
            if len(loose) == BLOCK:
                self._pack(heap)

    def settle(self) -> Iterator[None]:
        """Make entries of all that was taken, with a pause after every block; `settled` counts the facts."""
        for heap in list(self._loose):
            self._pack(heap)
        while self._heaps:
            _, blocks = self._heaps.popitem()
            for block in blocks:
                self._remember(block.facts())
                self.settled += len(block)
                yield
        self._held = 0

    def _pack(self, heap: bytes) -> None:
        block = _Block(self._loose.pop(heap))
        self._heaps[heap].append(block)
        self._held += block.size
        self.taken += len(block)

    def _remember(self, facts: Iterable[bytes]) -> None:
        state, cut, remember, empty = self.state, self._cut, person.remember, person.EMPTY
        for fact in facts:
            key, identity, content, form, sequence, compact = cut(fact)
            before = state.get(key, empty)
            state[key], _ = remember(before, identity, content, form.channel, sequence, compact)


class _Block:
    """Facts in pages of their own, which go back to the system as soon as they have been read, once."""

    def __init__(self, facts: Sequence[bytes]) -> None:
        self._lengths = array("I", map(len, facts))
        self.size = sum(self._lengths)
        self._pages = mmap(-1, self.size)
        self._pages.write(b"".join(facts))

    def __len__(self) -> int:
        return len(self._lengths)

    def facts(self) -> Iterator[bytes]:
        at = 0
        for length in self._lengths:
            yield self._pages[at : at + length]
            at += length
        self._pages.close()
