"""The headers of `in.*`, `events.*` and `out.*`, written once for each event: what never changes of a type and source
is a constant, and all receivers of an event share the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from hub.avro.packed import pack_header
from hub.avro.packer import SIZE, data, number
from hub.event import CONTENT_TYPE
from hub.pipeline.attributes import LINEAGE, OPTIONAL

LATE = pack_header("ce_late", b"true")
_TIME, _SEQUENCE, _ORIGIN, _ACCEPTED = (
    data(b"ce_time"),
    data(b"ce_sequence"),
    data(b"hub_origin"),
    data(b"hub_accepted"),
)
_ORIGIN_ID, _VERSION = data(b"ce_originid"), data(b"ce_statusversion")


class InboundHeaders:
    """Of `in.*`, as they are written for who publishes over HTTP: plain ones, without extensions or lineage."""

    def __init__(self, source: bytes, type: bytes) -> None:
        self._begin = _begin(6, (*_attributes(source, type), ("content-type", CONTENT_TYPE)))

    def __call__(self, named: Mapping[str, bytes]) -> bytes:
        """`named` are the attributes."""
        id, time = named["ce_id"], named["ce_time"]
        count, optional = _optional(named)
        return b"".join((self._begin[count], SIZE[len(id)], id, _TIME, SIZE[len(time)], time, optional))


class CarriedHeaders:
    """Of `events.*`: the publisher's attributes, where the event came in, and when (milliseconds since 1970)."""

    def __init__(self, source: bytes, type: bytes) -> None:
        self._begin = _begin(7, _attributes(source, type))

    def __call__(self, named: Mapping[str, bytes], origin: bytes, accepted: bytes) -> bytes:
        """`named` are the inbound headers; those that are no attributes stop here."""
        id, time = named["ce_id"], named["ce_time"]
        count, optional = _optional(named)
        begin, own = self._begin[count], (SIZE[len(id)], id, _TIME, SIZE[len(time)], time)
        return b"".join(
            (begin, *own, optional, _ORIGIN, SIZE[len(origin)], origin, _ACCEPTED, SIZE[len(accepted)], accepted)
        )


class OutboundHeaders:
    """Of `out.*`: the hub's own id as `ce_id`, the publisher's as `ce_originid`."""

    def __init__(self, source: bytes, type: bytes) -> None:
        self._begin = _begin(9, (*_attributes(source, type), ("content-type", CONTENT_TYPE)))

    def __call__(self, named: Mapping[str, bytes], event_id: bytes, version: int, *, late: bool) -> bytes:
        """`named` are the headers of `events.*`, `event_id` is 32 hex digits."""
        id, time, accepted, of = named["ce_id"], named["ce_time"], named["hub_accepted"], b"%d" % version
        count, optional = _optional(named)
        if late:
            count, optional = count + 1, optional + LATE
        own = (
            SIZE[32],
            event_id,
            _ORIGIN_ID,
            SIZE[len(id)],
            id,
            _TIME,
            SIZE[len(time)],
            time,
            _VERSION,
            SIZE[len(of)],
            of,
        )
        return b"".join((self._begin[count], *own, optional, _ACCEPTED, SIZE[len(accepted)], accepted))


def _attributes(source: bytes, type: bytes) -> tuple[tuple[str, bytes], ...]:
    """Those that never change."""
    return ("ce_specversion", b"1.0"), ("ce_source", source), ("ce_type", type)


def _begin(count: int, fixed: tuple[tuple[str, bytes], ...]) -> tuple[bytes, ...]:
    """By how many headers there are beyond `count`: the number, the fixed ones, and the name of the id."""
    packed = b"".join(pack_header(*pair) for pair in fixed) + data(b"ce_id")
    return tuple(number(count + more) + packed for more in range(len(OPTIONAL) + 2))


def _optional(named: Mapping[str, bytes]) -> tuple[int, bytes]:
    """How many of the optional attributes there are, and they."""
    count, packed = 0, b""
    sequence = named.get("ce_sequence")
    if sequence is not None:
        count, packed = 1, _SEQUENCE + SIZE[len(sequence)] + sequence
    for name in LINEAGE:
        if name in named:
            count, packed = count + 1, packed + pack_header(name, named[name])
    return count, packed
