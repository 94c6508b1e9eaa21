"""What goes wrong at agencies: a good event, spoiled in one way that the hub must name.

Each function takes an event just written (without a sequence number) and gives its record spoiled, or None where
this event cannot be spoiled that way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hub.avro.records import WIRE_HEADER_BYTES, wire_header
from hub.event import EVENT_MAX_BYTES, SOURCE_PREFIX, Headers
from hub.simulate.desk import Desk, Written
from hub.simulate.planned import Planned, Sort

NO_SCHEMA = 0x7FFF_FFFF
NO_TYPE = "az.zefer.unknown.SomethingHappened"
CONTINUED = frozenset({"string", "bytes", "int", "long"})
"""Types whose bytes begin with a number."""


class Bench(NamedTuple):
    """What spoiling needs: the desk that wrote the event, and all agencies of the catalogue."""

    desk: Desk
    agencies: Sequence[str]


Spoil = Callable[[Written, Bench], Planned | None]


def spoil(written: Written, sort: Sort, bench: Bench) -> Planned | None:
    """The record of a good event, spoiled as `sort` says; None where this event cannot be."""
    found = SPOILS[sort](written, bench)
    return found._replace(sort=sort) if found else None


def _truncated(written: Written, bench: Bench) -> Planned | None:
    value = written.planned.value
    return written.planned._replace(value=value[: bench.desk.rng.randrange(WIRE_HEADER_BYTES, len(value))])


def _trailing(written: Written, bench: Bench) -> Planned | None:
    return written.planned._replace(value=written.planned.value + b"\0\0\0")


def _overlong(written: Written, bench: Bench) -> Planned | None:
    """The first number of the body in one byte more than it needs."""
    if _first_type(written, bench) not in CONTINUED:
        return None
    value, at = bytearray(written.planned.value), WIRE_HEADER_BYTES
    while value[at] > 127:
        at += 1
    value[at : at + 1] = bytes((value[at] | 128, 0))
    return written.planned._replace(value=bytes(value))


def _body_invalid(written: Written, bench: Bench) -> Planned | None:
    """The first string begins with a byte that no UTF-8 text begins with."""
    value = bytearray(written.planned.value)
    if _first_type(written, bench) != "string" or not 0 < value[WIRE_HEADER_BYTES] < 128:
        return None
    value[WIRE_HEADER_BYTES + 1] = 0xFF
    return written.planned._replace(value=bytes(value))


def _first_type(written: Written, bench: Bench) -> Any:
    return bench.desk.forms[written.planned.type].type.schema["fields"][0]["type"]


def _schema_id_unknown(written: Written, bench: Bench) -> Planned | None:
    return written.planned._replace(value=wire_header(NO_SCHEMA) + written.planned.value[WIRE_HEADER_BYTES:])


def _type_mismatch(written: Written, bench: Bench) -> Planned | None:
    others = [form.head for name, form in bench.desk.forms.items() if name != written.planned.type]
    if not others:
        return None
    return written.planned._replace(value=bench.desk.rng.choice(others) + written.planned.value[WIRE_HEADER_BYTES:])


def _type_unknown(written: Written, bench: Bench) -> Planned | None:
    return _with_headers(written, ce_type=NO_TYPE.encode())


def _header_invalid(written: Written, bench: Bench) -> Planned | None:
    wrong: Sequence[Mapping[str, bytes | None]] = (
        {"ce_time": b"yesterday"},
        {"ce_time": None},
        {"ce_id": None},
        {"ce_specversion": b"0.3"},
        {"ce_sequence": b"first"},
    )
    return _with_headers(written, **bench.desk.rng.choice(wrong))


def _wrong_source(written: Written, bench: Bench) -> Planned | None:
    others = [code for code in bench.agencies if code != written.planned.agency]
    if not others:
        return None
    return _with_headers(written, ce_source=(SOURCE_PREFIX + bench.desk.rng.choice(others)).encode())


def _unauthorised(written: Written, bench: Bench) -> Planned | None:
    """Another agency, under its own name, says what it may not say."""
    of = bench.desk.forms[written.planned.type].publishers
    others = [code for code in bench.agencies if code not in of]
    if not others:
        return None
    code = bench.desk.rng.choice(others)
    return _with_headers(written, ce_source=(SOURCE_PREFIX + code).encode())._replace(agency=code)


def _fin_invalid(written: Written, bench: Bench) -> Planned | None:
    return _with_fin(written, bench, bench.desk.rng.choice((str.lower, lambda fin: fin[:-1], lambda fin: fin + "0")))


def _fin_in_header(written: Written, bench: Bench) -> Planned | None:
    fin = written.body.get("fin")
    if not isinstance(fin, str):
        return None
    if bench.desk.rng.random() < 0.5:
        return _with_headers(written, ce_id=f"{written.planned.agency}-{fin.lower()}".encode())
    return _with_headers(written, ce_subject=fin.encode())


def _with_fin(written: Written, bench: Bench, change: Callable[[str], str]) -> Planned | None:
    fin = written.body.get("fin")
    if not isinstance(fin, str):
        return None
    body = {**written.body, "fin": change(fin)}
    return written.planned._replace(value=bench.desk.forms[written.planned.type].encode(body))


def _rule_broken(written: Written, bench: Bench) -> Planned | None:
    """A code that the catalogue does not have."""
    form = bench.desk.forms[written.planned.type]
    listed = [f["name"] for f in form.type.schema["fields"] if "catalogue" in f and f["type"] == "string"]
    if not listed:
        return None
    return written.planned._replace(value=form.encode({**written.body, listed[0]: "no-such-code"}))


def _not_avro(written: Written, bench: Bench) -> Planned | None:
    text = json.dumps({"type": written.planned.type, "data": "this agency sends JSON"}).encode()
    return written.planned._replace(value=bench.desk.rng.choice((text, b"", b"\0\0\1")))


def _too_large(written: Written, bench: Bench) -> Planned | None:
    return written.planned._replace(value=written.planned.value + bytes(EVENT_MAX_BYTES))


def _with_headers(written: Written, **changed: bytes | None) -> Planned:
    """Headers changed by name; None takes one out, one that was not there is added."""
    kept = [(name, changed.get(name, value)) for name, value in written.planned.headers]
    known = {name for name, _ in kept}
    added = [(name, value) for name, value in changed.items() if name not in known]
    headers: Headers = tuple((name, value) for name, value in (*kept, *added) if value is not None)
    return written.planned._replace(headers=headers)


SPOILS: Mapping[Sort, Spoil] = {
    Sort.UNAUTHORISED: _unauthorised,
    Sort.WRONG_SOURCE: _wrong_source,
    Sort.TRUNCATED: _truncated,
    Sort.TRAILING_BYTES: _trailing,
    Sort.OVERLONG: _overlong,
    Sort.BODY_INVALID: _body_invalid,
    Sort.SCHEMA_ID_UNKNOWN: _schema_id_unknown,
    Sort.TYPE_UNKNOWN: _type_unknown,
    Sort.TYPE_MISMATCH: _type_mismatch,
    Sort.HEADER_INVALID: _header_invalid,
    Sort.FIN_INVALID: _fin_invalid,
    Sort.FIN_IN_HEADER: _fin_in_header,
    Sort.RULE_BROKEN: _rule_broken,
    Sort.NOT_AVRO: _not_avro,
    Sort.TOO_LARGE: _too_large,
}
