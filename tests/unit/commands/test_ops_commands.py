"""What operations read: dead letters, paused agencies, ports that are taken, where a demo keeps what it makes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gateway_room import event
from world import catalogue, schemas

from hub import cli, logs, registry
from hub.admin import dead_letters, operators
from hub.admin.dead_letters import DeadLetter
from hub.admin.publish import Draft
from hub.admin.topics import Change, Plan
from hub.admin.wanted import TopicSpec
from hub.commands import auditing, events, explain, pausing, topics
from hub.commands import machine as machine_commands
from hub.errors import Retry
from hub.machine import demo as machine_demo
from hub.machine import hub as machine
from hub.pipeline.pause import Pause
from hub.registry.schemas import Schemas
from hub.settings import Settings
from hub.views.views import FOLDER

Run = Callable[..., tuple[Any, str, str]]
ENVELOPE = {
    "code": "fin_invalid",
    "step": "validate",
    "pointer": "/fin",
    "detail": "/fin: expected 7 upper-case Latin letters and digits",
    "attempts": 1,
    "first_failure": 1_795_659_530_089,
    "last_failure": 1_795_659_530_089,
    "value": b"bytes of a person",
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`run("dlq", "list")` as a person types it, with a broker that is only named."""
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    monkeypatch.setenv("HUB_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))

    def type_in(*words: str) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["hub", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (ended.value.code, *capsys.readouterr())

    return type_in


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What commands tell the audit."""
    told: list[dict[str, Any]] = []

    def record(_: Any, hub: str, agency: str | None, action: str, origin: str | None) -> None:
        told.append({"agency": agency, "action": action, "origin": origin})

    monkeypatch.setattr(operators, "record", record)
    return told


@pytest.fixture
def letter(monkeypatch: pytest.MonkeyPatch) -> None:
    found = DeadLetter("mod", "in.mod/3/1", ENVELOPE)
    monkeypatch.setattr(dead_letters, "find", lambda *_: found)
    monkeypatch.setattr(dead_letters, "letters", lambda *_: iter([found]))


def test_a_dead_letter_says_its_times_as_times_and_its_pointer_once(run: Run, letter: None) -> None:
    _, out, _ = run("dlq", "show", "in.mod/3/1")
    assert out.count("2026-11-26T02:18:50.089+00:00") == 2
    assert out.count("/fin") == 1 and "expected 7 upper-case Latin letters and digits" in out
    assert run("dlq", "list")[1].count("/fin") == 1


def test_a_dead_letter_is_told_in_azerbaijani_whole(run: Run, letter: None) -> None:
    out = run("dlq", "show", "in.mod/3/1", "--lang", "az")[1]
    assert "gözlənilir: 7 böyük latın hərfi və rəqəm" in out and "expected" not in out


@pytest.mark.parametrize("there", [False, True])
def test_raw_bytes_are_for_their_owner_alone(
    run: Run, letter: None, audit: list[dict[str, Any]], tmp_path: Path, there: bool
) -> None:
    file = tmp_path / "letter.bin"
    if there:
        file.write_text("something longer than what is written over it")
        file.chmod(0o644)
    _, out, err = run("dlq", "show", "in.mod/3/1", "--raw", str(file), "--json")
    assert file.read_bytes() == ENVELOPE["value"] and file.stat().st_mode & 0o777 == 0o600
    assert f"17 bytes are in {file}" in err and json.loads(out)["code"] == "fin_invalid"
    (line,) = audit
    said = ("mod", f"take the bytes of a dead letter, by {auditing.user()}", "in.mod/3/1")
    assert (line["agency"], line["action"], line["origin"]) == said


def test_what_the_audit_cannot_hold_is_not_done(
    run: Run, letter: None, published: list[Draft], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def away(*_: Any) -> Any:
        raise Retry("the broker is away")

    monkeypatch.setattr(operators, "record", away)
    code, _, err = run("dlq", "show", "in.mod/3/1", "--raw", str(tmp_path / "letter.bin"))
    assert code == 1 and "not in the audit: the broker is away" in err and not (tmp_path / "letter.bin").exists()
    (tmp_path / "event.json").write_text(json.dumps(event()))
    code, _, err = run("publish", str(tmp_path / "event.json"), "--as", "mod")
    assert code == 1 and "nothing was sent" in err and published == []


def test_topics_that_are_made_are_in_the_audit(
    run: Run, audit: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Schemas()
    found = SimpleNamespace(
        create=[TopicSpec("in.mod", 4, 1, {})], alter=[], drift=[], shorter=[], copies={}, foreign=()
    )
    found.unchanged = []
    monkeypatch.setattr(topics, "_planned", lambda *_: found)
    monkeypatch.setattr(topics, "unread", lambda *_: {})
    monkeypatch.setattr(topics.topics, "apply", lambda *_: ())
    monkeypatch.setattr(registry, "missing", lambda _, pairs: [p for p in pairs if known.same(*p) is None])
    monkeypatch.setattr(registry, "register", lambda _, pairs: known.assign(pairs))
    assert run("topics", "apply")[0] == 0
    found.create = []
    assert run("topics", "apply")[0] == 0
    (line,) = audit
    assert line["action"].startswith("apply topics: 1 created, 0 changes, ") and line["agency"] is None


def test_what_is_unread_is_not_shortened(
    run: Run, audit: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = tuple(Change(f"in.{agency}", "retention.ms", "-1", "1000") for agency in ("mod", "moc"))
    found, applied = Plan((), (), changes, (), {}, (), (), ()), list[Plan]()
    monkeypatch.setattr(topics, "_planned", lambda *_: found)
    monkeypatch.setattr(topics, "unread", lambda *_: {})
    monkeypatch.setattr(topics.topics, "apply", lambda _, plan: applied.append(plan) or ())
    monkeypatch.setattr(registry, "missing", lambda *_: [])
    monkeypatch.setattr(topics, "still_needed", lambda _, __, kept: {"in.mod"} & kept.keys())
    code, _, err = run("topics", "apply", "--shorten")
    assert code == 1 and "in.mod keeps its records" in err and "in.moc" not in err
    assert [plan.alter for plan in applied] == [changes[1:]] and len(audit) == 1
    monkeypatch.setattr(topics, "still_needed", lambda *_: set())
    assert run("topics", "apply", "--shorten")[0] == 0


def test_a_pause_is_made_again_where_the_topic_did_not_keep_all(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of an agency that the hub has paused: it alters no topics."""
    made, notes, planned = list[str](), ["in.mod stays as it is: no right"], Plan((), (), (), (), {}, (), (), ())

    def pause(_: object, __: str, agency: str, *___: str) -> None:
        if agency in made:
            raise pausing.pauses.PausedAlready(f"{agency} is paused already")
        made.append(agency)

    monkeypatch.setattr(pausing.pauses, "pause", pause)
    monkeypatch.setattr(pausing.topics, "plan_for", lambda *_: planned)
    monkeypatch.setattr(pausing.topics, "apply", lambda *_: tuple(notes))
    command = ("agency", "pause", "mod", "--reason", "a test")
    code, out, err = run(*command)
    assert code == 1 and "mod is paused;" in out and "no right: what waits there is deleted" in err
    code, out, err = run(*command)
    assert code == 1 and "no right" in err
    notes.clear()
    code, out, err = run(*command)
    assert code == 1 and "paused already" in err and "deleted" not in err


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`mod` is paused, and of no event anything is known."""
    monkeypatch.setattr(pausing.pauses, "pauses", lambda _: {"mod": Pause("mod", 0, "ops", "test")})
    monkeypatch.setattr(events.tracing, "trace", lambda *_: [])
    assert explain.trace is events.tracing


@pytest.mark.parametrize("command", ["trace", "explain"])
@pytest.mark.parametrize("sought", ["mod-2026-000117", "in.mod/0/1"])
def test_an_event_of_a_paused_agency_is_not_lost_but_waits(run: Run, paused: None, command: str, sought: str) -> None:
    code, _, err = run(command, sought)
    assert code == 1 and "mod is paused since 1970-01-01T00:00:00+00:00 by ops (test)" in err
    assert "wait in in.mod and none is lost" in err and "`hub agency resume mod`" in err


def test_a_pause_of_another_agency_explains_nothing(run: Run, paused: None) -> None:
    assert "paused" not in run("trace", "in.moc/0/1")[2]


def test_an_agency_that_is_not_paused_runs(run: Run, paused: None) -> None:
    states = {row["agency"]: row["state"] for row in json.loads(run("agency", "list", "--json")[1])}
    assert states.pop("mod") == "paused" and set(states.values()) == {"running"}


def test_a_user_without_a_name_pauses_an_agency_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    by: list[str] = []
    monkeypatch.setattr(auditing.getpass, "getuser", nameless)
    monkeypatch.setattr(pausing.pauses, "pause", lambda *given: by.append(given[3]))
    monkeypatch.setattr(pausing, "_keep_all", lambda *_: True)
    assert run("agency", "pause", "mod", "--reason", "a test")[0] == 0
    assert by == [f"uid {os.getuid()}"]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, audit: list[dict[str, Any]]) -> list[Draft]:
    """What `hub publish` gave to the broker."""
    sent: list[Draft] = []

    def send(_: object, agency: str, drafts: list[Draft]) -> Iterator[tuple[Draft, str]]:
        sent.extend(drafts)
        return ((draft, f"in.{agency}/0/{i}") for i, draft in enumerate(drafts))

    monkeypatch.setattr(events.registry, "read", lambda _: schemas())
    monkeypatch.setattr(events.publishing, "send", send)
    return sent


def test_null_is_as_if_it_were_not_there(
    run: Run, published: list[Draft], audit: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event() | {"id": None, "time": None, "sequence": None, "correlationid": None}))
    assert run("publish", str(file), "--as", "mod")[0] == 0
    (draft,), (line,) = published, audit
    assert (line["agency"], line["action"]) == ("mod", f"publish 1 events, by {auditing.user()}")
    assert len(draft.id) == 36 and not {"ce_sequence", "ce_correlationid"} & dict(draft.headers).keys()
    file.write_text(json.dumps(event() | {"time": None}))
    assert run("publish", str(file), "--as", "mod")[0] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "not JSON"),
        ("9" * 5_000, "not JSON"),
        (json.dumps([event(), event(data={"document_number": "x" * 5_000_000})]), "event 2: /data: expected at most"),
    ],
)
def test_what_cannot_be_sent_is_said_before_anything_is(
    run: Run, published: list[Draft], tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "events.json").write_text(text)
    code, _, err = run("publish", str(tmp_path / "events.json"), "--as", "mod")
    assert code == 2 and said in err and published == []


@pytest.mark.parametrize(
    ("given", "gateway", "registry", "said"),
    [
        ({}, 8000, 8081, []),
        ({}, 41801, 8081, ["port 8000 is taken: the gateway is at http://127.0.0.1:41801"]),
        ({}, 8000, 41802, ["port 8081 is taken: the registry is at http://127.0.0.1:41802"]),
        ({"gateway_port": 0, "registry_port": 0}, 41801, 41802, []),
        ({}, 8000, None, []),
    ],
)
def test_a_port_that_is_taken_is_said(
    given: dict[str, int], gateway: int, registry: int | None, said: list[str]
) -> None:
    at = SimpleNamespace(port=registry) if registry else None
    hub = SimpleNamespace(gateway=SimpleNamespace(port=gateway), registry=at)
    lines = list(machine_commands._elsewhere(Settings(**given), hub))  # type: ignore[arg-type]
    assert len(lines) == len(said) and all(text in line for text, line in zip(said, lines, strict=True))


@pytest.mark.parametrize(("words", "folder"), [((), "demo"), (("--data-dir", "{}/own"), "own")])
def test_a_demo_keeps_what_it_makes_up_to_itself(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], folder: str
) -> None:
    told: list[Settings] = []
    account = {"balanced": True}
    monkeypatch.setattr(machine_demo, "run_demo", lambda settings, *_, **__: told.append(settings) or account)
    assert run("demo", "--json", *(word.format(tmp_path) for word in words))[0] == 0
    assert told[0].data_dir == tmp_path / folder


@pytest.mark.parametrize("durable", [True, False])
def test_views_of_a_broker_that_kept_nothing_are_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, durable: bool
) -> None:
    class Broker(machine.Broker):
        pid = None

        def start(self) -> machine.Connection:
            return machine.Connection.plain("127.0.0.1:1")

        def stop(self) -> None:
            """Nothing runs."""

    broker = Broker()
    broker.durable = durable
    monkeypatch.setattr(machine, "open_broker", lambda *_, **__: broker)
    monkeypatch.setattr(machine, "prepare", lambda *_: None)
    monkeypatch.setattr(machine, "_processes", lambda *_: iter([None]))
    (tmp_path / FOLDER).mkdir()
    with machine.running(Settings(data_dir=tmp_path), catalogue(), lambda _: None):
        assert (tmp_path / FOLDER).exists() == durable
