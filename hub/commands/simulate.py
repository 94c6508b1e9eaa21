"""`hub simulate`: load on a hub that runs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from hub import registry
from hub.commands.terminal import AsJson, DataDir, catalogue_of, out, settings_of, stop_event
from hub.machine.running import connect


def simulate(
    rate: Annotated[float, typer.Option(help="Events a second.")] = 100.0,
    duration: Annotated[float | None, typer.Option(help="Seconds; without it until Ctrl-C.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same events.")] = 1,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Synthetic agencies publish to a running hub: invented persons, real shapes of load."""
    from hub.simulate import run

    settings = settings_of(data_dir=data_dir)
    connection = connect(settings)
    report = run(
        connection,
        catalogue_of(settings),
        registry.read(connection),
        rate=rate,
        duration=duration,
        seed=seed,
        stop=stop_event(),
    ).as_dict()
    if as_json:
        print(json.dumps(report))
    else:
        out.print_json(data=report)
