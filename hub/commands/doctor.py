"""`hub doctor`: every setting and where it came from, and whether all that a hub needs is there."""

from __future__ import annotations

import json

import typer
from rich.text import Text

from hub.commands.checks import Check, checks
from hub.commands.checks import settings as settings_with_sources
from hub.commands.terminal import AsJson, DataDir, out, settings_of, table

MARKS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("–", "dim")}


def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Every setting and where it came from; what a hub needs, whether it is there, and what to do next.

    Exit code 1 when something is wrong.
    """
    given = {"data_dir": data_dir}
    found = settings_of(**given)
    rows, looked = list(settings_with_sources(found, given)), list(checks(found))
    if as_json:
        print(json.dumps({"settings": [r._asdict() for r in rows], "checks": [c._asdict() for c in looked]}))
    else:
        table(("setting", "value", "from"), rows)
        out.print()
        for check in looked:
            out.print(_line(check), soft_wrap=True)
    raise typer.Exit(1 if any(check.ok is False for check in looked) else 0)


def _line(check: Check) -> Text:
    mark, style = MARKS[check.ok]
    line = Text.assemble((f"{mark} ", style), (f"{check.name:<22}", "bold"), check.found)
    if check.ok is False and check.fix:
        line.append(f"\n  → {check.fix}", style="yellow")
    return line
