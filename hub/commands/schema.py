"""`hub schema`: event types and their schemas, and how these may change."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from hub import registry
from hub.catalogue import SCHEMAS, Catalogue
from hub.commands.auditing import audited
from hub.commands.terminal import AsJson, DataDir, catalogue_of, err, out, settings_of, table
from hub.errors import ConfigError, Problem, SchemaError
from hub.machine.running import connect
from hub.settings import Settings

app = typer.Typer(help="Event types and their schemas.", no_args_is_help=True)

REFUSED, BREAKS = 1, 3
"""Exit codes: the working tree cannot be released; a change breaks somebody."""

Type = Annotated[str, typer.Argument(help="An event type's full name.")]


class Lane(StrEnum):
    """What is asked of the bytes differs."""

    GATE = "gate"
    LEDGER = "ledger"


@app.command("list")
def list_types(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Event types: stream, key, schema id where a hub runs, who publishes, who receives."""
    settings = settings_of(data_dir=data_dir)
    catalogue, ids = catalogue_of(settings), _ids(settings)
    rows = [_row(catalogue, name, ids) for name in catalogue.types]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    table(rows[0].keys(), (map(str, row.values()) for row in rows))


@app.command()
def show(name: Type) -> None:
    """The Avro schema of an event type."""
    catalogue = catalogue_of(settings_of())
    out.print_json(data=catalogue.types[_known(catalogue, name)].schema)


@app.command()
def scanner(
    name: Type,
    lane: Annotated[Lane, typer.Option(help="What is asked of the bytes differs.")] = Lane.LEDGER,
) -> None:
    """The function generated for an event type: checks its bytes, reads fields, cuts the projections."""
    from rich.syntax import Syntax

    from hub.pipeline.rulebook import compile_rulebook

    catalogue = catalogue_of(settings_of())
    _known(catalogue, name)
    ids = registry.Schemas()
    ids.assign(catalogue.schemas())
    rules = compile_rulebook(catalogue, ids, b"only to read the source", partitions=1)
    readers = rules.gate_readers if lane is Lane.GATE else rules.ledger_readers
    source = readers[ids.id_of(name)].scanner.source
    if out.is_terminal:
        out.print(Syntax(source, "python"))
    else:
        print(source)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Lint schemas and catalogue, hold them against every released version. Exit code 1: they cannot be released."""
    from hub.evolution.check import check as checked

    settings = settings_of()
    found, problems = checked(_folder(settings))
    catalogue, unsound = _sound(settings)
    problems = [*unsound, *problems]
    if as_json:
        said = [{"file": p.file, "line": p.line, "message": p.message, "fix": p.fix} for p in problems]
        print(json.dumps({"schemas": [each._asdict() for each in found], "problems": said}, ensure_ascii=False))
    else:
        for problem in problems:
            err.print(Text(str(problem)), soft_wrap=True, highlight=False)
        states = {state: sum(each.state == state for each in found) for state in dict.fromkeys(e.state for e in found)}
        out.print(", ".join(f"{count} {state}" for state, count in states.items()), highlight=False)
        for each in found:
            if each.state not in ("unchanged", "gone"):
                out.print(f"  {each.state}: {each.name}, version {each.version}", highlight=False)
        _print_sound(catalogue, len(problems))
    raise typer.Exit(REFUSED if problems else 0)


@app.command()
def diff(
    names: Annotated[list[str] | None, typer.Argument(help="Event types; all by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """What changed since the last release and whom it breaks. Exit code 3: it breaks somebody."""
    from hub.evolution.breaks import Readers, broken, latest, withdrawn
    from hub.evolution.released import read_released, sound, working

    folder, problems = _folder(settings_of()), list[Problem]()
    released, now = latest(read_released(folder, problems)), working(folder)
    chosen = sorted(names or {*released, *now})
    unknown = [name for name in chosen if name not in released and name not in now]
    if unknown:
        raise ConfigError(f"{unknown[0]} is no type of {folder}, nor was it ever released")
    schemas = {name: schema for name in chosen if name in now and (schema := sound(folder, now[name], problems))}
    if problems:
        raise SchemaError(problems)
    readers = Readers(folder, _connectors_read())
    rows = []
    for name in chosen:
        if name not in released:
            rows.append({"type": name, "field": "", "change": "new type", "detail": "", "breaks": []})
        elif name not in now:
            rows.append(withdrawn(name, released[name].schema, readers).row())
        else:
            rows += [each.row() for each in broken(name, released[name].schema, schemas[name], readers)]
    _print_diff(rows, as_json)
    raise typer.Exit(BREAKS if any(row["breaks"] for row in rows) else 0)


@app.command()
def release() -> None:
    """Freeze what changed since the last release as its next version, in schemas/released/."""
    from hub.evolution.check import check as checked
    from hub.evolution.released import freeze, read_released, working

    settings = settings_of()
    folder = _folder(settings)
    _, problems = checked(folder)
    if problems:
        raise SchemaError(problems)
    catalogue_of(settings)
    new = freeze(folder, working(folder), read_released(folder, []))
    out.print("\n".join(new) or "nothing has changed since the last release", highlight=False)


@app.command()
def register(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Register the catalogue's schemas: event types, the hub's records, projections. Doing it twice is harmless.

    Exit code 1 where the audit could not be written: they are registered all the same.
    """
    from hub.evolution.check import check as checked

    settings = settings_of(data_dir=data_dir)
    catalogue, (_, problems) = catalogue_of(settings), checked(_folder(settings))
    if problems:
        raise SchemaError(problems)
    connection, pairs = connect(settings), list(catalogue.schemas())
    new = registry.missing(connection, pairs)
    where = connection.schema_registry or f"{connection.bootstrap}, topic _schemas"
    err.print(f"{len(pairs)} schemas, {len(new)} of them new → {where}", soft_wrap=True, highlight=False)
    after = registry.register(connection, new)
    done = not new or audited(settings, None, f"register {len(new)} schemas")
    rows = [_registered(after, subject, text) for subject, text in new]
    if as_json:
        print(json.dumps({"there": len(pairs) - len(new), "registered": rows}, ensure_ascii=False))
    else:
        if rows:
            table(rows[0].keys(), (map(str, row.values()) for row in rows))
        out.print(f"{len(pairs) - len(new)} were there, {len(new)} registered", highlight=False)
    raise typer.Exit(0 if done else 1)


