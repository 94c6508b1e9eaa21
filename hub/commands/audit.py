"""`hub audit`: whether the audit is whole, and what stands in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hub import registry
from hub.access.entries import unpacker
from hub.access.verify import Chained, Unpack, verify
from hub.commands.terminal import AsJson, DataDir, err, out, settings_of, table
from hub.errors import ConfigError
from hub.kafka.connection import Connection
from hub.kafka.following import describe
from hub.kafka.reading import Record, read_all
from hub.machine.running import connect
from hub.pipeline.summarise import TOPIC

app = typer.Typer(help="The audit: denials, what left for whom, what operators did.", no_args_is_help=True)
SETTLE = 2.0
"""Seconds that a transaction under way may take to end, before the topic is read without it."""
SHOWN = 20

Earlier = Annotated[
    Path | None,
    typer.Option("--against", help="What an earlier `hub audit verify --json` said, kept elsewhere.", dir_okay=False),
]


@app.command("verify")
def verify_audit(against: Earlier = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Read the topic `audit` and check every writer's chain. Exit code 1 where one breaks, and it says where.

    Keep the output of `--json` in another place, and give it to the next check: that finds entries cut off at the end.
    """
    earlier = _earlier(against) if against else {}
    records, unpack = _open(data_dir)
    chains, breaks = verify(records, unpack, earlier)
    if as_json:
        said = {
            "whole": not breaks,
            "entries": sum(chain.entries for chain in chains.values()),
            "writers": {name: _chained(chain) for name, chain in sorted(chains.items())},
            "breaks": [{"record": each.record, "what": each.what} for each in breaks],
        }
        print(json.dumps(said))
    else:
        rows = ((c.writer, str(c.entries), _time(c.last), c.hash[:16], str(len(c.breaks))) for c in chains.values())
        table(("writer", "entries", "last", "hash", "breaks"), sorted(rows))
        for each in breaks[:SHOWN]:
            out.print(f"[red]{each.record}[/red]: {each.what}", soft_wrap=True, highlight=False)
        if len(breaks) > SHOWN:
            out.print(f"… and {len(breaks) - SHOWN} more: --json shows them all")
        out.print("[bold green]whole[/bold green]" if not breaks else "[bold red]NOT whole[/bold red]")
    raise typer.Exit(1 if breaks else 0)


@app.command("list")
def list_audit(
    kind: Annotated[Literal["denial", "delivery", "operator"] | None, typer.Option(help="Of this kind alone.")] = None,
    agency: Annotated[str | None, typer.Option(help="Of this agency alone.")] = None,
    code: Annotated[str | None, typer.Option(help="Denied for this reason.")] = None,
    writer: Annotated[str | None, typer.Option(help="Of this writer alone.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on (UTC).")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Entries in the order in which they happened. Exit code 1 where a record is none, and it says which."""
    records, unpack = _open(data_dir, since)
    wanted = {"kind": kind and kind.upper(), "agency": agency, "code": code, "writer": writer}
    unreadable: list[str] = []
    entries = _entries(records, unpack, {k: v for k, v in wanted.items() if v}, unreadable)
    found = sorted(entries, key=lambda row: str(row["at"]))
    if as_json:
        for row in found:
            print(json.dumps(row))
    else:
        names = ("at", "writer", "kind", "agency", "action", "code", "origin", "counts")
        table(names, ((_cell(row[name]) for name in names) for row in found))
    for record in unreadable:
        err.print(f"[red]{record}[/red]: is no audit entry", soft_wrap=True, highlight=False)
    raise typer.Exit(1 if unreadable else 0)


def _open(data_dir: Path | None, since: datetime | None = None) -> tuple[Iterator[Record], Unpack]:
    connection = connect(settings_of(data_dir=data_dir))
    if not describe(connection, [TOPIC]):
        raise ConfigError(f"the broker has no topic {TOPIC}: `hub topics apply` makes it")
    return _records(connection, since), unpacker(registry.read(connection))


def _records(connection: Connection, since: datetime | None) -> Iterator[Record]:
    at = int(since.replace(tzinfo=since.tzinfo or UTC).timestamp() * 1000) if since else None
    return read_all(connection, TOPIC, since=at, settle=SETTLE)


def _entries(
    records: Iterator[Record], unpack: Unpack, wanted: Mapping[str, str], unreadable: list[str]
) -> Iterator[dict[str, Any]]:
    for record in records:
        try:
            entry = dict(unpack(record.value or b""))
        except Exception:  # whoever wrote it had no business here: the others are still to be read
            unreadable.append(record.coordinates)
            continue
        if all(entry[name] == value for name, value in wanted.items()):
            names = ("writer", "number", "kind", "agency", "action", "code", "origin", "counts")
            yield {"record": record.coordinates, "at": _time(entry["at"]), **{name: entry[name] for name in names}}


def _chained(chain: Chained) -> dict[str, Any]:
    return {"entries": chain.entries, "number": chain.number, "hash": chain.hash, "breaks": len(chain.breaks)}


def _earlier(path: Path) -> dict[str, tuple[int, str]]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))["writers"]
        return {name: (int(each["number"]), str(each["hash"])) for name, each in said.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"--against {path}: expected what `hub audit verify --json` printed") from None


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {count}" for name, count in value.items())
    return str(value or "")
