"""Scanners: one generated function per event type that checks a value, reads the fields a step asks for, and cuts
the projections, all in one pass over the bytes.

What a scanner accepts the careful path accepts too, with equal results (`tests/laws/avro`). It may refuse what
the careful path accepts; then that serves.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from hub.avro import scanner_steps
from hub.avro.careful import reader_of
from hub.avro.codec import HEADER, codec_of
from hub.avro.cursor import Cursor
from hub.avro.scanner_source import raw_want, scan_source
from hub.avro.scanner_steps import Refused
from hub.avro.shape import Enum, Record, Shape, Union
from hub.avro.shown import ShownPlan, shown

__all__ = ["MASK", "ProjectionPlan", "Refused", "Scanner", "ShownPlan", "compile_scanner"]

MASK = "***"
_MASKED_STRING = bytes([2 * len(MASK)]) + MASK.encode()


@dataclass(frozen=True, slots=True)
class ProjectionPlan:
    """One projection: its wire header (5 bytes) and which top-level fields are in it, clear or masked.

    A masked string is `MASK`, a masked nullable field is null. Fields keep the order of the event's schema.
    """

    header: bytes
    clear: frozenset[str]
    masked: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Scanner:
    """`scan(value)` gives (canonical, *wanted values, *projections) or raises Refused; `source` is for reading.

    Wanted values are raw: string -> str, enum -> symbol, date -> days, timestamp-millis -> milliseconds, int, long,
    boolean as they are, null -> None, and so in a union of these. Anything else (decimal, float, bytes, fixed,
    nested, or a union with one of them) is what the careful decode gives.
    """

    source: str
    scan: Callable[[bytes], tuple[Any, ...]]


def compile_scanner(
    schema: Any, wants: Sequence[str], projections: Sequence[ProjectionPlan], shows: ShownPlan | None = None
) -> Scanner:
    """Generate and compile the scanner of an event type; raises ValueError for a plan that does not fit.

    With `shows` the last of the results is that map.
    """
    record = codec_of(schema).shape
    if not isinstance(record, Record):
        raise TypeError(f"a scanner needs a record, not {record.said}")
    index = {f.name: i for i, f in enumerate(record.fields)}
    wanted = [index[name] for name in wants]
    slow = {i for i in wanted if not raw_want(record.fields[i].shape)}
    cuts = [_pieces(record, plan) for plan in projections]
    results = [f"read_{i}(v, b{i})" if i in slow else f"x{i}" for i in wanted]
    results += [_concatenation(pieces, len(record.fields)) for pieces in cuts]
    boundaries, names = _boundaries(cuts) | slow, {f"read_{i}": _read_at(record.fields[i].shape) for i in slow}
    if shows is not None:
        cut = shown(record, shows)
        results.append(cut.expression)
        boundaries |= cut.boundaries
        names |= cut.constants
    source = scan_source(record, set(wanted) - slow, boundaries, results)
    return Scanner(source, _compiled(record.label, source, names))


Piece = bytes | slice
"""Of a projection's body: constant bytes, or the bytes of adjacent fields from `start` up to before `stop`."""


def _pieces(record: Record, plan: ProjectionPlan) -> list[Piece]:
    _check_plan(record, plan)
    pieces: list[Piece] = [plan.header]
    for i, f in enumerate(record.fields):
        if f.name in plan.clear:
            _append(pieces, slice(i, i + 1))
        elif f.name in plan.masked:
            _append(pieces, _masked(f.name, f.shape))
    return pieces


def _append(pieces: list[Piece], piece: Piece) -> None:
    """Adjacent fields become one slice, adjacent constants one constant."""
    last = pieces[-1]
    if isinstance(piece, bytes) and isinstance(last, bytes):
        pieces[-1] = last + piece
    elif isinstance(piece, slice) and isinstance(last, slice) and last.stop == piece.start:
        pieces[-1] = slice(last.start, piece.stop)
    else:
        pieces.append(piece)


def _check_plan(record: Record, plan: ProjectionPlan) -> None:
    unknown = (plan.clear | plan.masked) - {f.name for f in record.fields}
    if unknown or plan.clear & plan.masked or len(plan.header) != HEADER:
        raise ValueError(f"a projection of {record.label} with unknown or doubled fields, or no header of 5 bytes")


def _masked(name: str, shape: Shape) -> bytes:
    if isinstance(shape, Union) and shape.null is not None:
        return bytes([2 * shape.null])
    if shape.label != "string" or isinstance(shape, Enum):
        raise ValueError(f"{name} is neither a string nor nullable and cannot be masked")
    return _MASKED_STRING


def _concatenation(pieces: Sequence[Piece], last: int) -> str:
    """Python for the bytes of a projection; the whole tail needs no offset."""
    texts = [repr(p) if isinstance(p, bytes) else _cut(p, last) for p in pieces]
    return " + ".join(texts)


def _cut(piece: slice, last: int) -> str:
    start = "5" if piece.start == 0 else f"b{piece.start}"
    return f"v[{start}:{'' if piece.stop == last else f'b{piece.stop}'}]"


def _boundaries(cuts: Iterable[Sequence[Piece]]) -> set[int]:
    """Fields whose offset some projection needs."""
    slices = [piece for pieces in cuts for piece in pieces if isinstance(piece, slice)]
    return {offset for piece in slices for offset in (piece.start, piece.stop)}


def _read_at(shape: Shape) -> Callable[[bytes, int], Any]:
    read = reader_of(shape)
    return lambda value, at: read(Cursor(value, at))


def _compiled(name: str, source: str, given: dict[str, Any]) -> Callable[[bytes], tuple[Any, ...]]:
    """`source` is made from schema names and numbers that the resolver has checked, never from events."""
    names = {step: getattr(scanner_steps, step) for step in _STEPS} | given
    label = f"<scanner of {name} {crc32(source.encode()):08x}>"
    exec(compile(source, label, "exec"), names)  # noqa: S102 - its source is ours, see above
    linecache.cache[label] = (len(source), None, source.splitlines(keepends=True), label)
    scan: Callable[[bytes], tuple[Any, ...]] = names["scan"]
    return scan


_STEPS = (
    "Refused",
    "TEXT",
    "coded",
    "int_value",
    "long_value",
    "date_value",
    "timestamp_value",
    "span",
    "block",
    "map_key",
)
