"""`hub publish` and `hub trace`: one event in, and its way, over Kafka itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hub import registry
from hub.admin import dead_letters
from hub.admin import publish as publishing
from hub.admin import trace as tracing
from hub.catalogue import Catalogue
from hub.commands.auditing import audited
from hub.commands.pausing import held_back
from hub.commands.terminal import AsJson, DataDir, catalogue_of, fail, iso, out, settings_of, table
from hub.errors import ConfigError
from hub.machine.running import connect

EventsFile = Annotated[
    Path, typer.Argument(help="CloudEvents JSON: one, an array, or one a line.", exists=True, dir_okay=False)
]


def publish(
    file: EventsFile,
    agency: Annotated[str, typer.Option("--as", help="The agency that publishes.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Publish events from a file: JSON in, Avro out. `hub trace ID` tells what became of each.

    Exit code 1 where the audit cannot be written: nothing is sent then.
    """
    settings = settings_of(data_dir=data_dir)
    connection, catalogue = connect(settings), catalogue_of(settings)
    dead_letters.known(catalogue, agency)
    ids = registry.read(connection)
    drafts = [_drafted(catalogue, ids, agency, i, event) for i, event in enumerate(publishing.read_events(file))]
    if not audited(settings, agency, f"publish {len(drafts)} events"):
        fail("nothing was sent", 1)
    for sent, coordinates in publishing.send(connection, agency, drafts):
        if as_json:
            print(json.dumps({"id": sent.id, "record": coordinates}))
        else:
            out.print(f"accepted  {sent.id}  {coordinates}   → hub trace {sent.id}")


def trace(
    id: Annotated[str, typer.Argument(help="An event's id (yours or the hub's), or topic/partition/offset.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """What became of an event: accepted, decided, offered, delivered."""
    settings = settings_of(data_dir=data_dir)
    connection = connect(settings)
    stations = tracing.trace(connection, catalogue_of(settings), id)
    if not stations:
        held = held_back(connection, id)
        fail(f"nothing is known of {id}: it was not accepted here, or is still in flight{held}", 1)
    if as_json:
        print(json.dumps([{"at": s.at, "record": s.record, "what": s.what} for s in stations]))
        return
    table(("when", "record", "what"), ((iso(s.at), s.record, s.what) for s in stations))


def _drafted(catalogue: Catalogue, ids: Any, agency: str, index: int, event: Any) -> publishing.Draft:
    try:
        return publishing.draft(catalogue, ids, agency, event)
    except ConfigError as error:
        raise ConfigError(f"event {index + 1}: {error}; nothing was sent") from None
