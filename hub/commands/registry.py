"""`hub registry`: the schema registry over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hub import logs
from hub.catalogue import load
from hub.errors import ConfigError
from hub.machine.running import connect
from hub.settings import load_settings

err = Console(stderr=True, soft_wrap=True, highlight=False)


def registry(
    host: Annotated[str | None, typer.Option(help="Address; HUB_REGISTRY_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="8081 by default, 0: a free one; HUB_REGISTRY_PORT.")] = None,
    access: Annotated[str | None, typer.Option(help="open or closed; HUB_REGISTRY_ACCESS.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="All that a run keeps; HUB_DATA_DIR.")] = None,
) -> None:
    """The schema registry: what Confluent's clients ask, on the topic `_schemas`."""
    from hub.access.from_settings import open_audit, open_doorkeeper
    from hub.access.tls import uvicorn_tls
    from hub.gateway.protocol import BoundedProtocol
    from hub.kafka.address import listening
    from hub.metrics import Metrics
    from hub.registry.proof import by_doorkeeper
    from hub.registry.rest import registry_app
    from hub.registry.rights import Rights
    from hub.registry.serve import DOOR, Unproved, changes, denials, health, not_let_in, observer, serve
    from hub.registry.store import open_store

    settings = load_settings(data_dir=data_dir, registry_host=host, registry_port=port, registry_access=access)
    logs.configure(settings.log_level)
    if settings.schema_registry_url:
        raise ConfigError("HUB_SCHEMA_REGISTRY_URL names another registry: this one is not needed")
    catalogue = load(settings.schemas) if settings.schemas else load()
    measured = Metrics()
    measured.build(catalogue.version)
    bound = listening(settings.registry_host, settings.registry_port, "HUB_REGISTRY_PORT")
    connection, operators = connect(settings), frozenset(settings.registry_operators)
    with (
        open_store(connection) as store,
        open_audit(DOOR, settings, connection, lambda: store.ask(lambda known: known), measured) as audit,
    ):
        subjects = dict(catalogue.schemas())
        denied, changing = denials(measured, audit, subjects), changes(audit, subjects)
        keeper = open_doorkeeper(DOOR, settings, catalogue, audit, basic=True)
        app = registry_app(
            store,
            Rights(catalogue, settings.registry_access, operators, denied, changing),
            by_doorkeeper(keeper, not_let_in(measured)),
            health(store, measured),
            observer(measured),
        )
        address, number = bound.getsockname()[:2]
        scheme = "https" if settings.tls_cert else "http"
        err.print(f"schema registry ({settings.registry_access}): {scheme}://{address}:{number}")
        serve(app, bound, uvicorn_tls(settings, BoundedProtocol, Unproved(keeper, measured)))
