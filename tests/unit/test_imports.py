"""Imports point one way (ARCHITECTURE, "Rooms"): who may know whom, and which library stays in which room."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

NOUNS = {"errors", "event", "clock"}
ROOMS: Mapping[str, set[str]] = {
    "errors": set(),
    "clock": set(),
    "logs": set(),
    "metrics": set(),
    "event": {"errors"},
    "texts": {"errors"},
    "probe": {"errors"},
    "avro": NOUNS,
    "catalogue": NOUNS | {"avro"},
    "kafka": {"errors", "event", "avro"},
    "settings": {"errors", "kafka"},
    "registry": NOUNS | {"access", "kafka", "avro", "catalogue", "metrics"},
    "evolution": NOUNS | {"avro", "catalogue", "registry"},
    "handbook": NOUNS | {"avro", "catalogue", "simulate"},
    "pipeline": NOUNS | {"avro", "catalogue"},
    "access": NOUNS | {"avro", "catalogue", "kafka", "metrics", "pipeline", "settings"},
    "sdk": {"errors"},
    "delivery": NOUNS | {"sdk", "avro", "kafka", "registry", "metrics"},
    "engine": NOUNS | {"pipeline", "catalogue", "kafka", "settings", "metrics", "probe"},
    "admin": NOUNS | {"pipeline", "catalogue", "avro", "kafka", "registry"},
    "simulate": NOUNS | {"catalogue", "avro", "kafka"},
    "gateway": NOUNS
    | {"access", "avro", "catalogue", "handbook", "kafka", "metrics", "pipeline", "settings", "texts", "views"},
    "client": set(),
    "views": NOUNS | {"admin", "catalogue", "kafka", "logs", "metrics", "registry", "settings"},
    "machine": NOUNS | {"access", "admin", "simulate", "registry", "catalogue", "kafka", "settings"},
}
"""Room of `hub/` → the rooms it may import. `cli` and `commands` may import all of them, and nobody imports `cli`."""

LIBRARIES: Mapping[str, set[str]] = {
    "faust": {"engine"},
    "mode": {"engine"},
    "uvloop": {"access", "engine", "gateway"},
    "aiokafka": {"engine", "kafka", "simulate"},  # simulate is a publisher: its client is its own
    "kafka": {"kafka", "access", "admin", "registry", "delivery", "simulate", "views"},
    "prometheus_client": {"metrics", "probe", "machine"},
    "typer": {"cli", "commands"},
    "rich": {"cli", "commands", "machine"},
    "noida": {"kafka"},
    "httpx": {"client"},
}
"""Library → the rooms that may import it. Those not named here may be imported anywhere but in `PURE`."""

PURE: Mapping[str, set[str]] = {
    "pipeline": {"fastavro", "pydantic", "pydantic_core"},
    "avro": {"fastavro"},
    "catalogue": {"yaml"},
    "event": set(),
    "errors": set(),
    "clock": set(),
    "sdk": {"pydantic", "structlog"},
}
"""Rooms that import nothing but these beside the standard library."""


class Import(NamedTuple):
    """`module` imports `name`; `at_once`: when it is itself imported, not when a function of it is called."""

    module: str
    name: str
    line: int
    at_once: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.name}"


@cache
def sources() -> dict[str, Path]:
    """Every module of `hub/` and `connectors/` by its dotted name; tests beside a connector are none."""
    paths = [p for top in ("hub", "connectors") for p in (ROOT / top).rglob("*.py") if "test_" not in p.name]
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}
    assert len(names) > 80
    return names


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for name, path in sources().items() for found in _of(name, ast.parse(path.read_text())))


def _of(module: str, tree: ast.AST, at_once: bool = True) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, node.lineno, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level and node.module, f"{module}:{node.lineno} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(module, inner if inner in sources() else node.module, node.lineno, at_once)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _of(module, node, at_once and not inside)


def room(name: str) -> str:
    """`hub.avro.lint` → `avro`; `hub` and `hub.__main__` → `cli`; a connector → `connectors`."""
    parts = name.split(".")
    if parts[0] != "hub":
        return parts[0]
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else "cli"


def inner() -> list[Import]:
    return [found for found in imports() if found.name in sources()]


def outer() -> list[tuple[Import, str]]:
    """Imports of what is not ours, each with the library's top-level name."""
    return [(found, found.name.split(".")[0]) for found in imports() if found.name.split(".")[0] != "hub"]


def test_every_room_is_on_the_plan() -> None:
    assert {room(name) for name in sources()} - {"cli", "commands", "connectors"} == set(ROOMS)


def test_rooms_import_only_what_lies_below_them() -> None:
    wrong = [
        str(found)
        for found in inner()
        if room(found.module) not in ("cli", "commands", "connectors")
        and room(found.name) not in ROOMS[room(found.module)] | {room(found.module)}
        and not _discovery(found)
    ]
    assert wrong == []


def _discovery(found: Import) -> bool:
    """Connectors are looked up by name in their folder; nothing is taken from one by import."""
    return found.module == "hub.delivery.connectors" and found.name == "connectors"


def test_the_plan_itself_has_no_cycle() -> None:
    TopologicalSorter(ROOMS).prepare()


def test_no_module_imports_itself_by_a_detour() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for found in inner():
        if found.at_once:
            graph[found.module].add(found.name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail(f"a cycle of imports: {' ← '.join(cycle.args[1])}")


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_a_library_stays_in_its_rooms(library: str) -> None:
    users = [(str(found), room(found.module)) for found, name in outer() if name == library]
    assert [text for text, by in users if by not in LIBRARIES[library]] == []


@pytest.mark.parametrize("of", sorted(PURE))
def test_a_pure_room_knows_few_libraries(of: str) -> None:
    allowed = PURE[of] | sys.stdlib_module_names
    assert [str(found) for found, name in outer() if room(found.module) == of and name not in allowed] == []


def test_connectors_import_the_sdk_and_nothing_else_of_the_hub() -> None:
    ours = [f for f in inner() if room(f.module) == "connectors" and room(f.name) != "connectors"]
    assert ours and all(found.name == "hub.sdk" for found in ours)


def test_nobody_imports_the_command_line() -> None:
    assert [str(f) for f in inner() if f.name == "hub.cli" and f.module != "hub.__main__"] == []


def test_what_judges_the_pipeline_shares_no_code_with_it() -> None:
    """`hub.simulate` may not reach `hub.pipeline` by any detour."""
    reached, todo = set(), [name for name in sources() if room(name) == "simulate"]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += [found.name for found in inner() if found.module == name]
    assert "hub.simulate.balance" in reached
    assert sorted(name for name in reached if room(name) in ("pipeline", "engine")) == []


def test_an_import_within_a_function_is_seen_and_told_apart() -> None:
    tree = ast.parse("import a\nclass C:\n    import b\n    def f(self):\n        from c import d\n")
    assert [(f.name, f.at_once) for f in _of("m", tree)] == [("a", True), ("b", True), ("c", False)]
