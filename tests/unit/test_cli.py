"""Every command explains itself; what a person can mend is one sentence, exit code 2, and quotes nobody's data."""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner
from world import VETERAN, catalogue, moved_on, schemas, unpack

from hub import cli, logs, metrics, registry
from hub.admin import operators
from hub.admin import publish as publishing
from hub.catalogue import SCHEMAS
from hub.kafka import clients

CANARY = "CANARYX"
EVENT = {
    "type": VETERAN,
    "data": {
        "fin": "7QWERTY",
        "surname": CANARY,
        "name": CANARY,
        "patronymic": None,
        "birth_date": "1980-01-02",
        "category": "WAR",
        "service_branch": "ARMY",
        "conflicts": ["PATRIOTIC_2020"],
        "document_number": f"V-{CANARY}",
        "document_date": "2026-11-01",
        "effective_from": "2026-11-01",
        "valid_until": None,
        "district": "baki",
    },
}


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`run("schema", "list")` as a person types it, in a folder where no hub runs."""
    for name in [name for name in os.environ if name.startswith("HUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "400")

    def type_in(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["hub", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        return Said(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    return type_in


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a broker answered, with every schema registered, and took the audit's lines; nothing else can be sent."""
    monkeypatch.setattr(operators, "record", lambda *_: None)
    monkeypatch.setenv("HUB_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(registry, "read", lambda _: schemas())
    monkeypatch.setattr(clients, "CONNECT_MS", 200)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from commands(inner, (*path, name))


WHOLE = cli.assemble([])
ALL = dict(commands(typer.main.get_command(WHOLE)))


@pytest.mark.parametrize("command", ALL)
def test_every_command_has_help_that_says_what_it_does(command: str) -> None:
    wide = CliRunner(env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"})
    result = wide.invoke(WHOLE, [*command.split(), "--help"])
    assert result.exit_code == 0 and "Usage:" in result.output
    said = " ".join(result.output.split())
    assert len(ALL[command].help.split()) > 2 and " ".join(ALL[command].help.split()) in said
    alone = cli.assemble(command.split())
    assert wide.invoke(alone, [*command.split(), "-h"]).output == result.output


def test_a_word_that_is_no_command_is_answered_with_the_nearest(run: Run) -> None:
    said = run("topic", "plan")
    assert said.code == 2 and "No such command 'topic'. Did you mean 'topics'?" in " ".join(said.err.split())


def test_the_commands_of_the_contract_that_this_release_has_are_there() -> None:
    expected = {"demo", "up", "worker", "simulate", "publish", "trace", "metrics"}
    expected |= {"topics plan", "topics apply", "schema list", "dlq list", "dlq show", "connector list"}
    assert expected <= set(ALL)


def a_sentence(said: Said, *parts: str) -> None:
    assert said.code == 2, said
    assert said.out == "" and said.err.startswith("hub: ") and said.err.count("\n") == 1, said
    assert "Traceback" not in said.err
    for part in parts:
        assert part in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("worker",),
        ("simulate",),
        ("publish", __file__, "--as", "mod"),
        ("trace", "x"),
        ("topics", "plan"),
        ("topics", "apply"),
        ("dlq", "list"),
        ("dlq", "show", "in.mod/0/0"),
        ("connector", "run", "file_drop", "--all"),
    ],
    ids=" ".join,
)
def test_without_a_hub_a_command_says_how_to_get_one(run: Run, words: tuple[str, ...]) -> None:
    a_sentence(run(*words), "no hub runs in", "HUB_BOOTSTRAP_SERVERS", "`hub up`", "--data-dir or HUB_DATA_DIR")


def test_a_broker_that_does_not_answer_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(clients, "CONNECT_MS", 200)
    a_sentence(run("topics", "plan"), "no Kafka broker answers at 127.0.0.1:1")


