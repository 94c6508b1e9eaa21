"""`hub topics`: what the broker has beside what the catalogue wants."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hub import registry
from hub.admin import topics
from hub.admin.copies import more_copies
from hub.admin.unread import Left, still_needed, unread
from hub.catalogue import Catalogue
from hub.commands.auditing import audited
from hub.commands.terminal import AsJson, DataDir, catalogue_of, err, out, settings_of
from hub.kafka.connection import Connection
from hub.machine.running import connect
from hub.settings import Settings

app = typer.Typer(help="Topics, as the catalogue wants them.", no_args_is_help=True)


@app.command("plan")
def topics_plan(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """What `apply` would do. Changes nothing; exit code 3 when the broker is not as the catalogue wants it, or
    holds records that nobody reads."""
    settings = settings_of(data_dir=data_dir)
    connection = connect(settings)
    found = _planned(settings, connection, catalogue_of(settings))
    left = unread(connection, settings.name, found.foreign)
    _print_plan(found, left, as_json)
    raise typer.Exit(
        3 if found.create or found.alter or found.shorter or found.drift or _counts(left, known=True) else 0
    )


@app.command("apply")
def topics_apply(
    copies: Annotated[
        bool, typer.Option("--copies", help="Topics with fewer copies than wanted get more: all they keep is copied.")
    ] = False,
    shorten: Annotated[
        bool,
        typer.Option(
            "--shorten",
            help="Topics that keep records for longer than wanted delete the older ones, once they are read.",
        ),
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create topics, mend their limits, register the catalogue's schemas. Doing it twice is harmless.

    Exit code 1 where the audit could not be written, what was to be done is done all the same; and where `--shorten`
    leaves topics as they are, as what it would delete is unread.
    """
    settings = settings_of(data_dir=data_dir)
    connection, catalogue = connect(settings), catalogue_of(settings)
    found = _planned(settings, connection, catalogue)
    needed: Collection[str] = ()
    if shorten:
        needed = still_needed(connection, settings.name, {each.topic: int(each.wanted) for each in found.shorter})
        found = found.shortened(needed)
    notes = topics.apply(connection, found)
    new = registry.missing(connection, catalogue.schemas())
    if new:
        registry.register(connection, new)
    _print_plan(found, unread(connection, settings.name, found.foreign), as_json)
    if copies and found.copies:
        _copy(connection, found.copies)
        notes += topics.apply(connection, _planned(settings, connection, catalogue))  # what may be asked of them now
    for note in (*notes, *map(_needed_note, sorted(needed))):
        err.print(note, soft_wrap=True, highlight=False)
    copied, told = found.copies if copies else {}, True
    if found.create or found.alter or new or copied:
        done = f"{len(found.create)} created, {len(found.alter)} changes, copies for {len(copied)}, {len(new)} schemas"
        told = audited(settings, None, f"apply topics: {done}")
    raise typer.Exit(0 if told and not needed else 1)


def _needed_note(topic: str) -> str:
    return f"{topic} keeps its records: what would be deleted is not all read yet (`hub_lag_events`); shorten it later"


def _counts(left: Mapping[str, Left], *, known: bool) -> dict[str, int]:
    return {topic: found.offsets for topic, found in left.items() if found.known is known}


def _copy(connection: Connection, wanted: Mapping[str, int]) -> None:
    columns = TextColumn("copies"), BarColumn(), MofNCompleteColumn(), TextColumn("partitions"), TimeElapsedColumn()
    with Progress(*columns, console=err) as progress:
        task = progress.add_task("copies", total=None)
        more_copies(connection, wanted, lambda done, of: progress.update(task, completed=done, total=of))


def _planned(settings: Settings, connection: Connection, catalogue: Catalogue) -> topics.Plan:
    return topics.plan_for(connection, catalogue, settings.partitions, settings.replication)


def _print_plan(found: topics.Plan, left: Mapping[str, Left], as_json: bool) -> None:
    if as_json:
        rows = {"create": [spec.name for spec in found.create], "unchanged": len(found.unchanged)}
        rows |= {"alter": list(map(str, found.alter)), "drift": list(map(str, found.drift))}
        rows |= {"shorter": list(map(str, found.shorter)), "unread": _counts(left, known=True)}
        rows |= {"perhaps_unread": _counts(left, known=False)}
        print(json.dumps(rows))
        return
    out.print(f"create {len(found.create)}, alter {len(found.alter)}, unchanged {len(found.unchanged)}")
    shorter = "kept for longer; `hub topics apply --shorten` deletes what is older"
    for what, changes in (
        ("alter", found.alter),
        (shorter, found.shorter),
        ("drift, for a person to decide", found.drift),
    ):
        for change in changes:
            out.print(f"  {what}: {change}")
    if found.copies:
        out.print(f"{len(found.copies)} topics lack copies: `hub topics apply --copies` gives them, while all runs")
    for topic, (count, known) in left.items():
        found_unread = (
            f"the last {count} records are" if known else f"{count} records, unless they were read long ago, are"
        )
        out.print(
            f"  {topic}: {found_unread} read by nobody, as the catalogue has no such topic: put it back until they are "
            "read; see the runbook, 'What is taken out'"
        )
    for spec in found.create:
        out.print(f"  create: {spec.name} ({spec.partitions} partitions)", highlight=False)
