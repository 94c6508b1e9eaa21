"""A token for trying things on a hub of one machine: issued on first use, kept in the data folder for its owner."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hub.access import token as tokens
from hub.access.token_file import Token, read, writing
from hub.catalogue import Catalogue
from hub.settings import Settings

PREFERRED = "mod"


def trial_token(settings: Settings, catalogue: Catalogue) -> Path:
    """The file with the token, `<agency>.token`; a new token where the file has none that works."""
    agency = PREFERRED if PREFERRED in catalogue.agencies else min(catalogue.agencies)
    path = settings.data_dir.resolve() / f"{agency}.token"
    if not _works(path, settings):
        made = tokens.make()
        with writing(settings.tokens_file()) as all_of_them:
            all_of_them.append(Token(made.id, agency, made.digest, int(time.time())))
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made.text + "\n")
    return path


def _works(path: Path, settings: Settings) -> bool:
    id = tokens.id_of(path.read_text(encoding="utf-8").strip()) if path.exists() else None
    return any(each.id == id and each.state(time.time()) == "valid" for each in read(settings.tokens_file()))
