"""What a token looks like: `zefer_<id>_<secret><checksum>`, 75 characters of a-z, 2-7, 0-9.

The prefix is for programs that look for secrets in source code. The id says which token it is and is no secret. The
secret is 256 random bits. The checksum (CRC-32 of all before it) tells a token that was cut or mistyped from one that
is unknown, without a look at any list.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b32encode
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

PREFIX = "zefer_"
PATTERN = r"zefer_[a-z2-7]{8}_[a-z2-7]{52}[0-9a-f]{8}"
"""For secret scanners."""
_WHOLE = re.compile(PATTERN)
ID_BYTES, SECRET_BYTES = 5, 32
CHECKSUM = 8
ID = re.compile(r"[a-z2-7]{8}")


class Made(NamedTuple):
    """A new token: `text` is shown once and kept nowhere, `digest` is kept."""

    id: str
    text: str
    digest: str


def make() -> Made:
    """A token that nobody has."""
    id = _letters(ID_BYTES)
    body = f"{PREFIX}{id}_{_letters(SECRET_BYTES)}"
    text = body + _checksum(body)
    return Made(id, text, digest(text))


def id_of(text: str) -> str | None:
    """The id in a token; None for what is no token: another form, or a checksum that does not fit."""
    if not _WHOLE.fullmatch(text):
        return None
    body, found = text[:-CHECKSUM], text[-CHECKSUM:]
    return claimed_id(text) if found == _checksum(body) else None


def claimed_id(text: str) -> str:
    """Where the id stands in a token, whatever stands there."""
    return text[len(PREFIX) :].partition("_")[0]


def digest(text: str) -> str:
    """What is kept of a token: SHA-256 of all of it, in hex.

    A fast hash is right here. Slow ones (scrypt, Argon2) make guessing a password costly because passwords have little
    entropy; nobody guesses 256 random bits, however fast, and a slow hash would be work for any stranger
    to ask for.
    """
    return sha256(text.encode()).hexdigest()


def same(text: str, kept: str) -> bool:
    """Whether `kept` is the digest of the token, in a time that does not depend on where they differ."""
    return hmac.compare_digest(digest(text), kept)


def _letters(count: int) -> str:
    return b32encode(secrets.token_bytes(count)).decode().rstrip("=").lower()


def _checksum(body: str) -> str:
    return f"{crc32(body.encode()):08x}"
