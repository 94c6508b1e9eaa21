"""Canaries: whatever an event says of a person, no log line, metric, header, key, topic or group name repeats it.

The embedded broker is enough: what is looked at is the hub's, not the broker's.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from confluent_kafka import Message, Producer
from kafka.admin import KafkaAdminClient
from outside import Outside, Sent, unique
from world import VETERAN, catalogue, headers, publisher, sample

BY = "mod"
CASE_TYPE = "az.zefer.service.ServiceRequested"
FINS = iter(f"ZQ{number:05d}" for number in range(10_000, 90_000))
"""Nothing else of the run looks like one of these."""

Plant = Callable[["Garden"], Sent]


class Garden:
    """Sends events whose every text is a canary, and remembers the canaries."""

    def __init__(self, hub: Outside) -> None:
        self.hub, self.canaries = hub, set[str]()

    def canary(self, what: str) -> str:
        text = f"KANARYA{unique(what).replace('-', '')}"
        self.canaries.add(text)
        return text

    def fin(self) -> str:
        found = next(FINS)
        self.canaries.add(found)
        return found

    def body(self, name: str = VETERAN, **given: Any) -> dict[str, Any]:
        """A valid event about somebody, a canary in every text that the schema leaves free."""
        value = sample(name)
        for field in catalogue().types[name].schema["fields"]:
            if _free_text(field):
                value[field["name"]] = self.canary(field["name"])
        if catalogue().types[name].key_field == "fin":
            value["fin"] = self.fin()
        return value | given

    def value(self, name: str = VETERAN, **given: Any) -> bytes:
        return self.hub.encode(name, self.body(name, **given))

    def send(self, value: bytes, name: str = VETERAN, agency: str = BY, **given: Any) -> Sent:
        return self.hub.send(agency, name, value, **given)

    def send_under(self, key: str, value: bytes) -> Sent:
        """With an inbound key of the publisher's own."""
        done: list[Message] = []
        producer, id = Producer({"bootstrap.servers": self.hub.bootstrap, "log_level": 0}), unique("e")
        producer.produce(
            f"in.{BY}",
            value,
            key=key.encode(),
            headers=headers(VETERAN, BY, id=id),
            on_delivery=lambda _, message: done.append(message),
        )
        producer.flush(10)
        return Sent(f"{done[0].topic()}/{done[0].partition()}/{done[0].offset()}", id, value)


def _free_text(field: Mapping[str, Any]) -> bool:
    branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
    return "string" in branches and not {"pattern", "catalogue"} & set(field)


def good(garden: Garden) -> Sent:
    return garden.send(garden.value())


def late(garden: Garden) -> Sent:
    body = garden.body(effective_from=20_000)
    garden.send(garden.hub.encode(VETERAN, body))
    return garden.send(garden.hub.encode(VETERAN, body | {"effective_from": 19_000, "document_number": "L-1"}))


def duplicate(garden: Garden) -> Sent:
    value = garden.value()
    return garden.send(value, id=garden.send(value).id)


def conflict(garden: Garden) -> Sent:
    body = garden.body()
    first = garden.send(garden.hub.encode(VETERAN, body))
    return garden.send(garden.hub.encode(VETERAN, body | {"surname": garden.canary("other")}), id=first.id)


def person_as_key(garden: Garden) -> Sent:
    """As any publisher does it that wants its events in order."""
    body = garden.body()
    return garden.send_under(body["fin"], garden.hub.encode(VETERAN, body))


def person_as_key_of_a_bad_event(garden: Garden) -> Sent:
    return garden.send_under(garden.fin(), garden.value()[:-3])


def request(garden: Garden, case_number: str, fin: str) -> Sent:
    service = next(iter(catalogue().services.values()))
    body = garden.body(CASE_TYPE) | {"service": service.code, "provider": service.providers[0]}
    body["applicant"] = {"fin": fin, "surname": garden.canary("surname"), "name": garden.canary("name"), "phone": None}
    body |= {"answers": {garden.canary("question"): garden.canary("answer")}, "case_number": case_number}
    return garden.send(garden.hub.encode(CASE_TYPE, body), CASE_TYPE, publisher(CASE_TYPE))


def case(garden: Garden) -> Sent:
    """The case number is no person's; all else is."""
    return request(garden, f"CASE-{unique('N').upper()}", garden.fin())


def case_of_nobody(garden: Garden) -> Sent:
    return request(garden, f"CASE-{unique('N').upper()}", garden.canary("fin"))


