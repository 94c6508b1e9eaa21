"""`hub dlq`: dead letters, listed and looked at."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from hub.admin import dead_letters
from hub.commands.auditing import audited
from hub.commands.terminal import (
    Agencies,
    AsJson,
    DataDir,
    Lang,
    catalogue_of,
    err,
    fail,
    iso,
    language,
    settings_of,
    table,
)
from hub.errors import Code
from hub.gateway.details import in_language
from hub.machine.running import connect
from hub.texts import explain

app = typer.Typer(help="Dead letters: what was refused, and why.", no_args_is_help=True)


@app.command("list")
def dlq_list(
    agency: Agencies = None,
    code: Annotated[Code | None, typer.Option(help="Of this reason alone.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Dead letters of an agency, or of all."""
    settings = settings_of(data_dir=data_dir)
    catalogue = catalogue_of(settings)
    found = dead_letters.letters(connect(settings), catalogue, agency or catalogue.agencies, code)
    if as_json:
        for letter in found:
            print(json.dumps(letter.row(), ensure_ascii=False))
        return
    table(
        ("record", "code", "step", "where", "what", "bytes"),
        (
            (
                row["record"],
                row["code"],
                row["step"],
                row["pointer"] or "",
                row["detail"] or "",
                str(row["bytes"]),
            )
            for row in (letter.row() for letter in found)
        ),
    )


@app.command("show")
def dlq_show(
    record: Annotated[str, typer.Argument(help="The input's coordinates: in.mod/3/1234.")],
    raw: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the bytes as they came to this file.")] = None,
    lang: Lang = "en",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """One dead letter. Its bytes may hold personal data: they go to a file, not to the terminal, and that to the audit;
    where it cannot be written (exit code 1), neither is the file."""
    spoken = language(lang)
    settings = settings_of(data_dir=data_dir)
    letter = dead_letters.find(connect(settings), catalogue_of(settings), record)
    if raw is not None:
        if not audited(settings, letter.agency, "take the bytes of a dead letter", letter.coordinates):
            fail("nothing was written", 1)
        _keep_raw(raw, letter.envelope["value"] or b"")
    if as_json:
        print(json.dumps(letter.row(), ensure_ascii=False))
        return
    text = explain(letter.envelope["code"], spoken)
    row = letter.row() | {"means": text.what, "fix": text.fix}
    row["detail"] = in_language(row["detail"] or "", spoken)
    row |= {name: iso(row[name]) for name in ("first_failure", "last_failure")}
    table(("", ""), ((name, str(value)) for name, value in row.items()))


def _keep_raw(path: Path, value: bytes) -> None:
    """For its owner alone, whoever could read a file that was there: the bytes may hold personal data."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(value)
    said = f"{len(value)} bytes are in {path}, which you alone can read; they may hold personal data"
    err.print(said, highlight=False, markup=False, soft_wrap=True)