def test_what_does_not_exist_is_named_with_where_to_look(run: Run, registered: None) -> None:
    a_sentence(run("schema", "show", "nothing"), "nothing is no event type; `hub schema list`")
    a_sentence(run("dlq", "list", "--agency", "nobody"), "nobody is no agency of the catalogue")
    a_sentence(run("dlq", "show", "in.nobody/0/0"), "nobody is no agency of the catalogue")
    a_sentence(run("connector", "run", "nothing", "--agency", "mod"), "'nothing'", "file_drop")
    a_sentence(run("connector", "run", "file_drop", "--agency", "mod", "--set", "x"), "--set x: expected setting=value")


def test_a_wrong_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PARTITIONS", CANARY)
    said = run("schema", "list")
    a_sentence(said, "HUB_PARTITIONS")
    assert CANARY not in said.err


def test_the_persons_secret_is_asked_for(run: Run, registered: None) -> None:
    a_sentence(run("worker"), "HUB_PERSON_SECRET is not set")


def test_every_problem_of_a_catalogue_is_told_with_what_mends_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUB_SCHEMAS", str(tmp_path / "nothing"))
    said = run("schema", "list")
    assert said.code == 2 and "the catalogue cannot be used" in said.err
    assert said.err.count("fix: ") >= 3 and "catalogue.yaml:1" in said.err


def test_an_unknown_option_is_a_usage_error(run: Run) -> None:
    said = run("schema", "list", "--nonsense")
    assert said.code == 2 and "--nonsense" in said.err


def test_the_list_of_schemas_is_for_programs_too(run: Run) -> None:
    said = run("schema", "list", "--json")
    assert said.code == 0 and said.err == ""
    rows = json.loads(said.out)
    assert len(rows) == len(catalogue().types) >= 15
    (row,) = [row for row in rows if VETERAN in row.values()]
    assert "veteran" in row.values() and "Traceback" not in said.out


def test_a_schema_is_shown_as_it_is_registered(run: Run) -> None:
    said = run("schema", "show", VETERAN)
    assert said.code == 0 and json.loads(said.out) == json.loads(json.dumps(catalogue().types[VETERAN].schema))
    (file,) = (SCHEMAS / "events").glob(f"{VETERAN}.avsc")
    assert json.loads(file.read_text())["doc"] == json.loads(said.out)["doc"]


def test_the_table_of_metrics_names_each_with_its_labels(run: Run) -> None:
    said = run("metrics")
    assert said.code == 0 and said.out.count("\n") == 1 + len(metrics.ALL)
    assert all(each.name in said.out for each in metrics.ALL)


def edited(given: Mapping[str, Any], **data: Any) -> dict[str, Any]:
    event: dict[str, Any] = copy.deepcopy(EVENT) | given
    event["data"] |= data
    return event


