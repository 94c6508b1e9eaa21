"""What deploy/agency/ shows is what the hub takes."""

from __future__ import annotations

import importlib.util
import io
import json
import re
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from world import catalogue, schemas

from hub.admin.publish import draft
from hub.commands.terminal import catalogue_of
from hub.gateway.answers import EventAnswer, ReceiptsAnswer, StatusAnswer, StatusQuestion
from hub.settings import Settings

PAGE = Path(__file__).parents[3] / "deploy/agency"


def test_the_sample_event_fits_its_schema() -> None:
    event = json.loads((PAGE / "event.json").read_text(encoding="utf-8"))
    assert draft(catalogue_of(Settings()), schemas(), "mod", event).id == event["id"]
    assert catalogue().may_publish("mod", event["type"])


def test_the_sample_question_is_one() -> None:
    question = json.loads((PAGE / "question.json").read_text(encoding="utf-8"))
    assert StatusQuestion.model_validate(question).after == "mod-2026-000123"


def test_the_words_of_the_page_are_those_of_the_answers() -> None:
    text = (PAGE / "README.md").read_text(encoding="utf-8")
    members = {
        name
        for model in (EventAnswer, ReceiptsAnswer, StatusAnswer)
        for name in json.dumps(model.model_json_schema()).replace('"', " ").split()
    }
    for word in ("state", "refusal", "outcome", "withheld", "absent", "masked", "in_flight", "pending", "next"):
        assert word in text and word in members
    assert not re.search(r"/v1/[^\s\"]*5ZK3LMP", text)


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PAGE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that knows the catalogue's types."""

    def answer(url: str, **_: object) -> httpx.Response:
        of = catalogue().types.get(url.split("/")[4])
        if of is None:
            return httpx.Response(404, text="Subject not found.")
        return httpx.Response(200, json={"id": schemas().id_of(of.name), "schema": json.dumps(of.schema)})

    monkeypatch.setattr(httpx, "get", answer)


def call(of: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: object, stdin: str = "") -> int:
    monkeypatch.setattr("sys.argv", ["program", *map(str, words)])
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    ended: int = of.main()
    return ended


def test_what_is_encoded_for_kcat_is_what_the_hub_itself_would_send(
    registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(program("encode"), monkeypatch, "http://r", PAGE / "event.json", tmp_path / "event.avro") == 0
    event = json.loads((PAGE / "event.json").read_text(encoding="utf-8"))
    wanted = draft(catalogue(), schemas(), "mod", event)
    assert (tmp_path / "event.avro").read_bytes() == wanted.value


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"WAR"', '"HERO"', "/data/category: expected one of WAR"),
        ('"1980-01-02"', '"02.01.1980"', "/data/birth_date: expected a date"),
        ("veteran.Vet", "none.Vet", "404: Subject not found."),
        ('"type"', '"typ"', "expected one CloudEvent"),
        ("{", "", "Extra data"),
    ],
)
def test_what_cannot_be_encoded_is_one_line(
    old: str,
    new: str,
    said: str,
    registry: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (PAGE / "event.json").read_text(encoding="utf-8")
    (tmp_path / "event.json").write_text(text.replace(old, new, 1), encoding="utf-8")
    assert call(program("encode"), monkeypatch, "http://r", tmp_path / "event.json", tmp_path / "event.avro") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and "HERO" not in line and "02.01.1980" not in line
    assert not (tmp_path / "event.avro").exists()


@pytest.mark.parametrize("text", ['{"id": 1}\n\n{"id": 2}\n', '{\n "id": 1\n}\n{\n "id": 2}', '[{"id": 1}, {"id": 2}]'])
def test_events_of_a_file_stand_on_one_line_or_several(text: str, tmp_path: Path) -> None:
    (tmp_path / "events").write_text(text, encoding="utf-8")
    assert program("publish").read(tmp_path / "events") == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"id": 1}\n{"id": }', "events:2:8: Expecting value"), (" ", "no event"), (None, "No such file")],
)
def test_a_file_that_cannot_be_published_is_one_line(
    text: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if text is not None:
        (tmp_path / "events").write_text(text, encoding="utf-8")
    assert call(program("publish"), monkeypatch, "http://hub", tmp_path / "events", stdin="token\n") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("name", ["publish", "encode"])
def test_a_program_without_words_says_how_it_is_used(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(program(name), monkeypatch) == 2
    assert capsys.readouterr().err.startswith("usage: ")
