"""What the caller wants to read: the language of what is for people, and whether it takes JSON at all (RFC 9110)."""

from __future__ import annotations

import re
from functools import lru_cache

from hub.texts import Language

JSON_TYPES = frozenset({"application/json", "application/problem+json", "application/*", "*/*"})
QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
DEFAULT: Language = "en"


@lru_cache(maxsize=256)
def language(accept: str) -> Language:
    """Of `Accept-Language`: Azerbaijani where it is wanted more than English, else English."""
    az = en = 0.0
    rest = 0.0
    for name, quality in _weighted(accept):
        primary = name.partition("-")[0]
        if primary == "az":
            az = max(az, quality)
        elif primary == "en":
            en = max(en, quality)
        elif name == "*":
            rest = quality
    return "az" if az > max(en, rest if not en else 0.0) else DEFAULT


@lru_cache(maxsize=256)
def takes_json(accept: str) -> bool:
    """Whether `Accept` lets the answer be JSON; an empty one takes everything."""
    if not accept.strip():
        return True
    named = dict(_weighted(accept))
    for name in ("application/json", "application/*", "*/*"):
        if name in named:
            return named[name] > 0
    return any(quality > 0 for name, quality in named.items() if name in JSON_TYPES)


def _weighted(text: str) -> list[tuple[str, float]]:
    """(value, quality) of a list as Accept and Accept-Language have it; a quality that is none counts as 0."""
    found = []
    for part in text.lower().split(","):
        value, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
        if value:
            found.append((value, float(quality) if QUALITY.fullmatch(quality) else 0.0))
    return found
