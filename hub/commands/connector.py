"""`hub connector`: the connectors, and running one."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from hub.admin import dead_letters
from hub.commands.terminal import Agencies, DataDir, catalogue_of, settings_of, stop_event, table
from hub.errors import ConfigError
from hub.machine.running import connect
from hub.metrics import Metrics

app = typer.Typer(help="Connectors: how agencies receive.", no_args_is_help=True)


@app.command("list")
def connector_list() -> None:
    """Connectors that are installed, with their settings."""
    from hub.delivery.connectors import find, names

    rows = ((name, find(name).summary.en, ", ".join(o.name for o in find(name).options())) for name in names())
    table(("connector", "what", "settings"), rows)


@app.command("run")
def connector_run(
    name: Annotated[str, typer.Argument(help="A connector; `hub connector list` names them.")],
    agency: Agencies = None,
    all_agencies: Annotated[bool, typer.Option("--all", help="Every agency of the catalogue.")] = False,
    values: Annotated[list[str] | None, typer.Option("--set", help="setting=value, or agency.setting=value.")] = None,
    receipts: Annotated[
        bool, typer.Option("--receipts", help="Receipts instead: what became of the agency's own events.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Deliver what agencies are entitled to, or their receipts, through one connector."""
    from hub.delivery.metrics import DeliveryMetrics
    from hub.delivery.run import run
    from hub.probe import Probe

    settings = settings_of(data_dir=data_dir)
    catalogue = catalogue_of(settings)
    chosen = list(catalogue.agencies) if all_agencies else [dead_letters.known(catalogue, a) for a in agency or ()]
    given = dict(_pair(value) for value in values or ())
    measured = Metrics()
    measured.build(catalogue.version)
    observer = DeliveryMetrics(measured)
    Probe(measured.registry, lambda: observer.ready, observer.refresh).start(
        settings.metrics_host, settings.metrics_port
    )
    stop = stop_event()
    deliver = partial(run, hub=settings.name, data_dir=settings.data_dir, receipts=receipts)
    deliver(connect(settings), chosen, name, given, observer, stop)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ConfigError(f"--set {name}: expected setting=value")
    return name, value
