"""`hub demo` and `hub up`: the whole hub on this machine."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.commands.terminal import AsJson, DataDir, catalogue_of, err, out, settings_of, stop_event, table
from hub.kafka.broker import Kind
from hub.settings import Settings, load_settings

BrokerOption = Annotated[Kind | None, typer.Option("--broker", help="Which broker; HUB_BROKER.")]
Partitions = Annotated[int | None, typer.Option(help="Of every lane topic, on first start; HUB_PARTITIONS.")]


def demo(
    duration: Annotated[float | None, typer.Option(help="Seconds; without it until Ctrl-C.")] = None,
    rate: Annotated[float, typer.Option(help="Events a second.")] = 100.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same events.")] = 1,
    broker: BrokerOption = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="All that it keeps; default: demo/ in HUB_DATA_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The whole hub on this machine, with simulated agencies and invented persons."""
    from hub.machine.demo import Load, run_demo

    for ends in (signal.SIGINT, signal.SIGTERM):  # both end in the account, also where it was started in the background
        signal.signal(ends, signal.default_int_handler)
    own = data_dir or load_settings().data_dir / "demo"  # what it makes up is not mixed with what `hub up` keeps
    settings = settings_of(broker=broker, data_dir=own)
    console = err if as_json else out
    account = run_demo(
        settings,
        catalogue_of(settings),
        Load(rate, duration, seed),
        console,
        live=out.is_terminal and not as_json,
    )
    if as_json:
        print(json.dumps(account))
    else:
        _print_account(account)
    raise typer.Exit(0 if account["balanced"] else 1)


def up(broker: BrokerOption = None, data_dir: DataDir = None, partitions: Partitions = None) -> None:
    """The whole hub on this machine, without the simulation. Ctrl-C stops it."""
    from hub.machine.hub import running

    settings = settings_of(broker=broker, data_dir=data_dir, partitions=partitions)
    stop = stop_event()
    with running(settings, catalogue_of(settings), lambda text: out.print(f"[dim]{text}[/dim]"), lasting=True) as hub:
        for line in (*_where(hub), *_elsewhere(settings, hub)):
            out.print(line, soft_wrap=True, highlight=False)
        while not stop.wait(1):
            hub.check()


def _where(hub: Any) -> Iterable[str]:
    """What one needs to use a hub that runs."""
    yield "[bold green]the hub is up[/bold green]; Ctrl-C stops it"
    yield f"  broker     {hub.connection.bootstrap}"
    yield f"  gateway    http://127.0.0.1:{hub.gateway.port}   (for agencies; /openapi.json)"
    if hub.token:
        yield f"  token      {hub.token}   (of agency {hub.token.stem}, for trying; `hub token issue` makes others)"
    yield f"  worker     http://127.0.0.1:{hub.worker.port}/metrics"
    if hub.registry:
        yield f"  schemas    http://127.0.0.1:{hub.registry.port}/subjects   (registry for Confluent's clients)"
    yield f"  delivery   http://127.0.0.1:{hub.delivery.port}/metrics"
    yield f"  received   {hub.received}/<agency>/"
    yield f"  logs       {hub.logs}"
    yield "  publish    hub publish FILE --as AGENCY   (in another terminal, with the same --data-dir)"


def _elsewhere(settings: Settings, hub: Any) -> Iterable[str]:
    """What stands at another port than it was to, because somebody has that one. Last, so that it is seen."""
    doors = [("gateway", settings.gateway_port, hub.gateway)]
    if hub.registry:
        doors.append(("registry", settings.registry_port, hub.registry))
    for name, wanted, door in doors:
        if wanted not in (0, door.port):
            said = f"port {wanted} is taken: the {name} is at http://127.0.0.1:{door.port}"
            yield f"[bold red]{said}[/bold red]"


def _print_account(account: dict[str, Any]) -> None:
    table(
        ("agency", "accepted", "applied", "duplicate", "rejected", "offered", "delivered"),
        (
            (
                code,
                *(str(row[name]) for name in ("accepted", "applied", "duplicate")),
                str(sum(row["rejected"].values())),
                *(str(row[name]) for name in ("offered", "delivered")),
            )
            for code, row in account["agencies"].items()
            if any(row.values())
        ),
    )
    told = {"rejected by reason": account["rejected"]}
    told |= {f"ms until {step}": figures for step, figures in account["latency_ms"].items()}
    for title, figures in told.items():
        out.print(f"{title}: {'   '.join(f'{name} {figure}' for name, figure in figures.items()) or 'none'}")
    for problem in account["problems"][:20]:
        out.print(f"[red]{problem}[/red]")
    out.print("[bold green]balanced: in = applied + duplicate + rejected, to the record[/bold green]"
              if account["balanced"] else "[bold red]NOT balanced[/bold red]")  # fmt: skip