def case_named_after_a_person(garden: Garden) -> Sent:
    fin = garden.fin()
    return request(garden, f"CASE/{fin}", fin)


def broken_rule(garden: Garden) -> Sent:
    return garden.send(garden.value(effective_from=20_000, valid_until=19_000))


def bad_fin(garden: Garden) -> Sent:
    """A FİN that is none is somebody's all the same."""
    return garden.send(garden.value(fin=garden.canary("fin")))


def not_of_the_catalogue(garden: Garden) -> Sent:
    return garden.send(garden.value(district=garden.canary("district")))


def fin_in_id(garden: Garden) -> Sent:
    body = garden.body()
    return garden.send(garden.hub.encode(VETERAN, body), id=f"case-{body['fin']}")


def fin_in_correlation(garden: Garden) -> Sent:
    body = garden.body()
    return garden.send(garden.hub.encode(VETERAN, body), correlationid=body["fin"].lower())


def fin_in_a_header_of_their_own(garden: Garden) -> Sent:
    body = garden.body()
    return garden.send(garden.hub.encode(VETERAN, body), headers=[("x-who", body["fin"].encode())])


def text_in_a_header_of_their_own(garden: Garden) -> Sent:
    """Passes, but the header does not."""
    return garden.send(garden.value(), headers=[("x-who", garden.canary("header").encode())])


def text_in_the_type(garden: Garden) -> Sent:
    return garden.send(garden.value(), f"az.zefer.{garden.canary('type')}")


def text_in_the_source(garden: Garden) -> Sent:
    return garden.send(garden.value(), source=f"urn:az:agency:{garden.canary('source')}")


def text_in_the_time(garden: Garden) -> Sent:
    return garden.send(garden.value(), time=garden.canary("time"))


def text_in_the_sequence(garden: Garden) -> Sent:
    return garden.send(garden.value(), sequence=garden.canary("sequence"))


def truncated(garden: Garden) -> Sent:
    return garden.send(garden.value()[:-3])


def trailing(garden: Garden) -> Sent:
    return garden.send(garden.value() + garden.canary("trailing").encode())


def not_text(garden: Garden) -> Sent:
    """A name in an encoding that is not UTF-8."""
    who = garden.canary("bytes")
    return garden.send(garden.value(surname=who).replace(who.encode(), b"\xff" + who[1:].encode()))


def json_instead(garden: Garden) -> Sent:
    return garden.send(json.dumps({"fin": garden.fin(), "name": garden.canary("json")}).encode())


def another_schema(garden: Garden) -> Sent:
    return garden.send(garden.value()[:1] + (999_999).to_bytes(4, "big") + garden.value()[5:])


PLANTS: Mapping[str | None, list[Plant]] = {
    None: [good, late, duplicate, person_as_key, case, text_in_a_header_of_their_own],
    "identity_conflict": [conflict],
    "rule_broken": [broken_rule, not_of_the_catalogue],
    "fin_invalid": [bad_fin, case_of_nobody],
    "fin_in_header": [fin_in_id, fin_in_correlation, fin_in_a_header_of_their_own, case_named_after_a_person],
    "type_unknown": [text_in_the_type],
    "source_mismatch": [text_in_the_source],
    "header_invalid": [text_in_the_time, text_in_the_sequence],
    "body_truncated": [truncated, person_as_key_of_a_bad_event],
    "body_trailing_bytes": [trailing],
    "body_invalid": [not_text],
    "not_avro": [json_instead],
    "schema_id_unknown": [another_schema],
}


@pytest.fixture(scope="module")
def garden(hub_on_embedded: Outside) -> Garden:
    """All canaries planted, each with its verdict, and what was applied delivered."""
    found = Garden(hub_on_embedded)
    sent = [(code, plant(found)) for code, plants in PLANTS.items() for plant in plants]
    receipts = [(code, hub_on_embedded.receipt(each)) for code, each in sent]
    assert [receipt["code"] for _, receipt in receipts] == [code for code, _ in receipts]
    applied = {receipt["event_id"] for _, receipt in receipts if receipt["verdict"] == "APPLIED"}
    hub_on_embedded.until(lambda: ["all"] if applied <= delivered(hub_on_embedded) else [])
    assert len(found.canaries) > 80
    return found


