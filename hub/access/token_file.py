"""The file of tokens: hashes, whose they are, until when. Read by servers, written by `hub token` alone.

Written whole beside itself and renamed, so that a reader sees the old or the new one; one writer at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from hub.access.token import ID
from hub.errors import ConfigError

VERSION = 1
SHA256_HEX = 64
WRITABLE_BY_OTHERS = 0o022
State = Literal["valid", "ending", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file. `hash`: SHA-256 in hex. Times are Unix seconds; `expires` and `revoked` are first moments
    at which it does not work."""

    id: str
    agency: str
    hash: str
    issued: int
    expires: int | None = None
    revoked: int | None = None

    def state(self, now: float) -> State:
        """`ending`: valid still, and its end is set by a revocation."""
        if self.revoked is not None and self.revoked <= now:
            return "revoked"
        if self.expires is not None and self.expires <= now:
            return "expired"
        return "valid" if self.revoked is None else "ending"


def read(path: Path) -> tuple[Token, ...]:
    """All tokens; none where there is no file. Raises `ConfigError` for a file that is not what `hub token` writes,
    or that others than its owner may write: whoever writes it makes himself any agency."""
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & WRITABLE_BY_OTHERS:
                raise ConfigError(f"{path}: others than its owner may write it; `chmod go-w {path}`")
            return _parsed(path, file.read())
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the tokens cannot be read ({type(error).__name__})") from None


@contextlib.contextmanager
def writing(path: Path) -> Iterator[list[Token]]:
    """The tokens, to be changed in place within the `with`; written when it ends well. Raises `ConfigError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            tokens = list(read(path))
            yield tokens
            _write(path, tokens)
    except OSError as error:
        raise ConfigError(f"{path}: the tokens cannot be written ({error.strerror})") from None


def revoke(tokens: list[Token], id: str, at: int, now: float) -> Token:
    """End a token at a time. Raises `ConfigError` where there is none of that id, or where it has ended."""
    for place, token in enumerate(tokens):
        if token.id == id:
            if token.state(now) in ("revoked", "expired"):
                raise ConfigError(f"token {id} of {token.agency} has ended already: it is {token.state(now)}")
            tokens[place] = replace(token, revoked=at)
            return tokens[place]
    raise ConfigError(f"no token {id[:16]!r}: `hub token list` shows those that there are")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process after the other; not to be taken of the file of tokens within `writing`."""
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: Path, tokens: Sequence[Token]) -> None:
    content = {"version": VERSION, "tokens": [_said(token) for token in tokens]}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def iso(seconds: int | None) -> str | None:
    """Unix seconds as RFC 3339 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _said(token: Token) -> dict[str, Any]:
    times = {name: iso(getattr(token, name)) for name in ("issued", "expires", "revoked")}
    return {"id": token.id, "agency": token.agency, "hash": f"sha256:{token.hash}", **times}


def _parsed(path: Path, text: str) -> tuple[Token, ...]:
    try:
        said = json.loads(text)
        if said["version"] != VERSION:
            raise ConfigError(f"{path}: version {said['version']!r}, expected {VERSION}: a newer hub wrote it")
        tokens = tuple(_token(each) for each in said["tokens"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigError(f"{path}: not what `hub token issue` writes; mend it or take the last good copy") from None
    if len({token.id for token in tokens}) != len(tokens):
        raise ConfigError(f"{path}: an id stands there twice")
    return tokens


def _token(said: dict[str, Any]) -> Token:
    """Raises `ValueError`, `KeyError`, `TypeError`, `AttributeError` for what is none."""
    kind, _, hash = said["hash"].partition(":")
    if kind != "sha256" or len(bytes.fromhex(hash)) * 2 != SHA256_HEX or not ID.fullmatch(said["id"]):
        raise ValueError
    if not isinstance(said["agency"], str):
        raise TypeError
    issued, expires, revoked = (_seconds(said[name]) for name in ("issued", "expires", "revoked"))
    if issued is None:
        raise ValueError
    return Token(said["id"], said["agency"], hash.lower(), issued, expires, revoked)


def _seconds(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp())
