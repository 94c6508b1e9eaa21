"""The agencies' client against a hub that is busy, away, or plainly says no."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from hub.client import Client, HubAway, HubProblem, NotSent
from hub.client.client import BATCH_EVENTS
from hub.client.retry import Retry

Answer = httpx.Response | Exception


class Desk:
    """Answers in turn; keeps what was asked. The last answer is given for ever."""

    def __init__(self, *answers: Answer | Callable[[httpx.Request], httpx.Response]) -> None:
        self.answers, self.asked, self.waits = list(answers), [], []
        self.now = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/whoami":
            return httpx.Response(200, json={"agency": "mod"})
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def client(self, **given: Any) -> Client:
        retry = Retry(sleep=self.sleep, clock=lambda: self.now, jitter=lambda: 1.0, **given)
        return Client("http://hub", "secret-token", retry=retry, transport=httpx.MockTransport(self))


def accept(request: httpx.Request) -> httpx.Response:
    events = json.loads(request.content)
    events = events if isinstance(events, list) else [events]
    return httpx.Response(202, json={"items": [{"id": e["id"], "status": "accepted"} for e in events]})


def busy(status: int = 503, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": "busy"}, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_an_event_is_sent_with_all_that_cloudevents_ask_for() -> None:
    desk = Desk(accept)
    sent = desk.client().publish("t.T", {"fin": "x"})
    assert sent.ok and sent.status == "accepted"
    (request,) = desk.asked
    event = json.loads(request.content)
    assert event["source"] == "urn:az:agency:mod"
    assert event["id"] == sent.id and event["specversion"] == "1.0" and event["time"]
    assert request.headers["authorization"] == "Bearer secret-token"
    assert request.headers["content-type"] == "application/cloudevents+json"


def test_a_busy_hub_is_asked_again_with_the_very_same_event() -> None:
    desk = Desk(busy(), httpx.ConnectError("refused"), busy(429), accept)
    assert desk.client().publish("t.T", {}).ok
    assert len({request.content for request in desk.asked}) == 1 and len(desk.asked) == 4
    assert desk.waits == [0.2, 0.4, 0.8]


def test_what_the_hub_says_in_retry_after_is_waited_for() -> None:
    desk = Desk(busy(429, retry_after="7"), accept)
    desk.client().publish("t.T", {})
    assert desk.waits == [7.0]


def test_a_hub_that_stays_away_is_told() -> None:
    desk = Desk(httpx.ConnectError("to a host with a secret in its name"))
    with pytest.raises(HubAway) as told:
        desk.client(attempts=3).publish("t.T", {})
    assert len(desk.asked) == 3 and "secret" not in str(told.value)


def test_what_may_have_arrived_can_be_sent_again_as_it_was() -> None:
    desk = Desk(httpx.ReadTimeout("the answer was lost"), httpx.ReadTimeout("again"), accept)
    client = desk.client(attempts=2)
    with pytest.raises(HubAway) as told:
        client.publish("t.T", {})
    assert told.value.event is not None
    assert [outcome.ok for outcome in client.publish_many([told.value.event])] == [True]
    first, _, last = (json.loads(request.content) for request in desk.asked)
    assert [first] == last


def test_patience_has_an_end() -> None:
    desk = Desk(busy(retry_after="100"))
    with pytest.raises(HubAway):
        desk.client(patience=150.0).publish("t.T", {})
    assert desk.waits == [100.0]


def test_what_is_refused_is_not_sent_again() -> None:
    desk = Desk(httpx.Response(403, json={"code": "type_not_allowed", "detail": "no", "fix": "ask"}))
    with pytest.raises(HubProblem) as told:
        desk.client().publish("t.T", {})
    assert (told.value.status, told.value.code, told.value.fix) == (403, "type_not_allowed", "ask")
    assert len(desk.asked) == 1


def test_what_a_refusal_says_keeps_its_sentences_apart() -> None:
    assert (
        str(HubProblem(401, {"code": "c", "detail": "expected x", "fix": "Send it."})) == "401 c: expected x. Send it."
    )
    assert str(HubProblem(401, {"code": "c", "title": "No."})) == "401 c: No."


def test_the_end_of_a_line_is_no_part_of_a_token() -> None:
    desk = Desk(accept)
    client = Client("http://hub", "secret-token\n", transport=httpx.MockTransport(desk))
    client.publish("t.T", {})
    assert desk.asked[0].headers["authorization"] == "Bearer secret-token"


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("hub.example", "secret", "http://"),
        ("http://hub:port", "secret", "no URL"),
        ("http://127.0.0.1:9", "secrət", "ASCII"),
    ],
)
def test_what_cannot_be_sent_is_told_at_once_and_without_the_token(url: str, token: str, said: str) -> None:
    with pytest.raises(NotSent, match=said) as told, Client(url, token, retry=Retry(sleep=pytest.fail)) as client:
        client.whoami()
    assert "secr" not in str(told.value) and told.value.__suppress_context__


def test_a_token_that_http_refuses_is_not_sent_again() -> None:
    desk = Desk(httpx.LocalProtocolError("Illegal header value b'Bearer secret'"))
    with pytest.raises(NotSent, match="one line") as told:
        desk.client().event("e")
    assert len(desk.asked) == 1 and "secret" not in str(told.value)


def test_a_rejected_event_is_an_outcome() -> None:
    item = {
        "id": "e",
        "status": "rejected",
        "code": "fin_invalid",
        "pointer": "/data/fin",
        "fix": "send it",
        "step": "s",
    }
    outcome = Desk(httpx.Response(422, json={"items": [item]})).client().publish("t.T", {})
    assert not outcome.ok and (outcome.code, outcome.pointer) == ("fin_invalid", "/data/fin")


def test_many_events_go_in_requests_of_a_size() -> None:
    desk = Desk(accept)
    client = desk.client()
    events = [client.event_of("t.T", {"n": i}) for i in range(2 * BATCH_EVENTS + 5)]
    assert [o.id for o in client.publish_many(events)] == [e["id"] for e in events]
    assert [len(json.loads(r.content)) for r in desk.asked] == [BATCH_EVENTS, BATCH_EVENTS, 5]


def test_a_batch_that_is_too_large_is_halved() -> None:
    def small(request: httpx.Request) -> httpx.Response:
        return accept(request) if len(json.loads(request.content)) <= 3 else busy(413)

    desk = Desk(small)
    client = desk.client()
    events = [client.event_of("t.T", {}) for _ in range(10)]
    assert [o.id for o in client.publish_many(events)] == [e["id"] for e in events]


def test_an_id_needs_its_time() -> None:
    with pytest.raises(ValueError, match="time"):
        Desk(accept).client().event_of("t.T", {}, id="mine")


def test_a_fin_is_never_in_the_address() -> None:
    desk = Desk(httpx.Response(200, json={"as_of": "2026-11-23", "statuses": [], "pending": True}))
    assert desk.client().status("CANARYX", after="e-1").pending
    (request,) = desk.asked
    assert "CANARYX" not in str(request.url) and b"CANARYX" in request.content


@pytest.mark.parametrize(
    ("states", "said"), [([], "in flight"), (["applied"], "applied"), (["applied", "rejected"], "mixed")]
)
def test_the_state_of_an_id(states: list[str], said: str) -> None:
    events = [{"state": state} for state in states]
    desk = Desk(httpx.Response(200, json={"id": "e", "events": events, "in_flight": []}))
    assert desk.client().event("e", wait=2).state == said
    assert desk.asked[0].url.params["wait"] == "2"


def test_receipts_go_on_where_they_ended() -> None:
    pages: Iterator[httpx.Response] = iter(
        httpx.Response(200, json={"receipts": [{"n": n}], "next": f"c{n}", "more": n < 2}) for n in range(3)
    )
    desk = Desk(lambda _: next(pages))
    client, cursor = desk.client(), None
    for _ in range(3):
        cursor = client.receipts(cursor).next
    assert [r.url.params.get("since") for r in desk.asked] == [None, "c0", "c1"]


def test_what_is_no_hub_is_told() -> None:
    with pytest.raises(HubProblem, match="no JSON"):
        Desk(httpx.Response(200, text="<html>")).client().event("e")


@pytest.mark.parametrize("id", ["../receipts", "nosuch?x=1", "a/b#c", "a b"])
def test_an_id_stays_one_part_of_the_address(id: str) -> None:
    desk = Desk(httpx.Response(404, json={"code": "event_unknown"}))
    with pytest.raises(HubProblem):
        desk.client().event(id)
    (request,) = desk.asked
    path, _, query = request.url.raw_path.decode().partition("?")
    assert query == "" and path.startswith("/v1/events/") and unquote(path.removeprefix("/v1/events/")) == id
    assert "/" not in path.removeprefix("/v1/events/")


def test_a_time_may_be_given_as_one() -> None:
    at = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
    event = Desk(httpx.Response(202)).client().event_of("t.T", {}, id="mine", time=at)
    assert event["time"] == "2026-11-27T09:30:00+00:00", "as RFC 3339 has it"