def delivered(hub: Outside) -> set[str]:
    records = (hub.decode(m.value() or b"") for m in hub.read(f"receipts.{BY}", f"receipts.{publisher(CASE_TYPE)}"))
    return {value["event_id"] for name, value in records if name == "hub.DeliveryReceipt"}


def tattled(garden: Garden, where: str, data: bytes | str) -> list[str]:
    """Places where a canary shows, upper or lower case, plain or as hexadecimal digits."""
    text = (data.decode("utf-8", "replace") if isinstance(data, bytes) else data).upper()
    forms = ((canary, form) for canary in garden.canaries for form in (canary.upper(), canary.encode().hex().upper()))
    return [f"{where}: {canary}" for canary, form in forms if form in text]


def topics(garden: Garden) -> Iterator[str]:
    with_admin = KafkaAdminClient(bootstrap_servers=garden.hub.bootstrap)
    try:
        yield from sorted(with_admin.list_topics())
    finally:
        with_admin.close()


def test_a_canary_would_be_seen(garden: Garden) -> None:
    """The inputs hold them all, and what agencies are entitled to see holds some: the search can find."""
    inputs = b"\n".join(m.value() or b"" for m in garden.hub.read(*(t for t in topics(garden) if t.startswith("in."))))
    assert len(tattled(garden, "in", inputs)) > 40
    outputs = b"\n".join(m.value() or b"" for m in garden.hub.read("out.zefer"))
    assert tattled(garden, "out", outputs)


def test_no_log_line_repeats_what_an_event_says(garden: Garden) -> None:
    logs = sorted((garden.hub.folder / "logs").glob("*"))
    assert {"worker.log", "delivery.log"} <= {path.name for path in logs}
    assert any(path.stat().st_size for path in logs)
    assert [found for path in logs for found in tattled(garden, path.name, path.read_bytes())] == []


def test_no_metric_repeats_what_an_event_says(garden: Garden) -> None:
    for child in (garden.hub.hub.worker, garden.hub.hub.delivery):
        with urllib.request.urlopen(f"http://127.0.0.1:{child.port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        assert "hub_build_info" in text
        assert tattled(garden, child.name, text) == []


def test_no_key_and_no_header_that_the_hub_writes_repeats_it(garden: Garden) -> None:
    written = [topic for topic in topics(garden) if not topic.startswith(("in.", "__"))]
    found, looked = [], 0
    for message in garden.hub.read(*written):
        where = f"{message.topic()}/{message.partition()}/{message.offset()}"
        said = [name.encode() + b"=" + (value or b"") for name, value in message.headers() or ()]
        if message.topic() != "_schemas":
            said.append(b"key=" + (message.key() or b""))
            looked += 1
        found += tattled(garden, where, b"\n".join(said))
    assert looked > 100 and found == []


def test_no_name_of_a_topic_or_a_group_repeats_it(garden: Garden) -> None:
    client = KafkaAdminClient(bootstrap_servers=garden.hub.bootstrap)
    groups = str(client.list_groups() if hasattr(client, "list_groups") else client.list_consumer_groups())
    client.close()
    assert "zefer.gate" in groups
    assert tattled(garden, "groups", groups) + tattled(garden, "topics", " ".join(topics(garden))) == []


def test_what_a_receipt_and_a_dead_letter_say_quotes_nothing(garden: Garden) -> None:
    """The envelope's value, key and headers are the event as it came; all other fields are the hub's words."""
    speaking = [t for t in topics(garden) if t.startswith(("receipts.", "dlq.", "audit", "activity"))]
    found, letters = [], 0
    for message in garden.hub.read(*speaking):
        name, value = garden.hub.decode(message.value() or b"")
        if name == "hub.DeadLetter":
            letters += 1
            value = {key: text for key, text in value.items() if key not in ("value", "key", "headers")}
        found += tattled(garden, f"{message.topic()}/{message.partition()}/{message.offset()} {name}", repr(value))
    assert letters >= sum(len(plants) for code, plants in PLANTS.items() if code)
    assert found == []


def test_what_the_hub_keeps_for_itself_names_nobody(garden: Garden) -> None:
    """`state.ledger` and `status.person` carry what the status shows, under a pseudonym: no FİN, no name."""
    texts = [m.value() or b"" for m in garden.hub.read("state.ledger", "status.person")]
    people = [canary for canary in garden.canaries if canary.startswith(("ZQ", "KANARYAsurname", "KANARYAname"))]
    assert len(texts) > 5
    assert [canary for canary in people for text in texts if canary.encode() in text] == []
