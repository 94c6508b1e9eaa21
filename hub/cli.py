"""`hub`: what people type. Every command says what it needs when that is missing, and exits with 2 then."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from hub.commands.terminal import fail
from hub.errors import ConfigError, HubError, SchemaError
from hub.machine import lifeline

COMMANDS = {
    "demo": "machine:demo",
    "up": "machine:up",
    "worker": "worker:worker",
    "gateway": "gateway:gateway",
    "registry": "registry:registry",
    "connector": "connector:app",
    "simulate": "simulate:simulate",
    "doctor": "doctor:doctor",
    "publish": "events:publish",
    "trace": "events:trace",
    "explain": "explain:explain_command",
    "whoami": "whoami:whoami",
    "dlq": "dlq:app",
    "agency": "pausing:app",
    "token": "token:app",
    "audit": "audit:app",
    "topics": "topics:app",
    "schema": "schema:app",
    "metrics": "metrics:metrics",
}
"""What is typed → module of `hub.commands`, and what there: a command, or a group of them."""


def main() -> None:
    """Entry point: errors that a person can mend are one sentence, not a trace."""
    lifeline.hold()
    try:
        assemble(sys.argv[1:])()
    except SchemaError as error:
        fail("the catalogue cannot be used\n" + "\n".join(map(str, error.problems)))
    except ConfigError as error:
        fail(str(error))
    except HubError as error:
        fail(str(error), 1)


def assemble(words: Sequence[str]) -> typer.Typer:
    """The command that is asked for; all of them where none is, as for `--help`. A process of the hub begins by this,
    and to read what all commands need takes twice as long."""
    app = typer.Typer(name="hub", no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback(context_settings={"help_option_names": ["-h", "--help"]})(hub)
    for name in [words[0]] if words and words[0] in COMMANDS else COMMANDS:
        module, _, what = COMMANDS[name].partition(":")
        found = getattr(import_module(f"hub.commands.{module}"), what)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def hub() -> None:
    """The Zəfər hub: events between public agencies, each to those entitled to it, and no further."""
