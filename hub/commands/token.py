"""`hub token`: issue, list, revoke. Servers read the file again within a second; nothing is started anew."""

from __future__ import annotations

import json
import time
from math import isnan
from typing import Annotated, Any

import typer

from hub.access import token as tokens
from hub.access.token_file import Token, iso, read, revoke, writing
from hub.commands.auditing import audited
from hub.commands.terminal import AsJson, DataDir, catalogue_of, err, out, settings_of, table
from hub.errors import ConfigError

app = typer.Typer(help="Tokens, by which agencies prove who they are.", no_args_is_help=True)
DAY, HOUR = 86_400, 3_600
DAYS_MAX = 36_500


def _number(value: float | None) -> float | None:
    """`nan` is within any bounds."""
    if value is not None and isnan(value):
        raise typer.BadParameter("expected a number")
    return value


Expires = Annotated[
    float | None,
    typer.Option(help="Days it works; without it until revoked.", min=0.01, max=DAYS_MAX, callback=_number),
]
After = Annotated[
    float,
    typer.Option(help="Hours that it still works, for a change of tokens.", min=0, max=24 * DAYS_MAX, callback=_number),
]


@app.command("issue")
def issue(
    agency: Annotated[str, typer.Argument(help="Code of the agency.")],
    expires: Expires = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """A new token of an agency, shown this once: only its hash is kept. Others of the agency go on working.

    Exit code 1 where there is a broker, and the audit could not be written: the token works all the same.
    """
    settings = settings_of(data_dir=data_dir)
    if agency not in catalogue_of(settings).agencies:
        raise ConfigError(
            f"{agency[:64]!r} is no agency of the catalogue; `hub topics plan` or the reference names them"
        )
    now = int(time.time())
    ends = now + int(expires * DAY) if expires else None
    with writing(settings.tokens_file()) as all_of_them:
        made = tokens.make()
        while any(token.id == made.id for token in all_of_them):
            made = tokens.make()
        issued = Token(made.id, agency, made.digest, now, ends)
        all_of_them.append(issued)
    done = audited(settings, agency, f"issue token {made.id}")
    if as_json:
        print(json.dumps({"token": made.text, **_row(issued, now)}))
    else:
        print(made.text)
        err.print(f"id {made.id}, of {agency}, works {f'until {iso(ends)}' if ends else 'until it is revoked'}. "
                  "It is not shown again: hand it over by a safe way.", soft_wrap=True, highlight=False)  # fmt: skip
    raise typer.Exit(0 if done else 1)


@app.command("list")
def list_tokens(
    agency: Annotated[str | None, typer.Option("--agency", help="Of this agency alone.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Every token that was issued: its id, whose it is, until when it works. Never the token."""
    settings, now = settings_of(data_dir=data_dir), time.time()
    rows = [_row(t, now) for t in read(settings.tokens_file()) if agency in (None, t.agency)]
    if as_json:
        print(json.dumps(rows))
        return
    names = ("id", "agency", "state", "issued", "expires", "revoked")
    table(names, ((str(row[name] or "") for name in names) for row in rows))


@app.command("revoke")
def revoke_token(
    id: Annotated[str, typer.Argument(help="The token's id, as `hub token list` shows it.")],
    after: After = 0.0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a token, at once or after some hours. Running servers know it within two seconds.

    Exit code 1 where there is a broker, and the audit could not be written: the token has ended all the same.
    """
    settings, now = settings_of(data_dir=data_dir), time.time()
    with writing(settings.tokens_file()) as all_of_them:
        ended = revoke(all_of_them, id, int(now + after * HOUR), now)
    done = audited(settings, ended.agency, f"revoke token {ended.id}")
    if as_json:
        print(json.dumps(_row(ended, now)))
    else:
        out.print(f"token {ended.id} of {ended.agency} works until {iso(ended.revoked)}", highlight=False)
    raise typer.Exit(0 if done else 1)


def _row(token: Token, now: float) -> dict[str, Any]:
    times = {name: iso(getattr(token, name)) for name in ("issued", "expires", "revoked")}
    return {"id": token.id, "agency": token.agency, "state": token.state(now), **times}
