"""The body of a request: read within its bounds, then as strict JSON, once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import jiter
from starlette.requests import Request

from hub.errors import Door
from hub.gateway.bounds import VALUE_BYTES, Bounds, Hold
from hub.gateway.refused import Refused

PLACE = re.compile(r"at (line \d+ column \d+)$")
WHOLE = "hub.whole"
"""In the scope of a request whose body has come to its end: nobody waits for it."""
CHARSETS = frozenset({"", "utf-8", "utf8"})
OPENS = b"{[,"
"""One of them stands before each value of JSON, but for the outermost one and the values of names."""


async def read(request: Request, bounds: Bounds, hold: Hold) -> bytes:
    """The whole body. Raises `Refused` (408, 413, 415, 503) before more than its bounds is kept."""
    _check_encoding(request)
    if is_here(request):
        return await _read(request, bounds, hold)
    if announced(request) > bounds.body_bytes:
        raise _too_large(bounds)
    try:
        async with asyncio.timeout(bounds.body_seconds):
            return await _read(request, bounds, hold)
    except TimeoutError:
        detail = f"expected all of it within {bounds.body_seconds:.0f} seconds"
        raise Refused(408, Door.BODY_TOO_SLOW, detail, headers={"Connection": "close"}) from None


def is_here(request: Request) -> bool:
    """Whether all of the body has come: nothing is saved by refusing it unread."""
    return WHOLE in request.scope


def announced(request: Request) -> int:
    """Bytes that the body is said to have; 0 where it is not said."""
    said = request.headers.get("content-length", "0")
    return int(said[:20]) if said.isdigit() else 0


def check_type(request: Request, expected: Collection[str]) -> str:
    """The media type of the body, one of those expected. Raises `Refused` (415)."""
    found = request.headers.getlist("content-type")
    media, charset = _media_type(found[0]) if len(found) == 1 else ("", "")
    if media not in expected or charset not in CHARSETS:
        said = f"expected Content-Type {' or '.join(expected)}, in UTF-8"
        raise Refused(415, Door.CONTENT_TYPE_UNSUPPORTED, said, headers={"Accept-Post": ", ".join(expected)})
    return media


def values(body: bytes) -> int:
    """So many values, each with its name, JSON has at the most: some may stand in texts."""
    return 1 + len(body) - len(body.translate(None, OPENS))


def parse(body: bytes, bounds: Bounds, hold: Hold) -> Any:
    """Strict JSON: every name once in its object, finite numbers, UTF-8, at most 200 levels. `hold` takes what it
    becomes: up to 28 times its text. Raises `Refused` (400, 413, 503).

    The parser's own text may quote a name, so only the place is taken from it.
    """
    if not body:
        raise Refused(400, Door.JSON_INVALID, "the body is empty")
    found = values(body)
    if found > bounds.values:
        raise Refused(413, Door.BODY_TOO_LARGE, f"expected at most {bounds.values} values")
    hold.parse(found * VALUE_BYTES)
    try:
        return jiter.from_json(body, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys")
    except ValueError as error:
        said = str(error)
    code = Door.JSON_INVALID
    if said.startswith("Detected duplicate key"):
        code = Door.JSON_DUPLICATE_KEY
    elif said.startswith("recursion limit"):
        code = Door.JSON_TOO_DEEP
    place = PLACE.search(said)
    raise Refused(400, code, place[1] if place else "")


async def _read(request: Request, bounds: Bounds, hold: Hold) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, Door.REQUEST_MALFORMED, "the body ended early")
        parts.append(message.get("body", b""))
        hold.take(len(parts[-1]))
        if hold.size > bounds.body_bytes:
            raise _too_large(bounds)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_encoding(request: Request) -> None:
    """A small compressed body can unpack to hundreds of megabytes: none is unpacked."""
    said = request.headers.get("content-encoding")
    if said is not None and said.strip().lower() not in ("identity", ""):
        raise Refused(
            415,
            Door.CONTENT_ENCODING_UNSUPPORTED,
            "expected no Content-Encoding, found one",
            headers={"Accept-Encoding": "identity"},
        )


def _too_large(bounds: Bounds) -> Refused:
    return Refused(413, Door.BODY_TOO_LARGE, f"expected at most {bounds.body_bytes} bytes")


@lru_cache(maxsize=256)
def _media_type(text: str) -> tuple[str, str]:
    """Media type and charset, in lower case."""
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    named = dict(part.partition("=")[::2] for part in parameters if part)
    return media, named.get("charset", "").strip('"')
