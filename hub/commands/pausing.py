"""`hub agency`: which agencies are paused, and why; pause and resume one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from hub.admin import pauses, topics
from hub.admin.dead_letters import known
from hub.catalogue import Catalogue
from hub.commands.auditing import user
from hub.commands.terminal import AsJson, DataDir, catalogue_of, err, out, settings_of, table
from hub.kafka.connection import Connection
from hub.machine.running import connect
from hub.pipeline.pause import Pause
from hub.settings import Settings

app = typer.Typer(help="Agencies: which are paused, and why; pause and resume one.", no_args_is_help=True)

Agency = Annotated[str, typer.Argument(help="An agency's code.")]
Reason = Annotated[str, typer.Option("--reason", help="For the audit and for whoever looks next; nothing personal.")]


@app.command("list")
def agency_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Every agency; where one is paused, since when, by whom and why."""
    settings = settings_of(data_dir=data_dir)
    found = pauses.pauses(connect(settings))
    rows = [_row(agency, found.get(agency)) for agency in catalogue_of(settings).agencies]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    table(rows[0], ((str(cell or "") for cell in row.values()) for row in rows))


@app.command("pause")
def agency_pause(agency: Agency, reason: Reason, data_dir: DataDir = None) -> None:
    """Take nothing of what an agency sends until it is resumed: it is accepted, and waits, for as long as it takes. It
    still receives.

    Exit code 1 where it was paused already, and where its topic could not be made to keep what waits: then do it again.
    """
    settings = settings_of(data_dir=data_dir)
    connection, catalogue = connect(settings), catalogue_of(settings)
    known(catalogue, agency)
    already = None
    try:
        pauses.pause(connection, settings.name, agency, user(), reason)
        out.print(f"{agency} is paused; `hub agency resume {agency}` ends that", highlight=False)
    except pauses.PausedAlready as error:  # by the hub itself, which alters no topics, or by half of this command
        already = error
    if not _keep_all(settings, connection, catalogue, f"in.{agency}"):
        raise typer.Exit(1)
    if already:
        raise already


@app.command("resume")
def agency_resume(agency: Agency, reason: Reason = "", data_dir: DataDir = None) -> None:
    """Take an agency's records again, from where they were left. Its topic keeps what is older than it should until
    `hub topics apply --shorten`, which waits for what is still unread."""
    settings = settings_of(data_dir=data_dir)
    known(catalogue_of(settings), agency)
    ended = pauses.resume(connect(settings), settings.name, agency, user(), reason or "without a reason given")
    out.print(f"{agency} is resumed; it was paused since {_time(ended.since)} by {ended.by}", highlight=False)


def _keep_all(settings: Settings, connection: Connection, catalogue: Catalogue, topic: str) -> bool:
    """Whether what waits there is not deleted while it waits."""
    planned = topics.plan_for(connection, catalogue, settings.partitions, settings.replication)
    notes = topics.apply(connection, planned.only(topic))
    for note in notes:
        err.print(f"{note}: what waits there is deleted with time; mend that, and pause it again", soft_wrap=True)
    return not notes


def held_back(connection: Connection, sought: str) -> str:
    """A line for each paused agency that the event may wait with. Coordinates name one agency, an id may be of any."""
    found = pauses.pauses(connection)
    named = sought.removeprefix("in.").split("/")[0] if sought.startswith("in.") else None
    return "".join(_held(pause) for agency, pause in sorted(found.items()) if named in (None, agency))


def _held(pause: Pause) -> str:
    return (
        f"\n  {pause.agency} is paused since {_time(pause.since)} by {pause.by} ({pause.reason}): its events wait in "
        f"in.{pause.agency} and none is lost; `hub agency resume {pause.agency}` lets them go on"
    )


def _row(agency: str, pause: Pause | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "agency": agency,
        "state": "paused" if pause else "running",
        "since": None,
        "by": None,
        "why": None,
    }
    return row | ({"since": _time(pause.since), "by": pause.by, "why": pause.reason} if pause else {})


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
