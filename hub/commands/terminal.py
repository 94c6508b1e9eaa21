"""What every command shares: the terminal, options that mean the same everywhere, settings and catalogue."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from hub import logs
from hub.catalogue import Catalogue, load
from hub.errors import ConfigError
from hub.settings import Settings, load_settings
from hub.texts import Language

PIPE_COLUMNS = 200
"""Width of tables where nobody looks at a terminal: wide enough that a line stays a line."""

out = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)
err = Console(stderr=True, width=None if sys.stderr.isatty() else PIPE_COLUMNS)

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="All that a run keeps; HUB_DATA_DIR.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Agencies = Annotated[list[str] | None, typer.Option("--agency", help="An agency's code; may be repeated.")]
Lang = Annotated[str, typer.Option("--lang", help="az or en.")]


def settings_of(**given: Any) -> Settings:
    """Settings from file, environment and options; logs set up by them."""
    settings = load_settings(**given)
    logs.configure(settings.log_level)
    return settings


def catalogue_of(settings: Settings) -> Catalogue:
    return load(settings.schemas) if settings.schemas else load()


def language(text: str) -> Language:
    """Raises `ConfigError` for a language that the texts are not in."""
    match text:
        case "az" | "en":
            return text
    raise ConfigError(f"--lang {text}: expected az or en")


def iso(milliseconds: int) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table without lines; cells as they are, no markup."""
    found = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        found.add_column(column, overflow="fold")
    for row in rows:
        found.add_row(*(Text(cell) for cell in row))
    out.print(found)


def stop_event() -> threading.Event:
    """Set when the process is told to end: SIGTERM, or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def fail(message: str, code: int = 2) -> NoReturn:
    """One sentence on stderr, and the end."""
    err.print("[red]hub:[/red] " + escape(message), highlight=False, soft_wrap=True)
    sys.exit(code)
