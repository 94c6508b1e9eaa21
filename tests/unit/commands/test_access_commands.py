"""`hub token` and `hub audit` as they are typed, where no hub runs: what they print, and what they refuse."""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import NOW, rules, schemas

from hub import cli, logs
from hub.access.tokens import Tokens
from hub.admin import operators
from hub.commands import audit, auditing
from hub.errors import Retry
from hub.kafka.connection import Connection
from hub.kafka.following import Topic
from hub.kafka.reading import Record
from hub.pipeline.summarise import Chain

Run = Callable[..., tuple[Any, str, str]]
BROKER = "127.0.0.1:1"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    monkeypatch.setenv("COLUMNS", "300")
    for name in ("HUB_TOKENS", "HUB_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)

    def type_in(*words: str) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["hub", *words, "--data-dir", str(tmp_path)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return (ended.value.code, *capsys.readouterr())

    return type_in


def listed(run: Run) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run("token", "list", "--json")[1])
    return rows


def test_a_token_is_printed_alone_and_works(run: Run, tmp_path: Path) -> None:
    code, out, err = run("token", "issue", "mod", "--expires", "30")
    assert code == 0 and out.endswith("\n") and out.count("\n") == 1
    assert Tokens(tmp_path / "tokens.json").prove(out.strip()).agency == "mod"
    assert out.strip() not in err and "not in the audit: no hub runs" in err.replace("\n", " ")
    (row,) = listed(run)
    assert (row["agency"], row["state"], row["revoked"]) == ("mod", "valid", None) and row["expires"] > row["issued"]
    assert out.strip()[15:67] not in run("token", "list")[1]


def test_the_file_is_where_the_settings_say(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKENS", str(tmp_path / "secrets" / "t.json"))
    said = json.loads(run("token", "issue", "mod", "--json")[1])
    assert set(said) == {"token", "id", "agency", "state", "issued", "expires", "revoked"}
    assert Tokens(tmp_path / "secrets" / "t.json").prove(said["token"]).id == said["id"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("issue", "nobody"), "nobody"),
        (("issue", "mod", "--expires", "0"), "0.01"),
        (("issue", "mod", "--expires", "99999999"), "--expires"),
        (("issue", "mod", "--expires", "inf"), "--expires"),
        (("issue", "mod", "--expires", "nan"), "--expires"),
        (("revoke", "aaaaaaaa"), "hub token list"),
        (("revoke", "aaaaaaaa", "--after", "-1"), "--after"),
        (("revoke", "aaaaaaaa", "--after", "inf"), "--after"),
        (("revoke", "aaaaaaaa", "--after", "nan"), "--after"),
    ],
)
def test_what_makes_no_sense_changes_nothing(run: Run, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    code, out, err = run("token", *words)
    assert code == 2 and out == "" and said in err
    assert listed(run) == []


def test_revoking_after_hours_and_at_once(run: Run) -> None:
    id = json.loads(run("token", "issue", "mod", "--json")[1])["id"]
    assert "works until" in run("token", "revoke", id, "--after", "2")[1]
    assert listed(run)[0]["state"] == "ending"
    assert json.loads(run("token", "revoke", id, "--json")[1])["state"] == "revoked"
    code, _, err = run("token", "revoke", id)
    assert code == 2 and "has ended already" in err


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A broker is set, and an audit that takes a line where nobody else can write one under the same name."""
    actions: list[str] = []

    def record(_: Any, hub: str, agency: str, action: str, origin: None) -> None:
        with (tmp_path / f"{operators.WRITER}.lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        actions.append(action)

    monkeypatch.setenv("HUB_BOOTSTRAP_SERVERS", BROKER)
    monkeypatch.setattr(operators, "record", record)
    return actions


def test_what_two_do_at_once_is_audited_one_after_the_other(run: Run, audited: list[str]) -> None:
    code, out, _ = run("token", "issue", "mod", "--json")
    id = json.loads(out)["id"]
    assert code == 0 and run("token", "revoke", id)[0] == 0
    by = auditing.user()
    assert audited == [f"issue token {id}, by {by}", f"revoke token {id}, by {by}"]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_token_that_is_not_in_the_audit_is_shown_and_ends_with_1(
    run: Run, audited: list[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    def away(*_: Any) -> Any:
        raise Retry("the broker is away")

    monkeypatch.setattr(operators, "record", away)
    code, out, err = run("token", "issue", "mod", *words)
    assert code == 1 and "zefer_" in out and "not in the audit: the broker is away" in err
    assert run("token", "revoke", listed(run)[0]["id"], *words)[0] == 1
    assert listed(run)[0]["state"] == "revoked"


def test_a_doctor_looks_at_the_tokens(run: Run, tmp_path: Path) -> None:
    assert "✓ tokens" in run("doctor")[1]
    run("token", "issue", "mod")
    assert "1 valid, of 1 agencies" in run("doctor")[1]
    path = tmp_path / "tokens.json"
    path.write_text(path.read_text().replace('"mod"', '"gone"'))
    assert "✗ tokens" in run("doctor")[1]
    path.write_text("{")
    assert "✗ tokens" in run("doctor")[1]


def entries(*given: dict[str, Any]) -> list[Record]:
    chain, found = Chain("gateway.a"), []
    for place, entry in enumerate(given):
        plain = {"at": NOW + place, "kind": "DENIAL", "agency": None, "action": "a", "code": None, "origin": None}
        value, chain = chain.add(rules().codecs, plain | {"counts": {}} | entry)
        found.append(Record("audit", 0, place, NOW, b"gateway.a", value, ()))
    return found


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Record]], None]:
    """Makes the topic `audit` hold these records."""
    held: list[Record] = []
    monkeypatch.setattr(audit, "connect", lambda _: Connection.plain(BROKER))
    monkeypatch.setattr(audit, "describe", lambda *_: [Topic("audit", "1", (0,))])
    monkeypatch.setattr(audit, "read_all", lambda *_, **__: iter(held))
    monkeypatch.setattr(audit.registry, "read", lambda _: schemas())
    return held.extend


def test_a_whole_audit_and_what_is_kept_of_it(run: Run, holds: Callable[[list[Record]], None], tmp_path: Path) -> None:
    records = entries({}, {"agency": "mod", "code": "token_revoked"}, {"kind": "OPERATOR"})
    holds(records)
    code, out, _ = run("audit", "verify", "--json")
    said = json.loads(out)
    assert code == 0 and said["whole"] and said["entries"] == 3 and said["breaks"] == []
    assert said["writers"]["gateway.a"]["number"] == 3
    (tmp_path / "kept.json").write_text(out)
    assert run("audit", "verify", "--against", str(tmp_path / "kept.json"))[0] == 0
    code, out, _ = run("audit", "verify")
    assert code == 0 and "gateway.a" in out and "NOT" not in out


def test_a_broken_audit_ends_with_1_and_says_where(
    run: Run, holds: Callable[[list[Record]], None], tmp_path: Path
) -> None:
    records = entries({}, {}, {})
    holds([records[0], records[2]])
    code, out, _ = run("audit", "verify", "--json")
    assert code == 1 and [each["record"] for each in json.loads(out)["breaks"]] == ["audit/0/2"]
    code, out, _ = run("audit", "verify")
    assert code == 1 and "audit/0/2" in out and "expected 2" in out and "NOT whole" in out


@pytest.mark.parametrize("kept", ["", "[]", '{"writers": 1}', '{"writers": {"a": {}}}', '{"writers": {"a": 1}}'])
def test_what_is_no_earlier_check_is_refused(
    run: Run, holds: Callable[[list[Record]], None], tmp_path: Path, kept: str
) -> None:
    (tmp_path / "kept.json").write_text(kept)
    code, _, err = run("audit", "verify", "--against", str(tmp_path / "kept.json"))
    assert code == 2 and "hub audit verify --json" in err


def test_entries_are_listed_by_what_is_asked(run: Run, holds: Callable[[list[Record]], None]) -> None:
    holds(entries({"code": "x"}, {"agency": "mod", "code": "x"}, {"agency": "mod", "kind": "OPERATOR"}))

    def numbers(*words: str) -> list[int]:
        return [json.loads(line)["number"] for line in run("audit", "list", "--json", *words)[1].splitlines()]

    assert numbers() == [1, 2, 3] and numbers("--agency", "mod") == [2, 3]
    assert numbers("--code", "x", "--kind", "denial") == [1, 2] and numbers("--writer", "other") == []
    code, out, _ = run("audit", "list", "--kind", "operator")
    assert code == 0 and "OPERATOR" in out and "DENIAL" not in out


@pytest.mark.parametrize("words", [(), ("--json",), ("--kind", "denial")])
def test_what_is_no_entry_is_named_and_the_others_are_listed(
    run: Run, holds: Callable[[list[Record]], None], words: tuple[str, ...]
) -> None:
    good = entries({"action": "one"}, {"action": "two"})
    holds([good[0], Record("audit", 3, 7, NOW, b"x", b"junk", ()), good[1]])
    code, out, err = run("audit", "list", *words)
    assert code == 1 and "one" in out and "two" in out and "audit/3/7" in err and "audit/3/7" not in out


def test_without_a_topic_nothing_is_called_whole(
    run: Run, holds: Callable[[list[Record]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "describe", lambda *_: [])
    code, out, err = run("audit", "verify")
    assert code == 2 and out == "" and "hub topics apply" in err
