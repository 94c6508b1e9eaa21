"""What is done by a command, in the audit: what was done, to whom, and who typed it."""

from __future__ import annotations

import getpass
import os

from hub.access.token_file import locked
from hub.commands.terminal import err
from hub.errors import HubError
from hub.settings import Settings


def audited(settings: Settings, agency: str | None, action: str, origin: str | None = None) -> bool:
    """What an operator does, to the audit; said where that fails. `agency` is the one concerned, `origin` the record;
    no person is named but who types. True also where there is no broker to write it to: tokens are needed before that.

    All operators write one chain, and who opens it anew ends the transaction of who has it open: those of a host go one
    after the other.
    """
    from hub.admin import operators
    from hub.machine.running import connect

    connection = None
    try:
        connection = connect(settings)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with locked(settings.data_dir / operators.WRITER):
            operators.record(connection, settings.name, agency, f"{action}, by {user()}", origin)
        return True
    except Exception as error:
        why = str(error) if isinstance(error, HubError) else type(error).__name__
        err.print(f"not in the audit: {why}", soft_wrap=True, highlight=False, style="yellow")
        return connection is None


def user() -> str:
    """Who types; the number of a user of whom the machine knows no name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
