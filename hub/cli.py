"""`hub`: what people type. Every command says what it needs when that is missing, and exits with 2 then."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from hub import metrics, registry
from hub.admin import dead_letters, keys, topics
from hub.commands.audit import app as audit_app
from hub.commands.doctor import doctor
from hub.commands.events import publish, trace
from hub.commands.explain import explain_command
from hub.commands.gateway import gateway
from hub.commands.pausing import app as agency_app
from hub.commands.registry import registry as registry_command
from hub.commands.schema import app as schema_app
from hub.commands.terminal import AsJson, DataDir, Lang, catalogue_of, err, fail, iso, language, out, settings_of, table
from hub.commands.token import app as token_app
from hub.commands.whoami import whoami
from hub.errors import Code, ConfigError, HubError, SchemaError
from hub.gateway.details import in_language
from hub.kafka.broker import Kind
from hub.machine import lifeline
from hub.machine.running import connect, secret
from hub.settings import Settings, load_settings
from hub.texts import explain

app = typer.Typer(
    name="hub",
    help="The Zəfər hub: events between public agencies, each to those entitled to it, and no further.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics_app = typer.Typer(help="Topics, as the catalogue wants them.", no_args_is_help=True)
dlq_app = typer.Typer(help="Dead letters: what was refused, and why.", no_args_is_help=True)
connector_app = typer.Typer(help="Connectors: how agencies receive.", no_args_is_help=True)
app.command("doctor")(doctor)
app.command("explain")(explain_command)
app.command("publish")(publish)
app.command("trace")(trace)
app.command("whoami")(whoami)
app.add_typer(topics_app, name="topics")
app.add_typer(schema_app, name="schema")
app.add_typer(dlq_app, name="dlq")
app.add_typer(agency_app, name="agency")
app.add_typer(connector_app, name="connector")
app.add_typer(token_app, name="token")
app.add_typer(audit_app, name="audit")
app.command("registry")(registry_command)
app.command("gateway")(gateway)

BrokerOption = Annotated[Kind | None, typer.Option("--broker", help="Which broker; HUB_BROKER.")]
Agencies = Annotated[list[str] | None, typer.Option("--agency", help="An agency's code; may be repeated.")]
Partitions = Annotated[int | None, typer.Option(help="Of every lane topic, on first start; HUB_PARTITIONS.")]


def main() -> None:
    """Entry point: errors that a person can mend are one sentence, not a trace."""
    lifeline.hold()
    try:
        app()
    except SchemaError as error:
        fail("the catalogue cannot be used\n" + "\n".join(map(str, error.problems)))
    except ConfigError as error:
        fail(str(error))
    except HubError as error:
        fail(str(error), 1)


@app.command()
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


@app.command()
def up(broker: BrokerOption = None, data_dir: DataDir = None, partitions: Partitions = None) -> None:
    """The whole hub on this machine, without the simulation. Ctrl-C stops it."""
    from hub.machine.hub import running

    settings = settings_of(broker=broker, data_dir=data_dir, partitions=partitions)
    stop = _stop_event()
    with running(settings, catalogue_of(settings), lambda text: out.print(f"[dim]{text}[/dim]"), lasting=True) as hub:
        for line in (*_where(hub), *_elsewhere(settings, hub)):
            out.print(line, soft_wrap=True, highlight=False)
        while not stop.wait(1):
            hub.check()


@app.command()
def worker(
    lanes: Annotated[str, typer.Option(help="gate, ledger, or both with a comma.")] = "gate,ledger",
) -> None:
    """One worker process: carries records through gate and ledger."""
    from hub.engine.app import LANES
    from hub.engine.worker import run_worker
    from hub.pipeline.rulebook import compile_rulebook

    settings, chosen = settings_of(), lanes.split(",")
    if not set(chosen) <= set(LANES):
        raise ConfigError(f"--lanes {lanes}: expected {', '.join(LANES)}, or both with a comma")
    connection, key, catalogue = connect(settings), secret(settings), catalogue_of(settings)
    partitions = topics.lane_partitions(connection, topics.wanted(catalogue))
    keys.claim(connection, key)
    rules = compile_rulebook(catalogue, registry.read(connection), key, partitions)
    run_worker(settings, connection, rules, partial(registry.look_up, connection), chosen)


@app.command()
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
        stop=_stop_event(),
    ).as_dict()
    if as_json:
        print(json.dumps(report))
    else:
        out.print_json(data=report)


@topics_app.command("plan")
def topics_plan(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """What `apply` would do. Changes nothing; exit code 3 when the broker is not as the catalogue wants it."""
    settings = settings_of(data_dir=data_dir)
    found = _planned(settings)[1]
    _print_plan(found, as_json)
    raise typer.Exit(3 if found.create or found.alter or found.drift else 0)


@topics_app.command("apply")
def topics_apply(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Create topics, mend their limits, register the catalogue's schemas. Doing it twice is harmless."""
    settings = settings_of(data_dir=data_dir)
    connection, found = _planned(settings)
    notes = topics.apply(connection, found)
    registry.register(connection, catalogue_of(settings).schemas())
    _print_plan(found, as_json)
    for note in notes:
        err.print(note)