@app.command()
def docs(
    folder: Annotated[Path, typer.Argument(help="Where to; made when it is missing.", file_okay=False)] = Path(
        "deploy/schemas"
    ),
) -> None:
    """The AsyncAPI document and browsable pages in both languages, from the catalogue."""
    from hub.handbook.pages import documents

    found = documents(catalogue_of(settings_of()))
    for name, text in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    out.print(f"{len(found)} files; begin with {folder}/en/index.html", highlight=False, soft_wrap=True)


def _print_diff(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        out.print("nothing has changed since the last release")
        return
    table(
        ("type", "field", "change", "what", "whom it breaks"),
        ((row["type"], row["field"], row["change"], row["detail"], _hits(row["breaks"]) or "nobody") for row in rows),
    )
    hit = sorted({each["who"] for row in rows for each in row["breaks"]})
    out.print(f"{len(rows)} changes; broken: {', '.join(hit) or 'nobody'}", highlight=False)


def _hits(breaks: Iterable[dict[str, str]]) -> str:
    """Who, by how: those that are hit in one way stand together."""
    ways: dict[str, list[str]] = {}
    for each in breaks:
        ways.setdefault(each["how"], []).append(each["who"])
    return "\n".join(f"{', '.join(who)}: {how}" for how, who in ways.items())


def _registered(ids: registry.Schemas, subject: str, text: str) -> dict[str, Any]:
    entry = ids.same(subject, text)
    if entry is None:
        raise ConfigError(f"{subject} was registered and does not show")
    return {"subject": subject, "version": entry.version, "id": entry.id}


def _connectors_read() -> dict[str, Any]:
    from hub.delivery.connectors import find, names

    return {name: find(name).reads for name in names()}


def _sound(settings: Settings) -> tuple[Catalogue | None, list[Any]]:
    try:
        return catalogue_of(settings), []
    except SchemaError as error:
        return None, list(error.problems)


def _print_sound(catalogue: Catalogue | None, problems: int) -> None:
    if catalogue is None or problems:
        out.print(f"[red]{problems} problems: this cannot be released[/red]", highlight=False)
        return
    partners = sum(agency.kind == "partner" for agency in catalogue.agencies.values())
    entitlements = sum(map(len, catalogue.entitlements.values()))
    out.print(
        f"{len(catalogue.types)} event types, {len(catalogue.agencies)} agencies ({partners} partners), "
        f"{entitlements} entitlements in {len(catalogue.projections)} projections: nothing is wrong"
    )


def _folder(settings: Settings) -> Path:
    return settings.schemas or SCHEMAS


def _known(catalogue: Catalogue, name: str) -> str:
    if name not in catalogue.types:
        raise ConfigError(f"{name} is no event type; `hub schema list` names them")
    return name


def _ids(settings: Settings) -> registry.Schemas | None:
    try:
        return registry.read(connect(settings))
    except ConfigError:
        return None


def _row(catalogue: Catalogue, name: str, ids: registry.Schemas | None) -> dict[str, Any]:
    of = catalogue.types[name]
    entry = ids.same(name, catalogue.text(name)) if ids else None
    return {
        "type": name,
        "stream": of.stream,
        "key": f"{of.key_kind}: {of.key_field}",
        "id": entry.id if entry else None,
        "published by": ", ".join(a.code for a in catalogue.agencies.values() if name in a.publishes),
        "received by": ", ".join(e.agency for e in catalogue.entitlements[name]),
    }