WRONG: dict[str, tuple[Any, tuple[str, ...]]] = {
    "not json": ('{"type":\n  "' + CANARY, ("events.json:2", "not JSON")),
    "another type": (edited({"type": CANARY}), ("event 1", "/type", "hub schema list")),
    "no type": ({"data": {}}, ("event 1", "/type")),
    "no data": ({"type": VETERAN}, ("/data", "expected an object, found null")),
    "data of another kind": (EVENT | {"data": CANARY}, ("/data", "expected an object, found a string")),
    "id without time": (edited({"id": CANARY}), ("/time", "expected beside an id")),
    "a field that is not there": (edited({}, CANARYFIELD=1), ("/data", "found 1 that it does not have")),
    "not a date": (edited({}, effective_from=CANARY), ("/data/effective_from", "expected a date", "7 characters")),
    "not of the list": (edited({}, category=CANARY), ("/data/category", "expected one of WAR, LABOUR, MILITARY")),
    "not a string": (edited({}, fin=[CANARY]), ("/data/fin", "expected a string")),
    "the second of two": ([EVENT, edited({}, category=CANARY)], ("event 2", "/data/category", "nothing was sent")),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_explained_without_its_values_and_nothing_is_sent(
    run: Run, registered: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str
) -> None:
    monkeypatch.setattr(publishing, "send", lambda *_: pytest.fail("something was sent"))
    content, expected = WRONG[case]
    file = tmp_path / "events.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    said = run("publish", str(file), "--as", "mod")
    a_sentence(said, *expected)
    assert CANARY not in said.err


def test_a_file_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    said = run("publish", str(tmp_path / "none.json"), "--as", "mod")
    assert said.code == 2 and "none.json" in said.err.replace("\n", "")


@pytest.mark.parametrize("shape", ["one", "an array", "one a line"])
def test_what_is_published_is_told_by_id_and_place(
    run: Run, registered: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shape: str
) -> None:
    events = [edited({"id": f"e-{n}", "time": "2026-11-20T09:00:00Z"}) for n in range(1 if shape == "one" else 2)]
    lines = "\n".join(map(json.dumps, events))
    (tmp_path / "events.json").write_text(json.dumps(events) if shape == "an array" else lines)
    monkeypatch.setattr(
        publishing, "send", lambda _, agency, drafts: [(d, f"in.{agency}/0/{n}") for n, d in enumerate(drafts)]
    )
    said = run("publish", str(tmp_path / "events.json"), "--as", "mod", "--json")
    assert said.code == 0 and CANARY not in said.out
    told = [json.loads(line) for line in said.out.splitlines()]
    assert told == [{"id": event["id"], "record": f"in.mod/0/{n}"} for n, event in enumerate(events)]


def test_an_event_is_written_as_the_catalogue_has_its_type(
    run: Run, registered: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The type's owner has registered a newer version: what is sent still names the one that it was written with."""
    sent: list[Any] = []
    monkeypatch.setattr(registry, "read", lambda _: moved_on())
    monkeypatch.setattr(publishing, "send", lambda _, agency, drafts: sent.extend(drafts) or [])
    (tmp_path / "events.json").write_text(json.dumps(EVENT))
    assert run("publish", str(tmp_path / "events.json"), "--as", "mod").code == 0
    assert unpack(sent[0].value)["surname"] == CANARY
    listed = json.loads(run("schema", "list", "--json").out)
    assert {row["type"]: row["id"] for row in listed} == {name: schemas().id_of(name) for name in catalogue().types}


def test_what_is_not_registered_is_a_sentence(
    run: Run, registered: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(registry, "read", lambda _: registry.Schemas())
    (tmp_path / "events.json").write_text(json.dumps(EVENT))
    a_sentence(run("publish", str(tmp_path / "events.json"), "--as", "mod"), VETERAN, "hub topics apply")
    a_sentence(run("simulate"), "not registered", "hub topics apply")
    assert {row["id"] for row in json.loads(run("schema", "list", "--json").out)} == {None}


def test_codes_are_explained_in_the_files_that_people_read() -> None:
    """`dlq show` prints these; a code without one would end it with a trace."""
    found = yaml.safe_load((Path(cli.__file__).with_name("texts.yaml")).read_text(encoding="utf-8"))
    from hub.errors import Admission, Code, Door, Question

    assert set(found) == {code.value for kind in (Code, Question, Admission, Door) for code in kind}


@pytest.mark.parametrize("content", ["3", f'["{CANARY}"]', "null", f'{{"type": "x"}}\n"{CANARY}"'])
def test_what_is_no_event_object_is_a_sentence(run: Run, registered: None, tmp_path: Path, content: str) -> None:
    (tmp_path / "events.json").write_text(content)
    said = run("publish", str(tmp_path / "events.json"), "--as", "mod")
    a_sentence(said)
    assert CANARY not in said.err


def test_a_file_that_is_no_text_is_a_sentence(run: Run, registered: None, tmp_path: Path) -> None:
    (tmp_path / "events.json").write_bytes(b"\xff\xfe\x00")
    a_sentence(run("publish", str(tmp_path / "events.json"), "--as", "mod"), "events.json", "UTF-8")


def test_a_folder_is_no_file_of_events(run: Run, registered: None, tmp_path: Path) -> None:
    assert run("publish", str(tmp_path), "--as", "mod").code == 2  # typer.Argument(dir_okay=False)


def test_a_lane_that_does_not_exist_is_a_sentence(run: Run, registered: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PERSON_SECRET", "s" * 32)
    a_sentence(run("worker", "--lanes", "nonsense"), "nonsense", "gate")


def test_a_word_of_a_closed_set_is_checked(run: Run, registered: None) -> None:
    assert run("dlq", "list", "--code", "nonsense").code == 2
