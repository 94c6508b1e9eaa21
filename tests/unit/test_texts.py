"""Every code speaks both languages."""

from __future__ import annotations

from hub.errors import Admission, Code, Door, Question
from hub.texts import explain, texts


def test_every_code_has_a_meaning_and_a_fix_in_both_languages() -> None:
    assert {code for code, _ in texts()} == {*Code, *Question, *Door, *Admission}
    assert all(text.what and text.fix for text in texts().values())
    assert explain("fin_in_header", "az") != explain("fin_in_header", "en")
