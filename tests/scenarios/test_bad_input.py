"""Whatever comes in: each bad record once in the dead-letter queue, its bytes unchanged; good ones pass around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaException
from outside import Outside, Sent, fin
from world import sample

NAME = "az.zefer.veteran.VeteranStatusGranted"
BY = "mod"

Bad = Callable[[Outside], Sent]


def good(hub: Outside, **given: Any) -> bytes:
    return hub.encode(NAME, sample(NAME, **({"fin": fin()} | given)))


def truncated(hub: Outside) -> Sent:
    return hub.send(BY, NAME, good(hub)[:-3])


def trailing(hub: Outside) -> Sent:
    return hub.send(BY, NAME, good(hub) + b"\0\0")


def overlong(hub: Outside) -> Sent:
    """The FİN's length, 7, written in two bytes where one does."""
    value = good(hub)
    assert value[5] == 0x0E
    return hub.send(BY, NAME, value[:5] + b"\x8e\x00" + value[6:])


def wrong_schema_id(hub: Outside) -> Sent:
    return hub.send(BY, NAME, b"\0" + (999_999).to_bytes(4, "big") + good(hub)[5:])


def unknown_type(hub: Outside) -> Sent:
    return hub.send(BY, "az.zefer.veteran.NeverHeardOf", good(hub))


def other_type(hub: Outside) -> Sent:
    return hub.send(BY, "az.zefer.martyr_family.MartyrRecognised", good(hub))


def unauthorised(hub: Outside) -> Sent:
    name = "az.zefer.disability.DisabilityDetermined"
    return hub.send(BY, name, hub.encode(name, sample(name, fin=fin())))


def as_another(hub: Outside) -> Sent:
    return hub.send(BY, NAME, good(hub), source="urn:az:agency:zefer")


def bad_fin(hub: Outside) -> Sent:
    return hub.send(BY, NAME, good(hub, fin="qwertyu"))


def fin_in_header(hub: Outside) -> Sent:
    who = fin()
    return hub.send(BY, NAME, good(hub, fin=who), id=f"case-{who}")


def broken_rule(hub: Outside) -> Sent:
    return hub.send(BY, NAME, good(hub, effective_from=20_000, valid_until=19_000))


def conflict(hub: Outside) -> Sent:
    who = fin()
    first = hub.send(BY, NAME, good(hub, fin=who, surname="Bir"))
    return hub.send(BY, NAME, good(hub, fin=who, surname="Iki"), id=first.id)


def large(hub: Outside) -> Sent:
    return hub.send(BY, NAME, good(hub) + bytes(1_500_000))


def not_avro(hub: Outside) -> Sent:
    return hub.send(BY, NAME, b'{"fin": "not avro at all"}')


def no_headers(hub: Outside) -> Sent:
    return hub.send(BY, NAME, good(hub), time="yesterday")


def wrong_enum(hub: Outside) -> Sent:
    """The union's branch of `patronymic` that does not exist."""
    value = hub.encode(NAME, sample(NAME, fin=fin(), surname="S", name="N"))
    at = value.index(b"\x02S\x02N") + 4
    return hub.send(BY, NAME, value[:at] + b"\x08" + value[at + 1 :])


BAD: dict[str, Bad] = {
    "body_truncated": truncated,
    "body_trailing_bytes": trailing,
    "body_overlong": overlong,
    "body_invalid": wrong_enum,
    "schema_id_unknown": wrong_schema_id,
    "type_unknown": unknown_type,
    "type_mismatch": other_type,
    "type_not_allowed": unauthorised,
    "source_mismatch": as_another,
    "fin_invalid": bad_fin,
    "fin_in_header": fin_in_header,
    "rule_broken": broken_rule,
    "identity_conflict": conflict,
    "too_large": large,
    "not_avro": not_avro,
    "header_invalid": no_headers,
}


def test_each_code_has_its_case() -> None:
    from hub.errors import Code

    assert set(BAD) == {code.value for code in Code} - {Code.INTERNAL.value, Code.CRASHED_WORKER.value}


def test_bad_records_are_kept_and_good_ones_pass_in_order(hub: Outside) -> None:
    who = fin()
    bad: dict[str, Sent] = {}
    around: list[Sent] = []
    for number, (code, make) in enumerate(BAD.items()):
        around.append(hub.send(BY, NAME, good(hub, fin=who, document_number=f"D-{number}"), sequence=str(number)))
        bad[code] = make(hub)
    versions = [hub.receipt(sent)["version"] for sent in around]
    assert versions == list(range(1, len(BAD) + 1)), "in order, none lost"
    receipts = {code: hub.receipt(sent) for code, sent in bad.items()}
    assert {code: r["code"] for code, r in receipts.items()} == {code: code for code in BAD}
    letters = [(m, hub.decode(m.value())[1]) for m in hub.read(f"dlq.{BY}")]
    for code, sent in bad.items():
        ((message, letter),) = [(m, d) for m, d in letters if (m.key() or b"").decode() == sent.coordinates]
        assert letter["value"] == sent.value, f"{code}: the bytes are as they came"
        assert letter["code"] == code
        assert dict(message.headers() or ()) == {"code": code.encode(), "step": letter["step"].encode()}


def test_what_is_far_too_large_is_refused_to_its_publisher(hub: Outside) -> None:
    with pytest.raises(KafkaException) as refused:
        hub.send(BY, NAME, bytes(10_000_000))
    assert refused.value.args[0].name() == "MSG_SIZE_TOO_LARGE"


def test_denials_are_in_the_audit(hub: Outside) -> None:
    sent = unauthorised(hub)
    hub.receipt(sent)
    entries = [hub.decode(m.value())[1] for m in hub.read("audit")]
    (denial,) = [e for e in entries if e["origin"] == sent.coordinates]
    assert (denial["kind"], denial["agency"], denial["code"]) == ("DENIAL", BY, "type_not_allowed")


def test_the_audit_is_chained_per_writer(hub: Outside) -> None:
    hub.receipt(unauthorised(hub))
    chains: dict[str, list[dict[str, Any]]] = {}
    for message in hub.read("audit"):
        entry = hub.decode(message.value())[1]
        chains.setdefault(entry["writer"], []).append(entry)
    assert chains
    for entries in chains.values():
        assert [e["number"] for e in entries] == list(range(1, len(entries) + 1))
        for before, after in zip(entries, entries[1:], strict=False):
            assert after["previous"] == before["hash"]