@dlq_app.command("list")
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


@dlq_app.command("show")
def dlq_show(
    record: Annotated[str, typer.Argument(help="The input's coordinates: in.mod/3/1234.")],
    raw: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the bytes as they came to this file.")] = None,
    lang: Lang = "en",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """One dead letter. Its bytes may hold personal data: they go to a file, not to the terminal."""
    spoken = language(lang)
    settings = settings_of(data_dir=data_dir)
    letter = dead_letters.find(connect(settings), catalogue_of(settings), record)
    if raw is not None:
        _keep_raw(raw, letter.envelope["value"] or b"")
    if as_json:
        print(json.dumps(letter.row(), ensure_ascii=False))
        return
    text = explain(letter.envelope["code"], spoken)
    row = letter.row() | {"means": text.what, "fix": text.fix}
    row["detail"] = in_language(row["detail"] or "", spoken)
    row |= {name: iso(row[name]) for name in ("first_failure", "last_failure")}
    table(("", ""), ((name, str(value)) for name, value in row.items()))


@connector_app.command("list")
def connector_list() -> None:
    """Connectors that are installed, with their settings."""
    from hub.delivery.connectors import find, names

    rows = ((name, find(name).summary.en, ", ".join(o.name for o in find(name).options())) for name in names())
    table(("connector", "what", "settings"), rows)


@connector_app.command("run")
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
    measured = metrics.Metrics()
    measured.build(catalogue.version)
    observer = DeliveryMetrics(measured)
    Probe(measured.registry, lambda: observer.ready, observer.refresh).start(
        settings.metrics_host, settings.metrics_port
    )
    stop = _stop_event()
    deliver = partial(run, hub=settings.name, data_dir=settings.data_dir, receipts=receipts)
    deliver(connect(settings), chosen, name, given, observer, stop)


@app.command("metrics")
def metrics_command() -> None:
    """Every metric, its labels and what it says."""
    table(("metric", "labels", "what"), ((m.scraped, ", ".join(m.labels), m.help) for m in metrics.ALL))


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


def _planned(settings: Settings) -> tuple[Any, topics.Plan]:
    connection = connect(settings)
    specs = topics.wanted(catalogue_of(settings), settings.partitions, settings.replication)
    return connection, topics.plan(connection, specs)


def _print_plan(found: topics.Plan, as_json: bool) -> None:
    if as_json:
        rows = {"create": [spec.name for spec in found.create], "unchanged": len(found.unchanged)}
        rows |= {"alter": list(map(str, found.alter)), "drift": list(map(str, found.drift))}
        print(json.dumps(rows))
        return
    out.print(f"create {len(found.create)}, alter {len(found.alter)}, unchanged {len(found.unchanged)}")
    for what, changes in (("alter", found.alter), ("drift, for a person to decide", found.drift)):
        for change in changes:
            out.print(f"  {what}: {change}")
    for spec in found.create:
        out.print(f"  create: {spec.name} ({spec.partitions} partitions)", highlight=False)


def _keep_raw(path: Path, value: bytes) -> None:
    """For its owner alone, whoever could read a file that was there: the bytes may hold personal data."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(value)
    said = f"{len(value)} bytes are in {path}, which you alone can read; they may hold personal data"
    err.print(said, highlight=False, markup=False, soft_wrap=True)


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


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ConfigError(f"--set {name}: expected setting=value")
    return name, value


def _stop_event() -> threading.Event:
    stop = threading.Event()
    handler: Callable[[int, Any], None] = lambda *_: stop.set()  # noqa: E731
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)
    return stop
