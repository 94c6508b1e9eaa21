"""What the commands for agencies say without a hub; codes; a story in words in both languages."""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub import cli, logs
from hub.client import Story
from hub.commands.explain import WORDS, told
from hub.errors import Code, Question

Run = Callable[..., tuple[Any, str, str]]
STATIONS = [
    {"at": "2026-11-23T01:00:00Z", "what": "accepted", "record": "in.mod/0/1"},
    {"at": "2026-11-23T01:00:01Z", "what": "applied", "version": 2, "late": True, "sequence_gap": True},
    {"at": "2026-11-23T01:00:02Z", "what": "delivered", "receiver": "tax", "connector": "file_drop"},
]
REFUSAL = {"code": "fin_invalid", "step": "validate", "pointer": "/fin", "detail": "d", "what": "WHAT", "fix": "FIX"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    for name in ("HUB_TOKEN", "HUB_BOOTSTRAP_SERVERS", "HUB_PERSON_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def type_in(*words: str) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["hub", *words, "--data-dir", str(tmp_path)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (ended.value.code, *capsys.readouterr())

    return type_in


@pytest.mark.parametrize("code", [*Code, *Question])
@pytest.mark.parametrize("language", ["az", "en"])
def test_every_code_is_explained(run: Any, code: str, language: str) -> None:
    _, out, _ = run("explain", code, "--lang", language, "--json")
    assert set(json.loads(out)) == {"code", "what", "fix", "job"}


def test_who_mends_it_is_said(run: Any) -> None:
    assert "the agency that sent it" in run("explain", "fin_invalid")[1]
    assert "operations of the hub" in run("explain", "internal")[1]


@pytest.mark.parametrize("words", [("explain", "x"), ("whoami",), ("dlq", "show", "in.mod/0/0")])
def test_an_unknown_language_is_refused(run: Any, words: tuple[str, ...]) -> None:
    code, out, err = run(*words, "--lang", "xx")
    assert code == 2 and out == "" and "expected az or en" in err


def test_address_and_token_are_asked_for(run: Any, tmp_path: Path) -> None:
    assert "--url" in run("whoami")[2]
    assert "hub token issue" in run("whoami", "--url", "http://127.0.0.1:1")[2]
    assert "no such file" in run("whoami", "--url", "http://127.0.0.1:1", "--token-file", str(tmp_path / "no"))[2]


def test_a_file_that_holds_no_token_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF\xff\x00")
    code, _, err = run("whoami", "--url", "http://127.0.0.1:1", "--token-file", str(tmp_path / "program"))
    assert code == 2 and "no token" in err and "ELF" not in err


def test_a_doctor_asks_what_speaks_no_http(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Greets(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1024)
            self.request.sendall(b"220 mail.example\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Greets) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("HUB_METRICS_PORT", str(server.server_address[1]))
        code, out, _ = run("doctor")
    assert code == 1 and "✗ process" in out


def test_a_doctor_without_a_hub_says_what_to_do_next(run: Any) -> None:
    code, out, _ = run("doctor")
    assert code == 1 and "✗ broker" in out and "→ " in out and "– topics" in out


@pytest.mark.parametrize("language", ["az", "en"])
def test_a_story_is_told_in_words(language: Any) -> None:
    receivers = [{"agency": "sbs", "outcome": "withheld"}, {"agency": "dsmf", "outcome": "offered"}]
    rejected = {"at": "2026-11-23T01:00:03Z", "what": "rejected", "refusal": REFUSAL}
    events = [
        {"type": "t.T", "event_id": "e", "state": "applied", "timeline": STATIONS, "receivers": receivers},
        {"type": None, "event_id": None, "state": "rejected", "timeline": [rejected], "receivers": []},
    ]
    text = "\n".join(told(Story("a", events, ["in.mod/0/9"]), language))
    for part in ("in.mod/0/1", "in.mod/0/9", "tax", "sbs", "dsmf", "fin_invalid", "/fin", "FIX", "2"):
        assert part in text
    assert "{" not in text


def test_both_languages_have_the_same_words() -> None:
    assert set(WORDS["az"]) == set(WORDS["en"])
