"""Identify: who a record is about, without saying it.

A person inside the hub is a keyed pseudonym of the FİN; towards an agency, a pseudonym keyed for that
agency alone, so that two agencies cannot join their persons.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import blake2b, sha256

PSEUDONYM_BYTES = 16
_BLOCK = 64


class Pseudonyms:
    """Person ids under one secret; the keyed state of the digest is made once (RFC 2104)."""

    def __init__(self, secret: bytes) -> None:
        block = (sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def person_id(self, fin: bytes) -> bytes:
        """32 lower-case hex digits: HMAC-SHA-256 of the FİN under the hub's secret, cut to 128 bits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(fin)
        outer.update(inner.digest())
        return outer.hexdigest()[: 2 * PSEUDONYM_BYTES].encode()


def agency_secret(secret: bytes, agency: str) -> bytes:
    """The key of one agency's pseudonyms, derived from the hub's secret."""
    return hmac.digest(secret, b"agency/" + agency.encode(), "sha256")


def pseudonym(key: bytes, secret: bytes) -> bytes:
    """What `key` (a person id or case number) is called towards the agency of that secret: 32 hex digits."""
    digest = _keyed(secret).copy()
    digest.update(key)
    return digest.hexdigest().encode()


def identity(source: bytes, event_id: bytes, subject: bytes) -> bytes:
    """16 bytes that stand for (source, id, subject) for ever; in hex, the event id towards receivers."""
    return blake2b(b"\n".join((source, event_id, subject)), digest_size=PSEUDONYM_BYTES).digest()


@lru_cache(maxsize=256)
def _keyed(secret: bytes) -> blake2b:
    """The state that the key alone leaves, made once for each agency."""
    return blake2b(key=secret, digest_size=PSEUDONYM_BYTES)


class Contents:
    """16 bytes that stand for what an event of a type says."""

    def __init__(self, type_name: str) -> None:
        self._begin = type_name.encode()

    def __call__(self, time_ms: int, sequence: int | None, body: bytes) -> bytes:
        """`body` is its canonical Avro encoding."""
        if sequence is None:
            said = b"%b\n%d\nNone\n%b" % (self._begin, time_ms, body)
        else:
            said = b"%b\n%d\n%d\n%b" % (self._begin, time_ms, sequence, body)
        return blake2b(said, digest_size=PSEUDONYM_BYTES).digest()


def content(type_name: str, time_ms: int, sequence: int | None, body: bytes) -> bytes:
    """The same for a single event."""
    return Contents(type_name)(time_ms, sequence, body)
