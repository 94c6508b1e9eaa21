"""Connectors by name: the folder's name is the key, and only the one asked for is imported."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Sequence
from typing import Any

import connectors
from hub.errors import ConfigError
from hub.sdk import Connector

NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


def names() -> Sequence[str]:
    """Every connector there is, sorted; none is imported."""
    return sorted(module.name for module in pkgutil.iter_modules(connectors.__path__) if module.ispkg)


def find(name: str) -> Connector[Any]:
    """The connector of that name. Raises `ConfigError` where there is none or its manifest is wrong."""
    if not NAME.fullmatch(name) or name not in names():
        raise ConfigError(f"no connector {name!r}; there are: {', '.join(names())}")
    module = importlib.import_module(f"{connectors.__name__}.{name}.connector")
    found = getattr(module, "CONNECTOR", None)
    if not isinstance(found, Connector):
        raise ConfigError(f"connectors/{name}/connector.py exports no CONNECTOR: Connector = ...")
    problems = list(found.problems())
    if found.name != name:
        problems.append(f"its name is {found.name!r} and its folder {name!r}")
    if problems:
        raise ConfigError(f"connectors/{name}/connector.py: {'; '.join(problems)}")
    return found
