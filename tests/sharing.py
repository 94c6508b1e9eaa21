"""How the two processes of `make test` share the tests, and when a hub is stopped.

A file is run by one process. The files of `FAULTS` are all one process's, one after another: each of them loads the
machine and then waits for what a session or a rebalance brings, and two at once would only wait longer.
What takes long begins first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

FAULTS = ("tests/scenarios/test_engine.py", "tests/scenarios/test_lanes.py", "tests/chaos/test_witness.py")
LONG = ("tests/scenarios/", "tests/integration/")
HUBS = ("hub_on_apache", "hub_on_embedded")
"""Fixtures: an idle hub takes a third of a core, so it is stopped after the last file that needs it."""
SLOW = (*HUBS, "apache", "embedded")
NEEDS = pytest.StashKey[dict[str, set[str]]]()


class ByFile(LoadScopeScheduling):
    """A file is a unit of work, and so are `FAULTS` together; units are handed out in the order of the tests."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "faults" if path in FAULTS else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """What takes long first, and files that need the same hub one after another."""
    needs = session.stash[NEEDS] = needs_of(items)
    items.sort(key=lambda item: _place(_file(item), needs))


def needs_of(items: Iterable[pytest.Item]) -> dict[str, set[str]]:
    """Which of the slow fixtures each file uses."""
    needs: dict[str, set[str]] = defaultdict(set)
    for item in items:
        needs[_file(item)] |= {name for name in SLOW if name in _fixtures(item)}
    return needs


def _fixtures(item: pytest.Item) -> set[str]:
    """With those that `hub` and `broker` ask for by the name in their parameter."""
    given = getattr(item, "callspec", None)
    chosen = given.params if given else {}
    return {*getattr(item, "fixturenames", ()), f"hub_on_{chosen.get('hub')}", str(chosen.get("broker"))}


def _place(file: str, needs: dict[str, set[str]]) -> tuple[int, ...]:
    """Order of a file: faults as they are listed, long ones by the slow fixtures that they use, the rest."""
    if file in FAULTS:
        return (0, FAULTS.index(file))
    return (1 if file.startswith(LONG) else 2, *(name not in needs[file] for name in SLOW))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After a file, stop the hubs that the next one does not need. One that is needed again later starts again."""
    if nextitem is None or _file(nextitem) == _file(item):
        return
    for name in set(HUBS) - item.session.stash[NEEDS][_file(nextitem)]:
        for fixture in item.session._fixturemanager.getfixturedefs(name, item) or ():
            fixture.finish(item._request)  # type: ignore[attr-defined]


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
