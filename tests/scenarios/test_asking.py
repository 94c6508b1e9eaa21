"""Agencies ask what became of their events and what a person's status is; the views behind it are killed and lost.

The embedded broker is enough: what is looked at is the views' own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Asking
from outside import PATIENCE, Outside, Sent, fin, unique
from prometheus_client import generate_latest
from world import VETERAN, catalogue, sample

from hub.gateway.entitled_status import EPOCH
from hub.gateway.questions import Questions
from hub.kafka.following import Lookup
from hub.machine.running import secret
from hub.metrics import Metrics
from hub.settings import Settings
from hub.views.views import Views

DAY = 20_000
WITHOUT = "moc"
"""An agency that may ask for no status."""


class World:
    """The hub, its views in a folder of their own, and agencies that ask."""

    def __init__(self, hub: Outside, settings: Settings, views: Views, lookup: Lookup) -> None:
        self.hub, self.settings, self.views = hub, settings, views
        questions = Questions(catalogue(), views, lookup, views.unpack, secret(Settings(data_dir=hub.folder)))
        self.ask = Asking(questions)

    def grant(self, person: str, by: str = "mod", id: str | None = None, **given: Any) -> Sent:
        body = sample(VETERAN, fin=person, effective_from=DAY, valid_until=None, **given)
        return self.hub.send(by, VETERAN, self.hub.encode(VETERAN, body), id=id)

    def event(self, agency: str, id: str, **given: Any) -> dict[str, Any]:
        answer = self.ask(agency, "GET", f"/v1/events/{id}", params={"wait": 20}, **given)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def status(self, agency: str, person: str, **given: Any) -> dict[str, Any]:
        answer = self.ask(agency, "POST", "/v1/status/query", json={"fin": person, **given})
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.views.ready:
            assert time.monotonic() < deadline, "the views are not ready"
            time.sleep(0.05)

    @property
    def loader(self) -> int:
        process = self.views._loader._process
        assert process
        return process.pid


@pytest.fixture(scope="module")
def world(hub_on_embedded: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("views"))
    connection = hub_on_embedded.hub.connection
    lookup = Lookup(connection)
    with Views(settings, connection) as views:
        found = World(hub_on_embedded, settings, views, lookup)
        found.ready()
        yield found
    lookup.close()


def test_an_owner_hears_the_story_of_its_event(world: World) -> None:
    sent = world.grant(fin(), service_branch="ARMY", district="baki")
    story = world.event("mod", sent.id)["events"][0]
    assert story["state"] == "applied"
    assert [s["what"] for s in story["timeline"]][:2] == ["accepted", "applied"]
    assert story["timeline"][0]["record"] == sent.coordinates
    outcome = {r["agency"]: r["outcome"] for r in story["receivers"]}
    assert outcome["sbs"] == "withheld" and outcome["tax"] in ("offered", "delivered")
    assert set(outcome) == {e.agency for e in catalogue().entitlements[VETERAN]}


def test_what_receivers_did_comes_to_the_story(world: World) -> None:
    sent = world.grant(fin())
    entitled = {e.agency for e in catalogue().entitlements[VETERAN] if not e.when}

    def delivered() -> list[str]:
        found = world.event("mod", sent.id)["events"][0]["receivers"]
        names = [r["agency"] for r in found if r["outcome"] == "delivered" and r["connector"] == "file_drop"]
        return names if entitled <= set(names) else []

    assert world.hub.until(delivered)


def test_nobody_else_hears_of_it_nor_whether_it_exists(world: World) -> None:
    sent = world.grant(fin())
    world.event("mod", sent.id)
    other = world.ask("zefer", "GET", f"/v1/events/{sent.id}")
    nothing = world.ask("zefer", "GET", "/v1/events/never-sent")
    assert other.status_code == nothing.status_code == 404
    assert other.content == nothing.content


def test_a_refused_event_is_explained_in_the_language_of_the_caller(world: World) -> None:
    sent = world.grant("short")
    told = {lang: world.event("mod", sent.id, headers={"Accept-Language": lang}) for lang in ("az", "en")}
    refusals = {lang: story["events"][0]["timeline"][-1]["refusal"] for lang, story in told.items()}
    assert refusals["en"]["code"] == refusals["az"]["code"] == "fin_invalid"
    assert refusals["en"]["pointer"] == "/fin" and refusals["en"]["fix"] != refusals["az"]["fix"]


def test_one_id_for_two_persons_has_two_stories(world: World) -> None:
    id = unique("shared")
    world.grant(fin(), id=id)
    world.hub.receipt(world.grant(fin(), id=id))
    world.hub.until(lambda: [1] if len(world.event("mod", id)["events"]) == 2 else [])


def test_receipts_are_a_feed_without_gap_or_repeat(world: World) -> None:
    start = world.ask("mod", "GET", "/v1/receipts", params={"since": "now", "limit": 1}).json()["next"]
    ids = [world.grant(fin()).id for _ in range(5)]
    found, cursor = [], start
    deadline = time.monotonic() + PATIENCE
    while not set(ids) <= {r["id"] for r in found}:
        assert time.monotonic() < deadline
        page = world.ask("mod", "GET", "/v1/receipts", params={"since": cursor, "limit": 2, "wait": 5}).json()
        found, cursor = found + page["receipts"], page["next"]
    verdicts = [r["record"] for r in found if r["kind"] == "verdict"]
    assert len(verdicts) == len(set(verdicts)) == len(ids)


def test_a_feed_waits_for_what_comes_and_no_longer_than_asked(world: World) -> None:
    start = world.ask("emas", "GET", "/v1/receipts", params={"since": "now"}).json()["next"]
    began = time.monotonic()
    page = world.ask("emas", "GET", "/v1/receipts", params={"since": start, "wait": "0.3"}).json()
    assert page["receipts"] == [] and page["next"] == start and 0.25 < time.monotonic() - began < PATIENCE


def test_a_status_has_the_callers_own_event_in_it(world: World) -> None:
    person = fin()
    sent = world.grant(person)
    found = world.status("mod", person, after=sent.id)
    assert found["after"] == "applied" and not found["pending"]
    assert found["statuses"][0]["kind"] == "veteran"


def test_what_never_comes_is_pending_within_the_bound(world: World) -> None:
    began = time.monotonic()
    found = world.status("mod", fin(), after="never-sent")
    assert found["pending"] and found["statuses"] == [] and 1.9 < time.monotonic() - began < PATIENCE


def test_two_agencies_see_what_each_is_entitled_to(world: World) -> None:
    person = fin()
    sent = world.grant(person, service_branch="ARMY")
    whole = world.status("mod", person, after=sent.id)["statuses"][0]["fields"]
    part = world.status("tax", person)["statuses"][0]["fields"]
    assert set(whole) == {"category", "service_branch", "document_number"} and set(part) == {"category"}
    assert world.status("sbs", person)["statuses"] == []


def test_a_status_is_as_of_a_day(world: World) -> None:
    person = fin()
    sent = world.grant(person)
    day = EPOCH.fromordinal(EPOCH.toordinal() + DAY)
    before = EPOCH.fromordinal(EPOCH.toordinal() + DAY - 1)
    assert world.status("tax", person, after=None, as_of=day.isoformat()) is not None
    assert world.status("mod", person, after=sent.id, as_of=before.isoformat())["statuses"] == []
    assert world.status("tax", person, as_of=day.isoformat())["statuses"][0]["from"] == day.isoformat()


def test_who_is_entitled_to_no_status_is_refused_and_it_is_audited(world: World) -> None:
    answer = world.ask(WITHOUT, "POST", "/v1/status/query", json={"fin": fin()})
    assert answer.status_code == 403 and answer.json()["code"] == "status_not_entitled"
    assert (WITHOUT, "ask for a status", "status_not_entitled") in world.ask.desk.denials


CANARY = "KANARYAX"


@pytest.mark.parametrize(
    "body",
    [
        {"fin": CANARY},
        {"fin": 7},
        {"fin": "AAAAAA1", CANARY: 1},
        {"fin": "AAAAAA1", "as_of": CANARY},
        {"fin": "AAAAAA1", "as_of": 20_000},
        {"fin": "AAAAAA1", "after": f"{CANARY} "},
        [CANARY],
        CANARY,
        7,
    ],
    ids=repr,
)
def test_a_wrong_question_is_refused_without_being_quoted(world: World, body: Any) -> None:
    answer = world.ask("mod", "POST", "/v1/status/query", json=body)
    assert answer.status_code == 400 and answer.json()["code"] == "question_invalid"
    assert CANARY not in answer.text and "expected" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/receipts?since=x",
        "/v1/receipts?limit=0",
        "/v1/receipts?limit=501",
        "/v1/receipts?wait=-1",
        "/v1/receipts?wait=1&wait=2",
        f"/v1/receipts?{CANARY}=1",
        "/v1/events/x?since=1",
    ],
)
def test_a_wrong_parameter_is_refused(world: World, path: str) -> None:
    answer = world.ask("mod", "GET", path)
    assert answer.status_code == 400 and answer.json()["code"] == "parameter_invalid"
    assert CANARY not in answer.text


def questions(world: World, agency: str, person: str, sent: Sent) -> list[Any]:
    feed = world.ask("mod", "GET", "/v1/receipts", params={"limit": 20}).json()["receipts"]
    status = {name: part for name, part in world.status(agency, person).items() if name != "lag_seconds"}
    story = world.event("mod", sent.id)["events"][0]
    return [feed, status, story["event_id"], [s for s in story["timeline"] if s["what"] in ("accepted", "applied")]]


def test_views_that_are_killed_or_lost_give_the_same_answers(world: World) -> None:
    person = fin()
    sent = world.grant(person)
    world.status("mod", person, after=sent.id)
    before = questions(world, "tax", person, sent)
    os.kill(world.loader, signal.SIGKILL)
    assert questions(world, "tax", person, sent) == before, "a gateway answers without its loader"
    again = world.grant(fin())
    assert world.event("mod", again.id)["events"][0]["state"] == "applied", "it goes on where it was"
    os.kill(world.loader, signal.SIGKILL)
    shutil.rmtree(Path(world.settings.data_dir) / "views")
    world.hub.until(lambda: [1] if world.views.ready else [])
    assert questions(world, "tax", person, sent) == before, "all is read again from Kafka"


def test_no_fin_is_in_the_files_of_the_views(world: World) -> None:
    person = fin()
    sent = world.grant(person)
    world.status("mod", person, after=sent.id)
    stored = b"".join(path.read_bytes() for path in (Path(world.settings.data_dir) / "views").iterdir())
    assert person.encode() not in stored and sent.id.encode() in stored


def test_readiness_and_lag_are_told(world: World) -> None:
    assert world.views.ready
    assert set(world.views.lags()) == {"receipts", "status"} == set(world.views.progress())
    assert all(seconds < 30 for seconds in world.views.lags().values())
    assert json.dumps(world.views.progress())


def test_receipts_go_through_a_connector_too(world: World, tmp_path: Path) -> None:
    """`hub connector run file_drop --receipts`: the feed as files, for whoever does not ask."""
    sent = world.grant(fin())
    world.hub.receipt(sent)
    command = [sys.executable, "-m", "hub", "connector", "run", "file_drop", "--agency", "mod", "--receipts"]
    command += ["--set", f"directory={tmp_path}", "--data-dir", str(world.hub.folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            world.hub.until(lambda: [line for line in dropped(tmp_path) if line["data"].get("id") == sent.id])
        finally:
            process.terminate()
    lines = dropped(tmp_path)
    assert {line["type"] for line in lines} <= {"hub.Receipt", "hub.DeliveryReceipt"}
    assert len({line["id"] for line in lines}) == len(lines)


def dropped(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.rglob("*.jsonl") for line in file.read_text().splitlines()]


def test_what_is_asked_is_in_no_log_metric_header_or_refusal(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    canary = "KANARYA"  # shaped as a FİN
    for agency in ("mod", WITHOUT):
        for body in ({"fin": canary}, {"fin": canary, "after": "never-sent"}, {"fin": canary, "x": canary}):
            answer = world.ask(agency, "POST", "/v1/status/query", json=body)
            assert canary not in answer.text and canary not in str(answer.headers)
    metrics = Metrics()
    world.views.refresh(metrics)
    said = caplog.text + "".join(capfd.readouterr()) + generate_latest(metrics.registry).decode()
    assert "hub_view_lag_seconds" in said and canary not in said
