"""POST /v1/events in memory: what is answered, what is kept, and what nobody is told."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from typing import Any

import httpx
import jiter
import pytest
from gateway_room import MUCH, Room, event, publisher_of
from world import VETERAN, catalogue

from hub.avro.packed import unpack_headers
from hub.errors import Code, ConfigError
from hub.gateway import app, body
from hub.gateway.bounds import MIB, VALUE_BYTES, Bounds
from hub.gateway.examine import LOOKED_THROUGH, Examiner
from hub.gateway.publish import BATCH, SINGLE, SINGLE_BYTES, SINGLE_VALUES
from hub.gateway.questions import Questions
from hub.gateway.serve import bounds_of
from hub.pipeline.refuse import DENIALS
from hub.settings import load_settings
from hub.texts import texts
from hub.views.receipts import Verdict

ITEM = {"index", "id", "status", "step", "code", "detail", "pointer", "what", "fix", "record"}
CANARY = "KANARYA"
AGENCIES = sorted(catalogue().agencies)


@pytest.fixture
def room() -> Room:
    return Room()


def only(answer: Any) -> dict[str, Any]:
    (item,) = answer.json()["items"]
    return item  # type: ignore[no-any-return]


def test_one_event_is_accepted_once_it_is_kept(room: Room) -> None:
    answer = room.publish(event())
    assert answer.status_code == 202 and answer.headers["content-type"] == "application/json"
    item = only(answer)
    assert set(item) == ITEM and item["status"] == "accepted" and item["record"] == "in.mod/0/0"
    assert {item[name] for name in ("step", "code", "detail", "pointer", "what", "fix")} == {None}
    assert len(room.broker.kept["in.mod"]) == 1


@pytest.mark.parametrize("name", sorted(catalogue().types))
def test_every_type_can_be_published(room: Room, name: str) -> None:
    made = event(name)
    assert room.publish(made, publisher_of(made)).status_code == 202


def test_a_batch_has_an_item_for_each_in_its_order(room: Room) -> None:
    made = [event(id="a"), event(id="b", data={"category": "X"}), event(id="c")]
    answer = room.publish(made)
    assert answer.status_code == 207
    assert [(i["index"], i["id"], i["status"]) for i in answer.json()["items"]] == [
        (0, "a", "accepted"),
        (1, "b", "rejected"),
        (2, "c", "accepted"),
    ]
    assert [answer.json()[name] for name in ("accepted", "duplicate", "rejected")] == [2, 0, 1]
    assert len(room.broker.kept["in.mod"]) == 2


def test_none_accepted_is_a_problem_with_items(room: Room) -> None:
    answer = room.publish([event(data={"category": "X"}), {}])
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "events_rejected" and len(answer.json()["items"]) == 2
    assert room.broker.kept == {}


def test_an_empty_batch_is_accepted(room: Room) -> None:
    answer = room.publish([])
    assert answer.status_code == 202 and answer.json()["items"] == []


@pytest.mark.parametrize(
    ("given", "code", "pointer", "expected"),
    [
        ({"data": {"category": "WARS"}}, "body_invalid", "/data/category", "expected one of WAR, LABOUR, MILITARY"),
        ({"data": {"fin": "abc"}}, "fin_invalid", "/data/fin", "found a string of 3 characters"),
        ({"data": {"valid_until": "2020-01-01"}}, "rule_broken", "/data", "/data/effective_from must be <"),
        ({"data": {"district": "mars"}}, "rule_broken", "/data/district", "expected a code of the catalogue's list"),
        ({"data": {"surnam": "x"}}, "body_invalid", "/data", "found 1 that it does not have"),
        ({"time": "yesterday"}, "header_invalid", "/time", "RFC 3339"),
        ({"id": "a b"}, "header_invalid", "/id", "1 to 64"),
        ({"id": None}, "header_invalid", "/id", "found nothing"),
        ({"source": "urn:az:agency:moc"}, "source_mismatch", "/source", "expected urn:az:agency:mod"),
        ({"type": "az.zefer.Nothing"}, "type_unknown", "/type", "expected an event type"),
        ({"type": "az.zefer.disability.DisabilityDetermined"}, "type_not_allowed", "/type", "may not publish"),
        ({"specversion": "0.3"}, "header_invalid", "/specversion", "expected 1.0"),
        ({"data_base64": "AA=="}, "body_invalid", "/data_base64", "expected data, as JSON"),
        ({"datacontenttype": "text/xml"}, "header_invalid", "/datacontenttype", "application/json"),
        ({"sequence": "x"}, "header_invalid", "/sequence", "1 to 18 digits"),
    ],
)
def test_a_refusal_says_where_what_was_expected_and_how_to_mend_it(
    room: Room, given: dict[str, Any], code: str, pointer: str, expected: str
) -> None:
    made = event(**given) if "data" in given else event() | given
    told = {language: only(room.publish(made, headers={"Accept-Language": language})) for language in ("en", "az")}
    for language, item in told.items():
        assert (item["status"], item["code"], item["pointer"]) == ("rejected", code, pointer)
        assert (item["what"], item["fix"]) == texts()[code, language]  # type: ignore[index]
    assert expected in told["en"]["detail"]
    assert told["en"]["fix"] != told["az"]["fix"]
    assert bool(room.audit.denials) == (code in DENIALS)


def test_the_same_again_is_a_duplicate_and_not_kept_twice(room: Room) -> None:
    room.publish(event())
    again = room.publish(event())
    assert again.status_code == 202 and only(again)["status"] == "duplicate"
    assert only(again)["record"] == "in.mod/0/0" and len(room.broker.kept["in.mod"]) == 1


def test_the_same_id_with_other_content_is_a_conflict_with_what_was_applied(room: Room) -> None:
    """Until the ledger has spoken it is taken: an earlier life of the gateway may have taken another one before."""
    room.publish(event())
    assert only(room.publish(event(data={"district": "baki"})))["status"] == "accepted"
    id, _ = identity_of(room, event())
    room.verdicts[id] = [verdict("in.mod/0/0", "APPLIED")]
    room.contents["in.mod/0/0"] = identity_of(room, event())[1]
    other = room.publish(event(data={"district": "sumqayit"}))
    assert other.status_code == 422 and only(other)["code"] == "identity_conflict"


def test_the_same_id_of_another_person_is_another_event(room: Room) -> None:
    room.publish(event())
    assert only(room.publish(event(data={"fin": "AAAAAA1"})))["status"] == "accepted"


def test_within_one_batch_too(room: Room) -> None:
    answer = room.publish([event(), event(), event(data={"district": "baki"})])
    assert [i["status"] for i in answer.json()["items"]] == ["accepted", "duplicate", "accepted"]
    assert len(room.broker.kept["in.mod"]) == 2, "which of the two counts, the ledger says"


def verdict(record: str, said: str) -> Verdict:
    return Verdict(record, {"verdict": said})


def identity_of(room: Room, made: Any) -> tuple[str, bytes]:
    found = room.publishing._examiner.examine("mod", made)
    return found.identity.hex(), found.content  # type: ignore[union-attr]


def test_a_conflict_makes_no_conflict_of_what_comes_after_it(room: Room) -> None:
    id, content = identity_of(room, event())
    room.verdicts[id], room.contents["in.mod/1/7"] = [verdict("in.mod/1/7", "APPLIED")], content
    answer = room.publish([event(data={"district": "baki"}), event()])
    assert [i["status"] for i in answer.json()["items"]] == ["rejected", "duplicate"]


def test_what_the_receipts_know_is_a_duplicate_after_a_look_at_the_record(room: Room) -> None:
    id, content = identity_of(room, event())
    room.verdicts[id], room.contents["in.mod/1/7"] = [verdict("in.mod/1/7", "APPLIED")], content
    assert only(room.publish(event())) | {"record": ""} == only(room.publish(event())) | {"record": ""}
    assert only(room.publish(event()))["status"] == "duplicate" and room.broker.kept == {}
    assert only(room.publish(event(data={"district": "baki"})))["code"] == "identity_conflict"


def test_where_the_record_is_gone_the_receipt_decides(room: Room) -> None:
    id, _ = identity_of(room, event())
    room.verdicts[id] = [verdict("in.mod/1/7", "APPLIED")]
    assert only(room.publish(event()))["status"] == "accepted"


def test_what_was_refused_before_may_come_again(room: Room) -> None:
    id, _ = identity_of(room, event())
    room.verdicts[id] = [verdict("in.mod/1/7", "REJECTED")]
    assert only(room.publish(event()))["status"] == "accepted"


def test_what_was_refused_since_it_was_taken_is_no_duplicate(room: Room) -> None:
    room.publish(event())
    room.own_verdicts["e-1"] = [verdict("in.mod/0/9", "REJECTED")]
    assert only(room.publish(event()))["status"] == "duplicate", "another record of that id was refused"
    room.own_verdicts["e-1"].append(verdict("in.mod/0/0", "REJECTED"))
    assert [only(room.publish(event()))["status"] for _ in range(2)] == ["accepted", "duplicate"]
    assert len(room.broker.kept["in.mod"]) == 2, "taken once more, and remembered"


def test_what_was_refused_as_a_conflict_is_one_when_it_comes_again(room: Room) -> None:
    id, content = identity_of(room, event())
    other = event(data={"district": "baki"})
    assert [only(room.publish(made))["status"] for made in (event(), other, other)] == [
        "accepted",
        "accepted",
        "duplicate",
    ]
    room.verdicts[id], room.contents["in.mod/0/0"] = [verdict("in.mod/0/0", "APPLIED")], content
    room.own_verdicts["e-1"] = [verdict("in.mod/0/0", "APPLIED"), verdict("in.mod/0/1", "REJECTED")]
    again = room.publish(other)
    assert again.status_code == 422 and only(again)["code"] == "identity_conflict"
    assert len(room.broker.kept["in.mod"]) == 2


def test_what_this_gateway_took_is_no_conflict_where_another_record_was_applied(room: Room) -> None:
    room.publish(event(data={"district": "baki"}))
    id, content = identity_of(room, event())
    room.verdicts[id], room.contents["in.mod/3/3"] = [verdict("in.mod/3/3", "APPLIED")], content
    assert only(room.publish(event()))["status"] == "duplicate"


def test_views_that_are_not_ready_hold_nobody_up(room: Room) -> None:
    room.views_ready = False
    assert room.publish(event()).status_code == 202
    assert only(room.publish(event()))["status"] == "duplicate"


def test_what_is_remembered_is_bounded(room: Room) -> None:
    room.known._kept = 3
    room.publish([event(id=f"e-{i}") for i in range(10)])
    assert len(room.known._recent) == 3


def test_a_dry_run_stores_nothing_and_says_who_would_get_what(room: Room) -> None:
    answer = room.publish(event(data={"service_branch": "ARMY"}), params={"dry_run": "true"})
    assert answer.status_code == 200 and room.broker.kept == {}
    receivers = {each["agency"]: each for each in only(answer)["receivers"]}
    assert set(receivers) == {e.agency for e in catalogue().entitlements[VETERAN]}
    tax = receivers["tax"]
    assert tax["outcome"] == "offered" and tax["basis"] == "law-tax" and tax["law"]
    assert "surname" in tax["fields"]["absent"] and "category" in tax["fields"]["clear"]
    assert receivers["sbs"]["outcome"] == "withheld" and receivers["sbs"]["when"] == {"service_branch": ["BORDER"]}
    assert "surname" in receivers["mod"]["fields"]["masked"]
    assert room.publish(event()).status_code == 202, "it was not remembered either"


def test_a_dry_run_works_while_the_broker_is_away(room: Room) -> None:
    room.broker.away = True
    assert room.publish(event(), params={"dry_run": "true"}).status_code == 200


@pytest.mark.parametrize("query", [{"dry_run": "yes"}, {"dryrun": "true"}, {"dry_run": ["true", "false"]}])
def test_a_wrong_parameter_is_refused(room: Room, query: Any) -> None:
    answer = room.publish(event(), params=query)
    assert answer.status_code == 400 and answer.json()["code"] == "parameter_invalid" and room.broker.kept == {}


@pytest.mark.parametrize("fault", ["away", "slow"])
def test_a_broker_that_does_not_take_it_is_never_a_202(room: Room, fault: str) -> None:
    setattr(room.broker, fault, True)
    answer = room.publish([event(), event(id="x", data={"category": "X"})])
    assert answer.status_code == 503 and answer.json()["code"] == "broker_away"
    assert int(answer.headers["retry-after"]) >= 1
    setattr(room.broker, fault, False)
    assert only(room.publish(event()))["status"] == "accepted", "what is not known to be durable is taken again"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json_invalid"),
        (b"{", "json_invalid"),
        (b'{"a": NaN}', "json_invalid"),
        (b'\xff\xfe{"a": 1}', "json_invalid"),
        (b'{"a": 1, "a": 2}', "json_duplicate_key"),
        (b'{"data": {"fin": "A", "fin": "B"}}', "json_duplicate_key"),
        (b'{"a": ' + b"[" * 1_000, "json_too_deep"),
        (b'{"a": ' + b'{"a": ' * 1_000, "json_too_deep"),
        (b"[]", "envelope_invalid"),
        (b'"text"', "envelope_invalid"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "json_invalid"),
    ],
    ids=range(11),
)
def test_what_is_no_json_object_is_refused_without_being_quoted(room: Room, body: bytes, code: str) -> None:
    answer = room.publish(body)
    assert answer.status_code == 400 and answer.json()["code"] == code


def test_an_empty_body_is_called_empty_in_both_languages(room: Room) -> None:
    assert room.publish(b"").json()["detail"] == "the body is empty"
    assert room.publish(b"", headers={"Accept-Language": "az"}).json()["detail"] == "gövdə boşdur"


def test_a_misspelt_name_is_told_by_the_one_it_is_close_to(room: Room) -> None:
    written = event()
    written["data"]["surnam"] = written["data"].pop("surname")
    (item,) = room.publish(written).json()["items"]
    assert item["detail"].endswith("the first close to the name 'surname'") and item["pointer"] == "/data"


def test_a_name_that_stands_twice_is_not_repeated(room: Room) -> None:
    assert CANARY not in room.publish(f'{{"{CANARY}": 1, "{CANARY}": 2}}'.encode()).text


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "application/json"}, 415, "content_type_unsupported"),
        ({"Content-Type": "application/cloudevents+json; charset=utf-16"}, 415, "content_type_unsupported"),
        ({"Content-Encoding": "gzip"}, 415, "content_encoding_unsupported"),
        ({"Accept": "text/html"}, 406, "not_acceptable"),
        ({"Accept": "application/json;q=0"}, 406, "not_acceptable"),
        ({"Authorization": "Bearer nobody"}, 401, "token_unknown"),
    ],
)
def test_negotiation(room: Room, headers: dict[str, str], status: int, code: str) -> None:
    answer = room.publish(event(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json" and room.broker.kept == {}


@pytest.mark.parametrize("accept", ["*/*", "application/*", "text/html, application/json;q=0.1", ""])
def test_who_can_read_json_gets_it(room: Room, accept: str) -> None:
    assert room.publish(event(), headers={"Accept": accept}).status_code == 202


def test_utf8_may_be_said(room: Room) -> None:
    kind = "application/cloudevents+json; charset=UTF-8"
    assert room.publish(event(), headers={"Content-Type": kind}).status_code == 202


def test_a_body_and_a_batch_have_bounds() -> None:
    room = Room(Bounds(body_bytes=20_000, batch_events=3))
    assert room.publish(event() | {"x": "y" * 20_000}).json()["code"] == "body_too_large"
    answer = room.publish([event(id=f"e-{i}") for i in range(4)])
    assert answer.status_code == 413 and answer.json()["code"] == "batch_too_long"
    assert room.budget.used == 0, "what was held is given back"


def test_an_event_of_more_than_a_mib_is_refused_alone(room: Room) -> None:
    name = next(n for n, of in catalogue().types.items() if any("maxLength" not in f for f in of.schema["fields"]))
    made = event(VETERAN, data={"surname": "x" * 100, "conflicts": ["OTHER"] * 1_100_000})
    answer = room.publish([made, event(id="small")])
    assert name and answer.status_code == 413, "one body has 4 MiB at the most"
    small = Room(Bounds(body_bytes=32 << 20, values=1 << 21, waiting_bytes=1 << 30)).publish([made, event(id="small")])
    assert [i["code"] for i in small.json()["items"]] == ["too_large", None]


def test_a_single_event_that_is_far_too_large_is_refused_unread(room: Room) -> None:
    """Reading it keeps all others waiting."""
    answer = room.publish(event() | {"x": "y" * SINGLE_BYTES})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert f"{SINGLE_BYTES} bytes" in answer.json()["detail"]
    assert room.publish([event() | {"x": "y" * SINGLE_BYTES}]).status_code == 422, "a batch may be larger"


def test_an_id_is_not_repeated_where_there_is_too_much_to_compare_it_with(room: Room) -> None:
    few, many = ([[[] for _ in range(50)] for _ in range(count)] for count in (50, LOOKED_THROUGH // 50))
    items = room.publish([event(id=id, data={"conflicts": data}) for id, data in (("few", few), ("many", many))]).json()
    assert [(item["status"], item["id"]) for item in items["items"]] == [("rejected", "few"), ("rejected", None)]


def test_memory_that_is_taken_means_busy() -> None:
    room = Room(Bounds(waiting_bytes=100))
    answer = room.publish(event())
    assert (answer.status_code, answer.json()["code"]) == (503, "busy") and answer.headers["retry-after"] == "1"
    assert room.budget.used == 0


def test_a_limit_is_a_429_that_says_when_to_come_again() -> None:
    room = Room(limit=MUCH.model_copy(update={"events": 1.0, "events_burst": 2.0}))
    assert room.publish([event(id="a"), event(id="b")]).status_code == 202
    answer = room.publish(event(id="c"))
    assert answer.status_code == 429 and answer.json()["code"] == "rate_limited"
    assert int(answer.headers["retry-after"]) >= 1 and len(room.broker.kept["in.mod"]) == 2


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{not JSON", SINGLE, 400),
        (b"[]", SINGLE, 400),
        (b"{}", BATCH, 400),
        (b"[{},{},{},{}]", BATCH, 413),
        (b" " * 1_001, SINGLE, 413),
        (b"[" + b"1," * 400 + b"1]", BATCH, 413),
        (b"{}", "application/json", 415),
    ],
)
def test_a_body_that_is_refused_as_a_whole_counts_as_one_event(content: bytes, kind: str, status: int) -> None:
    room = Room(
        Bounds(body_bytes=1_000, values=200, batch_events=3),
        MUCH.model_copy(update={"events": 0.01, "events_burst": 2.0}),
    )
    sent = [room.publish(content, headers={"Content-Type": kind}).status_code for _ in range(3)]
    assert sent == [status, status, 429]
    assert room.publish(event(), "asan").status_code != 429, "it is one agency's"


def test_the_bytes_of_a_body_that_is_refused_as_a_whole_count() -> None:
    room = Room(limit=MUCH.model_copy(update={"mib": 0.001, "mib_burst": 1.0}))
    half = b"[" + b" " * 700_000
    assert [room.publish(half).status_code for _ in range(2)] == [400, 429]


def test_what_the_gateway_has_no_room_for_is_not_charged() -> None:
    room = Room(Bounds(waiting_bytes=100), MUCH.model_copy(update={"events": 0.01, "events_burst": 1.0}))
    assert [room.publish(event()).status_code for _ in range(2)] == [503, 503]


def test_who_may_send_nothing_now_is_told_before_the_body_is_read() -> None:
    room = Room(limit=MUCH.model_copy(update={"events": 1.0, "events_burst": 1.0}))
    assert room.publish(event(id="a")).status_code == 202
    answer = room.publish(b"{not JSON")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


def test_questions_are_limited_as_well() -> None:
    room = Room(limit=MUCH.model_copy(update={"questions": 1.0, "questions_burst": 2.0}))
    asked = [room.ask("GET", f"/v1/{path}") for path in ("whoami", "catalogue", "events/a", "whoami")]
    assert [each.status_code for each in asked] == [200, 200, 429, 429]
    assert asked[2].json()["code"] == "rate_limited" and int(asked[2].headers["retry-after"]) == 1
    assert asked[0].json()["limits"]["questions_per_second"] == 1.0
    assert room.publish(event(id="a")).status_code == 202, "events have a limit of their own"


def client_of(room: Room) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(room.app), base_url="http://hub")


async def waiting(room: Room, agency: str, count: int, refused: int) -> list[asyncio.Task[httpx.Response]]:
    """Questions of that agency that wait, once so many others are refused."""
    client, headers = client_of(room), {"Authorization": f"Bearer {agency}"}
    tasks = [asyncio.create_task(client.get("/v1/receipts?wait=20", headers=headers)) for _ in range(count + refused)]
    for answer in itertools.islice(asyncio.as_completed(tasks), refused):
        assert (await answer).status_code == 429
    return [task for task in tasks if not task.done()]


def test_who_waits_for_an_answer_keeps_nobody_out() -> None:
    room = Room(Bounds(requests=16))
    headers = {"Authorization": "Bearer mod", "Content-Type": "application/cloudevents+json"}

    async def scenario() -> None:
        tasks = [task for agency in AGENCIES[:8] for task in await waiting(room, agency, count=2, refused=1)]
        assert room.app.inside == room.desk.waits == len(tasks) == 16
        async with client_of(room) as client:
            assert (await client.post("/v1/events", json=event(), headers=headers)).status_code == 202
            asked = await client.get("/v1/receipts?wait=1", headers={"Authorization": f"Bearer {AGENCIES[8]}"})
        assert asked.status_code == 503, "as many may wait as there may be requests"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert room.app.inside == room.desk.waits == 0

    asyncio.run(scenario())


def test_one_agency_has_half_of_the_places() -> None:
    room = Room(Bounds(requests=8))

    async def scenario() -> list[int]:
        never = asyncio.Event()

        async def silent() -> Any:
            await never.wait()

        async def ignored(message: Any) -> None: ...

        headers = [(b"authorization", b"Bearer mod"), (b"content-type", b"application/cloudevents+json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/events", "query_string": b"", "headers": headers}
        slow = [asyncio.create_task(room.app(dict(scope), silent, ignored)) for _ in range(4)]
        await asyncio.sleep(0)
        async with client_of(room) as client:
            asked = [await client.get("/v1/whoami", headers={"Authorization": f"Bearer {a}"}) for a in ("mod", "asan")]
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return [each.status_code for each in asked]

    assert asyncio.run(scenario()) == [429, 200]
    assert room.ask("GET", "/v1/whoami").status_code == 200, "places are given back"


def test_a_gateway_that_stops_answers_who_waits_with_what_there_is(room: Room) -> None:
    async def scenario() -> list[int]:
        async with client_of(room) as client:
            asked = [
                asyncio.create_task(client.get(f"/v1/{path}?wait=30", headers={"Authorization": "Bearer mod"}))
                for path in ("receipts", "events/e-1")
            ]
            await asyncio.sleep(0)
            room.ending = True
            return [each.status_code for each in await asyncio.wait_for(asyncio.gather(*asked), 15)]

    assert asyncio.run(scenario()) == [200, 404]


def test_what_a_stop_cuts_off_is_answered_503(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Authorization": "Bearer mod", "Content-Type": "application/cloudevents+json"}

    async def scenario() -> list[tuple[int, str]]:
        under_way = asyncio.Event()

        async def never(*_: Any) -> Any:
            under_way.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(room.broker, "append", never)
        monkeypatch.setattr(Questions, "receipts", never)
        found = list[tuple[int, str]]()
        async with client_of(room) as client:
            for asked in (
                client.post("/v1/events", json=event(), headers=headers),
                client.get("/v1/receipts", headers=headers),
            ):
                task = asyncio.create_task(asked)
                await under_way.wait()
                under_way.clear()
                task.cancel()
                answer = await task
                assert int(answer.headers["retry-after"]) >= 1
                found.append((answer.status_code, answer.json()["code"]))
        return found

    assert asyncio.run(scenario()) == [(503, "broker_away"), (503, "busy")]


def test_a_slow_body_is_given_up() -> None:
    room = Room(Bounds(body_seconds=0.05))

    async def slowly() -> int:
        sent: list[Any] = []
        silence = asyncio.Event()

        async def receive() -> Any:
            await silence.wait()

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"authorization", b"Bearer mod"), (b"content-type", b"application/cloudevents+json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/events", "query_string": b"", "headers": headers}
        await room.app(scope, receive, send)
        assert (b"connection", b"close") in sent[0]["headers"]
        return int(sent[0]["status"])

    assert asyncio.run(slowly()) == 408


def test_what_nobody_may_see_is_in_no_answer_log_or_metric(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    places: list[Any] = [
        event(data={"fin": CANARY}),
        event(data={"fin": CANARY, "category": CANARY}),
        event(id=f"x-{CANARY}", data={"fin": CANARY, "district": "mars"}),
        event(id=f"x-{CANARY}", data={"fin": CANARY, "category": 7}),
        event(data={"fin": CANARY}) | {"subject": CANARY},
        event(data={"fin": CANARY}) | {CANARY: 1},
        event(data={"fin": CANARY, CANARY: CANARY}),
        event(data={"fin": CANARY, "surname": CANARY * 50}),
        event() | {"type": CANARY, "source": CANARY},
        event() | {"time": CANARY},
        event() | {"data": CANARY},
    ]
    for made in places:
        for dry in ({}, {"dry_run": "true"}):
            answer = room.publish([made], params=dry)
            assert CANARY not in answer.text and CANARY not in str(answer.headers), made
    assert CANARY not in caplog.text and CANARY.encode() not in room.metrics.page()
    assert not any(CANARY in str(denial) for denial in room.audit.denials)
    for key, _, headers in room.broker.kept.get("in.mod", ()):
        assert CANARY.encode() not in key and CANARY.encode() not in headers


def test_metrics_have_labels_of_closed_sets(room: Room) -> None:
    room.publish(event())
    room.publish(event(data={"category": "X"}))
    room.publish(event(), "nobody-known")
    room.ask("GET", "/anything/else")
    page = room.metrics.page().decode()
    assert 'hub_gateway_events_total{agency="mod",status="accepted"} 1.0' in page
    assert 'hub_http_rejected_total{agency="mod",code="body_invalid"} 1.0' in page
    assert 'hub_http_rejected_total{agency="nobody",code="token_unknown"} 1.0' in page
    assert 'hub_http_requests_total{door="gateway",route="other",status="404"} 1.0' in page
    assert "nobody-known" not in page and "anything" not in page


def test_a_failure_of_the_hubs_own_is_a_500_that_tells_nothing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError(CANARY)

    told: list[str] = []
    monkeypatch.setattr(app, "log", type("Log", (), {"exception": lambda _, text, **more: told.append(text)})())
    room.publishing._examiner = type("Broken", (), {"examine": broken})()
    answer = room.publish(event())
    assert answer.status_code == 500 and answer.json()["code"] == "failed" and CANARY not in answer.text
    assert room.budget.used == 0 and told == ["a request failed"]


def test_every_code_of_an_event_can_be_said_at_the_door() -> None:
    assert {code.value for code in Code} <= {code for code, _ in texts()}


def test_others_have_a_turn_while_a_long_batch_is_looked_at(room: Room) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def examined() -> None:
        task = asyncio.create_task(count())
        await room.publishing._examined("mod", [event(id=f"e-{i}") for i in range(200)])
        task.cancel()

    asyncio.run(examined())
    assert turns >= 5


@pytest.mark.parametrize(("given", "id"), [(True, "true"), (17, "17")])
def test_an_id_that_is_no_string_is_answered_as_it_is_kept(room: Room, given: Any, id: str) -> None:
    (item,) = room.publish(event(id=given)).json()["items"]
    ((_, _, headers),) = room.broker.kept["in.mod"]
    assert item["id"] == id and dict(unpack_headers(headers))["ce_id"] == id.encode()


@pytest.mark.parametrize("value", ["{}", "[]", '{"a":1}', "1"])
@pytest.mark.parametrize("batch", [False, True])
def test_a_body_of_more_values_than_memory_has_room_for_is_refused_unparsed(
    room: Room, value: str, batch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jiter, "from_json", lambda *_, **__: pytest.fail("it was parsed"))
    most = room.bounds.values if batch else SINGLE_VALUES
    many = ",".join([value] * (most + 1))
    content = f"[{many}]" if batch else f'{{"data":[{many}]}}'
    told = {
        language: room.publish(content.encode(), headers={"Content-Type": BATCH if batch else SINGLE} | said)
        for language, said in (("en", {}), ("az", {"Accept-Language": "az"}))
    }
    assert [(a.status_code, a.json()["code"]) for a in told.values()] == [(413, "body_too_large")] * 2
    assert told["en"].json()["detail"] == f"expected at most {most} values"
    assert told["az"].json()["detail"] == f"gözlənilir: ən çoxu {most} qiymət"


def test_the_largest_batch_of_any_type_has_far_fewer_values_than_it_may() -> None:
    bounds = bounds_of(load_settings())
    for name in catalogue().types:
        found = body.values(json.dumps(event(name)).encode())
        assert 2 * bounds.batch_events * found < bounds.values and 100 * found < SINGLE_VALUES, name


def test_what_a_body_becomes_in_memory_counts_until_it_is_looked_at(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, held = event(), list[int]()
    examine, append = Examiner.examine, room.broker.append

    def examined(*given: Any) -> Any:
        held.append(room.budget.used)
        return examine(*given)

    async def kept(*given: Any) -> Any:
        held.append(room.budget.used)
        return await append(*given)

    monkeypatch.setattr(Examiner, "examine", examined)
    monkeypatch.setattr(room.broker, "append", kept)
    room.publish(made)
    text = json.dumps(made, ensure_ascii=False).encode()
    assert held == [len(text) + body.values(text) * body.VALUE_BYTES, len(text)]
    with room.budget.hold() as others:
        others.take(room.bounds.waiting_bytes - len(text))
        assert room.publish(made).json()["code"] == "busy"


def test_a_request_within_all_its_bounds_is_never_too_large_for_what_may_wait() -> None:
    given = {"gateway_body_mib": 1, "gateway_batch_events": 200}
    with pytest.raises(ConfigError, match=r"set HUB_GATEWAY_WAITING_MIB to 3 or more"):
        bounds_of(load_settings(gateway_waiting_mib=2, **given))
    room = Room(bounds_of(load_settings(gateway_waiting_mib=3, **given)))
    many = room.bounds.values - 2
    largest = f"[[{','.join(['0'] * many)}]{' ' * (room.bounds.body_bytes - 2 * many - 3)}]".encode()
    assert (len(largest), body.values(largest)) == (room.bounds.body_bytes, room.bounds.values)
    assert len(largest) + room.bounds.values * VALUE_BYTES > 2 * MIB
    assert room.publish(largest, headers={"Content-Type": BATCH}).json()["code"] != "busy"
