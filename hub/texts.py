"""What a code means and what mends it, in Azerbaijani and English; the sentences stand in `texts.yaml`.

Codes of events (`hub.errors.Code`), of questions and requests that are refused at the HTTP door
(`hub.errors.Question`, `hub.errors.Door`), and of callers who are not let in there (`hub.errors.Admission`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import yaml

from hub.errors import Admission, Code, Door, Question

Language = Literal["az", "en"]


class Text(NamedTuple):
    """One code explained: what happened, and what the sender does about it."""

    what: str
    fix: str


@cache
def texts() -> dict[tuple[str, Language], Text]:
    """Every code in both languages. Raises `KeyError` where one is missing."""
    found = yaml.safe_load(Path(__file__).with_name("texts.yaml").read_text(encoding="utf-8"))
    codes = [code.value for kind in (Code, Question, Door, Admission) for code in kind]
    return {(code, language): Text(**found[code][language]) for code in codes for language in ("az", "en")}


def explain(code: str, language: Language) -> Text:
    """The text of a code. Raises `KeyError` for what is none."""
    return texts()[code, language]
