"""The hub as an agency reaches it: options for address and token, and the client made of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from hub.client import Client, HubAway, HubProblem, NotSent
from hub.errors import ConfigError, HubError
from hub.machine.running import announced
from hub.settings import Settings

Url = Annotated[str | None, typer.Option("--url", help="The gateway; default: that of the hub in the data folder.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", help="A file with an agency's token; default: HUB_TOKEN.", dir_okay=False),
]


def client(settings: Settings, url: str | None, token_file: Path | None, language: str) -> Client:
    """Raises `ConfigError` where address or token is missing or is none. A token is no option: others could see it."""
    try:
        return Client(url or _url(settings), _token(token_file), language=language)
    except NotSent as error:
        raise ConfigError(str(error)) from None


def said(error: HubAway | HubProblem | NotSent) -> HubError:
    """What the hub answered, as a sentence of the command line."""
    return HubError(str(error))


def has_token(token_file: Path | None) -> bool:
    return token_file is not None or "HUB_TOKEN" in os.environ


def _url(settings: Settings) -> str:
    port = announced(settings.data_dir).get("gateway")
    if port is None:
        raise ConfigError(
            f"no gateway runs in {settings.data_dir}: name the hub's folder with --data-dir, or its address with --url"
        )
    return f"http://127.0.0.1:{port}"


def _token(file: Path | None) -> str:
    if file is None:
        found = os.environ.get("HUB_TOKEN", "")
    elif file.is_file():
        found = _text(file).strip()
    else:
        raise ConfigError(f"--token-file {file}: no such file")
    if not found:
        raise ConfigError("no token: give --token-file FILE, or set HUB_TOKEN; `hub token issue AGENCY` makes one")
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"--token-file {file}: there is no token in it, it is no text") from None
    except OSError as error:
        raise ConfigError(f"--token-file {file}: {error.strerror}") from None
