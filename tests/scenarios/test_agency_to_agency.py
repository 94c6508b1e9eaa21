"""A publisher and receivers that nobody here wrote: Confluent's client, Apache Avro's encoder."""

from __future__ import annotations

from typing import Any

import pytest
from outside import Outside, fin
from world import catalogue, publisher, sample

STREAMS = {
    "martyr-family": "az.zefer.martyr_family.FamilyMemberRecognised",
    "veteran": "az.zefer.veteran.VeteranStatusGranted",
    "disability": "az.zefer.disability.DisabilityDetermined",
    "service": "az.zefer.service.ServiceRequested",
    "support": "az.zefer.support.SupportProvided",
    "employment": "az.zefer.employment.LabourContractNotified",
    "insurance": "az.zefer.insurance.CertificateIssued",
}


def own(name: str) -> dict[str, Any]:
    """A valid body about somebody of this test's own."""
    of = catalogue().types[name]
    given: dict[str, Any] = {"fin": fin()} if of.key_kind == "person" else {of.key_field: f"CASE-{fin()}"}
    if "provider" in sample(name):
        service = next(iter(catalogue().services.values()))
        given |= {"service": service.code, "provider": service.providers[0]}
    return sample(name, **given)


def test_there_is_a_scenario_for_every_stream() -> None:
    assert set(STREAMS) == {of.stream for of in catalogue().types.values()}


@pytest.mark.parametrize("stream", sorted(STREAMS))
def test_an_event_reaches_the_entitled_agencies_and_only_them(hub: Outside, stream: str) -> None:
    name = STREAMS[stream]
    data, by = own(name), publisher(name)
    sent = hub.send(by, name, hub.encode(name, data))
    receipt = hub.receipt(sent)
    assert receipt["verdict"] == "APPLIED", receipt
    entitled = {
        e.agency: e
        for e in catalogue().entitlements[name]
        if all(data[field] in values for field, values in e.when.items())
    }
    assert entitled
    received = hub.received(receipt["event_id"])
    assert set(received) == set(entitled)
    for agency, seen in received.items():
        ((message, fields),) = seen
        mask = entitled[agency].mask
        assert set(fields) == mask.clear | mask.masked
        assert {n: v for n, v in fields.items() if n in mask.clear} == {n: data[n] for n in mask.clear}
        assert all(fields[n] in ("***", None) for n in mask.masked)
        assert dict(message.headers() or ())["ce_originid"] == sent.id.encode()


def test_the_status_of_a_person_is_kept_under_a_pseudonym(hub: Outside) -> None:
    name = STREAMS["veteran"]
    who = fin()
    hub.receipt(hub.send("mod", name, hub.encode(name, sample(name, fin=who, effective_from=20_000))))
    late = hub.send("mod", name, hub.encode(name, sample(name, fin=who, effective_from=19_000, document_number="X")))
    receipt = hub.receipt(late)
    assert (receipt["late"], receipt["version"]) == (True, 2)
    statuses = [(m.key(), hub.decode(m.value())[1]) for m in hub.read("status.person")]
    (key, status) = next((k, s) for k, s in reversed(statuses) if s["version"] == 2 and _starts(s) == [19_000, 20_000])
    assert key is not None and len(key) == 32 and status["person_id"] == key.decode()
    assert who.encode() not in key


def _starts(status: dict[str, Any]) -> list[int]:
    return [interval["from"] for facet in status["statuses"] for interval in facet["intervals"]]


def test_a_duplicate_changes_nothing_and_gets_its_receipt(hub: Outside) -> None:
    name = STREAMS["support"]
    by, value = publisher(name), hub.encode(name, own(name))
    first = hub.send(by, name, value)
    event_id = hub.receipt(first)["event_id"]
    again = hub.send(by, name, value, id=first.id)
    assert hub.receipt(again)["verdict"] == "DUPLICATE"
    assert all(len(seen) == 1 for seen in hub.received(event_id).values())


def test_a_request_reaches_the_provider_asked_and_comes_back_completed(hub: Outside) -> None:
    asked, done = "az.zefer.service.ServiceRequested", "az.zefer.service.ServiceCompleted"
    service = next(iter(catalogue().services.values()))
    provider, case = service.providers[0], f"CASE-{fin()}"
    request = sample(asked, case_number=case, service=service.code, provider=provider)
    receipt = hub.receipt(hub.send(publisher(asked), asked, hub.encode(asked, request)))
    providers = {p for s in catalogue().services.values() for p in s.providers}
    assert set(hub.received(receipt["event_id"])) & providers == {provider}
    answer = sample(done, case_number=case, service=service.code, provider=provider, centre=request["centre"])
    back = hub.receipt(hub.send(provider, done, hub.encode(done, answer), correlationid=receipt["event_id"]))
    assert back["verdict"] == "APPLIED"
    ((message, fields),) = hub.received(back["event_id"])[request["centre"]]
    assert fields["case_number"] == case
    assert dict(message.headers() or ())["ce_correlationid"] == receipt["event_id"].encode()


def test_what_an_agency_receives_is_a_file_of_its_own(hub: Outside) -> None:
    name = STREAMS["insurance"]
    receipt = hub.receipt(hub.send(publisher(name), name, hub.encode(name, own(name))))
    receiver = catalogue().entitlements[name][0].agency
    folder = hub.hub.received / receiver
    found = hub.until(
        lambda: [p for p in folder.glob("*.jsonl") if receipt["event_id"] in p.read_text()] if folder.exists() else []
    )
    assert len(found) == 1
