"""`hub gateway`: the HTTP door for agencies."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from hub.commands.terminal import DataDir, catalogue_of, err, settings_of


def gateway(
    host: Annotated[str | None, typer.Option(help="Address; HUB_GATEWAY_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="8000 by default, 0: a free one; HUB_GATEWAY_PORT.")] = None,
    data_dir: DataDir = None,
) -> None:
    """The HTTP door for agencies: publish, ask, and know what became of it. Start as many as you like."""
    from hub import registry
    from hub.admin import keys, topics
    from hub.gateway.serve import run
    from hub.kafka.address import listening
    from hub.machine.running import connect, secret
    from hub.pipeline.rulebook import compile_rulebook

    settings = settings_of(data_dir=data_dir, gateway_host=host, gateway_port=port)
    bound = listening(settings.gateway_host, settings.gateway_port, "HUB_GATEWAY_PORT")
    connection, key, catalogue = connect(settings), secret(settings), catalogue_of(settings)
    partitions = topics.lane_partitions(connection, topics.wanted(catalogue))
    keys.claim(connection, key)
    ids = registry.read(connection)
    rules = compile_rulebook(catalogue, ids, key, partitions)
    address, number = bound.getsockname()[:2]
    scheme = "https" if settings.tls_cert else "http"
    err.print(f"gateway: {scheme}://{address}:{number}", highlight=False, soft_wrap=True)
    run(settings, connection, rules, ids, partial(registry.look_up, connection), bound)
