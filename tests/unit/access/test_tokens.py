"""Tokens: what one looks like, what is kept of it, when it works; and that a change of the file is seen."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access import Unauthenticated, token
from hub.access.token_file import Token, read, revoke, writing
from hub.access.tokens import LOOK_EVERY, Tokens
from hub.errors import Admission, ConfigError

NOW = 1_800_000_000


class Time:
    """A clock that stands until it is set forward."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "tokens.json"


def issue(path: Path, agency: str = "mod", **given: Any) -> token.Made:
    made = token.make()
    with writing(path) as tokens:
        tokens.append(Token(made.id, agency, made.digest, NOW, **given))
    return made


def refused(ask: Callable[[], object]) -> Admission:
    with pytest.raises(Unauthenticated) as found:
        ask()
    return found.value.code


def test_a_token_is_recognised_by_scanners_and_has_its_id_in_it() -> None:
    made = token.make()
    assert re.fullmatch(token.PATTERN, made.text) and len(made.text) == 75
    assert token.id_of(made.text) == made.id and made.text.startswith(f"zefer_{made.id}_")
    assert len({token.make().text for _ in range(100)}) == 100


@given(st.integers(0, 74), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567_"))
def test_one_wrong_letter_is_no_token(place: int, letter: str) -> None:
    text = token.make().text
    wrong = text[:place] + letter + text[place + 1 :]
    assert wrong == text or token.id_of(wrong) is None


@given(st.text(max_size=100))
def test_anything_else_is_no_token(text: str) -> None:
    assert token.id_of(text) is None


def test_only_the_hash_is_kept_for_its_owner_alone(path: Path) -> None:
    made = issue(path)
    text = path.read_text()
    assert made.text not in text and made.text.split("_")[2][:52] not in text and made.digest in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in sorted(path.parent.iterdir())] == ["tokens.json", "tokens.json.lock"]


def test_a_token_proves_its_agency_and_no_other_text_does(path: Path) -> None:
    mine, others = issue(path), issue(path, "mia")
    tokens = Tokens(path)
    assert tokens.prove(mine.text).agency == "mod" and tokens.prove(others.text).agency == "mia"
    stranger = token.make().text
    assert refused(lambda: tokens.prove(stranger)) == Admission.TOKEN_UNKNOWN
    assert refused(lambda: tokens.prove(mine.text[:-1])) == Admission.TOKEN_MALFORMED
    body = f"zefer_{mine.id}_{stranger[15:67]}"  # the id of a token that there is, with another secret
    forged = body + token._checksum(body)
    assert token.id_of(forged) == mine.id
    assert refused(lambda: tokens.prove(forged)) == Admission.TOKEN_UNKNOWN


def test_every_token_is_compared_in_constant_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, compared = issue(path), list[tuple[str, str]]()
    tokens = Tokens(path)

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(token.hmac, "compare_digest", compare)
    assert tokens.prove(made.text).id == made.id
    refused(lambda: tokens.prove(token.make().text))
    assert len(compared) == 2 and all(len(one) == len(other) == 64 for one, other in compared)


def test_two_tokens_work_at_once_until_the_old_one_ends(path: Path) -> None:
    wall = Time()
    old, new = issue(path), issue(path)
    with writing(path) as tokens:
        assert revoke(tokens, old.id, NOW + 3600, NOW).state(NOW) == "ending"
    known = Tokens(path, wall=wall)
    wall.now = NOW + 3599
    assert known.prove(old.text).id == old.id and known.prove(new.text).id == new.id
    wall.now = NOW + 3600
    assert refused(lambda: known.prove(old.text)) == Admission.TOKEN_REVOKED
    assert known.prove(new.text).id == new.id


def test_a_token_expires(path: Path) -> None:
    wall = Time()
    made = issue(path, expires=NOW + 10)
    tokens = Tokens(path, wall=wall)
    assert tokens.prove(made.text)
    wall.now += 10
    assert refused(lambda: tokens.prove(made.text)) == Admission.TOKEN_EXPIRED


def test_a_change_of_the_file_is_seen_after_a_second(path: Path) -> None:
    clock, made = Time(), issue(path)
    tokens = Tokens(path, clock, lambda: NOW)
    with writing(path) as kept:
        revoke(kept, made.id, NOW, NOW)
    later = issue(path, "mia")
    clock.now += LOOK_EVERY
    assert refused(lambda: tokens.prove(made.text)) == Admission.TOKEN_REVOKED
    assert tokens.prove(later.text).agency == "mia"
    path.unlink()
    clock.now += LOOK_EVERY
    assert refused(lambda: tokens.prove(later.text)) == Admission.TOKEN_UNKNOWN


def test_a_file_that_breaks_later_locks_nobody_out_and_is_looked_at_again(path: Path) -> None:
    clock, made = Time(), issue(path)
    tokens, good = Tokens(path, clock, lambda: NOW), path.read_text()
    path.write_text(good[:-20])
    clock.now += LOOK_EVERY
    assert tokens.prove(made.text).id == made.id and tokens.failed is not None
    path.write_text(good.replace('"mod"', '"mia"'))
    clock.now += LOOK_EVERY
    assert tokens.prove(made.text).agency == "mia" and tokens.failed is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "tokens": []}',
        '{"version": 1, "tokens": [{}]}',
        '{"version": 1, "tokens": {"a": 1}}',
        '{"version": 1, "tokens": [{"id": "short", "agency": "mod", "hash": "sha256:00"}]}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_list_of_tokens_is_refused_at_the_start(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        Tokens(path)


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "md5:00"},
        {"hash": "sha256:" + "z" * 64},
        {"agency": 1},
        {"issued": None},
        {"issued": "yesterday"},
        {"expires": 5},
        {"id": "........"},
    ],
)
def test_a_line_that_is_no_token_is_refused(path: Path, change: dict[str, Any]) -> None:
    issue(path)
    said = json.loads(path.read_text())
    said["tokens"][0] |= change
    path.write_text(json.dumps(said))
    with pytest.raises(ConfigError):
        read(path)


def test_an_id_that_stands_twice_is_refused(path: Path) -> None:
    issue(path)
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "tokens": said["tokens"] * 2}))
    with pytest.raises(ConfigError, match="twice"):
        read(path)


def test_a_file_that_others_may_write_is_refused(path: Path) -> None:
    issue(path)
    path.chmod(0o620)
    with pytest.raises(ConfigError, match="chmod"):
        Tokens(path)


def test_who_fails_while_writing_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issue(path)
    before = path.read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        issue(path)
    assert path.read_text() == before and len(list(path.parent.iterdir())) == 2


def test_what_has_ended_cannot_be_revoked_and_what_is_not_there_is_said(path: Path) -> None:
    made = issue(path)
    with writing(path) as tokens:
        revoke(tokens, made.id, NOW, NOW)
    with pytest.raises(ConfigError, match="has ended"), writing(path) as tokens:
        revoke(tokens, made.id, NOW, NOW)
    with pytest.raises(ConfigError, match="hub token list"), writing(path) as tokens:
        revoke(tokens, "nothing2", NOW, NOW)
