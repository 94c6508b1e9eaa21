"""Identify: who a record is about, without saying it.

A person inside the hub is a keyed pseudonym of the FİN; towards an agency, a pseudonym keyed for that
agency alone, so that two agencies cannot join their persons.
"""

from __future__ import annotations

import hmac
from hashlib import blake2b

PSEUDONYM_BYTES = 16


def person_id(fin: str, secret: bytes) -> str:
    """32 lower-case hex digits: HMAC-SHA-256 of the FİN under the hub's secret, cut to 128 bits."""
    return hmac.digest(secret, fin.encode(), "sha256")[:PSEUDONYM_BYTES].hex()


def agency_secret(secret: bytes, agency: str) -> bytes:
    """The key of one agency's pseudonyms, derived from the hub's secret."""
    return hmac.digest(secret, b"agency/" + agency.encode(), "sha256")


def pseudonym(key: bytes, secret: bytes) -> bytes:
    """What `key` (a person id or case number) is called towards the agency of that secret: 32 hex digits."""
    return blake2b(key, key=secret, digest_size=PSEUDONYM_BYTES).hexdigest().encode()


def identity(source: str, event_id: str, subject: str) -> bytes:
    """16 bytes that stand for (source, id, subject) for ever; in hex, the event id towards receivers."""
    return blake2b(f"{source}\n{event_id}\n{subject}".encode(), digest_size=PSEUDONYM_BYTES).digest()


def content(type_name: str, time_ms: int, sequence: int | None, body: bytes) -> bytes:
    """16 bytes that stand for what an event says; `body` is its canonical Avro encoding."""
    head = f"{type_name}\n{time_ms}\n{sequence}\n".encode()
    return blake2b(head + body, digest_size=PSEUDONYM_BYTES).digest()
